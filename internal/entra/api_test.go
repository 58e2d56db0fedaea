package entra

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

func TestDoSendsWhatIsDocumented(t *testing.T) {
	tests := []struct {
		name, method string
		in           any
		body         string
		contentType  string
	}{
		{"read", "GET", nil, "", ""},
		{"action without a body", "POST", nil, "", "application/json"},
		{"action", "POST", map[string][]string{"ids": {"a"}}, `{"ids":["a"]}`, "application/json"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			date := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
			m := start(t, says(200, `{"value":true}`, "Date", date.Format(http.TimeFormat)))
			const path = "/v1.0/users('o%27%27neil%23@contoso.com')?$select=id,mail"
			var out struct{ Value bool }
			meta, err := m.api(Reads).Do(t.Context(), "try", test.method, path, test.in, &out)
			if err != nil || !out.Value {
				t.Fatalf("Do = %v, %v", out, err)
			}
			got := m.seen()[0]
			want := Meta{ClientRequestID: got.header.Get("client-request-id"), RequestID: "rid-1", Status: 200, Date: date, Took: meta.Took}
			if diff := cmp.Diff(want, meta); diff != "" || meta.Took <= 0 {
				t.Errorf("Meta (-want +got), took %v:\n%s", meta.Took, diff)
			}
			if got.method != test.method || got.uri != path || got.body != test.body {
				t.Errorf("sent %s %s %q, want %s %s %q", got.method, got.uri, got.body, test.method, path, test.body)
			}
			if h := got.header.Get("Content-Type"); h != test.contentType {
				t.Errorf("Content-Type = %q, want %q", h, test.contentType)
			}
			if h := got.header.Get("Content-Length"); test.method == "POST" && test.body == "" && h != "0" {
				t.Errorf("Content-Length = %q, want 0", h)
			}
			if id := got.header.Get("client-request-id"); uuid.Validate(id) != nil || !strings.Contains(m.log.String(), id) {
				t.Errorf("client-request-id = %q, want a GUID that is in the log", id)
			}
			if log := m.log.String(); !strings.Contains(log, "rid-1") {
				t.Errorf("log lacks the request id: %s", log)
			}
		})
	}
}

func TestURLIsWhatIsCalled(t *testing.T) {
	m := start(t, ok)
	api := NewAPI(GraphService(m.service.URL+"/"), m.credential(), m.transport, Reads, m.api(Reads).log)
	if got, want := api.URL("/v1.0/x"), m.service.URL+"/v1.0/x"; got != want {
		t.Errorf("URL = %q, want %q", got, want)
	}
	if _, err := api.Do(t.Context(), "try", "GET", "/v1.0/x", nil, nil); err != nil || m.seen()[0].uri != "/v1.0/x" {
		t.Errorf("Do called %v, %v", m.seen(), err)
	}
}

