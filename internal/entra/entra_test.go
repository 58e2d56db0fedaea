package entra

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What Entra says to a wrong secret; the echoes at the end are worse than it is.
const wrongSecret = `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '` + clientID + `'. Trace ID: 9a1c Correlation ID: 5f2e Timestamp: 2026-03-04 05:06:07Z","error_codes":[7000215],"trace_id":"9a1c","correlation_id":"5f2e","error_uri":"https://login.microsoftonline.com/error?code=7000215","echo":"client_secret=` + secret + ` client_assertion=eyJhbGciOi mallory@contoso.com Bearer ` + token + `"}`

func TestWrongSecret(t *testing.T) {
	for _, policy := range []Retry{Reads, Effects} {
		m := start(t, ok)
		m.entra = says(401, wrongSecret, "x-ms-request-id", "entra-id-1")
		_, err := m.api(policy).Do(t.Context(), "try", "GET", "/v1.0/users/mallory@contoso.com", nil, nil)
		want := &Error{System: SystemEntra, Op: "token", Status: 401, Code: "AADSTS7000215", RequestID: "entra-id-1"}
		if diff := cmp.Diff(want, asError(t, err)); diff != "" {
			t.Errorf("error (-want +got):\n%s", diff)
		}
		if m.tokens != 1 || len(m.calls) != 0 {
			t.Errorf("%d token requests and %d calls, want 1 and none", m.tokens, len(m.calls))
		}
		if log := m.log.String(); !strings.Contains(log, "AADSTS7000215") || !strings.Contains(log, "HTTP 401") {
			t.Errorf("log does not say why: %s", log)
		}
	}
}

func TestTokenErrors(t *testing.T) {
	tests := []struct {
		name     string
		entra    http.HandlerFunc
		requests int
		status   int
		code     string
	}{
		{"no such app", says(400, `{"error":"unauthorized_client","error_description":"AADSTS700016: Application not found."}`), 1, 400, "AADSTS700016"},
		{"throttled without end", says(429, `{}`, "Retry-After", "0"), 4, 429, ""},
		{"down", says(503, "<html>", "Retry-After", "0"), 4, 503, ""},
		{"connection cut", cut, 4, 0, ""},
		{"cut inside the body", cutShort(200, `{"access_tok`), 1, 0, ""},
		{"not JSON", says(200, `<html>`), 1, 0, ""},
		{"no token in it", says(200, `{"token_type":"Bearer","expires_in":3599}`), 1, 0, ""},
		{"error with 200", says(200, `{"error":"x","error_description":"AADSTS1: mallory@contoso.com"}`), 1, 0, ""},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		for _, policy := range []Retry{Reads, Effects} {
			all.run(test.name, func(t *testing.T) {
				m := start(t, ok)
				m.entra = test.entra
				_, err := m.api(policy).Do(t.Context(), "try", "POST", "/v1.0/x", nil, nil)
				e := asError(t, err)
				if e.System != SystemEntra || e.Status != test.status || e.Code != test.code {
					t.Errorf("error = %+v, want %d %s of Entra", e, test.status, test.code)
				}
				if m.tokenRequests() != test.requests || len(m.seen()) != 0 {
					t.Errorf("%d token requests and %d calls, want %d and none", m.tokenRequests(), len(m.seen()), test.requests)
				}
			})
		}
	}
}

func TestTokenIsRetriedBeforeAnEffect(t *testing.T) {
	m := start(t, ok)
	good := says(200, `{"token_type":"Bearer","expires_in":3599,"access_token":"`+token+`"}`)
	m.entra = script(says(503, "", "Retry-After", "0"), throttled, cut, good)
	if _, err := m.api(Effects).Do(t.Context(), "try", "POST", "/v1.0/x", nil, nil); err != nil {
		t.Error(err)
	}
	if m.tokens != 4 || len(m.calls) != 1 {
		t.Errorf("%d token requests and %d effects, want 4 and 1", m.tokens, len(m.calls))
	}
}

// refuse keeps a test inside this machine.
type refuse struct{ asked []string }

func (f *refuse) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked = append(f.asked, r.URL.Host+r.URL.Path)
	return nil, errors.New("unreachable")
}

