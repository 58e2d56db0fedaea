package sandbox

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const graphContext = "https://graph.microsoft.com/v1.0/$metadata#"

// graphCall is a request after its token was accepted.
type graphCall struct {
	w           *callWriter
	r           *http.Request
	query       url.Values
	body        []byte
	permissions []string
}

// graphError is a refusal; graphCall methods return it instead of writing.
type graphError struct {
	status        int
	code, message string
}

func (f *graphError) Error() string { return f.code + ": " + f.message }

func badRequest(format string, args ...any) error {
	return &graphError{http.StatusBadRequest, "BadRequest", fmt.Sprintf(format, args...)}
}

func notFound(key string) error {
	return &graphError{http.StatusNotFound, "Request_ResourceNotFound", fmt.Sprintf("Resource '%s' does not exist or one of its queried reference-property objects are not present.", key)}
}

var errMethod = &graphError{http.StatusMethodNotAllowed, "Request_BadRequest", "Specified HTTP method is not allowed for the request target."}

// graphHandler answers the part of Microsoft Graph v1.0 about users, the groups
// they are in and the roles they hold.
func (s *Sandbox) graphHandler() standIn {
	return func(w *callWriter, r *http.Request) {
		requestID := newGUID()
		header := w.Header()
		header.Set("request-id", requestID)
		header.Set("client-request-id", cmp.Or(r.Header.Get("client-request-id"), requestID))
		header.Set("x-ms-ags-diagnostic", `{"ServerInfo":{"DataCenter":"West Europe","Slice":"E","Ring":"5","ScaleUnit":"001","RoleInstance":"AM1PEPF00000000"}}`)
		header.Set("Strict-Transport-Security", "max-age=31536000")
		header.Set("Cache-Control", "no-cache")

		body, err := io.ReadAll(r.Body)
		if err != nil {
			writeGraphError(w, r, http.StatusBadRequest, "BadRequest", "Unable to read the request payload.")
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		token, problem := s.bearer(r)
		if problem != "" {
			header.Set("WWW-Authenticate", `Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", client_id="00000003-0000-0000-c000-000000000000"`)
			writeGraphError(w, r, http.StatusUnauthorized, "InvalidAuthenticationToken", problem)
			return
		}
		call := graphCall{w: w, r: r, body: body, permissions: token.permissions}
		answer, err := s.graph(call)
		if err != nil {
			failure, ok := errors.AsType[*graphError](err)
			if !ok {
				failure = &graphError{http.StatusInternalServerError, "InternalServerError", err.Error()}
			}
			writeGraphError(w, r, failure.status, failure.code, failure.message)
			return
		}
		s.touch()
		writeGraph(w, r, answer)
	}
}

// bearer finds what the token of r allows, or says what is wrong with it. The
// caller holds mu.
func (s *Sandbox) bearer(r *http.Request) (accessToken, string) {
	value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || value == "" {
		return accessToken{}, "Access token is empty."
	}
	token, ok := s.world.tokens[value]
	switch {
	case !ok:
		return accessToken{}, "CompactToken parsing failed with error code: 80049217"
	case token.audience != s.graphURL:
		return accessToken{}, "Access token validation failure. Invalid audience."
	case !s.now().Before(token.expires):
		return accessToken{}, "Access token has expired or is not yet valid."
	}
	return s.world.stillGranted(token), ""
}

// graph routes a call. Segments are taken apart before they are unescaped, so
// that %2F and %23 stay part of a key.
func (s *Sandbox) graph(call graphCall) (map[string]any, error) {
	query, err := url.ParseQuery(call.r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("The query string is malformed.")
	}
	call.query = query

	var segments []string
	for raw := range strings.SplitSeq(strings.TrimPrefix(call.r.URL.EscapedPath(), "/"), "/") {
		segment, err := url.PathUnescape(raw)
		if err != nil {
			return nil, badRequest("The request URI is not valid.")
		}
		segments = append(segments, segment)
	}
	if segments[0] != "v1.0" {
		return nil, badRequest("Invalid version: %s", segments[0])
	}
	segments = segments[1:]
	if len(segments) == 0 || segments[0] == "" {
		return nil, badRequest("Resource not found for the segment ''.")
	}
	if key, ok := strings.CutPrefix(segments[0], "users("); ok {
		key, err := quotedKey(key)
		if err != nil {
			return nil, err
		}
		return s.graphUser(call, key, segments[1:])
	}
	switch {
	case segments[0] == "groups" && len(segments) > 1:
		return s.graphGroup(call, segments[1], segments[2:])
	case segments[0] == "roleManagement":
		return s.graphRoles(call, segments[1:])
	case segments[0] != "users":
		return nil, badRequest("Resource not found for the segment '%s'.", segments[0])
	case len(segments) == 1:
		return s.listUsers(call)
	case strings.HasPrefix(segments[1], "$"):
		return nil, badRequest("The request URI is not valid. The segment '%s' is not a key.", segments[1])
	}
	return s.graphUser(call, segments[1], segments[2:])
}

// quotedKey reads the rest of users('key'), with quotes in the key doubled.
func quotedKey(rest string) (string, error) {
	inner, ok := strings.CutPrefix(rest, "'")
	inner, closed := strings.CutSuffix(inner, "')")
	if !ok || !closed || strings.Contains(strings.ReplaceAll(inner, "''", ""), "'") {
		return "", badRequest("Bad Request - Error in query syntax.")
	}
	return strings.ReplaceAll(inner, "''", "'"), nil
}

func (c graphCall) may(anyOf ...string) error {
	for _, permission := range anyOf {
		if slices.Contains(c.permissions, permission) {
			return nil
		}
	}
	return &graphError{http.StatusForbidden, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."}
}

// parameters reads the JSON body of an action. An empty body has none.
func (c graphCall) parameters(into any) error {
	if len(c.body) == 0 {
		return nil
	}
	if mediaType, _, _ := mime.ParseMediaType(c.r.Header.Get("Content-Type")); mediaType != "application/json" {
		return &graphError{http.StatusUnsupportedMediaType, "RequestHeaders", "The Content-Type header is missing or not supported. Use application/json."}
	}
	if err := json.Unmarshal(c.body, into); err != nil {
		return badRequest("Unable to read JSON request payload. Please ensure Content-Type header is set and payload is of valid JSON format.")
	}
	return nil
}

func graphErrorForStatus(status int) (code, message string) {
	switch status {
	case http.StatusUnauthorized:
		return "InvalidAuthenticationToken", "Access token has expired or is not yet valid."
	case http.StatusForbidden:
		return "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
	case http.StatusNotFound:
		return "Request_ResourceNotFound", "Resource does not exist or one of its queried reference-property objects are not present."
	case http.StatusMethodNotAllowed:
		return errMethod.code, errMethod.message
	case http.StatusTooManyRequests:
		return "TooManyRequests", "Please retry again later."
	case http.StatusInternalServerError:
		return "InternalServerError", "An internal server error occurred."
	case http.StatusBadGateway:
		return "BadGateway", "The gateway received an invalid answer."
	case http.StatusServiceUnavailable:
		return "ServiceUnavailable", "The service is temporarily unavailable. Please retry later."
	case http.StatusGatewayTimeout:
		return "GatewayTimeout", "The service did not answer in time. Please retry later."
	default:
		return "BadRequest", "The request could not be processed."
	}
}

func writeGraphError(w *callWriter, r *http.Request, status int, code, message string) {
	w.note(code)
	header := w.Header()
	if header.Get("request-id") == "" { // a fault answers before the stand-in has set its headers
		header.Set("request-id", newGUID())
		header.Set("client-request-id", cmp.Or(r.Header.Get("client-request-id"), header.Get("request-id")))
	}
	inner := map[string]any{
		"date": w.call.Time.UTC().Format("2006-01-02T15:04:05"), "request-id": header.Get("request-id"),
		"client-request-id": header.Get("client-request-id"),
	}
	if status == http.StatusTooManyRequests {
		inner["code"], inner["status"], inner["message"] = "429", "429", "Please retry after"
	}
	header.Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"error": map[string]any{"code": code, "message": message, "innerError": inner},
	})
}

func writeGraph(w *callWriter, r *http.Request, answer map[string]any) {
	metadata := "minimal"
	if strings.Contains(r.Header.Get("Accept"), "odata.metadata=none") {
		metadata = "none"
		delete(answer, "@odata.context")
	}
	w.Header().Set("Content-Type", "application/json;odata.metadata="+metadata+";odata.streaming=true;IEEE754Compatible=false;charset=utf-8")
	w.WriteHeader(http.StatusOK)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(answer)
}
