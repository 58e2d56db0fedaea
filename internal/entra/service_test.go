package entra

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSharePointIsSpokenToAsItWants(t *testing.T) {
	tests := []struct{ method, contentType string }{
		{"GET", ""},
		{"POST", "application/json;odata=nometadata"},
	}
	for _, tt := range tests {
		m := startSharePoint(t, says(200, `{"value":true}`, "SPRequestGuid", "sp-1"))
		meta, err := m.api(Effects).Do(t.Context(), "try", tt.method, "/_api/x", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		sent := m.seen()[0].header
		for name, want := range map[string]string{
			"Accept":                    "application/json;odata=nometadata",
			"Content-Type":              tt.contentType,
			"User-Agent":                "NONISV|RevokeSession|RevokeSession/1.0",
			"X-ClientService-ClientTag": "RevokeSession:1.0",
			"odata-version":             "",
			"client-request-id":         meta.ClientRequestID,
		} {
			if got := sent.Get(name); got != want {
				t.Errorf("%s: %s = %q, want %q", tt.method, name, got, want)
			}
		}
		if tag := sent.Get("X-ClientService-ClientTag"); len(tag) > 32 {
			t.Errorf("tag %q has %d characters, at most 32 are allowed", tag, len(tag))
		}
		if meta.RequestID != "sp-1" || meta.ClientRequestID == "" {
			t.Errorf("Meta = %+v, want request id sp-1 and one of ours", meta)
		}
	}
}

func TestSharePointRequestIDHasTwoNames(t *testing.T) {
	m := startSharePoint(t, ok)
	meta, err := m.api(Reads).Do(t.Context(), "try", "GET", "/_api/x", nil, nil)
	if err != nil || meta.RequestID != "rid-1" {
		t.Errorf("Meta = %+v, %v; want what request-id said", meta, err)
	}
}

func TestSharePointErrorCode(t *testing.T) {
	const denied = "-2147024891, System.UnauthorizedAccessException"
	tests := []struct{ name, body, want string }{
		{"no metadata", `{"odata.error":{"code":"` + denied + `","message":{"lang":"en-US","value":"Attempted to perform an unauthorized operation."}}}`, denied},
		{"verbose", `{"error":{"code":"` + denied + `","message":{"lang":"en-US","value":"mallory@contoso.com"}}}`, denied},
		{"number only", `{"odata.error":{"code":"-1"}}`, "-1"},
		{"generic type", "{\"odata.error\":{\"code\":\"-1, Microsoft.SharePoint.Fault`1\"}}", "-1, Microsoft.SharePoint.Fault`1"},
		{"secret-based token", "Unsupported app only token.", "unsupported app-only token"},
		{"secret-based token, quoted", "\ufeff\"Unsupported app only token.\"\r\n", "unsupported app-only token"},
		{"wrong audience", `{"error_description":"Invalid issuer or signature."}`, "invalid issuer or signature"},
		{"wrong audience, as OAuth", `{"error":"invalid_client","error_description":"Invalid issuer or signature."}`, "invalid issuer or signature"},
		{"unsupported token", `{"error_description":"Unsupported security token."}`, "unsupported security token"},
		{"code that is a text", `{"odata.error":{"code":"mallory@contoso.com"}}`, ""},
		{"description nobody knows", `{"error_description":"mallory@contoso.com"}`, ""},
		{"text nobody knows", `mallory@contoso.com`, ""},
		{"error is a text", `{"error":"mallory@contoso.com"}`, ""},
		{"HTML", `<html>Access denied</html>`, ""},
		{"nothing", ``, ""},
		{"null", `null`, ""},
		{"list", `[]`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := startSharePoint(t, says(401, tt.body, "SPRequestGuid", "sp-1"))
			meta, err := m.api(Effects).Do(t.Context(), "try", "POST", "/_api/x", nil, nil)
			want := &Error{System: SystemSharePoint, Op: "try", Status: 401, Code: tt.want, RequestID: "sp-1"}
			if diff := cmp.Diff(want, asError(t, err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if meta.RequestID != "sp-1" || meta.Status != 401 {
				t.Errorf("Meta = %+v, want that of the refusal", meta)
			}
		})
	}
}

// Only Graph is believed when it says that a user does not exist.
func TestNotFoundIsGraphs(t *testing.T) {
	tests := []struct {
		err  Error
		want bool
	}{
		{Error{System: SystemGraph, Status: http.StatusNotFound, Code: "Request_ResourceNotFound"}, true},
		{Error{System: SystemGraph, Status: http.StatusNotFound}, false},
		{Error{System: SystemSharePoint, Status: http.StatusNotFound, Code: "Request_ResourceNotFound"}, false},
		{Error{System: SystemEntra, Status: http.StatusNotFound, Code: "Request_ResourceNotFound"}, false},
	}
	for _, tt := range tests {
		if got := tt.err.NotFound(); got != tt.want {
			t.Errorf("%v: NotFound = %v, want %v", &tt.err, got, tt.want)
		}
	}
}

// Both services are signed in to with one credential, each with its own token.
func TestServicesHaveTheirOwnTokens(t *testing.T) {
	m, other := start(t, ok), startSharePoint(t, ok)
	m.entra = says(200, `{"token_type":"Bearer","expires_in":3599,"access_token":"`+token+`"}`)
	c := m.credential()
	graph, sharePoint := m.apiOf(c, Reads), NewAPI(SharePointService(other.service.URL), c, other.transport, Effects, other.logger())
	for range 3 {
		for _, api := range []*API{graph, sharePoint} {
			if _, err := api.Do(t.Context(), "try", "POST", "/x", nil, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	if m.tokens != 2 || len(m.seen()) != 3 || len(other.seen()) != 3 {
		t.Errorf("%d tokens for %d and %d calls, want 2 for 3 and 3", m.tokens, len(m.seen()), len(other.seen()))
	}
}
