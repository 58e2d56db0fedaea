package main

import (
	"bytes"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"
)

// Where the processes of a cell think that Slack and Microsoft are. All have the same
// addresses, since a plan names them, and each its own proxy on the way there: so it is
// known whose call it is. The names are those in the certificate of httptest.
const (
	crashSlack = "https://slack.example.com"
	crashEntra = "https://login.example.com"
	crashGraph = "https://graph.example.com"
)

// crashRelay is the proxy of one replica. It opens what passes and hands it on to the
// stand-ins, if the watch lets it.
type crashRelay struct {
	watch    *crashWatch
	member   *crashMember
	upstream http.RoundTripper
	there    map[string]string // our origins to the stand-ins'
	proxy    *httptest.Server
	inner    *httptest.Server
}

func newCrashRelay(w *crashWatch, m *crashMember, env []string, upstream http.RoundTripper) *crashRelay {
	r := &crashRelay{watch: w, member: m, upstream: upstream, there: map[string]string{
		crashSlack: strings.TrimSuffix(crashSetting(env, "SLACK_API_URL"), "/api/"),
		crashEntra: crashSetting(env, "AZURE_AUTHORITY_HOST"),
		crashGraph: crashSetting(env, "GRAPH_URL"),
	}}
	tunnels := &crashTunnels{conns: make(chan net.Conn), ended: make(chan struct{})}
	r.inner = &httptest.Server{Listener: tunnels, Config: &http.Server{
		Handler: http.HandlerFunc(r.call), ErrorLog: log.New(io.Discard, "", 0), // the dead leave handshakes behind
	}}
	r.inner.StartTLS()
	r.proxy = httptest.NewServer(connectTo(tunnels))
	return r
}

func (r *crashRelay) close() {
	r.inner.CloseClientConnections()
	r.inner.Close()
	r.proxy.Close()
}

// env is what a process needs to go through the relay.
func (r *crashRelay) env(caFile string) []string {
	return []string{
		"HTTPS_PROXY=" + r.proxy.URL, "SSL_CERT_FILE=" + caFile,
		"SLACK_API_URL=" + crashSlack + "/api/", "AZURE_AUTHORITY_HOST=" + crashEntra, "GRAPH_URL=" + crashGraph,
	}
}

// caPEM is the certificate of every relay.
func (r *crashRelay) caPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.inner.Certificate().Raw})
}

func crashSetting(env []string, name string) string {
	for _, kv := range env {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// call hands one call on, in two halves. Its process may be gone meanwhile: what was
// sent arrives all the same.
func (r *crashRelay) call(w http.ResponseWriter, req *http.Request) {
	origin, l := "https://"+req.Host, r.member.now()
	body, err := io.ReadAll(req.Body)
	if err != nil || r.there[origin] == "" {
		panic(http.ErrAbortHandler)
	}
	what := crashCallName(origin, req)
	n, counted := 0, what != "Slack auth.test" // which is no part of a conversation
	if counted {
		var goesOn bool
		if n, goesOn = r.watch.begin(l, what); !goesOn {
			panic(http.ErrAbortHandler)
		}
	}
	out, err := http.NewRequest(req.Method, r.there[origin]+req.URL.RequestURI(), bytes.NewReader(r.translate(body, true)))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Header = req.Header.Clone()
	out.Header.Del("Accept-Encoding")
	resp, err := r.upstream.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || counted && !r.watch.pass(l, crashMoment{what, n, crashAfter}) {
		panic(http.ErrAbortHandler)
	}
	for name, values := range resp.Header {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(r.translate(answer, false))
}

// translate replaces addresses, as they stand and as they stand in forms.
func (r *crashRelay) translate(text []byte, out bool) []byte {
	for from, to := range r.there {
		if !out {
			from, to = to, from
		}
		text = bytes.ReplaceAll(text, []byte(from), []byte(to))
		text = bytes.ReplaceAll(text, []byte(url.QueryEscape(from)), []byte(url.QueryEscape(to)))
	}
	return text
}

// crashCallName is what a call is called in the names of cells.
func crashCallName(origin string, req *http.Request) string {
	last := path.Base(req.URL.Path)
	switch {
	case origin == crashEntra:
		return "Entra " + last
	case origin == crashSlack && !strings.HasPrefix(req.URL.Path, "/api/"):
		return "Slack response_url"
	case origin == crashSlack:
		return "Slack " + last
	case strings.HasSuffix(path.Dir(req.URL.Path), "/users"):
		return "Graph user"
	}
	return "Graph " + last
}

// connectTo opens tunnels, whose other end is a listener of ours.
func connectTo(tunnels *crashTunnels) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodConnect {
			http.Error(w, "only tunnels", http.StatusMethodNotAllowed)
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
			_ = conn.Close()
			return
		}
		select {
		case tunnels.conns <- conn:
		case <-tunnels.ended:
			_ = conn.Close()
		}
	})
}

// crashTunnels is a listener whose connections come from somewhere else.
type crashTunnels struct {
	conns chan net.Conn
	ended chan struct{}
	once  sync.Once
}

func (t *crashTunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.ended:
		return nil, net.ErrClosed
	}
}

func (t *crashTunnels) Close() error {
	t.once.Do(func() { close(t.ended) })
	return nil
}

func (t *crashTunnels) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
