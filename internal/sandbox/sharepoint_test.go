package sandbox

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// sharePointCall is a request with what differs from a good one about mallory;
// "-" leaves a header out.
type sharePointCall struct {
	token, method, path, body, accept, contentType string
	header                                         map[string]string
}

func (f *fixture) sharePoint(c sharePointCall) (response *http.Response, body string) {
	f.t.Helper()
	or := func(value, otherwise string) string {
		if value == "" {
			return otherwise
		}
		return value
	}
	request, err := http.NewRequestWithContext(f.t.Context(), or(c.method, "POST"), f.env["SHAREPOINT_ADMIN_URL"]+or(c.path, revokeAllPath),
		strings.NewReader(or(c.body, `{"userName":"mallory@contoso.com"}`)))
	if err != nil {
		f.t.Fatal(err)
	}
	header := map[string]string{
		"Authorization": "Bearer " + c.token, "Accept": or(c.accept, "application/json;odata=nometadata"),
		"Content-Type": or(c.contentType, "application/json;odata=nometadata"),
	}
	maps.Copy(header, c.header)
	for name, value := range header {
		if value != "-" {
			request.Header.Set(name, value)
		}
	}
	response, err = f.tls.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return response, strings.TrimSpace(string(raw))
}

func TestSharePointAnswerForms(t *testing.T) {
	f := startWith(t, byManagedIdentity)
	token := f.identityToken(f.env["SHAREPOINT_ADMIN_URL"])
	const entity = "Microsoft.Online.SharePoint.TenantManagement.SPOUserSessionRevocationResult"
	minimal := answer{"odata.metadata": f.env["SHAREPOINT_ADMIN_URL"] + "/_api/$metadata#SP.ApiData.SPOUserSessionRevocationResults/@Element", "odata.type": entity, "State": 4.0}
	for _, test := range []struct {
		accept, contentType string
		want                answer
	}{
		{"application/json;odata=nometadata", "application/json;odata=nometadata;streaming=true;charset=utf-8", answer{"State": 4.0}},
		{"application/json; odata=minimalmetadata", "application/json;odata=minimalmetadata;streaming=true;charset=utf-8", minimal},
		{"application/json", "application/json;odata=minimalmetadata;streaming=true;charset=utf-8", minimal},
		{"application/json;odata=verbose", "application/json;odata=verbose;charset=utf-8", answer{"d": map[string]any{"State": 4.0, "__metadata": map[string]any{"type": entity}}}},
	} {
		response, body := f.sharePoint(sharePointCall{token: token, accept: test.accept, header: map[string]string{"client-request-id": "mine"}})
		got := decode(t, strings.NewReader(body))
		// What names the one result differs each time.
		delete(got, "odata.id")
		delete(got, "odata.editLink")
		if d, ok := got["d"].(map[string]any); ok {
			metadata, _ := d["__metadata"].(map[string]any)
			delete(metadata, "id")
			delete(metadata, "uri")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.accept, diff)
		}
		header := response.Header
		if response.StatusCode != 200 || header.Get("Content-Type") != test.contentType {
			t.Errorf("%s: got %d %s", test.accept, response.StatusCode, header.Get("Content-Type"))
		}
		if header.Get("SPRequestGuid") == "" || header.Get("request-id") != header.Get("SPRequestGuid") || header.Get("client-request-id") != "mine" || header.Get("Date") == "" {
			t.Errorf("%s: got headers %v", test.accept, header)
		}
	}
	if got := f.State().SharePointRevoked; got["mallory@contoso.com"] != 4 {
		t.Errorf("got %v", got)
	}
}

