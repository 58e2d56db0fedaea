package entra

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
)

const (
	tenant   = "contoso.onmicrosoft.com"
	clientID = "11111111-2222-3333-4444-555555555555"
	secret   = "s3cr3t~of~the~app"
	token    = "eyJ0eXAi.token.sig"
)

// microsoft is a stand-in for Entra and for Graph, on two hosts, and the way to
// them. Its Entra answers as documented until entra is set; its Graph answers
// with graph.
type microsoft struct {
	t         *testing.T
	login     *httptest.Server
	service   *httptest.Server
	transport *recorder
	log       logBuffer
	entra     http.HandlerFunc
	graph     http.HandlerFunc
	kind      func(base string) Service // of the service
	proof     func(url.Values)          // checks the credential in a token request
	media     string                    // that calls of the service ask for

	mu                  sync.Mutex
	discoveries, tokens int
	calls               []call
}

// call is one request that reached Graph.
type call struct {
	method, uri, body, from string
	header                  http.Header
}

// recorder is the connection pool, and remembers the hosts it was asked for.
type recorder struct {
	*http.Transport
	mu    sync.Mutex
	hosts map[string]int
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.hosts[req.URL.Host]++
	r.mu.Unlock()
	return r.Transport.RoundTrip(req)
}

// logBuffer is what was logged; handlers may write from several goroutines.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func start(t *testing.T, graph http.HandlerFunc) *microsoft {
	t.Helper()
	return startHTTP(t, graph, false)
}

func startHTTP(t *testing.T, graph http.HandlerFunc, http2 bool) *microsoft {
	t.Helper()
	m := &microsoft{t: t, graph: graph, kind: GraphService, media: "application/json"}
	m.proof = func(form url.Values) {
		if got := form.Get("client_secret"); got != secret {
			t.Errorf("token request: client_secret = %q, want %q", got, secret)
		}
	}
	m.login = httptest.NewUnstartedServer(http.HandlerFunc(m.serveEntra))
	m.service = httptest.NewUnstartedServer(http.HandlerFunc(m.serveGraph))
	for _, s := range []*httptest.Server{m.login, m.service} {
		s.EnableHTTP2 = http2
		s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes that tests break
		s.StartTLS()
		t.Cleanup(s.Close)
	}
	m.transport = trusting(m.service)
	t.Cleanup(m.transport.CloseIdleConnections)
	return m
}

// startSharePoint is start with SharePoint where Graph was.
func startSharePoint(t *testing.T, answer http.HandlerFunc) *microsoft {
	t.Helper()
	m := start(t, answer)
	m.kind, m.media = SharePointService, "application/json;odata=nometadata"
	return m
}

// trusting returns a transport that trusts every httptest server: they share one
// certificate.
func trusting(s *httptest.Server) *recorder {
	return &recorder{Transport: s.Client().Transport.(*http.Transport).Clone(), hosts: map[string]int{}}
}

// api returns an API of the stand-in with a credential of its own.
func (m *microsoft) api(retry Retry) *API {
	m.t.Helper()
	return m.apiOf(m.credential(), retry)
}

func (m *microsoft) apiOf(c *Credential, retry Retry) *API {
	return NewAPI(m.kind(m.service.URL), c, m.transport, retry, m.logger())
}

func (m *microsoft) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(&m.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func (m *microsoft) credential() *Credential {
	m.t.Helper()
	c, err := NewSecretCredential(m.login.URL, tenant, clientID, secret, m.transport)
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

func (m *microsoft) serveEntra(w http.ResponseWriter, r *http.Request) {
	isToken := r.URL.Path == "/"+tenant+"/oauth2/v2.0/token"
	m.mu.Lock()
	if isToken {
		m.tokens++
	} else {
		m.discoveries++
	}
	m.mu.Unlock()
	if m.entra != nil && isToken {
		m.entra(w, r)
		return
	}
	switch r.Method + " " + r.URL.Path {
	case "GET /" + tenant + "/v2.0/.well-known/openid-configuration":
		writeJSON(w, map[string]string{
			"issuer":                 m.login.URL + "/" + tenant + "/v2.0",
			"authorization_endpoint": m.login.URL + "/" + tenant + "/oauth2/v2.0/authorize",
			"token_endpoint":         m.login.URL + "/" + tenant + "/oauth2/v2.0/token",
		})
	case "POST /" + tenant + "/oauth2/v2.0/token":
		if err := r.ParseForm(); err != nil {
			m.t.Errorf("token request: %v", err)
		}
		for field, want := range map[string]string{"grant_type": "client_credentials", "client_id": clientID} {
			if got := r.PostForm.Get(field); got != want {
				m.t.Errorf("token request: %s = %q, want %q", field, got, want)
			}
		}
		m.proof(r.PostForm)
		if scopes := strings.Fields(r.PostForm.Get("scope")); len(scopes) == 0 || scopes[0] != m.service.URL+"/.default" {
			m.t.Errorf("token request: scope = %q, want %s/.default first", scopes, m.service.URL)
		}
		writeJSON(w, map[string]any{"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})
	default:
		m.t.Errorf("Entra was asked for %s %s", r.Method, r.URL.Path)
		http.NotFound(w, r)
	}
}

func (m *microsoft) serveGraph(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		m.t.Errorf("reading a request of ours: %v", err)
	}
	m.mu.Lock()
	m.calls = append(m.calls, call{method: r.Method, uri: r.RequestURI, body: string(body), from: r.RemoteAddr, header: r.Header})
	n := len(m.calls)
	m.mu.Unlock()
	if got, want := r.Header.Get("Authorization"), "Bearer "+token; got != want {
		m.t.Errorf("call %d: Authorization = %q, want %q", n, got, want)
	}
	if got := r.Header.Get("Accept"); got != m.media {
		m.t.Errorf("call %d: Accept = %q", n, got)
	}
	w.Header().Set("request-id", fmt.Sprint("rid-", n))
	m.graph(w, r)
}

func (m *microsoft) seen() []call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]call(nil), m.calls...)
}

func (m *microsoft) tokenRequests() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tokens
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

// script answers the first request with the first answer and so on; the last
// answer is given to all that follow.
func script(answers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		answer := answers[min(n, len(answers)-1)]
		n++
		mu.Unlock()
		answer(w, r)
	}
}

// says answers with a status, a body, and headers given as name, value, ...
func says(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// cut drops the connection before a word is said.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// cutShort drops the connection inside the body.
func cutShort(status int, half string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(half)+100))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, half)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// hang says nothing for as long as the caller waits.
// hang never answers: a handler that just returned would say 200, which a client
// that is closing the connection may still read.
func hang(_ http.ResponseWriter, r *http.Request) {
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

func errorBody(code string) string {
	return `{"error":{"code":"` + code + `","message":"Words that are not to be relied on.","innerError":{"date":"2025-02-13T10:17:06","request-id":"r","client-request-id":"c"}}}`
}

var (
	ok        = says(200, `{"value":true}`)
	throttled = says(429, errorBody("TooManyRequests"), "Retry-After", "0")
)

// together runs subtests at the same time, however few processors there are:
// nearly all of their time is waiting.
type together struct {
	t  *testing.T
	wg sync.WaitGroup
}

func (g *together) run(name string, f func(t *testing.T)) { g.wg.Go(func() { g.t.Run(name, f) }) }