func TestInstanceDiscovery(t *testing.T) {
	m := start(t, ok)
	if _, err := m.api(Reads).Do(t.Context(), "try", "GET", "/v1.0/x", nil, nil); err != nil {
		t.Fatal(err)
	}
	for host := range m.transport.hosts {
		if "https://"+host != m.login.URL && "https://"+host != m.service.URL {
			t.Errorf("asked %s, want the authority and Graph only", host)
		}
	}
	for _, authority := range []string{PublicAuthority, PublicAuthority + "/"} {
		net := &refuse{}
		c, err := NewSecretCredential(authority, tenant, clientID, secret, net)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err = c.Token(ctx, "https://graph.microsoft.com")
		cancel()
		_ = asError(t, err)
		const want = "login.microsoftonline.com/"
		if len(net.asked) == 0 {
			t.Errorf("%s: nobody was asked", authority)
		}
		for _, got := range net.asked {
			if !strings.HasPrefix(got, want) {
				t.Errorf("%s: asked %s, want %s only", authority, got, want)
			}
		}
	}
}

func TestAuthorityIsRefused(t *testing.T) {
	for _, authority := range []string{"http://login.contoso.com", "login.contoso.com", "", "https://"} {
		net := &refuse{}
		_, err := NewSecretCredential(authority, tenant, clientID, secret, net)
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("NewSecretCredential(%q) = %v, want an error without the secret", authority, err)
		}
		if len(net.asked) != 0 {
			t.Errorf("NewSecretCredential(%q) asked %v, want no I/O", authority, net.asked)
		}
	}
	if _, err := NewSecretCredential(PublicAuthority, tenant, clientID, "", &refuse{}); err == nil {
		t.Error("an empty secret was accepted")
	}
}

func TestErrorsAndLogsNameNobodyAndNoSecret(t *testing.T) {
	const path = "/v1.0/users('mallory@contoso.com')?$select=id"
	echo := `{"error":{"code":"Request_BadRequest","message":"mallory@contoso.com Bearer ` + token + ` ` + secret + `"}}`
	tests := []struct {
		name  string
		entra http.HandlerFunc
		graph http.HandlerFunc
		also  func(*microsoft)
	}{
		{name: "wrong secret", entra: says(401, wrongSecret)},
		{name: "Entra says 400", entra: says(400, wrongSecret)},
		{name: "Entra says 200 and JSON of another shape", entra: says(200, wrongSecret)},
		{name: "Entra says 200 and no JSON", entra: says(200, `mallory@contoso.com Bearer `+secret)},
		{name: "Entra cuts the body", entra: cutShort(200, `{"access_token":"`+token)},
		{name: "Entra cuts the connection", entra: cut},
		{name: "Entra cannot be reached", also: func(m *microsoft) { m.login.Close() }},
		{name: "refusal", graph: says(403, echo)},
		{name: "refusal, cut", graph: cutShort(403, echo)},
		{name: "no JSON", graph: says(200, "mallory@contoso.com")},
		{name: "another type", graph: says(200, `{"value":"mallory@contoso.com"}`)},
		{name: "redirect", graph: says(302, "", "Location", "https://mallory@contoso.com/mallory@contoso.com")},
		{name: "redirect to nowhere", graph: says(302, "", "Location", "https://contoso.com/%zz/mallory@contoso.com")},
		{name: "cut", graph: cut},
		{name: "cut body", graph: cutShort(200, `{"va`)},
		{name: "Graph hangs", graph: hang},
		{name: "Graph cannot be reached", also: func(m *microsoft) { m.service.Close() }},
		{name: "certificate is not trusted", also: func(m *microsoft) { m.transport.TLSClientConfig.RootCAs = nil }},
		{name: "success", graph: ok},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			m := start(t, test.graph)
			m.entra = test.entra
			if test.also != nil {
				test.also(m)
			}
			patience := 10 * time.Second
			if test.name == "Graph hangs" {
				patience = 500 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var out struct{ Value bool }
			_, err := m.api(Reads).Do(ctx, "read user", "GET", path, nil, &out)
			if (err == nil) != (test.name == "success") {
				t.Errorf("error = %v", err)
			}
			said := m.log.String()
			if err != nil {
				_ = asError(t, err)
				said += err.Error()
				for e := errors.Unwrap(err); e != nil; e = errors.Unwrap(e) {
					said += "\n" + e.Error()
				}
			}
			if !strings.Contains(said, "read user") {
				t.Errorf("nothing was logged: %q", said)
			}
			for _, never := range []string{"mallory", "contoso.com/", secret, token, "secret value", "Bearer", "client_secret", "client_assertion", "https://", "Trace ID"} {
				if strings.Contains(said, never) {
					t.Errorf("%q is in:\n%s", never, said)
				}
			}
		})
	}
}