func TestSharePointRefusals(t *testing.T) {
	f := startWith(t, byManagedIdentity)
	token := f.identityToken(f.env["SHAREPOINT_ADMIN_URL"])
	const (
		client    = "-1, Microsoft.SharePoint.Client.ClientServiceException"
		query     = "-1, Microsoft.SharePoint.Client.InvalidClientQueryException"
		noFind    = "-1, Microsoft.SharePoint.Client.ResourceNotFoundException"
		argument  = "-2147467261, System.ArgumentNullException"
		operation = "-1, System.InvalidOperationException"
	)
	for _, test := range []struct {
		name   string
		call   sharePointCall
		status int
		code   string
	}{
		{"other method", sharePointCall{method: "GET"}, 405, client},
		{"name in the path", sharePointCall{path: revokeAllPath + "('mallory@contoso.com')"}, 404, noFind},
		{"slash at the end", sharePointCall{path: revokeAllPath + "/"}, 404, noFind},
		{"neighbor", sharePointCall{path: strings.Replace(revokeAllPath, "Sessions", "SessionsByPuid", 1)}, 404, noFind},
		{"lower case", sharePointCall{path: strings.ToLower(revokeAllPath)}, 404, noFind},
		{"version 4", sharePointCall{header: map[string]string{"odata-version": "4.0"}}, 500, operation},
		{"no accept", sharePointCall{accept: "-"}, 406, client},
		{"accept anything", sharePointCall{accept: "*/*"}, 406, client},
		{"accept of version 4", sharePointCall{accept: "application/json;odata.metadata=none"}, 406, client},
		{"accept of no form", sharePointCall{accept: "application/json;odata=brief"}, 406, client},
		{"no content type", sharePointCall{contentType: "-"}, 400, client},
		{"form", sharePointCall{contentType: "application/x-www-form-urlencoded"}, 415, client},
		{"content of no form", sharePointCall{contentType: "application/json;odata=brief"}, 415, client},
		{"query option", sharePointCall{path: revokeAllPath + "?$select=State"}, 400, query},
		{"no JSON", sharePointCall{body: `{"userName":`}, 400, query},
		{"more than JSON", sharePointCall{body: `{"userName":"mallory@contoso.com"}{}`}, 400, query},
		{"a list", sharePointCall{body: `["mallory@contoso.com"]`}, 400, query},
		{"other parameter", sharePointCall{body: `{"userName":"mallory@contoso.com","user":"x"}`}, 400, query},
		{"name in another case", sharePointCall{body: `{"username":"mallory@contoso.com"}`}, 400, query},
		{"a number", sharePointCall{body: `{"userName":5}`}, 400, query},
		{"null", sharePointCall{body: `{"userName":null}`}, 400, argument},
		{"empty name", sharePointCall{body: `{"userName":""}`}, 400, argument},
		{"no name", sharePointCall{body: `{}`}, 400, argument},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.t = t
			test.call.token = token
			response, body := f.sharePoint(test.call)
			got := decode(t, strings.NewReader(body))
			if response.StatusCode != test.status || got.text("odata.error", "code") != test.code || got.text("odata.error", "message", "value") == "" {
				t.Errorf("got %d %s, want %d %s", response.StatusCode, body, test.status, test.code)
			}
			if response.Header.Get("SPRequestGuid") == "" {
				t.Error("no SPRequestGuid")
			}
		})
	}
	f.t = t
	if _, body := f.sharePoint(sharePointCall{token: token, method: "GET", accept: "application/json;odata=verbose"}); decode(t, strings.NewReader(body)).text("error", "code") != client {
		t.Errorf("verbose: got %s", body)
	}
	if got := f.State().SharePointRevoked; len(got) != 0 {
		t.Errorf("refused requests revoked %v", got)
	}
	if response, body := f.sharePoint(sharePointCall{token: token, contentType: "application/json;charset=utf-8", header: map[string]string{"odata-version": "3.0"}}); response.StatusCode != 200 {
		t.Errorf("good: got %d %s", response.StatusCode, body)
	}
}

func TestSharePointTokens(t *testing.T) {
	f := startWith(t, byManagedIdentity)
	good, other := f.identityToken(f.env["SHAREPOINT_ADMIN_URL"]), f.identityToken(f.env["GRAPH_URL"])
	for _, test := range []struct{ name, authorization, problem string }{
		{"none", "-", "Invalid issuer or signature."},
		{"empty", "Bearer ", "Invalid issuer or signature."},
		{"unknown", "Bearer x", "Invalid issuer or signature."},
		{"no scheme", good, "Invalid issuer or signature."},
		{"for Graph", "Bearer " + other, "Invalid issuer or signature."},
		{"for the real SharePoint", "Bearer " + f.identityToken("https://contoso-admin.sharepoint.com"), "Invalid issuer or signature."},
	} {
		response, body := f.sharePoint(sharePointCall{header: map[string]string{"Authorization": test.authorization}})
		if got := decode(t, strings.NewReader(body)).text("error_description"); response.StatusCode != 401 || got != test.problem || !strings.HasPrefix(response.Header.Get("x-ms-diagnostics"), "3000006;") {
			t.Errorf("%s: got %d %s, %v", test.name, response.StatusCode, body, response.Header)
		}
	}
	if response, body := f.graphRequest(good, "GET", "/v1.0/users/mallory@contoso.com", ""); response.StatusCode != 401 {
		t.Errorf("Graph takes the token of SharePoint: %d %v", response.StatusCode, body)
	}

	// A permission withdrawn is felt at once; one that comes back needs nothing.
	f.SetPermissions("User.Read.All", "User.RevokeSessions.All")
	const denied = "-2147024891, System.UnauthorizedAccessException"
	response, body := f.sharePoint(sharePointCall{token: good})
	if response.StatusCode != 401 || decode(t, strings.NewReader(body)).text("odata.error", "code") != denied {
		t.Errorf("without the permission: got %d %s", response.StatusCode, body)
	}
	without := f.identityToken(f.env["SHAREPOINT_ADMIN_URL"])
	f.SetPermissions(sitesFullControl)
	if response, body = f.sharePoint(sharePointCall{token: without, accept: "application/json;odata=verbose"}); response.StatusCode != 401 || decode(t, strings.NewReader(body)).text("error", "code") != denied {
		t.Errorf("token from before the grant: got %d %s", response.StatusCode, body)
	}
	if response, body = f.sharePoint(sharePointCall{token: good}); response.StatusCode != 200 {
		t.Errorf("with the permission: got %d %s", response.StatusCode, body)
	}

	f.later(time.Hour)
	if response, body = f.sharePoint(sharePointCall{token: good}); response.StatusCode != 401 || body != `{"error_description":"Invalid JWT token. The token is expired."}` {
		t.Errorf("expired: got %d %s", response.StatusCode, body)
	}
}

func TestSharePointRefusesClientSecrets(t *testing.T) {
	f := start(t)
	token := f.token(f.env["SHAREPOINT_ADMIN_URL"] + "/.default").text("access_token")
	response, body := f.sharePoint(sharePointCall{token: token})
	if response.StatusCode != 401 || body != "Unsupported app only token." || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("got %d %q %v", response.StatusCode, body, response.Header)
	}
}