func TestTokenIsFetchedOnce(t *testing.T) {
	m := start(t, ok)
	c := m.credential()
	reads, effects := m.apiOf(c, Reads), m.apiOf(c, Effects)
	for range 5 {
		if _, err := reads.Do(t.Context(), "read", "GET", "/v1.0/x", nil, nil); err != nil {
			t.Fatal(err)
		}
		if _, err := effects.Do(t.Context(), "act", "POST", "/v1.0/x", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := reads.Do(t.Context(), "read", "GET", "/v1.0/x", nil, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if m.tokens != 1 || m.discoveries != 1 || len(m.calls) != 30 {
		t.Errorf("30 calls took %d tokens and %d discoveries (%d calls seen), want 1 and 1", m.tokens, m.discoveries, len(m.calls))
	}
	ids := map[string]bool{}
	for _, call := range m.calls {
		ids[call.header.Get("client-request-id")] = true
	}
	if len(ids) != 30 {
		t.Errorf("%d client-request-ids for 30 calls", len(ids))
	}
}

func TestErrorCode(t *testing.T) {
	tests := []struct{ name, body, want string }{
		{"innerError", `{"error":{"code":"Request_ResourceNotFound","message":"Resource 'x' does not exist.","innerError":{"date":"2023-10-27T12:24:36","request-id":"r","client-request-id":"c"}}}`, "Request_ResourceNotFound"},
		{"innererror", `{"error":{"code":"Authorization_RequestDenied","message":"m","innererror":{"code":"no","request-id":"r"}}}`, "Authorization_RequestDenied"},
		{"innerError is an error first", `{"error":{"innerError":{"code":"429","date":"2020-08-18T12:51:51","message":"Please retry after","status":"429"},"code":"TooManyRequests","message":"Please retry again later."}}`, "TooManyRequests"},
		{"innerError is an error last", `{"error":{"code":"TooManyRequests","innererror":{"code":"429","innererror":{"code":"x"}}}}`, "TooManyRequests"},
		{"innerError is null", `{"error":{"code":"X","innerError":null}}`, "X"},
		{"no innerError", `{"error":{"code":"X","message":"m"}}`, "X"},
		{"no error", `{}`, ""},
		{"no body", ``, ""},
		{"HTML", `<html>Bad Gateway</html>`, ""},
		{"OAuth error", `{"error":"invalid_request","error_description":"mallory@contoso.com"}`, ""},
		{"list", `[]`, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := start(t, says(400, test.body))
			meta, err := m.api(Reads).Do(t.Context(), "try", "GET", "/v1.0/x", nil, nil)
			want := &Error{System: SystemGraph, Op: "try", Status: 400, Code: test.want, RequestID: "rid-1"}
			if diff := cmp.Diff(want, asError(t, err)); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if meta.RequestID != "rid-1" || meta.Status != 400 || meta.ClientRequestID == "" || meta.Date.IsZero() || meta.Took <= 0 {
				t.Errorf("Meta = %+v, want that of the refusal", meta)
			}
			if n := len(m.seen()); n != 1 {
				t.Errorf("asked %d times, want once", n)
			}
		})
	}
}

func asError(t *testing.T, err error) *Error {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("error is %T (%v), want *Error", err, err)
	}
	return e
}

func TestBrokenAnswers(t *testing.T) {
	tests := []struct {
		name   string
		answer http.HandlerFunc
		status int // of the *Error
	}{
		{"not JSON", says(200, `<html>Sign in to the hotel's network</html>`), 200},
		{"half of the JSON", says(200, `{"value":tr`), 200},
		{"another type", says(200, `{"value":"mallory@contoso.com"}`), 200},
		{"cut inside the body", cutShort(200, `{"value":tr`), 200},
		{"cut after whole JSON", cutShort(200, `{"value":true}`), 200},
		{"cut inside a refusal", cutShort(403, `{"error":{"code":"Auth`), 403},
		{"longer than any answer", says(200, `{"value":true,"x":"`+strings.Repeat("x", maxBody)+`"}`), 200},
	}
	for _, test := range tests {
		for _, policy := range []Retry{Reads, Effects} {
			t.Run(test.name, func(t *testing.T) {
				m := start(t, test.answer)
				var out struct{ Value bool }
				_, err := m.api(policy).Do(t.Context(), "try", "POST", "/v1.0/x", nil, &out)
				e := asError(t, err)
				if e.Status != test.status || e.RequestID != "rid-1" || e.System != SystemGraph {
					t.Errorf("error = %+v, want status %d and the request id", e, test.status)
				}
				if n := len(m.seen()); policy == Effects && n != 1 {
					t.Errorf("asked %d times, want once", n)
				}
			})
		}
	}
}

func TestEmptyAnswerIsNoError(t *testing.T) {
	for _, status := range []int{200, 204} {
		m := start(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		var out struct{ Value *bool }
		meta, err := m.api(Effects).Do(t.Context(), "try", "POST", "/v1.0/x", nil, &out)
		if err != nil || out.Value != nil || meta.RequestID != "rid-1" {
			t.Errorf("%d: Do = %v, %v, %v", status, meta, out, err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host was sent %s %s with Authorization %q", r.Method, r.URL, r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, location := range []string{elsewhere.URL + "/v1.0/x", "/elsewhere", ""} {
			for _, method := range []string{"GET", "POST"} {
				m := start(t, says(status, "", "Location", location))
				_, err := m.api(Effects).Do(t.Context(), "try", method, "/v1.0/x", nil, nil)
				if e := asError(t, err); e.Status != status {
					t.Errorf("%s %d to %q: error = %v, want its status", method, status, location, e)
				}
				if n := len(m.seen()); n != 1 {
					t.Errorf("%s %d to %q: asked %d times, want once", method, status, location, n)
				}
			}
		}
	}
}

func TestRedirectOfTheTokenIsNotFollowed(t *testing.T) {
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other host was sent %s %s", r.Method, r.URL)
	}))
	defer elsewhere.Close()
	m := start(t, ok)
	m.entra = says(307, "", "Location", elsewhere.URL)
	_, err := m.api(Reads).Do(t.Context(), "try", "GET", "/v1.0/x", nil, nil)
	if e := asError(t, err); e.System != SystemEntra || e.Status != 307 || len(m.seen()) != 0 {
		t.Errorf("error = %v, calls %v; want Entra's 307 and no call", e, m.seen())
	}
}

func TestContextEnds(t *testing.T) {
	for _, policy := range []Retry{Reads, Effects} {
		arrived := make(chan struct{}, 9)
		m := start(t, func(w http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			hang(w, r)
		})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		_, err := m.api(policy).Do(ctx, "try", "POST", "/v1.0/x", nil, nil)
		if e := asError(t, err); !errors.Is(err, context.Canceled) || e.Status != 0 || e.System != SystemGraph {
			t.Errorf("error = %v, want one that is context.Canceled", err)
		}
		if n := len(m.seen()); n != 1 {
			t.Errorf("asked %d times, want once", n)
		}
	}
}
