package sandbox

import (
	"crypto/subtle"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	identityPath       = "/msi/token"
	identityAPIVersion = "2019-08-01"
)

// identityHandler is the token endpoint that an App Service runs beside its app.
// https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
func (s *Sandbox) identityHandler() standIn {
	return func(w *callWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		resource := query.Get("resource")
		// no source shows the statuses and texts of these refusals but the one for
		// an identity that is not there.
		switch {
		case r.URL.EscapedPath() != identityPath:
			writeIdentityError(w, http.StatusNotFound, "No such endpoint.")
		case r.Method != http.MethodGet:
			writeIdentityError(w, http.StatusMethodNotAllowed, "The method is not allowed.")
		case !s.identityHeaderMatches(r.Header.Get("X-IDENTITY-HEADER")):
			writeIdentityError(w, http.StatusUnauthorized, "The X-IDENTITY-HEADER is missing or wrong.")
		case err != nil, query.Get("api-version") != identityAPIVersion:
			writeIdentityError(w, http.StatusBadRequest, "The api-version is missing or not supported.")
		case query.Has("client_id") && !strings.EqualFold(query.Get("client_id"), clientID),
			query.Has("principal_id"), query.Has("object_id"), query.Has("mi_res_id"):
			writeIdentityError(w, http.StatusBadRequest, "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId.")
		case !slices.Contains(s.resources(), resource):
			writeIdentityError(w, http.StatusBadRequest, "AADSTS500011: The resource principal named "+resource+" was not found in the tenant named Contoso.")
		default:
			s.mu.Lock()
			token, expires := s.issue(resource, false)
			s.mu.Unlock()
			writeJSON(w, http.StatusOK, map[string]any{
				"access_token": token, "token_type": "Bearer", "resource": resource, "client_id": clientID,
				"expires_on": strconv.FormatInt(expires.Unix(), 10),
			})
		}
	}
}

func (s *Sandbox) identityHeaderMatches(given string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return subtle.ConstantTimeCompare([]byte(given), []byte(s.material.identityHeader)) == 1
}

func writeIdentityError(w *callWriter, status int, message string) {
	w.note(strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_"))
	writeJSON(w, status, map[string]any{"statusCode": status, "message": message, "correlationId": newGUID(), "timestamp": time.Now().UTC().Format(time.RFC3339)})
}
