package sandbox

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// fixture is a running sandbox and the clients a bot would have.
type fixture struct {
	*Sandbox
	t   *testing.T
	env map[string]string
	tls *http.Client
}

func start(t *testing.T) *fixture {
	t.Helper()
	return startWith(t, "")
}

func startWith(t *testing.T, credential string) *fixture {
	t.Helper()
	s, err := Start(Options{Credential: credential})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	env := map[string]string{}
	for _, kv := range s.Env() {
		key, value, _ := strings.Cut(kv, "=")
		env[key] = value
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(s.CAPEM()) {
		t.Fatal("CAPEM holds no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &fixture{Sandbox: s, t: t, env: env, tls: &http.Client{Transport: transport, Timeout: 10 * time.Second}}
}

// answer is a decoded JSON object.
type answer map[string]any

func (a answer) text(keys ...string) string {
	var v any = map[string]any(a)
	for _, key := range keys {
		m, _ := v.(map[string]any)
		v = m[key]
	}
	s, _ := v.(string)
	return s
}

func decode(t *testing.T, r io.Reader) answer {
	t.Helper()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		t.Fatalf("answer is no JSON object: %v\n%s", err, raw)
	}
	return a
}

// api calls a Web API method with the bot token in the form.
func (f *fixture) api(method string, pairs ...string) answer {
	f.t.Helper()
	fields := url.Values{"token": {f.env["SLACK_BOT_TOKEN"]}}
	for i := 0; i < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
	}
	response, err := http.PostForm(f.env["SLACK_API_URL"]+method, fields)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	return decode(f.t, response.Body)
}

// post posts a message that has to be accepted and returns its ts.
func (f *fixture) post(pairs ...string) string {
	f.t.Helper()
	a := f.api("chat.postMessage", pairs...)
	if a["ok"] != true {
		f.t.Fatalf("chat.postMessage: %v", a)
	}
	return a.text("ts")
}

func (f *fixture) token(scope string) answer {
	f.t.Helper()
	_, a := f.tokenFor("client_secret", f.env["AZURE_CLIENT_SECRET"], "scope", scope)
	return a
}

// tokenFor asks for a token, for Graph unless pairs say otherwise. A value of
// "" takes a field away.
func (f *fixture) tokenFor(pairs ...string) (int, answer) {
	f.t.Helper()
	fields := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {f.env["AZURE_CLIENT_ID"]}, "scope": {f.env["GRAPH_URL"] + "/.default"},
	}
	for i := 0; i < len(pairs); i += 2 {
		fields.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			fields.Del(pairs[i])
		}
	}
	response, err := f.tls.PostForm(f.env["AZURE_AUTHORITY_HOST"]+"/"+f.env["AZURE_TENANT_ID"]+"/oauth2/v2.0/token", fields)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, decode(f.t, response.Body)
}

// later moves the clock of the sandbox.
func (f *fixture) later(by time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.now = func() time.Time { return time.Now().Add(by) }
}

func (f *fixture) graphToken() string {
	f.t.Helper()
	a := f.token(f.env["GRAPH_URL"] + "/.default openid offline_access profile")
	if a.text("access_token") == "" {
		f.t.Fatalf("no token: %v", a)
	}
	return a.text("access_token")
}

// graphRequest asks Graph with the given bearer token.
func (f *fixture) graphRequest(token, method, path, body string) (*http.Response, answer) {
	f.t.Helper()
	request, err := http.NewRequestWithContext(f.t.Context(), method, f.env["GRAPH_URL"]+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := f.tls.Do(request)
	if err != nil {
		f.t.Fatal(err)
	}
	defer response.Body.Close()
	return response, decode(f.t, response.Body)
}

// received is a request that reached the bot.
type received struct {
	path   string
	header http.Header
	body   string
}

func (r received) form(t *testing.T) url.Values {
	t.Helper()
	fields, err := url.ParseQuery(r.body)
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

func (r received) payload(t *testing.T) answer {
	t.Helper()
	return decode(t, strings.NewReader(r.form(t).Get("payload")))
}

// bot is a listener that keeps what it gets and answers as told.
type bot struct {
	mu     sync.Mutex
	got    []received
	answer http.HandlerFunc
}

func (f *fixture) bot(answer http.HandlerFunc) *bot {
	b := &bot{answer: answer}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		b.mu.Lock()
		b.got = append(b.got, received{path: r.URL.Path, header: r.Header.Clone(), body: string(body)})
		b.mu.Unlock()
		if b.answer != nil {
			b.answer(w, r)
		}
	}))
	f.t.Cleanup(server.Close)
	f.SetBot(server.URL)
	return b
}

func (b *bot) last(t *testing.T) received {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.got) == 0 {
		t.Fatal("nothing reached the bot")
	}
	return b.got[len(b.got)-1]
}

const card = `[{"type":"section","text":{"type":"mrkdwn","text":"End the sessions of *mallory*?"}},
{"type":"actions","block_id":"verbs","elements":[
{"type":"button","action_id":"confirm","value":"r1","style":"danger","text":{"type":"plain_text","text":"Confirm now"},
 "confirm":{"title":{"type":"plain_text","text":"Sure?"},"text":{"type":"plain_text","text":"All devices."},"confirm":{"type":"plain_text","text":"Yes"},"deny":{"type":"plain_text","text":"No"}}},
{"type":"button","action_id":"cancel","value":"r1","text":{"type":"plain_text","text":"Cancel"}}]}]`
