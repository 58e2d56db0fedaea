package sandbox

import (
	"crypto/subtle"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const tokenLife = 3599 * time.Second

// accessToken is what the services believe of a bearer token.
type accessToken struct {
	audience    string
	permissions []string
	bySecret    bool // the app proved itself with a client secret
	expires     time.Time
}

// stillGranted takes from t what the tenant has withdrawn since. The caller
// holds mu.
func (w *world) stillGranted(t accessToken) accessToken {
	t.permissions = slices.DeleteFunc(slices.Clone(t.permissions), func(p string) bool {
		return !slices.Contains(w.permissions, p)
	})
	return t
}

// entraHandler answers discovery and the token endpoint of the one tenant.
func (s *Sandbox) entraHandler() standIn {
	return func(w *callWriter, r *http.Request) {
		tenant, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		known := slices.Contains([]string{tenantID, "contoso.com", "contoso.onmicrosoft.com"}, strings.ToLower(tenant))
		switch rest {
		case "v2.0/.well-known/openid-configuration", "oauth2/v2.0/authorize", "oauth2/v2.0/token", "discovery/v2.0/keys":
		default:
			http.NotFound(w, r)
			return
		}
		if !known {
			s.unknownTenant(w, r, tenant, rest)
			return
		}
		switch {
		case rest == "oauth2/v2.0/authorize":
			s.authorize(w, r)
		case rest == "oauth2/v2.0/token" && r.Method == http.MethodPost:
			s.token(w, r)
		case rest == "oauth2/v2.0/token":
			writeEntraError(w, r, http.StatusBadRequest, "invalid_request", 900561, "The endpoint only accepts POST requests. Received a "+r.Method+" request.")
		case r.Method != http.MethodGet:
			w.WriteHeader(http.StatusMethodNotAllowed)
		case rest == "discovery/v2.0/keys":
			s.publishKeys(w)
		default:
			s.discovery(w)
		}
	}
}

func (s *Sandbox) unknownTenant(w *callWriter, r *http.Request, tenant, endpoint string) {
	refusal := &entraError{http.StatusBadRequest, "invalid_tenant", 90002, fmt.Sprintf("Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.", tenant)}
	switch endpoint {
	case "oauth2/v2.0/authorize":
		s.errorPage(w, r, refusal)
		return
	case "oauth2/v2.0/token":
		refusal.code = "invalid_request"
	}
	refusal.write(w, r)
}

// discovery leaves out what Entra's document leaves out: that there is PKCE
// shows in the documentation only, not under code_challenge_methods_supported.
func (s *Sandbox) discovery(w *callWriter) {
	base := s.entraURL + "/" + tenantID
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                base + "/v2.0",
		"authorization_endpoint":                base + "/oauth2/v2.0/authorize",
		"token_endpoint":                        base + "/oauth2/v2.0/token",
		"jwks_uri":                              base + "/discovery/v2.0/keys",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "private_key_jwt"},
		"response_types_supported":              []string{"code", "id_token", "code id_token", "id_token token"},
		"response_modes_supported":              []string{"query", "fragment", "form_post"},
		"subject_types_supported":               []string{"pairwise"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"scopes_supported":                      []string{"openid", "profile", "email", "offline_access"},
		"request_uri_parameter_supported":       false,
		"claims_supported":                      []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"},
		"tenant_region_scope":                   "EU",
	})
}

