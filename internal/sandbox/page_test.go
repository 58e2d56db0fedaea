package sandbox

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

func (f *fixture) page(method, path, body string, header map[string]string) (int, http.Header, string) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, strings.TrimSuffix(f.PageURL(), "/")+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for key, value := range header {
		request.Header.Set(key, value)
	}
	if host, ok := header["Host"]; ok {
		request.Host = host
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return response.StatusCode, response.Header, string(raw)
}

func TestPageRefusesOtherPages(t *testing.T) {
	f := start(t)
	origin := strings.TrimSuffix(f.PageURL(), "/")
	port := origin[strings.LastIndex(origin, ":")+1:]
	const role = `{"person":"alice","globalAdministrator":false}`
	asJSON := map[string]string{"Content-Type": "application/json"}
	with := func(key, value string) map[string]string {
		return map[string]string{"Content-Type": "application/json", key: value}
	}
	tests := []struct {
		name, method, path string
		header             map[string]string
		want               int
	}{
		{"own page", "POST", "/api/role", with("Origin", origin), 200},
		{"a program", "POST", "/api/role", asJSON, 200},
		{"by the name localhost", "POST", "/api/role", with("Host", "localhost:"+port), 200},
		{"foreign origin", "POST", "/api/role", with("Origin", "https://fabrikam.com"), 403},
		{"null origin", "POST", "/api/role", with("Origin", "null"), 403},
		{"origin of another port", "POST", "/api/role", with("Origin", "http://127.0.0.1:1"), 403},
		{"cross-site without origin", "POST", "/api/role", with("Sec-Fetch-Site", "cross-site"), 403},
		{"rebound name", "POST", "/api/role", with("Host", "fabrikam.com:"+port), 421},
		{"rebound name reads", "GET", "/api/state", map[string]string{"Host": "fabrikam.com"}, 421},
		{"plain form", "POST", "/api/role", map[string]string{"Content-Type": "text/plain"}, 415},
		{"no type", "POST", "/api/role", nil, 415},
		{"GET of an action", "GET", "/api/role", nil, 404},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f.t = t
			body := role
			if test.method == "GET" {
				body = ""
			}
			if got, _, text := f.page(test.method, test.path, body, test.header); got != test.want {
				t.Errorf("got %d %s, want %d", got, text, test.want)
			}
		})
	}
}

func TestPageFiles(t *testing.T) {
	f := start(t)
	for path, want := range map[string]string{
		"/": "text/html", "/app.js": "text/javascript", "/style.css": "text/css", "/favicon.svg": "image/svg+xml",
	} {
		status, header, _ := f.page("GET", path, "", nil)
		if status != 200 || !strings.HasPrefix(header.Get("Content-Type"), want) {
			t.Errorf("%s: got %d %s", path, status, header.Get("Content-Type"))
		}
		if !strings.HasPrefix(header.Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: no policy", path)
		}
	}
}

func TestPageActions(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	asJSON := map[string]string{"Content-Type": "application/json"}
	ts := f.post("channel", incidentChannel, "text", "x", "blocks", card)
	for _, test := range []struct {
		path, body string
		want       int
		text       string
	}{
		{"/api/say", `{"person":"alice","channel":"C0INCIDENT","text":"/revoke-session mallory@contoso.com"}`, 200, `"status":200`},
		{"/api/say", `{"person":"oscar","channel":"C0INCIDENT","text":"/revoke-session mallory@contoso.com"}`, 422, "another organization"},
		{"/api/press", `{"person":"bob","ts":"` + ts + `","label":"Confirm now"}`, 200, `"status":200`},
		{"/api/press", `{"person":"bob","ts":"` + ts + `","label":"Nothing"}`, 422, "no button"},
		{"/api/fault", `{"name":"down","on":true,"system":"graph","status":503}`, 200, "{}"},
		{"/api/fault", `{"on":true}`, 422, "name"},
		{"/api/role", `{"person":"bob","globalAdministrator":false}`, 200, "{}"},
		{"/api/role", `{"person":"oscar","globalAdministrator":true}`, 422, "no account"},
		{"/api/enabled", `{"person":"heidi","enabled":false}`, 200, "{}"},
		{"/api/role", `{"user":"bob"}`, 400, "not understood"},
	} {
		if status, _, text := f.page("POST", test.path, test.body, asJSON); status != test.want || !strings.Contains(text, test.text) {
			t.Errorf("%s %s: got %d %s, want %d with %q", test.path, test.body, status, text, test.want, test.text)
		}
	}
	if got := b.last(t).payload(t).text("user", "id"); got != "U0BOB042" {
		t.Errorf("press came from %q", got)
	}
	_, _, raw := f.page("GET", "/api/state", "", nil)
	var v view
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Faults) != 1 || v.People[1].Account.GlobalAdministrator || v.People[2].Account.Enabled || len(v.Messages) != 1 {
		t.Errorf("got %+v", v)
	}
	for _, secret := range []string{f.env["SLACK_BOT_TOKEN"], f.env["SLACK_SIGNING_SECRET"], f.env["AZURE_CLIENT_SECRET"], f.graphToken()} {
		if strings.Contains(raw, secret) {
			t.Error("the page is told a secret")
		}
	}
}

func TestPageShowsSharePoint(t *testing.T) {
	f := startWith(t, byManagedIdentity)
	token := f.identityToken(f.env["SHAREPOINT_ADMIN_URL"])
	f.sharePoint(sharePointCall{token: token})
	_, _, raw := f.page("GET", "/api/state", "", nil)
	var v view
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatal(err)
	}
	mallory := v.People[5]
	if mallory.Name != "mallory" || mallory.Account.SharePointRevoked != 1 || mallory.Account.Revoked != 0 {
		t.Errorf("got %+v %+v", mallory, mallory.Account)
	}
	if last := v.Calls[len(v.Calls)-1]; last.System != "SharePoint" || last.Path != revokeAllPath || last.Status != 200 {
		t.Errorf("got %+v", last)
	}
	for _, secret := range []string{token, f.env["IDENTITY_HEADER"]} {
		if strings.Contains(raw, secret) {
			t.Error("the page is told a secret")
		}
	}
}

func TestPageEvents(t *testing.T) {
	f := start(t)
	response, err := http.Get(f.PageURL() + "api/events")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	next := func() (v view) {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(data), &v); err != nil {
					t.Fatal(err)
				}
				return v
			}
		}
		t.Fatalf("no event: %v", lines.Err())
		return v
	}
	if got := next(); len(got.Messages) != 0 {
		t.Errorf("got %+v", got.Messages)
	}
	f.post("channel", incidentChannel, "text", "live")
	for {
		if got := next(); len(got.Messages) == 1 {
			if got.Messages[0].Text != "live" || !got.Messages[0].Bot {
				t.Errorf("got %+v", got.Messages[0])
			}
			return
		}
	}
}

func TestPageListensOnLoopbackOnly(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "192.0.2.1:0"} {
		if s, err := Start(Options{Page: address}); err == nil {
			s.Close()
			t.Errorf("%s: want an error", address)
		}
	}
}
