package store

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// did is one answered operation of a history. Each write makes a version of its own, so
// the versions are the order that a search (porcupine) would have to find, and checking
// it is enough.
type did struct {
	kind       string // "update", "claim" or "get"
	start, end time.Time
	after      request.Request
	event      string // of an update
}

type history struct {
	mu     sync.Mutex
	ops    map[request.ID][]did
	unsure map[string]bool // events of updates of which nobody knows
}

func (h *history) add(d did) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops[d.after.ID] = append(h.ops[d.after.ID], d)
}

var ids = []request.ID{"a", "b", "c"}

func createAll(t *testing.T, s contract) {
	t.Helper()
	for _, id := range ids {
		create(t, s, id, due(-time.Hour))
	}
}

// play has many at work on few requests: they count, claim, give back and read.
func (h *history) play(t *testing.T, s contract, seed uint64) {
	t.Helper()
	together(8, func(w int) {
		rng := rand.New(rand.NewPCG(seed, uint64(w)))
		for n := range 40 {
			id, event, start := ids[rng.IntN(len(ids))], fmt.Sprintf("%d.%d", w, n), time.Now()
			d := did{kind: "update", event: event}
			var err error
			switch k := rng.IntN(10); {
			case k < 5:
				release := rng.IntN(2) == 0
				d.after, err = s.Update(t.Context(), id, func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
					r.Attempts++
					if release {
						r.Lease = request.Lease{}
					}
					return r, []request.Record{{Time: now, Request: id, Event: event}}, nil
				})
			case k < 8:
				d.kind = "claim"
				d.after, err = s.Claim(t.Context(), []time.Duration{time.Hour, time.Millisecond}[rng.IntN(2)])
			case k < 9:
				d.kind = "get"
				d.after, err = s.Get(t.Context(), id)
			default:
				if n, err := s.Sweep(t.Context()); n != 0 || err != nil && !h.tolerates() {
					t.Errorf("Sweep of a whole index = %d, %v", n, err)
				}
				continue
			}
			d.start, d.end = start, time.Now()
			switch {
			case err == nil:
				h.add(d)
			case errors.Is(err, request.ErrNothingDue), errors.Is(err, request.ErrUnavailable) && h.tolerates():
			case h.tolerates():
				h.mu.Lock()
				h.unsure[event] = true
				h.mu.Unlock()
			default:
				t.Errorf("%s = %v", d.kind, err)
			}
		}
	})
}

// tolerates says that answers are lost on the way.
func (h *history) tolerates() bool { return h.unsure != nil }

// check holds every request's history against its versions and its record.
func (h *history) check(t *testing.T, s contract) {
	t.Helper()
	if _, err := (audit.Against{}).Verify(s.Records(t.Context(), 1)); err != nil {
		t.Fatal(err)
	}
	recorded := map[request.ID][]string{}
	for _, line := range lines(t, s) {
		var e audit.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		recorded[e.Request] = append(recorded[e.Request], e.Event)
	}
	for id, ops := range h.ops {
		slices.SortStableFunc(ops, func(a, b did) int {
			if a.after.Version != b.after.Version {
				return cmp.Compare(a.after.Version, b.after.Version)
			}
			// A write comes before those who read it.
			return cmp.Or(cmp.Compare(isRead(a), isRead(b)), a.start.Compare(b.start))
		})
		h.inOrder(t, id, ops)
		h.oneByOne(t, id, ops, recorded[id])
		if last := get(t, s, id); last.Attempts != len(recorded[id]) {
			t.Errorf("%s counts %d, and %d updates are recorded", id, last.Attempts, len(recorded[id]))
		}
	}
}

func isRead(d did) int {
	if d.kind == "get" {
		return 1
	}
	return 0
}

// inOrder checks that nothing that had ended is behind something that began later.
func (h *history) inOrder(t *testing.T, id request.ID, ops []did) {
	t.Helper()
	var began time.Time // the latest beginning so far
	for _, d := range ops {
		if d.end.Before(began) {
			t.Errorf("%s: %s of version %d had ended before an earlier version was begun", id, d.kind, d.after.Version)
		}
		if d.start.After(began) {
			began = d.start
		}
	}
}

// oneByOne checks that each version follows from the one before, and that the record
// has the updates in the same order, each once.
func (h *history) oneByOne(t *testing.T, id request.ID, ops []did, events []string) {
	t.Helper()
	last := request.Request{Version: 1} // as created
	var updates []string
	for _, d := range ops {
		r := d.after
		whole := r.Version == last.Version+1
		switch {
		case d.kind == "get":
			if r.Version == last.Version && (r.Attempts != last.Attempts || r.Lease.Fence != last.Lease.Fence) {
				t.Errorf("%s: read %+v of version %d, written was %+v", id, r.Lease, r.Version, last.Lease)
			}
			if r.Version > last.Version && !h.tolerates() {
				t.Errorf("%s: read version %d, which nobody wrote", id, r.Version)
			}
			last = r
			continue
		case r.Version == last.Version && !h.tolerates(), r.Version < last.Version, !whole && !h.tolerates():
			t.Errorf("%s: version %d after %d", id, r.Version, last.Version)
		case d.kind == "update" && whole && r.Attempts != last.Attempts+1:
			t.Errorf("%s: version %d counts %d after %d", id, r.Version, r.Attempts, last.Attempts)
		case d.kind == "claim" && whole && (r.Attempts != last.Attempts || r.Lease.Fence == last.Lease.Fence):
			t.Errorf("%s: claim %d changed the request, or not the fence", id, r.Version)
		case d.kind == "claim" && whole && last.Lease.Fence != "" && r.Lease.At.Before(last.Lease.Until):
			t.Errorf("%s: claim %d at %v, and the lease before ends at %v", id, r.Version, r.Lease.At, last.Lease.Until)
		}
		if d.kind == "update" {
			updates = append(updates, d.event)
		}
		last = r
	}
	seen := map[string]bool{}
	for _, e := range events {
		if seen[e] {
			t.Errorf("%s: update %s was applied twice", id, e)
		}
		seen[e] = true
	}
	certain := slices.DeleteFunc(slices.Clone(events), func(e string) bool { return h.unsure[e] })
	if !slices.Equal(certain, updates) {
		t.Errorf("%s: the record has %v, the versions have %v", id, certain, updates)
	}
}

// Many at work on few requests: every answer fits one order, which is also the order
// of the record.
func TestConcurrentHistory(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		h := &history{ops: map[request.ID][]did{}}
		createAll(t, s)
		h.play(t, s, 1)
		h.check(t, s)
	})
}

// The same where one reply in thirty is lost on the way: whoever is told that a write
// stands finds it there once, and nothing is applied twice.
func TestConcurrentHistoryWithLostReplies(t *testing.T) {
	server := redistest.StartServer(t)
	for seed := range uint64(3) {
		direct := emptied(t, openRedis(t, server.URL(0)))
		proxy := newLossyProxy(t, server.Addr)
		s := openRedis(t, "redis://"+proxy.addr+"/0")
		h := &history{ops: map[request.ID][]did{}, unsure: map[string]bool{}}
		createAll(t, s)
		proxy.oneIn.Store(30)
		h.play(t, s, seed)
		proxy.oneIn.Store(0)
		h.check(t, direct)
		t.Logf("seed %d: %d replies lost, %d updates unsure", seed, proxy.losses.Load(), len(h.unsure))
	}
}
