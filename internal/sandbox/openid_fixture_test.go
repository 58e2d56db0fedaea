package sandbox

import (
	"crypto/rsa"
	"encoding/base64"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const (
	callback     = "https://bot.contoso.com/link/callback?of=slack"
	codeVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636, appendix B
	challenge    = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// authorizeURL is a good request, changed by pairs. "" takes a parameter away.
func (f *fixture) authorizeURL(pairs ...string) string {
	query := url.Values{
		"client_id": {clientID}, "redirect_uri": {callback}, "response_type": {"code"}, "scope": {"openid profile"},
		"state": {"a state"}, "nonce": {"a nonce"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		query.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			query.Del(pairs[i])
		}
	}
	return f.env["AZURE_AUTHORITY_HOST"] + "/" + tenantID + "/oauth2/v2.0/authorize?" + query.Encode()
}

func (f *fixture) signIn(browser *http.Client, person string, pairs ...string) url.Values {
	f.t.Helper()
	redirect, err := f.SignIn(f.t.Context(), browser, f.authorizeURL(pairs...), person)
	if err != nil {
		f.t.Fatal(err)
	}
	if got := redirect.Scheme + "://" + redirect.Host + redirect.Path; got != "https://bot.contoso.com/link/callback" || redirect.Query().Get("of") != "slack" {
		f.t.Fatalf("sent to %s", redirect)
	}
	return redirect.Query()
}

// redeem redeems a code, changed by pairs as in tokenFor.
func (f *fixture) redeem(code string, pairs ...string) (int, answer) {
	f.t.Helper()
	return f.tokenFor(append([]string{
		"grant_type", "authorization_code", "code", code, "redirect_uri", callback, "code_verifier", codeVerifier,
		"client_secret", f.env["AZURE_CLIENT_SECRET"], "scope", "openid offline_access profile",
	}, pairs...)...)
}

// idTokenOf signs person in and returns their ID token, taken apart.
func (f *fixture) idTokenOf(person string, pairs ...string) jwt {
	f.t.Helper()
	status, got := f.redeem(f.signIn(f.Browser(), person, pairs...).Get("code"))
	token, err := parseJWT(got.text("id_token"))
	if status != 200 || err != nil {
		f.t.Fatalf("got %d %v: %v", status, got, err)
	}
	return token
}

// published reads the JWKS as an app does.
func (f *fixture) published() map[string]*rsa.PublicKey {
	f.t.Helper()
	response, err := f.tls.Get(f.env["AZURE_AUTHORITY_HOST"] + "/" + tenantID + "/discovery/v2.0/keys")
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	keys := map[string]*rsa.PublicKey{}
	list, _ := decode(f.t, response.Body)["keys"].([]any)
	for _, item := range list {
		key, _ := item.(map[string]any)
		n, err1 := base64.RawURLEncoding.DecodeString(str(key, "n"))
		e, err2 := base64.RawURLEncoding.DecodeString(str(key, "e"))
		if err1 != nil || err2 != nil || str(key, "kty") != "RSA" || str(key, "use") != "sig" {
			f.t.Fatalf("got %v", key)
		}
		if want := f.env["AZURE_AUTHORITY_HOST"] + "/" + tenantID + "/v2.0"; str(key, "issuer") != want {
			f.t.Errorf("issuer of the key: got %v", key)
		}
		keys[str(key, "kid")] = &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	}
	return keys
}

func startOpenID(t *testing.T) *fixture {
	t.Helper()
	f := start(t)
	f.RegisterRedirect(callback)
	return f
}

func describes(q url.Values, number string) bool {
	return strings.HasPrefix(q.Get("error_description"), "AADSTS"+number+": ")
}
