package entra

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// endpoint is App Service's for managed identities.
// learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference
type endpoint struct {
	*httptest.Server
	answer http.HandlerFunc

	mu    sync.Mutex
	asked []url.Values
}

func (e *endpoint) requests() []url.Values {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]url.Values(nil), e.asked...)
}

const identityHeader = "h34der~of~the~identity"

func startEndpoint(t *testing.T, answer http.HandlerFunc) *endpoint {
	t.Helper()
	e := &endpoint{answer: answer}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("X-IDENTITY-HEADER"); got != identityHeader {
			t.Errorf("X-IDENTITY-HEADER = %q, want %q", got, identityHeader)
		}
		e.mu.Lock()
		e.asked = append(e.asked, r.URL.Query())
		e.mu.Unlock()
		e.answer(w, r)
	}))
	t.Cleanup(e.Close)
	for name, value := range map[string]string{
		"IDENTITY_ENDPOINT": e.URL + "/msi/token", "IDENTITY_HEADER": identityHeader, "IDENTITY_SERVER_THUMBPRINT": "",
		"MSI_ENDPOINT": "", "IMDS_ENDPOINT": "",
	} {
		t.Setenv(name, value)
	}
	return e
}

func identityToken(value string) http.HandlerFunc {
	return says(200, fmt.Sprintf(`{"access_token":%q,"expires_on":"%d","resource":"r","token_type":"Bearer"}`, value, time.Now().Add(time.Hour).Unix()))
}

func managed(t *testing.T, id string, transport http.RoundTripper) *Credential {
	t.Helper()
	c, err := NewManagedIdentityCredential(id, transport)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestManagedIdentity(t *testing.T) {
	for _, id := range []string{"", clientID} {
		m := start(t, ok)
		e := startEndpoint(t, identityToken(token))
		c := managed(t, id, m.transport)
		for range 3 {
			if _, err := m.apiOf(c, Reads).Do(t.Context(), "try", "GET", "/v1.0/x", nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		if len(e.requests()) != 1 {
			t.Fatalf("%q: %d tokens fetched for 3 calls, want 1", id, len(e.requests()))
		}
		if got := e.requests()[0]; got.Get("resource") != m.service.URL || got.Get("client_id") != id {
			t.Errorf("%q: asked for %v, want %s", id, got, m.service.URL)
		}
	}
}

// metadata stands for a virtual machine's metadata service, which has one address.
type metadata struct{ asked []*http.Request }

func (s *metadata) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, r)
	resp := reply(200, "Content-Type", "application/json")
	resp.Body, resp.Request = io.NopCloser(strings.NewReader(`{"access_token":"imds","expires_in":"3599","token_type":"Bearer"}`)), r
	return resp, nil
}

func TestManagedIdentityOfAVirtualMachine(t *testing.T) {
	for _, name := range []string{"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "IMDS_ENDPOINT"} {
		t.Setenv(name, "")
	}
	s := &metadata{}
	c := managed(t, "", s)
	for range 3 {
		if got, err := c.Token(t.Context(), "https://imds.contoso.com"); got != "imds" || err != nil {
			t.Fatalf("Token = %q, %v", got, err)
		}
	}
	if len(s.asked) != 1 {
		t.Fatalf("%d requests for 3 tokens, want 1", len(s.asked))
	}
	r := s.asked[0]
	if r.URL.Host != "169.254.169.254" || r.URL.Query().Get("resource") != "https://imds.contoso.com" || r.Header.Get("Metadata") != "true" {
		t.Errorf("asked %s with %v", r.URL, r.Header)
	}
}

// MSAL's cache is the process's, so dropping our client is not enough.
func TestManagedIdentityForgets(t *testing.T) {
	e := startEndpoint(t, script(identityToken("first"), identityToken("second")))
	c, other := managed(t, "", http.DefaultTransport), managed(t, "", http.DefaultTransport)
	get := func(c *Credential) string {
		t.Helper()
		got, err := c.Token(t.Context(), "https://forget.contoso.com")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := get(c) + " " + get(c); got != "first first" {
		t.Errorf("tokens = %s, want the first twice", got)
	}
	if c.renew("https://forget.contoso.com", "first", time.Minute) {
		t.Error("a quite new token was forgotten")
	}
	if !c.renew("https://forget.contoso.com", "first", 0) {
		t.Error("the token was not forgotten")
	}
	if got := get(c) + " " + get(c); got != "second second" {
		t.Errorf("tokens = %s, want the second twice", got)
	}
	if get(other); len(e.requests()) != 3 {
		t.Errorf("%d tokens fetched, want 3: another credential's first is not from the cache", len(e.requests()))
	}
}

func TestManagedIdentityRetries(t *testing.T) {
	e := startEndpoint(t, script(says(404, ""), says(410, ""), says(503, "", "Retry-After", "0"), identityToken(token)))
	if _, err := managed(t, "", http.DefaultTransport).Token(t.Context(), "https://retry.contoso.com"); err != nil || len(e.requests()) != 4 {
		t.Errorf("%d requests, %v; want 4 and a token", len(e.requests()), err)
	}
}

func TestManagedIdentityErrors(t *testing.T) {
	echo := identityHeader + " " + token
	tests := []struct {
		name     string
		answer   http.HandlerFunc
		requests int
		status   int
		code     string
	}{
		{"no such identity", says(400, `{"error":"invalid_request","error_description":"Identity not found","echo":"`+echo+`"}`), 1, 400, "identity not found"},
		{"refused", says(403, echo), 1, 403, ""},
		{"Entra's refusal", says(400, `{"error":"invalid_request","error_description":"AADSTS700016: `+echo+`"}`), 1, 400, "AADSTS700016"},
		{"not JSON", says(200, echo), 1, 0, ""},
		{"no token", says(200, `{"expires_in":"`+echo+`"}`), 1, 0, ""},
		{"throttled without end", says(429, echo, "Retry-After", "0"), 4, 429, ""},
		{"cut", cut, 4, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := startEndpoint(t, tt.answer)
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			_, err := managed(t, "", transport).Token(t.Context(), "https://errors.contoso.com")
			got := asError(t, err)
			if got.System != SystemEntra || got.Op != "managed identity token" || got.Status != tt.status || got.Code != tt.code {
				t.Errorf("error = %+v, want %d %s of Entra", got, tt.status, tt.code)
			}
			if len(e.requests()) != tt.requests {
				t.Errorf("%d requests, want %d", len(e.requests()), tt.requests)
			}
			if strings.Contains(got.Error(), identityHeader) || strings.Contains(got.Error(), token) {
				t.Errorf("a secret is in %v", got)
			}
		})
	}
}

func TestManagedIdentityUsesNoProxy(t *testing.T) {
	startEndpoint(t, identityToken(token))
	transport := &http.Transport{Proxy: func(r *http.Request) (*url.URL, error) {
		t.Errorf("asked for a proxy to %s", r.URL.Host)
		return nil, nil
	}}
	if _, err := managed(t, "", transport).Token(t.Context(), "https://proxy.contoso.com"); err != nil {
		t.Error(err)
	}
	if transport.Proxy == nil {
		t.Error("the transport of everybody else lost its proxy")
	}
}

func TestManagedIdentityOfServiceFabricIsRefused(t *testing.T) {
	startEndpoint(t, ok)
	t.Setenv("IDENTITY_SERVER_THUMBPRINT", strings.Repeat("A", 40))
	if _, err := NewManagedIdentityCredential("", http.DefaultTransport); err == nil || !strings.Contains(err.Error(), "Service Fabric is not supported") {
		t.Errorf("error = %v, want that Service Fabric is not supported", err)
	}
}
