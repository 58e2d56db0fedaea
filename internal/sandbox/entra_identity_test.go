package sandbox

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// identity asks the managed identity for a token.
func (f *fixture) identity(method, path, header string, query url.Values) (int, answer) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.env["IDENTITY_ENDPOINT"]+path+"?"+query.Encode(), nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if header != "" {
		request.Header.Set("X-IDENTITY-HEADER", header)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, decode(f.t, response.Body)
}

func (f *fixture) identityToken(resource string) string {
	f.t.Helper()
	status, got := f.identity("GET", "", f.env["IDENTITY_HEADER"], url.Values{"api-version": {"2019-08-01"}, "resource": {resource}})
	if status != 200 {
		f.t.Fatalf("got %d %v", status, got)
	}
	return got.text("access_token")
}

func TestManagedIdentity(t *testing.T) {
	f := startWith(t, byManagedIdentity)
	header, sharePoint := f.env["IDENTITY_HEADER"], f.env["SHAREPOINT_ADMIN_URL"]
	if !strings.HasPrefix(f.env["IDENTITY_ENDPOINT"], "http://127.0.0.1:") || f.env["AZURE_USE_MANAGED_IDENTITY"] != "true" {
		t.Errorf("got %v", f.env)
	}
	for _, test := range []struct {
		name, method, path, header string
		change                     []string
		status                     int
	}{
		{"good", "GET", "", header, nil, 200},
		{"own client id", "GET", "", header, []string{"client_id", clientID}, 200},
		{"Graph", "GET", "", header, []string{"resource", f.env["GRAPH_URL"]}, 200},
		{"no header", "GET", "", "", nil, 401},
		{"wrong header", "GET", "", header[1:], nil, 401},
		{"other path", "GET", "/", header, nil, 404},
		{"POST", "POST", "", header, nil, 405},
		{"no version", "GET", "", header, []string{"api-version", ""}, 400},
		{"older version", "GET", "", header, []string{"api-version", "2017-09-01"}, 400},
		{"a scope", "GET", "", header, []string{"resource", sharePoint + "/.default"}, 400},
		{"no resource", "GET", "", header, []string{"resource", ""}, 400},
		{"unknown resource", "GET", "", header, []string{"resource", "https://vault.azure.net"}, 400},
		{"other client id", "GET", "", header, []string{"client_id", newGUID()}, 400},
		{"empty client id", "GET", "", header, []string{"client_id", ""}, 400},
		{"by object id", "GET", "", header, []string{"principal_id", newGUID()}, 400},
		{"by resource id", "GET", "", header, []string{"mi_res_id", "/subscriptions/x"}, 400},
	} {
		query := url.Values{"api-version": {"2019-08-01"}, "resource": {sharePoint}}
		if test.change != nil {
			query.Set(test.change[0], test.change[1])
		}
		status, got := f.identity(test.method, test.path, test.header, query)
		if status != test.status || (status == 200) != (got.text("access_token") != "") || (status != 200) != (got.text("message") != "") {
			t.Errorf("%s: got %d %v, want %d", test.name, status, got, test.status)
		}
	}

	before := time.Now()
	_, got := f.identity("GET", "", header, url.Values{"api-version": {"2019-08-01"}, "resource": {sharePoint}})
	expires, err := strconv.ParseInt(got.text("expires_on"), 10, 64)
	if life := time.Unix(expires, 0).Sub(before); err != nil || life < tokenLife-2*time.Second || life > tokenLife+time.Minute {
		t.Errorf("expires_on: got %q, %v", got.text("expires_on"), err)
	}
	token := got.text("access_token")
	delete(got, "access_token")
	delete(got, "expires_on")
	if diff := cmp.Diff(answer{"resource": sharePoint, "token_type": "Bearer", "client_id": clientID}, got); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if _, body := f.sharePoint(sharePointCall{token: token}); body != `{"State":4}` {
		t.Errorf("SharePoint: got %s", body)
	}

	// Neither way in is open beside it.
	if _, got := f.tokenFor("client_secret", "x"); !refused(got, "7000215") {
		t.Errorf("client secret: got %v", got)
	}
	first := f.State().Calls[0]
	if first.System != "Entra" || first.Method != "GET" || first.Path != "/msi/token" || first.Status != 200 {
		t.Errorf("got %+v", first)
	}

	f.SetFault(Fault{Name: "down", System: "entra", Match: "/msi/token", Status: 503, RetryAfter: time.Second})
	status, failed := f.identity("GET", "", header, url.Values{"api-version": {"2019-08-01"}, "resource": {sharePoint}})
	if status != 503 || failed["statusCode"] != 503.0 || failed["error"] != nil {
		t.Errorf("fault: got %d %v", status, failed)
	}
	raw, err := json.Marshal(f.State().Calls)
	if err != nil || strings.Contains(string(raw), header) || strings.Contains(string(raw), token) {
		t.Errorf("the calls tell a secret: %v", err)
	}
}
