package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestSharePointStates(t *testing.T) {
	f := startWith(t, byManagedIdentity)
	token := f.identityToken(f.env["SHAREPOINT_ADMIN_URL"])
	state := func(name string) string {
		t.Helper()
		_, body := f.sharePoint(sharePointCall{token: token, body: `{"userName":"` + name + `"}`})
		return body
	}
	for name, want := range map[string]string{
		"mallory@contoso.com":                                `{"State":4}`,
		"MALLORY@Contoso.com":                                `{"State":4}`,
		" mallory@contoso.com":                               `{"State":1}`,
		"nobody@contoso.com":                                 `{"State":1}`,
		"5d92f0b8-4a63-4c1e-b7d5-e6f8a1029c34":               `{"State":1}`, // mallory's object id
		"grace@fabrikam.com":                                 `{"State":1}`, // a mail address
		"grace_fabrikam.com#EXT#@contoso.onmicrosoft.com":    `{"State":1}`,
		"i:0#.f|membership|mallory@contoso.com":              `{"State":1}`,
		"mallory@contoso.com,alice@contoso.com":              `{"State":1}`,
		"U0MALLORY042":                                       `{"State":1}`,
		"https://contoso-my.sharepoint.com/personal/mallory": `{"State":1}`,
	} {
		if got := state(name); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if diff := cmp.Diff(map[string]int{"mallory@contoso.com": 2}, f.State().SharePointRevoked); diff != "" {
		t.Errorf("revocations (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		state int
		want  string
		adds  int
	}{
		{0, `{"State":0}`, 0}, {1, `{"State":1}`, 0}, {2, `{"State":2}`, 0}, {3, `{"State":3}`, 1}, {4, `{"State":4}`, 1}, {7, `{"State":7}`, 0}, {-1, `{"State":-1}`, 0},
	} {
		if err := f.SetSharePointState("heidi", test.state); err != nil {
			t.Fatal(err)
		}
		before := f.State().SharePointRevoked["heidi@contoso.com"]
		if got := state("heidi@contoso.com"); got != test.want {
			t.Errorf("state %d: got %s", test.state, got)
		}
		if got := f.State().SharePointRevoked["heidi@contoso.com"] - before; got != test.adds {
			t.Errorf("state %d: %d revocations, want %d", test.state, got, test.adds)
		}
	}
	f.SetSharePointDisabled(true)
	for _, name := range []string{"mallory@contoso.com", "nobody@contoso.com"} {
		if got := state(name); got != `{"State":0}` {
			t.Errorf("disabled, %s: got %s", name, got)
		}
	}
	f.SetSharePointDisabled(false)
	if got := state("mallory@contoso.com"); got != `{"State":4}` {
		t.Errorf("enabled again: got %s", got)
	}
	for person, want := range map[string]string{"grace": "guest", "oscar": "no account", "trent": "nobody"} {
		if err := f.SetSharePointState(person, 4); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", person, err, want)
		}
	}
}

func TestSharePointMovesGraphOnlyWhenTold(t *testing.T) {
	f := startWith(t, byManagedIdentity)
	token, graph := f.identityToken(f.env["SHAREPOINT_ADMIN_URL"]), f.identityToken(f.env["GRAPH_URL"])
	validFrom := func() string {
		_, a := f.graphRequest(graph, "GET", "/v1.0/users/mallory@contoso.com?$select=signInSessionsValidFromDateTime", "")
		return a.text("signInSessionsValidFromDateTime")
	}
	before := validFrom()
	f.sharePoint(sharePointCall{token: token})
	if got := validFrom(); before == "" || got != before {
		t.Errorf("moved from %q to %q without being told", before, got)
	}
	f.SetSharePointMovesGraph(true)
	f.sharePoint(sharePointCall{token: token})
	first := validFrom()
	f.sharePoint(sharePointCall{token: token})
	if second := validFrom(); first <= before || second <= first {
		t.Errorf("got %q, %q, %q, want each later than the one before", before, first, second)
	}
	if state := f.State(); len(state.Revoked) != 0 || state.SharePointRevoked["mallory@contoso.com"] != 3 {
		t.Errorf("got %v and %v", state.Revoked, state.SharePointRevoked)
	}
	state := f.State()
	state.SharePointRevoked["x"] = 1
	if _, shared := f.State().SharePointRevoked["x"]; shared {
		t.Error("State shares memory with the sandbox")
	}
}

func TestSharePointFaults(t *testing.T) {
	f := startWith(t, byManagedIdentity)
	token := f.identityToken(f.env["SHAREPOINT_ADMIN_URL"])
	for _, test := range []struct {
		fault       Fault
		body, after string
	}{
		{Fault{Status: 429, RetryAfter: 1500 * time.Millisecond}, "429 TOO MANY REQUESTS", "2"},
		{Fault{Status: 503, RetryAfter: time.Second}, "Server Too Busy", "1"},
		{Fault{Status: 401}, `{"odata.error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"lang":"en-US","value":"Attempted to perform an unauthorized operation."}}}`, ""},
		{Fault{Status: 403}, `{"odata.error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"lang":"en-US","value":"Access is denied. (Exception from HRESULT: 0x80070005 (E_ACCESSDENIED))"}}}`, ""},
		{Fault{Status: 404}, `{"odata.error":{"code":"-1, Microsoft.SharePoint.Client.ResourceNotFoundException","message":{"lang":"en-US","value":"Cannot find resource for the request RevokeAllUserSessions."}}}`, ""},
		{Fault{Status: 500}, `{"odata.error":{"code":"-1, Microsoft.SharePoint.Client.UnknownError","message":{"lang":"en-US","value":"Unknown Error"}}}`, ""},
		{Fault{Status: 503, Code: "-2, Contoso"}, `{"odata.error":{"code":"-2, Contoso","message":{"lang":"en-US","value":"Unknown Error"}}}`, ""},
	} {
		test.fault.Name, test.fault.System, test.fault.Match = "one", "sharepoint", "RevokeAllUserSessions"
		f.SetFault(test.fault)
		response, body := f.sharePoint(sharePointCall{token: token})
		if response.StatusCode != test.fault.Status || body != test.body || response.Header.Get("Retry-After") != test.after || response.Header.Get("SPRequestGuid") == "" {
			t.Errorf("%+v: got %d %s, %v", test.fault, response.StatusCode, body, response.Header)
		}
	}
	if got := f.State().SharePointRevoked; len(got) != 0 {
		t.Errorf("refused requests took effect: %v", got)
	}
	f.ClearFaults()
	if _, body := f.sharePoint(sharePointCall{token: token}); body != `{"State":4}` {
		t.Errorf("after the faults: got %s", body)
	}
}
