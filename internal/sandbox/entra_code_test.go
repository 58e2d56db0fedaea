package sandbox

import (
	"encoding/base64"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRedeem(t *testing.T) {
	f := startOpenID(t)
	got := f.signIn(f.Browser(), "alice", "scope", "openid profile email offline_access")
	if got.Get("state") != "a state" || got.Get("session_state") == "" {
		t.Errorf("redirect: got %v", got)
	}
	code := got.Get("code")
	for _, test := range []struct {
		name  string
		pairs []string
		code  string
		want  string
	}{
		{"no client", []string{"client_secret", ""}, "invalid_client", "7000218"},
		{"wrong secret", []string{"client_secret", "x"}, "invalid_client", "7000215"},
		{"other app", []string{"client_id", newGUID()}, "unauthorized_client", "700016"},
		{"no verifier", []string{"code_verifier", ""}, "invalid_grant", "501481"},
		{"wrong verifier", []string{"code_verifier", codeVerifier[1:] + "x"}, "invalid_grant", "501481"},
		{"the challenge", []string{"code_verifier", challenge}, "invalid_grant", "501481"},
		{"other redirect", []string{"redirect_uri", callback + "x"}, "invalid_grant", "500112"},
		{"no redirect", []string{"redirect_uri", ""}, "invalid_request", "900144"},
		{"unknown code", []string{"code", "1.Ax"}, "invalid_grant", "70000"},
		{"a resource", []string{"scope", "https://graph.microsoft.com/.default"}, "invalid_scope", "70011"},
	} {
		if _, a := f.redeem(code, test.pairs...); a.text("error") != test.code || !refused(a, test.want) {
			t.Errorf("%s: got %v, want %s AADSTS%s", test.name, a, test.code, test.want)
		}
	}
	status, a := f.redeem(code, "client_info", "1")
	info, err := base64.RawURLEncoding.DecodeString(a.text("client_info"))
	if want := `{"uid":"1f6b3c52-8e0d-4d7a-9b41-6a2c5e7f9d10","utid":"` + tenantID + `"}`; status != 200 || err != nil || string(info) != want {
		t.Errorf("got %d %v, client_info %s", status, a, info)
	}
	if a.text("token_type") != "Bearer" || a["expires_in"] != 3599.0 || a.text("scope") != "openid profile email" || a.text("refresh_token") == "" {
		t.Errorf("got %v", a)
	}
	if _, again := f.redeem(code); again.text("error") != "invalid_grant" || !refused(again, "54005") {
		t.Errorf("again: got %v", again)
	}
	if response, _ := f.graphRequest(a.text("access_token"), "GET", "/v1.0/users/alice@contoso.com", ""); response.StatusCode != 403 {
		t.Errorf("the access token opens Graph: %d", response.StatusCode)
	}

	late := f.signIn(f.Browser(), "alice").Get("code")
	f.later(codeLife + time.Minute)
	if _, a := f.redeem(late); !refused(a, "70008") {
		t.Errorf("late: got %v", a)
	}
	blocked := f.signIn(f.Browser(), "bob").Get("code")
	if err := f.SetEnabled("bob", false); err != nil {
		t.Fatal(err)
	}
	if _, a := f.redeem(blocked); !refused(a, "50057") {
		t.Errorf("blocked since: got %v", a)
	}
}

func TestSignInIsRemembered(t *testing.T) {
	f := startOpenID(t)
	code := f.signIn(f.Browser(), "oscar", "code_challenge", "", "code_challenge_method", "", "nonce", "", "prompt", "login").Get("code")
	if _, a := f.redeem(code); !refused(a, "501481") {
		t.Errorf("a verifier without a challenge: got %v", a)
	}
	if status, a := f.redeem(code, "code_verifier", ""); status != 200 || a["refresh_token"] != nil || a["client_info"] != nil {
		t.Errorf("without PKCE: got %v", a)
	}
	got := f.State().SignIns
	if len(got) != 1 {
		t.Fatalf("got %+v", got)
	}
	got[0].AuthTime = time.Time{}
	want := SignIn{UPN: "oscar@fabrikam.com", Tenant: otherTenantID, RedirectURI: callback, Prompt: "login", State: true}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRedeemByCertificate(t *testing.T) {
	f := startWith(t, byCertificate)
	f.RegisterRedirect(callback)
	certificate, key := f.keyPair()
	header, claims := f.assertion(certificate)
	code := f.signIn(f.Browser(), "alice").Get("code")
	proof := []string{"client_secret", "", "client_assertion_type", assertionType, "client_assertion", signed(t, key, header, claims)}
	if status, a := f.redeem(code, proof...); status != 200 {
		t.Errorf("got %d %v", status, a)
	}
}

func TestIDToken(t *testing.T) {
	f := startOpenID(t)
	before := time.Now().Truncate(time.Second)
	token := f.idTokenOf("alice", "max_age", "300", "claims", `{"id_token":{"acrs":{"essential":true,"value":"c1"}}}`)
	key := f.published()[str(token.header, "kid")]
	if key == nil || !token.signedBy(key, "RS256") || str(token.header, "typ") != "JWT" {
		t.Errorf("header %v is not signed by a published key", token.header)
	}
	issued, _ := token.moment("iat")
	until, _ := token.moment("exp")
	if at, ok := token.moment("auth_time"); !ok || at.Before(before) || until.Sub(issued) != 3900*time.Second {
		t.Errorf("times: got %v", token.claims)
	}
	for _, opaque := range []string{"iat", "nbf", "exp", "auth_time", "aio", "rh", "uti", "sub"} {
		if token.claims[opaque] == nil || token.claims[opaque] == "" {
			t.Errorf("no %s", opaque)
		}
		delete(token.claims, opaque)
	}
	want := map[string]any{
		"ver": "2.0", "aud": clientID, "iss": f.env["AZURE_AUTHORITY_HOST"] + "/" + tenantID + "/v2.0", "tid": tenantID,
		"oid": "1f6b3c52-8e0d-4d7a-9b41-6a2c5e7f9d10", "name": "Alice", "preferred_username": "alice@contoso.com",
		"nonce": "a nonce", "acrs": []any{"c1"},
	}
	if diff := cmp.Diff(want, token.claims); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}

	plain := f.idTokenOf("alice", "scope", "openid", "nonce", "")
	for _, absent := range []string{"oid", "name", "preferred_username", "nonce", "auth_time", "acrs"} {
		if value, ok := plain.claims[absent]; ok {
			t.Errorf("%s was not asked for: got %v", absent, value)
		}
	}
	other := f.idTokenOf("oscar")
	if str(other.claims, "tid") != otherTenantID || str(other.claims, "iss") != f.env["AZURE_AUTHORITY_HOST"]+"/"+otherTenantID+"/v2.0" {
		t.Errorf("another tenant: got %v", other.claims)
	}
	if guest := f.idTokenOf("grace"); str(guest.claims, "tid") != tenantID || str(guest.claims, "oid") != "e07a6d41-9b28-4e5c-8f13-b4c7d9e2a586" {
		t.Errorf("guest: got %v", guest.claims)
	}

	if err := f.RotateSigningKey(); err != nil {
		t.Fatal(err)
	}
	rotated := f.idTokenOf("alice")
	keys := f.published()
	if str(rotated.header, "kid") == str(token.header, "kid") || !rotated.signedBy(keys[str(rotated.header, "kid")], "RS256") || keys[str(token.header, "kid")] == nil {
		t.Errorf("after the rotation: got %v and %d keys", rotated.header, len(keys))
	}
}

func TestAuthTimeClaim(t *testing.T) {
	s, err := Start(Options{AuthTimeClaim: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	claims := s.idClaims(&authorizationCode{account: s.world.cast[0].entra, authTime: time.Unix(1700000000, 0)})
	if claims["auth_time"] != int64(1700000000) {
		t.Errorf("got %v", claims)
	}
}

func TestForgedIDTokens(t *testing.T) {
	f := startOpenID(t)
	genuine := f.idTokenOf("alice", "max_age", "300").claims
	for kind, changed := range map[string][]string{
		"alg-none": nil, "wrong-key": nil, "hs256": nil,
		"expired": {"exp", "iat", "nbf"}, "not-yet-valid": {"exp", "iat", "nbf"}, "wrong-nonce": {"nonce"}, "no-nonce": {"nonce"},
		"wrong-audience": {"aud"}, "wrong-issuer": {"iss"}, "wrong-tenant": {"iss", "tid"}, "wrong-tid": {"tid"}, "no-oid": {"oid"}, "stale": {"auth_time"},
	} {
		if err := f.ForgeIDToken(kind); err != nil {
			t.Fatal(err)
		}
		token := f.idTokenOf("alice", "max_age", "300")
		good := token.signedBy(f.published()[str(token.header, "kid")], "RS256")
		if good != (changed != nil) {
			t.Errorf("%s: the signature is good: %v", kind, good)
		}
		for name, value := range genuine {
			seconds, isTime := value.(float64)
			now, _ := token.claims[name].(float64)
			same := cmp.Equal(token.claims[name], value) || (isTime && now-seconds >= 0 && now-seconds < 600)
			if slices.Contains([]string{"aio", "rh", "uti"}, name) {
				continue
			}
			if same == slices.Contains(changed, name) {
				t.Errorf("%s: %s is %v, it was %v", kind, name, token.claims[name], value)
			}
		}
	}
	if err := f.ForgeIDToken("upside-down"); err == nil {
		t.Error("unknown kind: want an error")
	}
	if err := f.ForgeIDToken(""); err != nil {
		t.Fatal(err)
	}
	if token := f.idTokenOf("alice"); !token.signedBy(f.published()[str(token.header, "kid")], "RS256") {
		t.Error("after the forgeries: the signature is bad")
	}
}
