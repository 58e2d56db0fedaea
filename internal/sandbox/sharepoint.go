package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
)

const (
	publicSharePoint = "https://contoso-admin.sharepoint.com"
	sitesFullControl = "Sites.FullControl.All"

	tenantManagement = "Microsoft.Online.SharePoint.TenantManagement"
	revokeAllPath    = "/_api/" + tenantManagement + ".Office365Tenant/RevokeAllUserSessions"
)

// The states of SPOUserSessionRevocationResult.
const (
	stateDisabled         = 0
	stateUserNotFound     = 1
	stateNonInstantaneous = 3
	stateInstantaneous    = 4
)

// sharePointHandler answers the one call behind Revoke-SPOUserSession. No source
// shows a recorded answer of it; the shapes are those of its entry in $metadata
// and of its neighbors.
func (s *Sandbox) sharePointHandler() standIn {
	return func(w *callWriter, r *http.Request) {
		correlate(w, r)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			writeSharePointError(w, r, badQuery("The request body cannot be read."))
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		token, problem := s.sharePointBearer(r)
		switch {
		case problem != "":
			writeInvalidToken(w, problem)
			return
		case token.bySecret:
			w.note("unsupported_app_only_token")
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "Unsupported app only token.")
			return
		case !slices.Contains(token.permissions, sitesFullControl):
			writeSharePointError(w, r, sharePointErrorForStatus(http.StatusUnauthorized))
			return
		}
		name, refusal := userName(r, body)
		if refusal != nil {
			writeSharePointError(w, r, *refusal)
			return
		}
		state := s.revokeAllUserSessions(name)
		s.touch()
		s.writeRevocation(w, r, state)
	}
}

// sharePointBearer finds out who sent r, or says what is wrong with its token.
// No source shows the answer to a request without one. The caller holds mu.
func (s *Sandbox) sharePointBearer(r *http.Request) (accessToken, string) {
	value, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	token, known := s.world.tokens[value]
	switch {
	case !isBearer, !known, token.audience != s.sharePointURL:
		return accessToken{}, "Invalid issuer or signature."
	case !s.now().Before(token.expires):
		return accessToken{}, "Invalid JWT token. The token is expired."
	}
	return s.world.stillGranted(token), ""
}

// userName reads the name from a request that is for the one method, in all of
// its parts, or says what is wrong with the request.
func userName(r *http.Request, body []byte) (string, *sharePointError) {
	refuse := func(e sharePointError) (string, *sharePointError) { return "", &e }
	if path := r.URL.EscapedPath(); path != revokeAllPath {
		return refuse(sharePointError{http.StatusNotFound, "-1, Microsoft.SharePoint.Client.ResourceNotFoundException",
			"Cannot find resource for the request " + path[strings.LastIndex(path, "/")+1:] + "."})
	}
	if r.Method != http.MethodPost { // no source at hand shows the text
		return refuse(sharePointError{http.StatusMethodNotAllowed, "-1, Microsoft.SharePoint.Client.ClientServiceException",
			fmt.Sprintf("The HTTP method '%s' cannot be used to access the resource 'RevokeAllUserSessions'. The operation type of the resource is specified as 'Default'. Please use correct HTTP method to invoke the resource.", r.Method)})
	}
	// CIPP met this text with POST methods of managers; no source shows the status.
	if strings.HasPrefix(strings.TrimSpace(r.Header.Get("OData-Version")), "4") {
		return refuse(sharePointError{http.StatusInternalServerError, "-1, System.InvalidOperationException",
			"Elevated context should be used only to create service asserted level PoP"})
	}
	if answerForm(r) == "" {
		return refuse(sharePointError{http.StatusNotAcceptable, "-1, Microsoft.SharePoint.Client.ClientServiceException",
			"The HTTP header ACCEPT is missing or its value is invalid."})
	}
	if r.URL.RawQuery != "" { // no source shows that options are taken here
		return refuse(badQuery("The query string is not valid for this request."))
	}
	if refusal := checkContentType(r); refusal != nil {
		return refuse(*refusal)
	}
	return readUserName(body)
}

