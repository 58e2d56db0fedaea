package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/sandbox"
	"github.com/revoke-session/revoke-session/internal/store"
)

// network is a network in memory: nobody in it waits on a socket, so that virtual time
// goes on.
type network struct {
	mu        sync.Mutex
	listeners map[string]*pipeListener
	next      int
}

type pipeListener struct {
	addr   *net.TCPAddr
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *network) listen(string) (net.Listener, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.next++
	l := &pipeListener{
		addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: n.next}, conns: make(chan net.Conn), closed: make(chan struct{}),
	}
	n.listeners[l.addr.String()] = l
	return l, nil
}

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.listeners[address]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("nobody listens on %s", address)
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, fmt.Errorf("nobody listens on %s any more", address)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return l.addr }

// bubble is one world in virtual time: the whole production wiring, the stand-ins, and
// a Redis in memory that runs our scripts.
type bubble struct {
	t     *testing.T
	net   network
	world *sandbox.Sandbox
	redis *miniredis.Miniredis
	logs  syncBuffer
}

func inBubble(t *testing.T, story func(t *testing.T, b *bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{t: t, net: network{listeners: map[string]*pipeListener{}}, redis: miniredis.NewMiniRedis()}
		b.redis.ClockTTL(true)
		defer b.redis.Close()
		world, err := sandbox.Start(sandbox.Options{Listen: b.net.listen, Dial: b.net.dial})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = world.Close() }()
		b.world = world
		story(t, b)
	})
}

// start runs one replica of the bot and returns how to stop it.
func (b *bubble) start(extra ...string) (stop func()) {
	b.t.Helper()
	var set settings
	set.assign(append(append(b.world.Env(), "REDIS_URL=redis://127.0.0.1:1/0"), extra...))
	c, err := set.config()
	if err != nil {
		b.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(b.world.CAPEM())
	transport := newTransport()
	transport.Proxy, transport.DialContext = nil, b.net.dial
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	client := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:1", MaxRetries: -1, ContextTimeoutEnabled: true, DisableIdentity: true,
		Dialer: func(context.Context, string, string) (net.Conn, error) { return b.redis.Dial() },
	})
	running, err := newBot(c, store.NewRedis(client, 0, audit.Chain), transport, slog.New(slog.NewJSONHandler(&b.logs, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		b.t.Fatal(err)
	}
	l, err := b.net.listen("")
	if err != nil {
		b.t.Fatal(err)
	}
	b.world.SetBot("http://" + l.Addr().String())
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- running.serve(ctx, l) }()
	return func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, http.ErrServerClosed) {
			b.t.Errorf("stopping: %v", err)
		}
		transport.CloseIdleConnections()
	}
}

// say is alice sending a command.
func (b *bubble) say(text string) {
	b.t.Helper()
	d, err := b.world.Say(b.t.Context(), "alice", incident, text)
	if err != nil || d.Status != http.StatusOK {
		b.t.Fatalf("alice says %q: %+v, %v", text, d, err)
	}
}

// card is the newest message with no parent.
func (b *bubble) card() sandbox.Message {
	for _, m := range slices.Backward(b.world.State().Messages) {
		if !isReply(m) {
			return m
		}
	}
	b.t.Fatalf("no card\n%s", b.logs.String())
	return sandbox.Message{}
}

// press is bob pressing a button of the card.
func (b *bubble) press(label string) {
	b.t.Helper()
	d, err := b.world.Press(b.t.Context(), "bob", b.card().TS, label)
	if err != nil || d.Status != http.StatusOK {
		b.t.Fatalf("bob presses %s: %+v, %v", label, d, err)
	}
}

// wait lets virtual time go on and everything happen that is due.
func (b *bubble) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (b *bubble) threadSays(want string) {
	b.t.Helper()
	for _, m := range b.world.State().Messages {
		if isReply(m) && m.ThreadTS == b.card().TS && strings.Contains(m.Plain, want) {
			return
		}
	}
	b.t.Errorf("the thread does not say %q\n%s\n%s", want, chat(b.world.State()), b.logs.String())
}

