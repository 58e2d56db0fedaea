package store

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// A replica that does not answer: nothing is promised, and no lease is taken that
// nobody may work on. What was written stands, and is safe once a later write is.
func TestWaitSaysWhenAReplicaIsSilent(t *testing.T) {
	t.Parallel()
	servers := redistest.StartReplicated(t, 1)
	s := openWaiting(t, servers.Master.URL(0), 1)
	create(t, s, "old", due(time.Hour))
	create(t, s, "due", due(0))

	servers.Replicas[0].Pause(t)
	err := s.Create(t.Context(), request.Request{ID: "new"}, record("create"))
	if !errors.Is(err, request.ErrNotReplicated) || errors.Is(err, request.ErrUnavailable) {
		t.Errorf("Create = %v, want ErrNotReplicated alone", err)
	}
	next, err := s.Update(t.Context(), "old", record("update"))
	if !errors.Is(err, request.ErrNotReplicated) || next.Version != 2 {
		t.Errorf("Update = version %d, %v; want what was written and ErrNotReplicated", next.Version, err)
	}
	if n := count(t, s); n != 2 {
		t.Errorf("%d records on the master, want both", n)
	}
	// Also where the connection is new, and so has not written anything.
	for name, s := range map[string]*Redis{"known": s, "new": openWaiting(t, servers.Master.URL(0), 1)} {
		if r, err := s.Claim(t.Context(), time.Minute); !errors.Is(err, request.ErrNotReplicated) {
			t.Errorf("Claim on a %s connection = %s, %v; want ErrNotReplicated", name, r.ID, err)
		}
	}
	if r := get(t, s, "due"); r.Lease.Fence != "" || r.Version != 1 {
		t.Errorf("a lease was taken that nobody may work on: version %d", r.Version)
	}

	servers.Replicas[0].Continue(t)
	servers.Await(t)
	if err := s.Create(t.Context(), request.Request{ID: "newer"}, record("create")); err != nil {
		t.Errorf("Create with the replica back = %v", err)
	}
	if _, err := s.Update(t.Context(), "new", record("update")); err != nil {
		t.Errorf("Update with the replica back = %v", err)
	}
	if r, err := s.Claim(t.Context(), time.Minute); err != nil || r.ID != "due" {
		t.Errorf("Claim with the replica back = %s, %v; want due", r.ID, err)
	}
}

// A delivery that comes again is acknowledged only when what it stands for is safe: a
// replayed press was accepted once, and lost in a failover.
func TestWaitHoldsForAReplayedDelivery(t *testing.T) {
	t.Parallel()
	servers := redistest.StartReplicated(t, 1)
	service := request.NewService(openWaiting(t, servers.Master.URL(0), 1), nil, nil, nil,
		request.Policy{TTL: time.Hour}, request.SideBySide, slog.New(slog.DiscardHandler))
	by := request.Origin{SlackUser: request.SlackUser{Team: "T1", User: "UALICE"}, Channel: "C1"}
	deliver := map[string]func() error{
		"command": func() error {
			return service.Ask(t.Context(), "asked", request.Command{User: "mallory@contoso.com"}, by)
		},
		"press": func() error {
			return service.Press(t.Context(), "asked", request.Press{Key: "k1", Verb: request.Confirm, By: by, MessageTS: "1.1"})
		},
		"press on no request": func() error {
			return service.Press(t.Context(), "gone", request.Press{Key: "k2", Verb: request.Confirm, By: by, MessageTS: "1.1"})
		},
	}
	order := []string{"command", "press", "press on no request"}

	servers.Replicas[0].Pause(t)
	for _, delivery := range []string{"first", "second"} {
		for _, what := range order {
			if err := deliver[what](); !errors.Is(err, request.ErrNotReplicated) {
				t.Errorf("%s, %s delivery: %v, want ErrNotReplicated", what, delivery, err)
			}
		}
	}
	servers.Replicas[0].Continue(t)
	servers.Await(t)
	for _, what := range order {
		if err := deliver[what](); err != nil {
			t.Errorf("%s with the replica back: %v", what, err)
		}
	}
}

// WAIT is about the writes of its own connection: on another one it says yes at once,
// whatever the replica has. So the write and its WAIT have to share one.
func TestWaitSharesTheConnectionOfItsWrite(t *testing.T) {
	t.Parallel()
	servers := redistest.StartReplicated(t, 1)
	opts, err := redis.ParseURL(servers.Master.URL(0))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(opts)
	defer client.Close()
	wrote, other := client.Conn(), client.Conn()
	defer wrote.Close()
	defer other.Close()
	const within = 100 * time.Millisecond
	// A pooled connection was used before, and what was written then has arrived.
	if err := other.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := other.Wait(t.Context(), 1, time.Second).Result(); n != 1 || err != nil {
		t.Fatalf("WAIT = %d, %v; want 1", n, err)
	}
	servers.Links[0].Hold()
	if err := wrote.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := other.Wait(t.Context(), 1, within).Result(); n != 1 || err != nil {
		t.Errorf("WAIT elsewhere = %d, %v: it no longer lies, and this test has lost its reason", n, err)
	}
	if n, err := wrote.Wait(t.Context(), 1, within).Result(); n != 0 || err != nil {
		t.Errorf("WAIT on the write's connection = %d, %v; want 0: the replica cannot have it", n, err)
	}
	servers.Links[0].Release()

	// Eight writers share a pool, and Redis's own log says who sent what.
	s := openWaiting(t, servers.Master.URL(0), 1)
	create(t, s, "r1", due(time.Hour))
	seen := watch(t, servers.Master)
	const writers, writes = 8, 20
	together(writers, func(int) {
		for range writes {
			if _, err := s.Update(t.Context(), "r1", record("step")); err != nil {
				t.Errorf("Update = %v", err)
			}
		}
	})
	before := map[string]string{} // connection -> what it sent last
	waits := 0
	for _, c := range seen() {
		if c.name == "wait" {
			waits++
			if before[c.from] != "evalsha "+s.swap.Hash() {
				t.Errorf("WAIT from %s after %q, want after the swap", c.from, before[c.from])
			}
		}
		before[c.from] = c.name
		if len(c.args) > 0 {
			before[c.from] += " " + c.args[0]
		}
	}
	if waits < writers*writes {
		t.Errorf("%d WAITs for %d writes", waits, writers*writes)
	}
	if len(before) < 2 {
		t.Errorf("%d connections: the test proves nothing", len(before))
	}
}