// checkContentType wants JSON, in any of the forms that SharePoint knows.
func checkContentType(r *http.Request) *sharePointError {
	given := r.Header.Get("Content-Type")
	if given == "" {
		return &sharePointError{http.StatusBadRequest, "-1, Microsoft.SharePoint.Client.ClientServiceException",
			"The HTTP header Content-Type is missing or its value is invalid."}
	}
	mediaType, parameters, err := mime.ParseMediaType(given)
	known := []string{"", "nometadata", "minimalmetadata", "verbose"}
	if err != nil || mediaType != "application/json" || !slices.Contains(known, parameters["odata"]) {
		return &sharePointError{http.StatusUnsupportedMediaType, "-1, Microsoft.SharePoint.Client.ClientServiceException",
			"The HTTP header Content-Type is missing or its value is invalid."}
	}
	return nil
}

// readUserName takes the parameters of the method from body. Their names are
// told apart by case.
func readUserName(body []byte) (string, *sharePointError) {
	refuse := func(e sharePointError) (string, *sharePointError) { return "", &e }
	var parameters map[string]any
	if json.Unmarshal(body, &parameters) != nil {
		return refuse(badQuery("Invalid JSON. A token was not recognized in the JSON content."))
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if name != "userName" {
			return refuse(badQuery("The parameter " + name + " does not exist in method RevokeAllUserSessions."))
		}
	}
	value, given := parameters["userName"]
	name, isText := value.(string)
	switch {
	case given && value != nil && !isText:
		return refuse(badQuery("Cannot convert a primitive value to the expected type 'Edm.String'. See the inner exception for more details."))
	case name == "": // no source shows what becomes of a call without a name
		return refuse(sharePointError{http.StatusBadRequest, "-2147467261, System.ArgumentNullException",
			"Value cannot be null.\r\nParameter name: userName"})
	}
	return name, nil
}

// revokeAllUserSessions is what the tenant does. The caller holds mu.
func (s *Sandbox) revokeAllUserSessions(name string) int {
	if s.world.sharePointDisabled {
		return stateDisabled
	}
	a := s.world.bySignInName(name)
	// The cmdlet is "not applicable for guest users"; no source shows the state
	// that says so, and "not found" is the one that promises least.
	if a == nil || a.guest() {
		return stateUserNotFound
	}
	if a.sharePointState == stateNonInstantaneous || a.sharePointState == stateInstantaneous {
		s.world.sharePointRevoked[a.upn]++
		if s.world.sharePointMovesGraph {
			a.resetSessions(s.now())
		}
	}
	return a.sharePointState
}

// SetSharePointState sets the State with which SharePoint answers for person: 4
// to begin with. 3 and 4 count as revocations. Other numbers do nothing, those
// that SharePoint does not know included. It returns an error for somebody who
// has no account in the tenant, and for guests, whom SharePoint does not find
// whatever their state.
func (s *Sandbox) SetSharePointState(person string, state int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.world.person(person)
	switch {
	case err != nil:
		return err
	case p.entra == nil:
		return fmt.Errorf("%s has no account in the tenant", person)
	case p.entra.guest():
		return fmt.Errorf("%s is a guest, for whom SharePoint always answers State %d", person, stateUserNotFound)
	}
	p.entra.sharePointState = state
	s.touch()
	return nil
}

// SetSharePointDisabled turns the feature off for the tenant, or on again. While
// it is off, SharePoint answers State 0 for everybody.
func (s *Sandbox) SetSharePointDisabled(disabled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.sharePointDisabled = disabled
	s.touch()
}

// SetSharePointMovesGraph says whether a revocation by SharePoint also moves the
// signInSessionsValidFromDateTime that Graph shows. No source shows that it
// does, so it does not to begin with; a real tenant may differ.
func (s *Sandbox) SetSharePointMovesGraph(moves bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.sharePointMovesGraph = moves
	s.touch()
}
