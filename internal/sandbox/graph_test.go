package sandbox

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestGraphRefusals(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	elsewhere := f.token("https://graph.microsoft.com/.default").text("access_token")
	many := `{"ids":["` + strings.Repeat(globalAdministratorTemplate+`","`, 20) + globalAdministratorTemplate + `"]}`
	const mallory = "/v1.0/users/mallory@contoso.com"
	tests := []struct {
		name, token, method, path, body string
		status                          int
		code                            string
	}{
		{"no token", "", "GET", mallory, "", 401, "InvalidAuthenticationToken"},
		{"made-up token", "abc", "GET", mallory, "", 401, "InvalidAuthenticationToken"},
		{"token for another resource", elsewhere, "GET", mallory, "", 401, "InvalidAuthenticationToken"},
		{"nobody", token, "GET", "/v1.0/users/nobody@contoso.com", "", 404, "Request_ResourceNotFound"},
		{"by mail", token, "GET", "/v1.0/users/grace@fabrikam.com", "", 404, "Request_ResourceNotFound"},
		{"fragment for #", token, "GET", "/v1.0/users/grace_fabrikam.com", "", 404, "Request_ResourceNotFound"},
		{"dollar in the plain form", token, "GET", "/v1.0/users/$a@contoso.com", "", 400, "BadRequest"},
		{"dollar in the quoted form", token, "GET", "/v1.0/users('$a@contoso.com')", "", 404, "Request_ResourceNotFound"},
		{"single quote in the quoted form", token, "GET", "/v1.0/users('o'brien@contoso.com')", "", 400, "BadRequest"},
		{"doubled quote in the quoted form", token, "GET", "/v1.0/users('o''brien@contoso.com')", "", 404, "Request_ResourceNotFound"},
		{"unknown property", token, "GET", mallory + "?$select=id,shoeSize", "", 400, "BadRequest"},
		{"unsupported option", token, "GET", mallory + "?$expand=manager", "", 400, "BadRequest"},
		{"unknown segment", token, "GET", "/v1.0/people", "", 400, "BadRequest"},
		{"unknown action", token, "POST", mallory + "/delete", "", 400, "BadRequest"},
		{"unknown version", token, "GET", "/v2/users", "", 400, "BadRequest"},
		{"GET of an action", token, "GET", mallory + "/revokeSignInSessions", "", 405, "Request_BadRequest"},
		{"DELETE of a user", token, "DELETE", mallory, "", 405, "Request_BadRequest"},
		{"POST of the list", token, "POST", "/v1.0/users", "{}", 405, "Request_BadRequest"},
		{"no ids", token, "POST", mallory + "/checkMemberObjects", "{}", 400, "Request_BadRequest"},
		{"21 ids", token, "POST", mallory + "/checkMemberObjects", many, 400, "Request_BadRequest"},
		{"id is no GUID", token, "POST", mallory + "/checkMemberObjects", `{"ids":["Global Administrator"]}`, 400, "Request_BadRequest"},
		{"broken JSON", token, "POST", mallory + "/checkMemberObjects", `{`, 400, "BadRequest"},
		{"parameter of revoke", token, "POST", mallory + "/revokeSignInSessions", `{"force":true}`, 400, "BadRequest"},
		{"revoke nobody", token, "POST", "/v1.0/users/nobody@contoso.com/revokeSignInSessions", "", 404, "Request_ResourceNotFound"},
		{"filter without end", token, "GET", "/v1.0/users?$filter=" + url.QueryEscape("mail eq 'x"), "", 400, "BadRequest"},
		{"filter on another property", token, "GET", "/v1.0/users?$filter=" + url.QueryEscape("surname eq 'x'"), "", 400, "Request_UnsupportedQuery"},
		{"filter with another operator", token, "GET", "/v1.0/users?$filter=" + url.QueryEscape("mail ne 'x'"), "", 400, "Request_UnsupportedQuery"},
		{"page of nothing", token, "GET", "/v1.0/users?$top=0", "", 400, "Request_UnsupportedQuery"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f.t = t
			response, got := f.graphRequest(test.token, test.method, test.path, test.body)
			if response.StatusCode != test.status || got.text("error", "code") != test.code {
				t.Errorf("got %d %v, want %d %s", response.StatusCode, got, test.status, test.code)
			}
			id := response.Header.Get("request-id")
			if id == "" || got.text("error", "innerError", "request-id") != id {
				t.Errorf("request-id: got header %q and body %v", id, got)
			}
		})
	}
	if got := f.State().Revoked; len(got) != 0 {
		t.Errorf("refused requests revoked %v", got)
	}
}