// An hour of virtual time with the whole production wiring and one fault after the
// other: nothing is lost, nothing runs twice, what waits expires on its card.
func TestAnHourWithFaults(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		stop := b.start()
		began := time.Now()

		b.say("/revoke-session mallory@contoso.com")
		b.wait(time.Second)
		b.world.SetFault(sandbox.Fault{Name: "come later", System: "graph", Match: "revokeSignInSessions", Status: 429, RetryAfter: 20 * time.Second, Times: 1})
		b.world.SetFault(sandbox.Fault{Name: "silent", System: "slack", Match: "users.info", Hang: true, Times: 1})
		b.press("Confirm")
		b.wait(5 * time.Second) // of which Slack says nothing for three and a half
		if card := b.card(); !strings.Contains(card.Plain, "tries again by itself at") {
			t.Errorf("card while Microsoft asks to wait: %s", card.Plain)
		}
		b.wait(20 * time.Second)
		b.threadSays("It can take up to an hour to sign out mallory@contoso.com")

		// The effect is there, its answer is lost, and so are Slack's answers to posts.
		b.world.SetFault(sandbox.Fault{Name: "lost", System: "graph", Match: "revokeSignInSessions", Drop: true, Times: 1})
		b.world.SetFault(sandbox.Fault{Name: "lost posts", System: "slack", Match: "chat.postMessage", Drop: true, Times: 2})
		b.say("/revoke-session heidi@contoso.com")
		b.wait(10 * time.Second)
		b.press("Confirm")
		b.wait(10 * time.Minute) // with both settling passes
		b.threadSays("It can take up to an hour to sign out heidi@contoso.com")

		// A replica that stops hands over at once, also in the middle of a wait.
		b.world.SetFault(sandbox.Fault{Name: "come later", System: "graph", Match: "revokeSignInSessions", Status: 503, RetryAfter: 10 * time.Second, Times: 1})
		b.say("/revoke-session mallory@contoso.com")
		b.wait(time.Second)
		b.press("Confirm")
		b.wait(2 * time.Second)
		stop()
		stop = b.start()
		b.wait(15 * time.Second)
		b.threadSays("It can take up to an hour to sign out mallory@contoso.com")

		// Slack is down for a while; then the card expires, fifteen minutes after it was
		// asked for.
		b.say("/revoke-session heidi@contoso.com")
		b.wait(time.Second)
		b.world.SetFault(sandbox.Fault{Name: "down", System: "slack", Status: 503})
		b.wait(16 * time.Minute)
		b.world.ClearFaults()
		b.wait(2 * time.Minute)
		if card := b.card(); !strings.Contains(card.Plain, "Expired") || len(card.Buttons) > 0 {
			t.Errorf("an old card: %s %v", card.Plain, card.Buttons)
		}
		b.wait(time.Hour - time.Since(began))
		stop()

		state := b.world.State()
		if state.Revoked["mallory@contoso.com"] != 2 || state.Revoked["heidi@contoso.com"] != 1 {
			t.Errorf("revoked %v, want mallory twice and heidi once", state.Revoked)
		}
		results := 0
		for _, m := range state.Messages {
			if isReply(m) && sentences.MatchString(m.Plain) {
				results++
			}
		}
		if results != 3 || len(state.Messages) != 4+3 {
			t.Errorf("%d results in %d messages, want three under four cards\n%s", results, len(state.Messages), chat(state))
		}
	})
}

// What has ended is forgotten after its time, and only then; what waits is not, however
// long it waits.
func TestRetention(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bubble) {
		stop := b.start("RETENTION=1h", "REQUEST_TTL=24h")
		defer func() { stop() }()
		count := func(with, without string) int {
			n := 0
			for _, key := range b.redis.Keys() {
				if strings.Contains(key, with) && !strings.Contains(key, without) {
					n++
				}
			}
			return n
		}
		requests := func() int { return count(":r:", ":r:note/") }
		asked := func() int { return count(":r:note/asked/", "?") }
		b.say("/revoke-session mallory@contoso.com")
		b.wait(time.Second)
		b.press("Cancel")
		b.wait(time.Second)
		b.say("/revoke-session heidi@contoso.com")
		b.wait(time.Second)
		if n := requests(); n != 2 {
			t.Fatalf("%d requests, want 2", n)
		}
		b.wait(50 * time.Minute)
		if n := requests(); n != 2 {
			t.Errorf("%d requests within the retention, want 2", n)
		}
		if n := asked(); n != 1 {
			t.Errorf("%d people's requests are counted, want 1", n)
		}
		b.wait(20 * time.Minute)
		if n := requests(); n != 1 {
			t.Errorf("%d requests after it, want the one that waits", n)
		}
		if n := asked(); n != 0 {
			t.Errorf("%d people's requests are counted after an hour, want none", n)
		}
		b.press("Confirm")
		b.wait(10 * time.Second)
		b.threadSays("It can take up to an hour to sign out heidi@contoso.com")
	})
}
