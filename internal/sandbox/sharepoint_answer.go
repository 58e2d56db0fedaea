package sandbox

import (
	"cmp"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strings"
)

// sharePointError is a refusal, with its code as SharePoint composes it of a
// number and the name of an exception.
type sharePointError struct {
	status        int
	code, message string
}

func badQuery(message string) sharePointError {
	return sharePointError{http.StatusBadRequest, "-1, Microsoft.SharePoint.Client.InvalidClientQueryException", message}
}

// sharePointErrorForStatus is what SharePoint says with a status where nothing
// more is known.
func sharePointErrorForStatus(status int) sharePointError {
	switch status {
	case http.StatusUnauthorized:
		return sharePointError{status, "-2147024891, System.UnauthorizedAccessException", "Attempted to perform an unauthorized operation."}
	case http.StatusForbidden:
		return sharePointError{status, "-2147024891, System.UnauthorizedAccessException", "Access is denied. (Exception from HRESULT: 0x80070005 (E_ACCESSDENIED))"}
	case http.StatusNotFound:
		return sharePointError{status, "-1, Microsoft.SharePoint.Client.ResourceNotFoundException", "Cannot find resource for the request RevokeAllUserSessions."}
	default:
		return sharePointError{status, "-1, Microsoft.SharePoint.Client.UnknownError", "Unknown Error"}
	}
}

// answerForm is the form of JSON that r asks for, "" if it asks for none that
// the stand-in has. SharePoint answers Atom to who does not ask for JSON; here
// nobody reads it.
func answerForm(r *http.Request) string {
	mediaType, parameters, err := mime.ParseMediaType(r.Header.Get("Accept"))
	if err != nil || mediaType != "application/json" {
		return ""
	}
	switch form := cmp.Or(parameters["odata"], "minimalmetadata"); form {
	case "nometadata", "minimalmetadata", "verbose":
		for name := range parameters {
			if name != "odata" && name != "charset" {
				return "" // odata.metadata belongs to version 4
			}
		}
		return form
	default:
		return ""
	}
}

// correlate sets the headers by which a call is found again in SharePoint's logs.
func correlate(w *callWriter, r *http.Request) {
	header, id := w.Header(), newGUID()
	header.Set("SPRequestGuid", id)
	header.Set("request-id", id)
	if given := r.Header.Get("client-request-id"); given != "" {
		header.Set("client-request-id", given)
	}
}

// writeRevocation answers with the entity that the method returns.
func (s *Sandbox) writeRevocation(w *callWriter, r *http.Request, state int) {
	const entity = tenantManagement + ".SPOUserSessionRevocationResult"
	id := s.sharePointURL + "/_api/" + entity + newGUID()
	answer := map[string]any{"State": state}
	switch form := answerForm(r); form {
	case "verbose":
		answer["__metadata"] = map[string]any{"id": id, "uri": id, "type": entity}
		answer = map[string]any{"d": answer}
	case "minimalmetadata":
		answer["odata.metadata"] = s.sharePointURL + "/_api/$metadata#SP.ApiData.SPOUserSessionRevocationResults/@Element"
		answer["odata.type"] = entity
		answer["odata.id"] = id
		answer["odata.editLink"] = id[strings.LastIndex(id, "/")+1:]
	}
	writeSharePoint(w, r, http.StatusOK, answer)
}

func writeSharePointError(w *callWriter, r *http.Request, e sharePointError) {
	w.note(e.code)
	name := "odata.error"
	if answerForm(r) == "verbose" {
		name = "error"
	}
	writeSharePoint(w, r, e.status, map[string]any{
		name: map[string]any{"code": e.code, "message": map[string]any{"lang": "en-US", "value": e.message}},
	})
}

func writeSharePoint(w *callWriter, r *http.Request, status int, answer map[string]any) {
	form := cmp.Or(answerForm(r), "minimalmetadata")
	streaming := "streaming=true;"
	if form == "verbose" {
		streaming = ""
	}
	header := w.Header()
	header.Set("Content-Type", "application/json;odata="+form+";"+streaming+"charset=utf-8")
	header.Set("Cache-Control", "private, max-age=0")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(answer)
}

// writeInvalidToken refuses a token before any service has looked at the call:
// the shape is the same whatever the call asks for.
func writeInvalidToken(w *callWriter, problem string) {
	w.note("invalid_client")
	header := w.Header()
	header.Set("x-ms-diagnostics", `3000006;reason="`+problem+`";category="invalid_client"`)
	header.Set("WWW-Authenticate", `Bearer realm="`+tenantID+`",client_id="00000003-0000-0ff1-ce00-000000000000",trusted_issuers="00000001-0000-0000-c000-000000000000@*"`)
	header.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(http.StatusUnauthorized)
	_ = json.NewEncoder(w).Encode(map[string]any{"error_description": problem})
}

// answerSharePoint is the refusal of a fault. Throttling comes from in front of
// the service, as text.
func (f Fault) answerSharePoint(w *callWriter, r *http.Request) {
	correlate(w, r)
	status := cmp.Or(f.Status, http.StatusBadRequest)
	text := map[int]string{
		http.StatusTooManyRequests: "429 TOO MANY REQUESTS", http.StatusServiceUnavailable: "Server Too Busy",
	}[status]
	if text == "" || f.Code != "" {
		e := sharePointErrorForStatus(status)
		e.code = cmp.Or(f.Code, e.code)
		writeSharePointError(w, r, e)
		return
	}
	w.note(text)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text)
}