// token issues what the one app is entitled to: an access token for its
// client credentials, or an ID token for somebody's authorization code.
func (s *Sandbox) token(w *callWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fields, parseErr := url.ParseQuery(string(body))
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || parseErr != nil || mediaType != "application/x-www-form-urlencoded" {
		fields = url.Values{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if fields.Get("grant_type") == "authorization_code" {
		answer, refusal := s.redeem(fields)
		if refusal != nil {
			refusal.write(w, r)
			return
		}
		writeJSON(w, http.StatusOK, answer)
		return
	}
	audience, refusal := s.checkResource(fields)
	if refusal == nil {
		refusal = s.checkClient(fields)
	}
	if refusal != nil {
		refusal.write(w, r)
		return
	}
	token, _ := s.issue(audience, fields.Get("client_secret") != "")
	writeJSON(w, http.StatusOK, map[string]any{
		"token_type": "Bearer", "expires_in": int(tokenLife.Seconds()), "ext_expires_in": int(tokenLife.Seconds()),
		"access_token": token,
	})
}

// checkResource finds out what fields ask a token for. It comes before the
// check of the client, so that a request refused here uses up no assertion; no
// source shows Entra's order.
func (s *Sandbox) checkResource(fields url.Values) (audience string, refusal *entraError) {
	for _, name := range []string{"grant_type", "client_id", "scope"} {
		if fields.Get(name) == "" {
			return "", &entraError{http.StatusBadRequest, "invalid_request", 900144, fmt.Sprintf("The request body must contain the following parameter: '%s'.", name)}
		}
	}
	if grant := fields.Get("grant_type"); grant != "client_credentials" {
		return "", &entraError{http.StatusBadRequest, "unsupported_grant_type", 70003, fmt.Sprintf("The app requested an unsupported grant type '%s'.", grant)}
	}
	if id := fields.Get("client_id"); !strings.EqualFold(id, clientID) {
		return "", unknownApp(id)
	}
	audience, ok := tokenAudience(fields.Get("scope"))
	if !ok {
		return "", &entraError{http.StatusBadRequest, "invalid_scope", 1002012, fmt.Sprintf("The provided value for scope %s is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI).", fields.Get("scope"))}
	}
	if !slices.Contains(s.resources(), audience) {
		return "", &entraError{http.StatusBadRequest, "invalid_resource", 500011, fmt.Sprintf("The resource principal named %s was not found in the tenant named Contoso. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.", audience)}
	}
	return audience, nil
}

// checkClient finds out whether fields come from the app. The caller holds mu.
func (s *Sandbox) checkClient(fields url.Values) *entraError {
	secret, asserted := fields.Get("client_secret"), fields.Get("client_assertion") != ""
	switch {
	case secret != "" && asserted:
		// RFC 6749, 2.3: one method in each request. No source shows Entra's number.
		return &entraError{http.StatusBadRequest, "invalid_request", 90023, "The request must not contain both 'client_secret' and 'client_assertion'."}
	case asserted:
		return s.acceptAssertion(fields)
	case secret == "":
		return &entraError{http.StatusUnauthorized, "invalid_client", 7000216, "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type."}
	case subtle.ConstantTimeCompare([]byte(secret), []byte(s.material.secret)) != 1:
		return &entraError{http.StatusUnauthorized, "invalid_client", 7000215, fmt.Sprintf("Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.", clientID)}
	default:
		return nil
	}
}

// resources are what tokens can be had for: the stand-ins, and the services
// they stand in for.
func (s *Sandbox) resources() []string {
	return []string{s.graphURL, s.sharePointURL, "https://graph.microsoft.com", publicSharePoint}
}

// issue makes an access token. The caller holds mu.
func (s *Sandbox) issue(audience string, bySecret bool) (token string, expires time.Time) {
	token, expires = "sandbox."+randomHex(32), s.now().Add(tokenLife)
	// Sites.FullControl.All is the one permission here that SharePoint grants; the
	// permission of that name on Graph is another one, and means nothing to SharePoint.
	forSharePoint := audience == s.sharePointURL || audience == publicSharePoint
	permissions := slices.DeleteFunc(slices.Clone(s.world.permissions), func(p string) bool {
		return (p == sitesFullControl) != forSharePoint
	})
	s.world.tokens[token] = accessToken{audience: audience, permissions: permissions, bySecret: bySecret, expires: expires}
	return token, expires
}

// tokenAudience is the resource of the one scope that ends in /.default. Client
// libraries add the OpenID Connect scopes, which mean nothing here.
func tokenAudience(scope string) (string, bool) {
	audience := ""
	for s := range strings.FieldsSeq(scope) {
		resource, isDefault := strings.CutSuffix(s, "/.default")
		switch {
		case isDefault && audience == "" && resource != "":
			audience = resource
		case !slices.Contains([]string{"openid", "offline_access", "profile", "email"}, s):
			return "", false
		}
	}
	return audience, audience != ""
}
