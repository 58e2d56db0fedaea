package authz

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
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
	other  = "00000000-0000-0000-0000-00000000000b"
	role   = "62e90394-69f5-4237-9190-012177145e10"
)

// account is a user as Graph has it: any property, by its documented name.
type account map[string]any

func (a account) with(pairs ...any) account {
	b := account{}
	for k, v := range a {
		b[k] = v
	}
	for i := 0; i < len(pairs); i += 2 {
		b[pairs[i].(string)] = pairs[i+1]
	}
	return b
}

// alice is an ordinary member.
var alice = account{
	"id": oid, "userPrincipalName": "alice@contoso.com", "displayName": "Alice", "mail": "alice@contoso.com",
	"userType": "Member", "creationType": nil, "accountEnabled": true,
	"signInSessionsValidFromDateTime": "2026-01-02T03:04:05Z",
}

// graph is a stand-in for Entra and Graph on one host. It knows the calls that are
// made and fails the test at any other.
type graph struct {
	t      *testing.T
	server *httptest.Server
	users  []account
	holds  []string // object ids of Global Administrators
	// in names further roles and groups that somebody is in, and strange the ids that
	// checkMemberObjects refuses to be asked about.
	in      map[string][]string
	strange []string
	// eligible are object ids of those who could activate Global Administrator.
	eligible []string
	// assigned are the pages of role assignments, as principal and scope, and groups
	// the members of groups.
	assigned [][][2]string
	groups   map[string][]account
	// next, if set, is the link on every page but the last.
	next string
	// instead answers a call of that name (user, mail, role, roles, eligible,
	// assigned, members) in another way.
	instead map[string]http.HandlerFunc
	noToken http.HandlerFunc

	mu   sync.Mutex
	uris []string // as received
	ops  []string
}

func start(t *testing.T, users ...account) *graph {
	t.Helper()
	g := &graph{t: t, users: users, instead: map[string]http.HandlerFunc{}}
	g.server = httptest.NewUnstartedServer(http.HandlerFunc(g.serve))
	g.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes that nobody waits for
	g.server.StartTLS()
	t.Cleanup(g.server.Close)
	return g
}

// directory returns the Directory under test; its Slack vouches for nobody
// unless told to.
func (g *graph) directory(vouch Vouch, o ...Options) *Directory {
	g.t.Helper()
	transport := g.server.Client().Transport
	c, err := entra.NewSecretCredential(g.server.URL, tenant, "app", "secret", transport)
	if err != nil {
		g.t.Fatal(err)
	}
	api := entra.NewAPI(entra.GraphService(g.server.URL), c, transport, entra.Reads, slog.New(slog.DiscardHandler))
	return New(vouch, api, append(o, Options{})[0])
}

// vouches returns a Vouch that has nothing against anybody.
func vouches(email string) Vouch {
	return func(context.Context, request.Origin) (request.Standing, string, request.Fault) {
		return request.Member, email, request.Fault{}
	}
}

// stands returns a Vouch that says standing of everybody.
func stands(standing request.Standing) Vouch {
	return func(context.Context, request.Origin) (request.Standing, string, request.Fault) {
		return standing, "", request.Fault{}
	}
}

// binds returns Links of everybody to one account.
func binds(id string, err error) Links {
	return func(context.Context, request.SlackUser) (string, error) { return id, err }
}

// graphClock is the time of every answer.
var graphClock = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func (g *graph) serve(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/"+tenant+"/") {
		g.serveEntra(w, r)
		return
	}
	w.Header().Set("Date", graphClock.Format(http.TimeFormat))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		g.t.Error(err)
	}
	if got := r.Header.Get("Authorization"); got != "Bearer the-token" {
		g.t.Errorf("%s: Authorization = %q", r.RequestURI, got)
	}
	op, answer := g.route(r, string(body))
	g.mu.Lock()
	g.uris, g.ops = append(g.uris, r.RequestURI), append(g.ops, op)
	g.mu.Unlock()
	w.Header().Set("request-id", "rid-"+op)
	w.Header().Set("Content-Type", "application/json")
	if f := g.instead[op]; f != nil {
		answer = f
	}
	answer(w, r)
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

var (
	plain  = regexp.MustCompile(`^/v1\.0/users/([A-Za-z0-9._@-]+)$`)
	quoted = regexp.MustCompile(`^/v1\.0/users\('((?:[^']|'')+)'\)$`)
)

// route reads a request as Graph's documentation does, once the path is decoded.
func (g *graph) route(r *http.Request, body string) (string, http.HandlerFunc) {
	path, ofRole := strings.CutSuffix(r.URL.Path, "/checkMemberObjects")
	var key string
	if m := plain.FindStringSubmatch(path); m != nil {
		key = m[1]
	} else if m := quoted.FindStringSubmatch(path); m != nil {
		key = strings.ReplaceAll(m[1], "''", "'")
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		g.t.Errorf("query of %s: %v", r.RequestURI, err)
	}
	fields := strings.Split(query.Get("$select"), ",")
	switch {
	case r.Method == "POST" && ofRole && key != "":
		return g.check(r, key, body)
	case r.Method == "GET" && !ofRole && key != "" && len(query) == 1 && body == "":
		return "user", g.user(key, fields)
	case r.Method == "GET" && path == "/v1.0/users" && len(query) == 2 && body == "":
		return "mail", g.mail(query.Get("$filter"), fields)
	}
	if op, answer := g.optional(r, query, fields); r.Method == "GET" && body == "" && answer != nil {
		return op, answer
	}
	g.t.Errorf("Graph was asked for %s %s %q", r.Method, r.RequestURI, body)
	return "other", refusal(400, "BadRequest")
}

func (g *graph) user(key string, fields []string) http.HandlerFunc {
	for _, u := range g.users {
		if u.is(key) {
			return func(w http.ResponseWriter, _ *http.Request) { write(w, u.only(fields)) }
		}
	}
	return refusal(404, "Request_ResourceNotFound")
}

func (g *graph) mail(filter string, fields []string) http.HandlerFunc {
	m := regexp.MustCompile(`^mail eq '((?:[^']|'')+)'$`).FindStringSubmatch(filter)
	if m == nil {
		g.t.Errorf("$filter = %q", filter)
		return refusal(400, "Request_UnsupportedQuery")
	}
	found := []account{}
	for _, u := range g.users {
		if strings.EqualFold(fmt.Sprint(u["mail"]), strings.ReplaceAll(m[1], "''", "'")) {
			found = append(found, u.only(fields))
		}
	}
	return func(w http.ResponseWriter, _ *http.Request) { write(w, map[string]any{"value": found}) }
}

// only is the account with the selected properties: Graph leaves out the rest.
func (a account) only(fields []string) account {
	b := account{}
	for _, f := range fields {
		if v, ok := a[f]; ok {
			b[f] = v
		}
	}
	return b
}

// asked returns the calls made, by name, sorted: two of them run side by side.
func (g *graph) asked() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(slices.Values(g.ops))
}

func write(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func refusal(status int, code string) http.HandlerFunc {
	return says(status, `{"error":{"code":"`+code+`","message":"m","innerError":{"request-id":"r"}}}`)
}

func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// together runs subtests at the same time, however few processors there are:
// nearly all of their time is waiting.
type together struct {
	t  *testing.T
	wg sync.WaitGroup
}

func (g *together) run(name string, f func(t *testing.T)) { g.wg.Go(func() { g.t.Run(name, f) }) }