func TestGraphContentType(t *testing.T) {
	f := start(t)
	request, err := http.NewRequest("POST", f.env["GRAPH_URL"]+"/v1.0/users/alice@contoso.com/checkMemberObjects", strings.NewReader(`{"ids":["`+globalAdministratorTemplate+`"]}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+f.graphToken())
	response, err := f.tls.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("POST without Content-Type: got %d, want 415", response.StatusCode)
	}
}

func TestGraphUser(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	response, got := f.graphRequest(token, "GET", "/v1.0/users/MALLORY@contoso.com", "")
	var keys []string
	for key := range got {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if diff := cmp.Diff(append([]string{"@odata.context"}, defaultProperties()...), keys); diff != "" {
		t.Errorf("without $select (-want +got):\n%s", diff)
	}
	if want := "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"; response.Header.Get("Content-Type") != want {
		t.Errorf("Content-Type: got %q, want %q", response.Header.Get("Content-Type"), want)
	}

	_, got = f.graphRequest(token, "GET", "/v1.0/users('grace_fabrikam.com%23EXT%23@contoso.onmicrosoft.com')?$select=id,accountEnabled,usertype,creationType,mail", "")
	want := answer{
		"@odata.context": graphContext + "users(id,accountEnabled,userType,creationType,mail)/$entity",
		"id":             "e07a6d41-9b28-4e5c-8f13-b4c7d9e2a586", "accountEnabled": true, "userType": "Guest",
		"creationType": "Invitation", "mail": "grace@fabrikam.com",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("with $select (-want +got):\n%s", diff)
	}
	if err := f.SetEnabled("grace", false); err != nil {
		t.Fatal(err)
	}
	if _, got = f.graphRequest(token, "GET", "/v1.0/users/e07a6d41-9b28-4e5c-8f13-b4c7d9e2a586?$select=accountEnabled", ""); got["accountEnabled"] != false {
		t.Errorf("after SetEnabled: got %v", got)
	}
	if err := f.SetEnabled("oscar", false); err == nil {
		t.Error("oscar has no account: want an error")
	}
}

func TestGraphFilter(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	for filter, want := range map[string][]string{
		"mail eq 'grace@fabrikam.com'":                                                        {"Grace"},
		"userPrincipalName eq 'ALICE@contoso.com'":                                            {"Alice"},
		"mail eq 'bob@contoso.com' or userPrincipalName eq 'alice@contoso.com'":               {"Alice", "Bob"},
		"(mail eq 'bob@contoso.com' or mail eq 'x') and accountEnabled eq true":               {"Bob"},
		"proxyAddresses/any(p:p eq 'smtp:heidi@contoso.com')":                                 {"Heidi"},
		"mail eq 'o''brien@contoso.com'":                                                      {},
		"userType eq 'Guest'":                                                                 {"Grace"},
		"mail eq 'x' or proxyAddresses/any(x:x eq 'SMTP:bob@contoso.com') and mail eq 'nope'": {},
	} {
		_, got := f.graphRequest(token, "GET", "/v1.0/users?$select=displayName&$filter="+url.QueryEscape(filter), "")
		names := []string{}
		value, _ := got["value"].([]any)
		for _, u := range value {
			names = append(names, answer(u.(map[string]any)).text("displayName"))
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("%s (-want +got):\n%s\n%v", filter, diff, got)
		}
	}
}

func TestGraphPaging(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	var names []string
	for path := "/v1.0/users?$top=2&$select=displayName"; path != ""; {
		_, got := f.graphRequest(token, "GET", path, "")
		value, _ := got["value"].([]any)
		if len(value) > 2 {
			t.Fatalf("page of %d, want at most 2", len(value))
		}
		for _, u := range value {
			names = append(names, answer(u.(map[string]any)).text("displayName"))
		}
		path = strings.TrimPrefix(got.text("@odata.nextLink"), f.env["GRAPH_URL"])
	}
	if diff := cmp.Diff([]string{"Alice", "Bob", "Heidi", "Grace", "Mallory"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGlobalAdministrator(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	holds := func(person string) []any {
		t.Helper()
		_, got := f.graphRequest(token, "POST", "/v1.0/users/"+person+"@contoso.com/checkMemberObjects",
			fmt.Sprintf(`{"ids":[%q,%q]}`, globalAdministratorTemplate, administratorsGroup))
		value, ok := got["value"].([]any)
		if !ok {
			t.Fatalf("got %v", got)
		}
		return value
	}
	want := map[string][]any{
		"alice": {globalAdministratorTemplate}, "bob": {globalAdministratorTemplate, administratorsGroup},
		"heidi": {}, "mallory": {},
	}
	check := func() {
		t.Helper()
		for person, want := range want {
			if diff := cmp.Diff(want, holds(person)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", person, diff)
			}
		}
	}
	check()
	for person, now := range map[string]bool{"alice": false, "bob": false, "heidi": true} {
		if err := f.SetRole(person, now); err != nil {
			t.Fatal(err)
		}
	}
	want = map[string][]any{"alice": {}, "bob": {}, "heidi": {globalAdministratorTemplate}}
	check()
}

func TestRevokeSignInSessions(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	validFrom := func(key string) time.Time {
		t.Helper()
		_, got := f.graphRequest(token, "GET", "/v1.0/users/"+key+"?$select=signInSessionsValidFromDateTime", "")
		at, err := time.Parse("2006-01-02T15:04:05Z", got.text("signInSessionsValidFromDateTime"))
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	revoke := func(key, suffix, body string) {
		t.Helper()
		response, got := f.graphRequest(token, "POST", "/v1.0/users/"+key+"/"+suffix, body)
		want := answer{"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#Edm.Boolean", "value": true}
		if diff := cmp.Diff(want, got); diff != "" || response.StatusCode != 200 {
			t.Errorf("%d (-want +got):\n%s", response.StatusCode, diff)
		}
	}
	const mallory = "5d92f0b8-4a63-4c1e-b7d5-e6f8a1029c34"
	last := validFrom(mallory)
	for suffix, body := range map[string]string{"revokeSignInSessions": "", "microsoft.graph.revokeSignInSessions": "{}"} {
		revoke(mallory, suffix, body)
		now := validFrom(mallory)
		if !now.After(last) {
			t.Errorf("%s: %v does not come after %v", suffix, now, last)
		}
		last = now
	}
	const grace = "e07a6d41-9b28-4e5c-8f13-b4c7d9e2a586"
	before := validFrom(grace)
	revoke(grace, "revokeSignInSessions", "")
	if now := validFrom(grace); !now.Equal(before) {
		t.Errorf("a guest's sessions are not ours: moved from %v to %v", before, now)
	}
	if diff := cmp.Diff(map[string]int{"mallory@contoso.com": 2}, f.State().Revoked); diff != "" {
		t.Errorf("Revoked (-want +got):\n%s", diff)
	}
}

func TestPermissions(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	const revoke = "/v1.0/users/mallory@contoso.com/revokeSignInSessions"
	f.SetPermissions("User.Read.All")
	if response, got := f.graphRequest(token, "POST", revoke, ""); response.StatusCode != 403 || got.text("error", "code") != "Authorization_RequestDenied" {
		t.Errorf("withdrawn: got %d %v", response.StatusCode, got)
	}
	narrow := f.graphToken()
	f.SetPermissions("User.Read.All", "User.RevokeSessions.All")
	if response, _ := f.graphRequest(narrow, "POST", revoke, ""); response.StatusCode != 403 {
		t.Errorf("a grant needs a new token: got %d, want 403", response.StatusCode)
	}
	if response, _ := f.graphRequest(f.graphToken(), "POST", revoke, ""); response.StatusCode != 200 {
		t.Errorf("with a new token: got %d, want 200", response.StatusCode)
	}
}

func TestTokenExpires(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	f.mu.Lock()
	f.now = func() time.Time { return time.Now().Add(tokenLife + time.Second) }
	f.mu.Unlock()
	if response, _ := f.graphRequest(token, "GET", "/v1.0/users/alice@contoso.com", ""); response.StatusCode != 401 {
		t.Errorf("got %d, want 401", response.StatusCode)
	}
}

func TestClientRequestIDIsEchoed(t *testing.T) {
	f := start(t)
	request, err := http.NewRequest("GET", f.env["GRAPH_URL"]+"/v1.0/users/alice@contoso.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+f.graphToken())
	request.Header.Set("client-request-id", "3f0a")
	response, err := f.tls.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if got := response.Header.Get("client-request-id"); got != "3f0a" {
		t.Errorf("header: got %q", got)
	}
	calls := f.State().Calls
	got := calls[len(calls)-1]
	want := Call{System: "Graph", Method: "GET", Path: "/v1.0/users/alice@contoso.com", Status: 200, Time: got.Time, ClientRequestID: "3f0a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
