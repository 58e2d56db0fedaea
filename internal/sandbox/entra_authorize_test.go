package sandbox

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestAuthorizeRefusesOnItsOwnPage(t *testing.T) {
	f := start(t)
	if _, err := f.SignIn(t.Context(), f.Browser(), f.authorizeURL(), "alice"); err == nil || !strings.Contains(err.Error(), "AADSTS50011: ") {
		t.Errorf("nothing registered: got %v", err)
	}
	f.RegisterRedirect(callback)
	for _, test := range []struct{ name, address, person, number string }{
		{"other path", f.authorizeURL("redirect_uri", "https://bot.contoso.com/link"), "alice", "50011"},
		{"a slash more", f.authorizeURL("redirect_uri", callback+"/"), "alice", "50011"},
		{"other case", f.authorizeURL("redirect_uri", strings.ToUpper(callback)), "alice", "50011"},
		{"no redirect", f.authorizeURL("redirect_uri", ""), "alice", "900971"},
		{"no app", f.authorizeURL("client_id", ""), "alice", "900144"},
		{"unknown app", f.authorizeURL("client_id", newGUID()), "alice", "700016"},
		{"twice", f.authorizeURL() + "&state=b", "alice", "9000411"},
		{"unknown tenant", strings.Replace(f.authorizeURL(), tenantID, "fabrikam.com", 1), "alice", "90002"},
		{"blocked", f.authorizeURL(), "mallory", "50057"},
	} {
		if err := f.SetEnabled("mallory", false); err != nil {
			t.Fatal(err)
		}
		redirect, err := f.SignIn(t.Context(), f.Browser(), test.address, test.person)
		if err == nil || !strings.Contains(err.Error(), "AADSTS"+test.number+": ") {
			t.Errorf("%s: got %v, %v, want AADSTS%s", test.name, redirect, err, test.number)
		}
	}
	if got := f.State().SignIns; len(got) != 0 {
		t.Errorf("got %+v", got)
	}
}

func TestAuthorizeTellsTheApp(t *testing.T) {
	f := startOpenID(t)
	for _, test := range []struct {
		name, key, value, code, number string
	}{
		{"implicit", "response_type", "id_token", "unsupported_response_type", "700054"},
		{"hybrid", "response_type", "code id_token", "unsupported_response_type", "700054"},
		{"no type", "response_type", "", "invalid_request", "900144"},
		{"other mode", "response_mode", "form_post", "invalid_request", "70007"},
		{"no scope", "scope", "", "invalid_request", "900144"},
		{"no openid", "scope", "profile", "invalid_scope", "70011"},
		{"delegated", "scope", "openid User.Read", "invalid_scope", "70011"},
		{"method without challenge", "code_challenge", "", "invalid_request", "900144"},
		{"short challenge", "code_challenge", "abc", "invalid_request", "501491"},
		{"other method", "code_challenge_method", "S512", "invalid_request", "501491"},
		{"other prompt", "prompt", "login none", "invalid_request", "90023"},
		{"age", "max_age", "-1", "invalid_request", "90023"},
		{"claims", "claims", "{", "invalid_request", "90023"},
		{"nobody there", "prompt", "none", "login_required", "50058"},
	} {
		got := f.signIn(f.Browser(), "alice", test.key, test.value)
		if got.Get("error") != test.code || !describes(got, test.number) || got.Get("state") != "a state" || got.Has("code") {
			t.Errorf("%s: got %v, want %s AADSTS%s", test.name, got, test.code, test.number)
		}
	}
	got := f.signIn(f.Browser(), "")
	if got.Get("error") != "access_denied" || got.Get("error_subcode") != "cancel" || got.Get("state") != "a state" || got.Has("code") {
		t.Errorf("cancel: got %v", got)
	}
}

