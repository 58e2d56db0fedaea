package sandbox

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDiscovery(t *testing.T) {
	f := start(t)
	response, err := f.tls.Get(f.env["AZURE_AUTHORITY_HOST"] + "/" + tenantID + "/v2.0/.well-known/openid-configuration?")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	got := decode(t, response.Body)
	base := f.env["AZURE_AUTHORITY_HOST"] + "/" + tenantID
	for key, want := range map[string]string{
		"issuer": base + "/v2.0", "token_endpoint": base + "/oauth2/v2.0/token",
		"authorization_endpoint": base + "/oauth2/v2.0/authorize", "jwks_uri": base + "/discovery/v2.0/keys",
	} {
		if got.text(key) != want {
			t.Errorf("%s: got %q, want %q", key, got.text(key), want)
		}
	}
}

func TestTokenRefusals(t *testing.T) {
	f := start(t)
	good := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {f.env["AZURE_CLIENT_SECRET"]},
		"scope": {f.env["GRAPH_URL"] + "/.default"},
	}
	tests := []struct {
		name, tenant, key, value string
		status                   int
		code, aadsts             string
	}{
		{"good", tenantID, "", "", 200, "", ""},
		{"domain names the tenant", "contoso.onmicrosoft.com", "", "", 200, "", ""},
		{"wrong secret", tenantID, "client_secret", "x", 401, "invalid_client", "AADSTS7000215"},
		{"no secret", tenantID, "client_secret", "", 401, "invalid_client", "AADSTS7000216"},
		{"unknown app", tenantID, "client_id", "00000000-0000-0000-0000-000000000000", 400, "unauthorized_client", "AADSTS700016"},
		{"unknown tenant", "fabrikam.com", "", "", 400, "invalid_request", "AADSTS90002"},
		{"no grant", tenantID, "grant_type", "", 400, "invalid_request", "AADSTS900144"},
		{"other grant", tenantID, "grant_type", "password", 400, "unsupported_grant_type", "AADSTS70003"},
		{"delegated scope", tenantID, "scope", f.env["GRAPH_URL"] + "/User.Read.All", 400, "invalid_scope", "AADSTS1002012"},
		{"two resources", tenantID, "scope", f.env["GRAPH_URL"] + "/.default https://graph.microsoft.com/.default", 400, "invalid_scope", "AADSTS1002012"},
		{"unknown resource", tenantID, "scope", "https://fabrikam.com/.default", 400, "invalid_resource", "AADSTS500011"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			fields := maps.Clone(good)
			if test.key != "" {
				fields[test.key] = []string{test.value}
			}
			response, err := f.tls.PostForm(f.env["AZURE_AUTHORITY_HOST"]+"/"+test.tenant+"/oauth2/v2.0/token", fields)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			got := decode(t, response.Body)
			if response.StatusCode != test.status || got.text("error") != test.code || !strings.HasPrefix(got.text("error_description"), test.aadsts) {
				t.Errorf("got %d %v, want %d %s %s", response.StatusCode, got, test.status, test.code, test.aadsts)
			}
			if test.status == 200 && (got.text("token_type") != "Bearer" || got["expires_in"] != 3599.0) {
				t.Errorf("got %v", got)
			}
		})
	}
	var tokens int
	for _, call := range f.State().Calls {
		if call.System == "Entra" && call.Method == http.MethodPost {
			tokens++
		}
	}
	if tokens != len(tests) {
		t.Errorf("recorded %d token requests, want %d", tokens, len(tests))
	}
}

func TestTokensCarryThePermissionsOfTheirService(t *testing.T) {
	f := start(t)
	f.SetPermissions("User.Read.All", sitesFullControl, "User.RevokeSessions.All")
	for scope, want := range map[string][]string{
		f.env["GRAPH_URL"]:                     {"User.Read.All", "User.RevokeSessions.All"},
		"https://graph.microsoft.com":          {"User.Read.All", "User.RevokeSessions.All"},
		f.env["SHAREPOINT_ADMIN_URL"]:          {sitesFullControl},
		"https://contoso-admin.sharepoint.com": {sitesFullControl},
	} {
		token := f.token(scope + "/.default").text("access_token")
		f.mu.Lock()
		got := f.world.tokens[token]
		f.mu.Unlock()
		if diff := cmp.Diff(want, got.permissions); diff != "" || got.audience != scope || !got.bySecret {
			t.Errorf("%s: got %+v (-want +got):\n%s", scope, got, diff)
		}
	}
}
