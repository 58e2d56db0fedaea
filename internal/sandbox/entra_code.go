package sandbox

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// redeem turns an authorization code into tokens. The caller holds mu.
// https://learn.microsoft.com/entra/identity-platform/v2-oauth2-auth-code-flow#redeem-a-code-for-an-access-token
func (s *Sandbox) redeem(fields url.Values) (map[string]any, *entraError) {
	for _, name := range []string{"client_id", "code", "redirect_uri"} {
		if fields.Get(name) == "" {
			return nil, badAuthorize("invalid_request", 900144, "The request body must contain the following parameter: '%s'.", name)
		}
	}
	if id := fields.Get("client_id"); !strings.EqualFold(id, clientID) {
		return nil, unknownApp(id)
	}
	if fields.Get("client_secret") == "" && fields.Get("client_assertion") == "" {
		return nil, &entraError{http.StatusUnauthorized, "invalid_client", 7000218, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."}
	}
	if refusal := s.checkClient(fields); refusal != nil {
		return nil, refusal
	}
	code, refusal := s.checkCode(fields)
	if refusal != nil {
		return nil, refusal
	}
	idToken, err := s.idToken(code)
	if err != nil {
		return nil, &entraError{http.StatusInternalServerError, "server_error", 90033, fmt.Sprintf("A transient error has occurred: %v", err)}
	}
	code.redeemed = true
	return s.tokenAnswer(code, idToken, fields), nil
}

// checkCode finds the code. A failed attempt does not use it up; no source says
// whether it does at Entra.
func (s *Sandbox) checkCode(fields url.Values) (*authorizationCode, *entraError) {
	invalid := func(number int, format string, args ...any) (*authorizationCode, *entraError) {
		return nil, badAuthorize("invalid_grant", number, format, args...)
	}
	code := s.openID.codes[fields.Get("code")]
	switch {
	case code == nil: // no source shows the number
		return invalid(70000, "The provided value for the 'code' parameter is not valid.")
	case code.redeemed:
		return invalid(54005, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.")
	case s.now().Sub(code.issued) > codeLife:
		return invalid(70008, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource.")
	case fields.Get("redirect_uri") != code.request.redirect: // no source at hand shows the error code beside the number
		return invalid(500112, "The reply address '%s' does not match the reply address '%s' provided when requesting Authorization code.", fields.Get("redirect_uri"), code.request.redirect)
	case !code.request.proves(fields.Get("code_verifier")):
		return invalid(501481, "The Code_Verifier does not match the code_challenge supplied in the authorization request.")
	case !code.account.enabled:
		return invalid(50057, "The user account is disabled.")
	}
	for scope := range strings.FieldsSeq(fields.Get("scope")) {
		if !slices.Contains([]string{"openid", "profile", "email", "offline_access"}, scope) {
			return nil, badAuthorize("invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid. The scope %s is not valid.", scope)
		}
	}
	return code, nil
}

// proves checks PKCE. A verifier without a challenge is refused, too: it was
// meant for a request that somebody has put another one in the place of.
func (q authorizeRequest) proves(verifier string) bool {
	if q.challenge == "" || verifier == "" {
		return q.challenge == "" && verifier == ""
	}
	if q.method == "S256" {
		sum := sha256.Sum256([]byte(verifier))
		verifier = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	return subtle.ConstantTimeCompare([]byte(verifier), []byte(q.challenge)) == 1
}

// tokenAnswer is what the app gets. Its access token opens nothing of Graph but
// what is told about the person anyway.
func (s *Sandbox) tokenAnswer(code *authorizationCode, idToken string, fields url.Values) map[string]any {
	access := "sandbox." + randomHex(32)
	s.world.tokens[access] = accessToken{audience: s.graphURL, expires: s.now().Add(tokenLife)}
	scopes := slices.DeleteFunc(slices.Clone(code.request.scopes), func(scope string) bool { return scope == "offline_access" })
	answer := map[string]any{
		"token_type": "Bearer", "scope": strings.Join(scopes, " "), "expires_in": int(tokenLife.Seconds()),
		"ext_expires_in": int(tokenLife.Seconds()), "access_token": access, "id_token": idToken,
	}
	if slices.Contains(code.request.scopes, "offline_access") {
		answer["refresh_token"] = "1.A" + randomHex(64) // nobody can redeem it here
	}
	// Client libraries ask for it; only they show its form.
	if fields.Get("client_info") == "1" {
		raw, _ := json.Marshal(map[string]string{"uid": code.account.id, "utid": code.account.tenant()}) // strings only
		answer["client_info"] = base64.RawURLEncoding.EncodeToString(raw)
	}
	return answer
}
