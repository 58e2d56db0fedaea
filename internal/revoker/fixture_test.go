package revoker

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

const (
	tenant = "contoso.onmicrosoft.com"
	oid    = "00000000-0000-0000-0000-00000000000a"
)

var (
	before = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	moved  = time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC)
	clock  = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC) // Graph's
)

// graph is a stand-in for Entra, Graph and SharePoint on one host, with one user in
// it. It answers the revocations of either kind and the read-backs each with their
// script, the last answer to all that follow, and fails the test at any other call.
type graph struct {
	t       *testing.T
	server  *httptest.Server
	posts   []answer
	gets    []answer
	states  []answer // SharePoint's
	noToken http.HandlerFunc

	mu        sync.Mutex
	validFrom time.Time
	calls     []string // method and URL, as received
	nPosts    int
	nGets     int
	nStates   int
}

type answer func(g *graph, w http.ResponseWriter, r *http.Request)

func start(t *testing.T) *graph {
	t.Helper()
	g := &graph{t: t, validFrom: before, posts: []answer{yes}, gets: []answer{current}, states: []answer{says(200, `{"State":4}`)}}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(g.serve))
	g.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	g.server.StartTLS()
	t.Cleanup(g.server.Close)
	return g
}

// kinds of revokers by the setting that chooses them.
func (g *graph) revokers() map[string]request.Revoker {
	g.t.Helper()
	transport := g.server.Client().Transport
	c, err := entra.NewSecretCredential(g.server.URL, tenant, "app", "secret", transport)
	if err != nil {
		g.t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	reads := entra.NewAPI(entra.GraphService(g.server.URL), c, transport, entra.Reads, log)
	byGraph := NewGraph(entra.NewAPI(entra.GraphService(g.server.URL), c, transport, entra.Effects, log), reads, tenant, entra.Backoff)
	bySharePoint := NewSharePoint(entra.NewAPI(entra.SharePointService(g.server.URL), c, transport, entra.Effects, log), reads, tenant, entra.Backoff)
	return map[string]request.Revoker{"graph": byGraph, "sharepoint": bySharePoint, "both": NewBoth(bySharePoint, byGraph)}
}

func (g *graph) revoker() request.Revoker { return g.revokers()["graph"] }

func (g *graph) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/"+tenant+"/") {
		g.serveEntra(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Error(err)
	}
	if got := r.Header.Get("Authorization"); got != "Bearer the-token" || r.Header.Get("client-request-id") == "" {
		g.t.Errorf("%s: Authorization = %q, client-request-id = %q", r.RequestURI, got, r.Header.Get("client-request-id"))
	}
	g.mu.Lock()
	g.calls = append(g.calls, r.Method+" "+g.server.URL+r.RequestURI)
	var say answer
	var id string
	switch r.Method + " " + r.RequestURI {
	case "POST /v1.0/users/" + oid + "/revokeSignInSessions":
		if len(body) != 0 || r.ContentLength != 0 || r.Header.Get("Content-Type") != "application/json" {
			g.t.Errorf("revocation with %q, Content-Length %d, Content-Type %q", body, r.ContentLength, r.Header.Get("Content-Type"))
		}
		say = g.posts[min(g.nPosts, len(g.posts)-1)]
		g.nPosts++
		id = fmt.Sprint("post-", g.nPosts)
	case "GET /v1.0/users/" + oid + "?$select=id,signInSessionsValidFromDateTime":
		say = g.gets[min(g.nGets, len(g.gets)-1)]
		g.nGets++
		id = fmt.Sprint("get-", g.nGets)
	case "POST " + revokeAll:
		if string(body) != `{"userName":"mallory@contoso.com"}` {
			g.t.Errorf("SharePoint was sent %q", body)
		}
		say = g.states[min(g.nStates, len(g.states)-1)]
		g.nStates++
		id = fmt.Sprint("sp-", g.nStates)
	default:
		g.t.Errorf("Graph was asked for %s %s", r.Method, r.RequestURI)
		say = refuse(400, "BadRequest")
	}
	g.mu.Unlock()
	w.Header().Set("request-id", id)
	w.Header().Set("Date", clock.Format(http.TimeFormat))
	w.Header().Set("Content-Type", "application/json")
	say(g, w, r)
}

func (g *graph) serveEntra(w http.ResponseWriter, r *http.Request) {
	base := g.server.URL + "/" + tenant
	switch {
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		write(w, map[string]string{"issuer": base + "/v2.0", "authorization_endpoint": base + "/authorize", "token_endpoint": base + "/token"})
	case g.noToken != nil:
		g.noToken(w, r)
	default:
		write(w, map[string]any{"token_type": "Bearer", "expires_in": 3599, "access_token": "the-token"})
	}
}

// revoke is the effect.
func (g *graph) revoke() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.validFrom = moved
}

// counts returns how many revocations and read-backs arrived.
func (g *graph) counts() (posts, gets int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nPosts, g.nGets
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

const valueTrue = `{"@odata.context":"https://graph.microsoft.com/v1.0/$metadata#Edm.Boolean","value":true}`

// Answers to a revocation. yes has the effect, true alone only says so.
var (
	yes = afterEffect(says(200, valueTrue))
	cut = answer(func(*graph, http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	// half is an answer whose end is lost.
	half = answer(func(_ *graph, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"value":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	// hang never answers, also not when its client goes away.
	hang = answer(func(_ *graph, _ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler)
	})
	throttled = refuse(429, "TooManyRequests")
	fault500  = refuse(500, "InternalServerError")
)

// current answers a read-back with what is so, stale with what was.
func current(g *graph, w http.ResponseWriter, _ *http.Request) {
	g.mu.Lock()
	at := g.validFrom
	g.mu.Unlock()
	write(w, map[string]any{"id": oid, "signInSessionsValidFromDateTime": at})
}

func stale(_ *graph, w http.ResponseWriter, _ *http.Request) {
	write(w, map[string]any{"id": oid, "signInSessionsValidFromDateTime": before})
}

// afterEffect answers with a, after the effect has taken place.
func afterEffect(a answer) answer {
	return func(g *graph, w http.ResponseWriter, r *http.Request) {
		g.revoke()
		a(g, w, r)
	}
}

func says(status int, body string) answer {
	return func(_ *graph, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// withRetryAfter is a, which asks to come back after so many seconds.
func withRetryAfter(seconds string, a answer) answer {
	return func(g *graph, w http.ResponseWriter, r *http.Request) {
		a(g, &retryAfterWriter{w, seconds}, r)
	}
}

type retryAfterWriter struct {
	http.ResponseWriter
	seconds string
}

func (w *retryAfterWriter) WriteHeader(status int) {
	w.Header().Set("Retry-After", w.seconds)
	w.ResponseWriter.WriteHeader(status)
}

func refuse(status int, code string) answer {
	return says(status, `{"error":{"code":"`+code+`","message":"m","innerError":{"request-id":"r"}}}`)
}

// together runs subtests at the same time, however few processors there are:
// nearly all of their time is waiting.
type together struct {
	t  *testing.T
	wg sync.WaitGroup
}

func (g *together) run(name string, f func(t *testing.T)) { g.wg.Go(func() { g.t.Run(name, f) }) }
