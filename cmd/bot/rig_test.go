package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// rig is a running bot whose record can be read, and whose calls can be held, while
// it runs.
type rig struct {
	t       *testing.T
	world   *sandbox.Sandbox
	base    string
	file    string // of the store
	store   closingStore
	logs    *syncBuffer
	calls   *tap
	halt    func()
	lines   uint64 // of the record that were looked at
	answers int    // to people that were looked at
}

// startRig starts a bot with settings beside the sandbox's, and waits until it knows
// its workspace.
func startRig(t *testing.T, extra ...string) *rig {
	t.Helper()
	r := startRigAt(t, func(*rig) {}, extra...)
	if err := awaitReadiness(r.base, http.StatusOK); err != nil {
		t.Fatal(err)
	}
	return r
}

// startRigAt starts one after arrange, which can hold its first calls.
func startRigAt(t *testing.T, arrange func(*rig), extra ...string) *rig {
	t.Helper()
	world, err := sandbox.Start(sandbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, world: world, base: "http://" + l.Addr().String(), file: filepath.Join(t.TempDir(), "state.db"), logs: &syncBuffer{}}
	var set settings
	set.assign(append(append(world.Env(), "STATE_FILE="+r.file, "PUBLIC_URL="+r.base, "HOURLY_REQUESTS=0"), extra...))
	c, err := set.config()
	if err != nil {
		t.Fatal(err)
	}
	world.RegisterRedirect(strings.TrimSuffix(set.PublicURL, "/") + "/link/callback")
	transport, err := trusting(world.CAPEM())
	if err != nil {
		t.Fatal(err)
	}
	r.calls = &tap{next: transport}
	if r.store, err = openStore(c); err != nil {
		t.Fatal(err)
	}
	b, err := newBot(c, r.store, r.calls, slog.New(slog.NewJSONHandler(r.logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	world.SetBot(r.base)
	arrange(r)
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- b.serve(ctx, l) }()
	r.halt = sync.OnceFunc(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(r.halt)
	return r
}

func (r *rig) await(what string, cond func(sandbox.State) bool) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	state, err := r.world.Await(ctx, cond)
	if err != nil {
		r.t.Fatalf("waited for %s in vain\nchat:\n%s\nbot's log:\n%s", what, chat(state), r.logs)
	}
}

func (r *rig) taken(d sandbox.Delivery, err error) {
	r.t.Helper()
	if err = errors.Join(err, d.Err); err != nil || d.Status != http.StatusOK {
		r.t.Fatalf("delivery: %+v, %v", d, err)
	}
}

func (r *rig) say(person, text string) {
	r.t.Helper()
	r.taken(r.world.Say(r.t.Context(), person, incident, text))
}

// press presses a button of the card as it was first seen: Slack still delivers that
// after the buttons have gone.
func (r *rig) press(person string, card sandbox.Message, label string) {
	r.t.Helper()
	r.taken(r.world.PressSeen(r.t.Context(), person, card, label))
}

// ask is a command of alice's, and the card that comes of it.
func (r *rig) ask(upn string) (card sandbox.Message) {
	r.t.Helper()
	before, re := len(r.world.State().Messages), regexp.MustCompile("Sign out everywhere: "+regexp.QuoteMeta(upn))
	r.say("alice", "/revoke-session "+upn)
	r.await("a card about "+upn, func(s sandbox.State) bool {
		var found bool
		card, found = newCard(s, before, re)
		return found && len(card.Buttons) == 3
	})
	return card
}

// newCard is the newest message with no parent, if it is not among the first ones.
func newCard(s sandbox.State, before int, re *regexp.Regexp) (sandbox.Message, bool) {
	for i := len(s.Messages) - 1; i >= before; i-- {
		if m := s.Messages[i]; !isReply(m) && re.MatchString(m.Plain) {
			return m, true
		}
	}
	return sandbox.Message{}, false
}

func cardNow(s sandbox.State, card sandbox.Message) string {
	for _, m := range s.Messages {
		if m.TS == card.TS {
			return m.Plain
		}
	}
	return ""
}

func inThread(s sandbox.State, card sandbox.Message, re *regexp.Regexp) bool {
	for _, m := range s.Messages {
		if isReply(m) && m.ThreadTS == card.TS && re.MatchString(m.Plain) {
			return true
		}
	}
	return false
}

// told waits until person was answered anew, and returns the answer.
func (r *rig) told(person, pattern string) (answer sandbox.Ephemeral) {
	r.t.Helper()
	re := regexp.MustCompile("(?s)" + pattern)
	r.await(person+" to be told "+pattern, func(s sandbox.State) bool {
		for _, e := range s.Ephemerals[r.answers:] {
			if e.To == person && e.Via != "command" && re.MatchString(e.Plain) {
				answer = e
				return true
			}
		}
		return false
	})
	return answer
}

// newAnswers are the private answers since the last look, without the
// acknowledgments of commands.
func (r *rig) newAnswers() (all []sandbox.Ephemeral) {
	state := r.world.State()
	for _, e := range state.Ephemerals[r.answers:] {
		if e.Via != "command" {
			all = append(all, e)
		}
	}
	r.answers = len(state.Ephemerals)
	return all
}

// decisions are the lines of the record since the last look that say what the gate
// decided.
func (r *rig) decisions() (all []audit.Entry) {
	r.t.Helper()
	for line, err := range r.store.Records(r.t.Context(), r.lines+1) {
		if err != nil {
			r.t.Fatal(err)
		}
		var e audit.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			r.t.Fatal(err)
		}
		r.lines = e.Seq
		if e.Decision != "" {
			all = append(all, e)
		}
	}
	return all
}

// look forgets what there was until now.
func (r *rig) look() {
	r.decisions()
	r.newAnswers()
}

func (r *rig) visitor() visitor { return visitor{r.world, r.world.Browser()} }

// link lets person link the account that another one signs in to.
func (r *rig) link(person, as string) {
	r.t.Helper()
	r.signIn(person, as, r.linkTicket(person), "Linked")
}

// linkTicket is a fresh ticket with which a person can link an account.
func (r *rig) linkTicket(person string) string {
	r.t.Helper()
	r.newAnswers()
	r.say(person, "/revoke-session link")
	return ticketIn(r.told(person, "which Microsoft account is yours"))
}

func ticketIn(e sandbox.Ephemeral) string {
	for _, b := range e.Buttons {
		if b.URL != "" {
			return b.URL
		}
	}
	return ""
}

// signIn uses a ticket up to the end.
func (r *rig) signIn(person, as, ticket, want string) {
	r.t.Helper()
	v := r.visitor()
	page, err := v.signIn(r.t.Context(), ticket, as)
	if mustVisit(r.t, page, err).grant == "" {
		r.t.Fatalf("%s signs in as %s, and the page offers nothing: %q\n%s", person, as, page.text, r.logs)
	}
	page, err = v.agree(r.base, page)
	if mustVisit(r.t, page, err); !strings.Contains(page.text, want) {
		r.t.Fatalf("%s signs in as %s and agrees, and the page says %q, want %q", person, as, page.text, want)
	}
}

func revocations(s sandbox.State) (n int) {
	for _, k := range s.Revoked {
		n += k
	}
	return n
}

// tap is the way of all calls of the bot. It can hold them, and keeps what they said.
type tap struct {
	next http.RoundTripper
	mu   sync.Mutex
	hold func(*http.Request) bool
	held chan struct{} // closed once one is held
	free chan struct{} // closed to let them go
	said strings.Builder
	keep bool
}

// RoundTrip implements http.RoundTripper.
func (p *tap) RoundTrip(req *http.Request) (*http.Response, error) {
	p.mu.Lock()
	if p.hold != nil && p.hold(req) {
		select {
		case <-p.held:
		default:
			close(p.held)
		}
		free := p.free
		p.mu.Unlock()
		select {
		case <-free:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
		p.mu.Lock()
	}
	keep := p.keep
	p.mu.Unlock()
	if !keep {
		return p.next.RoundTrip(req)
	}
	return p.recorded(req)
}

func (p *tap) recorded(req *http.Request) (*http.Response, error) {
	var sent []byte
	if req.Body != nil {
		var err error
		if sent, err = io.ReadAll(req.Body); err != nil {
			return nil, err
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(strings.NewReader(string(sent)))
	}
	resp, err := p.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(got)))
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(&p.said, "%s %s\n%s\n%s\n%s\n", req.Method, req.URL, req.Header.Get("Authorization"), sent, got)
	return resp, err
}

// holdCalls holds the calls whose "METHOD path" a pattern matches, all but the first
// few. It returns how to wait for the first that is held, and how to let them go.
func (r *rig) holdCalls(pattern string, butFirst int) (wait, release func()) {
	re := regexp.MustCompile(pattern)
	held, free := make(chan struct{}), make(chan struct{})
	r.calls.mu.Lock()
	defer r.calls.mu.Unlock()
	r.calls.held, r.calls.free = held, free
	r.calls.hold = func(req *http.Request) bool {
		if !re.MatchString(req.Method + " " + req.URL.Path) {
			return false
		}
		butFirst--
		return butFirst < 0
	}
	wait = func() {
		r.t.Helper()
		ctx, cancel := context.WithTimeout(r.t.Context(), patience)
		defer cancel()
		select {
		case <-held:
		case <-ctx.Done():
			r.t.Fatalf("no call like %q\n%s", pattern, r.logs)
		}
	}
	release = func() {
		r.calls.mu.Lock()
		r.calls.hold = nil
		r.calls.mu.Unlock()
		close(free)
	}
	return wait, release
}

// lineOf is a decision as tests name it.
func lineOf(e audit.Entry) string {
	return fmt.Sprintf("%s %s %s %s %s", e.Event, e.Decision, e.Reason, e.Actor.Slack.User, e.Actor.ObjectID)
}
