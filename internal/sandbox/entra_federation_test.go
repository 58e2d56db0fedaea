package sandbox

import (
	"os"
	"strings"
	"testing"
	"time"
)

func (f *fixture) federatedToken() string {
	f.t.Helper()
	raw, err := os.ReadFile(f.env["AZURE_FEDERATED_TOKEN_FILE"])
	if err != nil {
		f.t.Fatal(err)
	}
	return string(raw)
}

func TestFederation(t *testing.T) {
	f := startWith(t, byFederation)
	first := f.federatedToken()
	for range 2 { // unlike an assertion of the app's own it may be used again
		if status, got := f.tokenByAssertion(first, "scope", f.env["SHAREPOINT_ADMIN_URL"]+"/.default"); status != 200 {
			t.Fatalf("got %d %v", status, got)
		} else if _, body := f.sharePoint(sharePointCall{token: got.text("access_token")}); body != `{"State":4}` {
			t.Errorf("SharePoint: got %s", body)
		}
	}

	_, ownKey, err := newClientCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	type object = map[string]any
	for _, test := range []struct {
		name   string
		change func(header, claims object)
		number string
	}{
		{"other issuer", func(_, c object) { c["iss"] = "https://oidc.fabrikam.com/" }, "700211"},
		{"issuer without its slash", func(_, c object) { c["iss"] = strings.TrimSuffix(clusterIssuer, "/") }, "700211"},
		{"other audience", func(_, c object) { c["aud"] = "https://kubernetes.default.svc" }, "700212"},
		{"two audiences", func(_, c object) { c["aud"] = []string{clusterAudience, "x"} }, "700212"},
		{"no audience", func(_, c object) { delete(c, "aud") }, "700212"},
		{"other subject", func(_, c object) { c["sub"] = "system:serviceaccount:default:revoke-session" }, "700213"},
		{"subject in another case", func(_, c object) { c["sub"] = strings.ToUpper(clusterSubject) }, "700213"},
		{"other algorithm", func(h, _ object) { h["alg"] = "PS256" }, "50013"},
		{"no algorithm", func(h, _ object) { h["alg"] = "none" }, "50013"},
		{"other key id", func(h, _ object) { h["kid"] = "x" }, "50013"},
		{"expired", func(_, c object) { c["nbf"], c["exp"] = now.Add(-time.Hour).Unix(), now.Add(-6*time.Minute).Unix() }, "700024"},
		{"no end", func(_, c object) { delete(c, "exp") }, "90016"},
		{"not the newest", func(_, _ object) {}, "700024"},
	} {
		header := object{"alg": "RS256", "typ": "JWT", "kid": clusterKeyID}
		claims := object{"iss": clusterIssuer, "sub": clusterSubject, "aud": []string{clusterAudience}, "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix()}
		test.change(header, claims)
		if status, got := f.tokenByAssertion(signed(t, f.material.clusterKey, header, claims)); status != 401 || !refused(got, test.number) {
			t.Errorf("%s: got %d %v, want AADSTS%s", test.name, status, got, test.number)
		}
		if status, got := f.tokenByAssertion(signed(t, ownKey, header, claims)); status != 401 || (!refused(got, "50013") && !refused(got, "700211")) {
			t.Errorf("%s, signed by another key: got %d %v", test.name, status, got)
		}
	}

	if err := f.RotateFederatedToken(); err != nil {
		t.Fatal(err)
	}
	second := f.federatedToken()
	if status, got := f.tokenByAssertion(first); first == second || status != 401 || !refused(got, "700024") {
		t.Errorf("the token before: got %d %v", status, got)
	}
	if status, got := f.tokenByAssertion(second); status != 200 {
		t.Errorf("the newest token: got %d %v", status, got)
	}
	f.later(clusterLife + assertionSkew + time.Second)
	if status, got := f.tokenByAssertion(second); status != 401 || !refused(got, "700024") {
		t.Errorf("after its life: got %d %v", status, got)
	}
	if err := f.RotateFederatedToken(); err != nil {
		t.Fatal(err)
	}
	if status, got := f.tokenByAssertion(f.federatedToken()); status != 200 {
		t.Errorf("rotated later: got %d %v", status, got)
	}
	if _, got := f.tokenByAssertion(f.federatedToken(), "client_secret", "x"); !refused(got, "90023") {
		t.Errorf("with a secret: got %v", got)
	}
}