func TestSignInPage(t *testing.T) {
	f := startOpenID(t)
	get := func(browser *http.Client, pairs ...string) (http.Header, string) {
		t.Helper()
		response, err := browser.Get(f.authorizeURL(pairs...))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		raw, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.Header, string(raw)
	}
	first := func(page string) string {
		_, rest, _ := strings.Cut(page, `<button name="account"`)
		rest, _, _ = strings.Cut(rest, "<small>")
		return rest[strings.LastIndex(rest, ">")+1:]
	}
	if err := f.SetEnabled("mallory", false); err != nil {
		t.Fatal(err)
	}
	browser := f.Browser()
	header, page := get(browser, "state", `"><script>alert(1)</script>`)
	for _, want := range []string{"stand-in for Microsoft", "alice@contoso.com", "oscar@fabrikam.com", "of another tenant", "Cancel"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	for _, never := range []string{"mallory@", "<script", "http://", "https://"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	if policy := header.Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
		t.Errorf("policy: got %q", policy)
	}
	if _, page = get(browser, "login_hint", "heidi@contoso.com"); first(page) != "heidi@contoso.com" {
		t.Errorf("with a hint: first is %q", first(page))
	}
	f.signIn(browser, "bob")
	if _, page = get(browser); first(page) != "bob@contoso.com" || !strings.Contains(page, "Bob, signed in") {
		t.Errorf("signed in: first is %q", first(page))
	}

	request, err := http.NewRequest("POST", f.authorizeURL(), strings.NewReader(url.Values{"request": {"x"}, "account": {"x"}}.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Origin", "https://fabrikam.com")
	response, err := browser.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("form of another page: got %d", response.StatusCode)
	}
}

func TestBrowserSession(t *testing.T) {
	f := startOpenID(t)
	browser := f.Browser()
	authTime := func(pairs ...string) (int64, string) {
		t.Helper()
		got := f.signIn(browser, "alice", append([]string{"max_age", "3600"}, pairs...)...)
		if got.Has("error") {
			return 0, got.Get("error")
		}
		_, tokens := f.redeem(got.Get("code"))
		token, err := parseJWT(tokens.text("id_token"))
		if err != nil {
			t.Fatal(err)
		}
		moment, _ := token.moment("auth_time")
		return moment.Unix(), ""
	}
	first, _ := authTime()
	f.later(10 * time.Minute)
	for _, test := range []struct {
		name  string
		pairs []string
		fails string
	}{
		{"silently", []string{"prompt", "none"}, ""},
		{"the same person", []string{"prompt", "none", "login_hint", "ALICE@contoso.com"}, ""},
		{"somebody else", []string{"prompt", "none", "login_hint", "bob@contoso.com"}, "login_required"},
		{"too old", []string{"prompt", "none", "max_age", "60"}, "login_required"},
		{"now", []string{"prompt", "none", "max_age", "0"}, "login_required"},
		{"a context nobody proved", []string{"prompt", "none", "claims", `{"id_token":{"acrs":{"essential":true,"value":"c1"}}}`}, "interaction_required"},
	} {
		if got, failure := authTime(test.pairs...); failure != test.fails || (failure == "" && got != first) {
			t.Errorf("%s: got %d, %q, want %d, %q", test.name, got, failure, first, test.fails)
		}
	}
	for _, pairs := range [][]string{{"prompt", "login"}, {"max_age", "0"}, {"prompt", "select_account"}} {
		f.later(20 * time.Minute)
		if got, failure := authTime(pairs...); got < first+1100 || failure != "" {
			t.Errorf("%v: auth_time %d, the first was %d, %s", pairs, got, first, failure)
		}
	}
	f.later(30 * time.Minute)
	f.graphRequest(f.graphToken(), "POST", "/v1.0/users/alice@contoso.com/revokeSignInSessions", "")
	if _, failure := authTime("prompt", "none"); failure != "login_required" {
		t.Errorf("after the revocation: got %q", failure)
	}
	if _, failure := authTime(); failure != "" {
		t.Errorf("signed in anew: got %q", failure)
	}
	if _, failure := authTime("prompt", "none"); failure != "" {
		t.Errorf("silently after that: got %q", failure)
	}
	f.graphRequest(f.graphToken(), "POST", "/v1.0/users/alice@contoso.com/revokeSignInSessions", "")
	if _, failure := authTime("prompt", "none"); failure != "login_required" {
		t.Errorf("revoked within the same second: got %q", failure)
	}
}
