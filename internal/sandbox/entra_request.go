package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// authorizeRequest is what the app asks of a person's sign-in.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#request-an-authorization-code
type authorizeRequest struct {
	redirect, state, nonce string
	scopes                 []string
	challenge, method      string
	prompt, loginHint      string
	maxAge                 *time.Duration // nil: not asked
	acrs                   []string       // authentication contexts that are to be in the ID token
}

// fresh reports whether the app insists that somebody signs in now.
func (q authorizeRequest) fresh() bool {
	return q.prompt == "login" || (q.maxAge != nil && *q.maxAge == 0)
}

// silently reports whether session does, so that nobody has to be asked.
func (q authorizeRequest) silently(session *browserSession, now time.Time) bool {
	switch {
	case session == nil, q.fresh():
		return false
	case q.maxAge != nil && now.Sub(session.authTime) > *q.maxAge:
		return false
	default:
		return q.loginHint == "" || strings.EqualFold(q.loginHint, session.account.upn)
	}
}

func badAuthorize(code string, number int, format string, args ...any) *entraError {
	return &entraError{http.StatusBadRequest, code, number, fmt.Sprintf(format, args...)}
}

// checkReturn finds out where an answer may go. What is wrong here is said on
// Entra's own page: nobody is sent to an address that the app has not
// registered. The caller holds mu.
func (s *Sandbox) checkReturn(query url.Values) *entraError {
	for name, values := range query {
		if len(values) > 1 {
			return badAuthorize("invalid_request", 9000411, "The request is not properly formatted. The parameter '%s' is duplicated.", name)
		}
	}
	id, redirect := query.Get("client_id"), query.Get("redirect_uri")
	switch {
	case id == "":
		return badAuthorize("invalid_request", 900144, "The request body must contain the following parameter: 'client_id'.")
	case !strings.EqualFold(id, clientID):
		return unknownApp(id)
	case redirect == "":
		return badAuthorize("invalid_request", 900971, "No reply address provided.")
	case !slices.Contains(s.openID.redirects, redirect):
		return badAuthorize("invalid_request", 50011, "The redirect URI '%s' specified in the request does not match the redirect URIs configured for the application '%s'. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal. Navigate to https://aka.ms/redirectUriMismatchError to learn more about how to troubleshoot this error.", redirect, clientID)
	}
	return nil
}

// readAuthorize reads the rest. What is wrong here is told to the app. No source
// shows each of the numbers; those of the list of Entra's error codes are used.
func readAuthorize(query url.Values) (q authorizeRequest, refusal *entraError) {
	q = authorizeRequest{
		redirect: query.Get("redirect_uri"), state: query.Get("state"), nonce: query.Get("nonce"),
		scopes: strings.Fields(query.Get("scope")), prompt: query.Get("prompt"), loginHint: query.Get("login_hint"),
		challenge: query.Get("code_challenge"), method: query.Get("code_challenge_method"),
	}
	switch kind := query.Get("response_type"); {
	case kind == "":
		return q, badAuthorize("invalid_request", 900144, "The request body must contain the following parameter: 'response_type'.")
	case strings.Contains(kind, "token"):
		return q, badAuthorize("unsupported_response_type", 700054, "response_type '%s' is not enabled for the application.", kind)
	case kind != "code":
		return q, badAuthorize("unsupported_response_type", 70005, "The app returned an unsupported response type '%s'.", kind)
	}
	// Entra has fragment and form_post, too; the stand-in does without.
	if mode := query.Get("response_mode"); mode != "" && mode != "query" {
		return q, badAuthorize("invalid_request", 70007, "'%s' is not a supported value of 'response_mode' when requesting a token.", mode)
	}
	if refusal = q.checkScopes(); refusal == nil {
		refusal = q.checkChallenge()
	}
	if refusal == nil {
		refusal = q.readDemands(query)
	}
	return q, refusal
}

// checkScopes knows the scopes of OpenID Connect alone: the app has no delegated
// permission of any resource. Entra takes a request without openid, too, and
// issues no ID token then.
func (q *authorizeRequest) checkScopes() *entraError {
	if len(q.scopes) == 0 {
		return badAuthorize("invalid_request", 900144, "The request body must contain the following parameter: 'scope'.")
	}
	for _, scope := range q.scopes {
		if !slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope) {
			return badAuthorize("invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid. The scope %s is not valid.", scope)
		}
	}
	if !slices.Contains(q.scopes, "openid") {
		return badAuthorize("invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid. The scope openid is missing.")
	}
	return nil
}

// checkChallenge reads PKCE, without which a confidential client may do.
func (q *authorizeRequest) checkChallenge() *entraError {
	switch {
	case q.challenge == "" && q.method == "":
		return nil
	case q.challenge == "":
		return badAuthorize("invalid_request", 900144, "The request body must contain the following parameter: 'code_challenge'.")
	case q.method == "":
		q.method = "plain" // as documented
	}
	switch {
	case q.method != "S256" && q.method != "plain":
		return badAuthorize("invalid_request", 501491, "Invalid value of the Code_Challenge_Method parameter: '%s'.", q.method)
	case len(q.challenge) < 43 || len(q.challenge) > 128: // RFC 7636, 4.2
		return badAuthorize("invalid_request", 501491, "Invalid size of Code_Challenge parameter.")
	}
	return nil
}

func (q *authorizeRequest) readDemands(query url.Values) *entraError {
	if !slices.Contains([]string{"", "none", "login", "select_account", "consent"}, q.prompt) {
		return badAuthorize("invalid_request", 90023, "'%s' is not a supported value of 'prompt'.", q.prompt)
	}
	// No source shows what Entra does with max_age; OpenID Connect Core, 3.1.2.1.
	if raw := query.Get("max_age"); raw != "" {
		seconds, err := strconv.ParseUint(raw, 10, 31)
		if err != nil {
			return badAuthorize("invalid_request", 90023, "'%s' is not a valid value of 'max_age'.", raw)
		}
		age := time.Duration(seconds) * time.Second
		q.maxAge = &age
	}
	raw := query.Get("claims")
	if raw == "" {
		return nil
	}
	// https://learn.microsoft.com/entra/identity-platform/developer-guide-conditional-access-authentication-context
	var claims struct {
		IDToken struct {
			ACRs struct {
				Value  string   `json:"value"`
				Values []string `json:"values"`
			} `json:"acrs"`
		} `json:"id_token"`
	}
	if err := json.Unmarshal([]byte(raw), &claims); err != nil {
		return badAuthorize("invalid_request", 90023, "The 'claims' parameter is not valid JSON.")
	}
	q.acrs = claims.IDToken.ACRs.Values
	if value := claims.IDToken.ACRs.Value; value != "" {
		q.acrs = append(q.acrs, value)
	}
	return nil
}
