package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
)

// forgetful loses one reply in so many: the connection ends instead.
type forgetful struct {
	net.Conn
	losses *atomic.Int64
	oneIn  *atomic.Int64
	ended  atomic.Bool
}

func (c *forgetful) Read(b []byte) (int, error) {
	if c.ended.Load() {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b)
	if one := c.oneIn.Load(); err == nil && one > 0 && rand.Int64N(one) == 0 {
		c.losses.Add(1)
		c.ended.Store(true)
		return 0, io.EOF
	}
	return n, err
}

// virtual is our scripts and go-redis on a Redis in this process, in a bubble whose
// clock is Redis's TIME as well.
func virtual(t *testing.T) (s *Redis, losses, oneIn *atomic.Int64) {
	t.Helper()
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)
	t.Cleanup(m.Close)
	losses, oneIn = &atomic.Int64{}, &atomic.Int64{}
	client := redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:6379", // a name would be looked up, outside the bubble
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			conn, err := m.Dial()
			return &forgetful{Conn: conn, losses: losses, oneIn: oneIn}, err
		},
		MaxRetries: -1, ContextTimeoutEnabled: true,
	})
	t.Cleanup(func() { _ = client.Close() })
	return NewRedis(client, 0, audit.Chain), losses, oneIn
}

// lookEvery is how often a worker looks for something due.
const lookEvery = 4 * time.Second

// shift is what three workers saw in an hour.
type shift struct {
	mu     sync.Mutex
	order  []request.ID                 // first claims
	leases map[request.ID]request.Lease // the last one
	waits  []time.Duration              // from the end of a lease to its takeover
	late   map[request.ID]time.Duration // from due to the first claim
	done   map[request.ID]bool
}

func (h *shift) claimed(t *testing.T, r request.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if last, again := h.leases[r.ID]; again {
		h.waits = append(h.waits, r.Lease.At.Sub(last.Until))
		if r.Lease.At.Before(last.Until) || r.Lease.Fence == last.Fence {
			t.Errorf("%s was claimed at %v, and the lease before ends at %v", r.ID, r.Lease.At, last.Until)
		}
	} else {
		h.order = append(h.order, r.ID)
		h.late[r.ID] = r.Lease.At.Sub(r.Due)
	}
	h.leases[r.ID] = r.Lease
}

// An hour of virtual time: sixty requests come due one after another, workers die with
// one in four, replies are lost, and each request is finished once, in its turn.
func TestAnHourOfLeases(t *testing.T) {
	for _, oneIn := range []int64{0, 40} {
		t.Run(fmt.Sprintf("one reply in %d lost", oneIn), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, losses, lose := virtual(t)
				const requests, lease = 60, 30 * time.Second
				for i := range requests {
					n := (i * 37) % requests // in no order
					create(t, s, request.ID(fmt.Sprintf("r%02d", n)), due(time.Duration(n)*time.Minute+time.Second))
				}
				lose.Store(oneIn)
				h := &shift{leases: map[request.ID]request.Lease{}, late: map[request.ID]time.Duration{}, done: map[request.ID]bool{}}
				end := time.Now().Add(65 * time.Minute)
				together(3, func(w int) { h.work(t, s, end, lease, rand.New(rand.NewPCG(uint64(w), 8))) })
				lose.Store(0)
				h.check(t, s, requests, oneIn > 0)
				t.Logf("%d replies lost, %d takeovers", losses.Load(), len(h.waits))

				time.Sleep(25 * time.Hour) // virtual
				if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
					t.Errorf("Sweep = %d, %v", n, err)
				}
				if _, err := s.Get(t.Context(), "r00"); !errors.Is(err, request.ErrNotFound) {
					t.Errorf("Get after it may be forgotten = %v, want ErrNotFound", err)
				}
			})
		})
	}
}

func (h *shift) work(t *testing.T, s *Redis, end time.Time, lease time.Duration, rng *rand.Rand) {
	for time.Now().Before(end) {
		r, err := s.Claim(t.Context(), lease)
		if err != nil {
			time.Sleep(lookEvery)
			continue
		}
		h.claimed(t, r)
		if rng.IntN(4) == 0 {
			continue // it dies, and the lease with it
		}
		time.Sleep(time.Duration(rng.Int64N(int64(5 * time.Second))))
		_, err = s.Update(t.Context(), r.ID, func(now request.Request, at time.Time) (request.Request, []request.Record, error) {
			if now.Lease.Fence != r.Lease.Fence {
				return now, nil, request.ErrLeaseLost
			}
			now.Lease, now.Due, now.Forget = request.Lease{}, time.Time{}, at.Add(24*time.Hour)
			return record("done")(now, at)
		})
		if err == nil {
			h.mu.Lock()
			h.done[r.ID] = true
			h.mu.Unlock()
		}
	}
}

func (h *shift) check(t *testing.T, s *Redis, requests int, lossy bool) {
	t.Helper()
	if n := count(t, s); n != uint64(requests) {
		t.Errorf("%d requests were finished, want each of %d once", n, requests)
	}
	if n, err := s.client.ZCard(t.Context(), keyDueSet).Result(); n != 0 || err != nil {
		t.Errorf("%d are still due, %v", n, err)
	}
	if lossy { // a claim whose answer was lost is nobody's, for one lease
		return
	}
	for i, id := range h.order {
		if want := request.ID(fmt.Sprintf("r%02d", i)); id != want {
			t.Errorf("claim %d was of %s, want %s", i, id, want)
		}
	}
	for id, d := range h.late {
		if d < 0 || d > lookEvery+time.Second {
			t.Errorf("%s was claimed %v after it was due", id, d)
		}
	}
	if len(h.waits) == 0 {
		t.Error("nobody died: the test proves nothing")
	}
	for _, d := range h.waits {
		if d > lookEvery+time.Second {
			t.Errorf("taken over %v after the end of the lease", d)
		}
	}
}
