package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
)

// load is a number of writers that each ask for one request after another and approve
// it, with what the store has told them.
type load struct {
	stop chan struct{}
	done sync.WaitGroup

	mu       sync.Mutex
	created  []request.ID // acknowledged
	approved []request.ID // acknowledged
	refused  []request.ID // ErrUnavailable: certainly nothing was written
	unsure   int          // any other error
	last     error
	cut      time.Time // when the server was killed
	back     time.Time // the first acknowledgment of a write begun after that
	after    int       // acknowledgments of such writes
}

func startLoad(t *testing.T, s contract, writers int) *load {
	t.Helper()
	l := &load{stop: make(chan struct{})}
	ctx := context.WithoutCancel(t.Context())
	for w := range writers {
		l.done.Go(func() {
			for n := 0; ; n++ {
				pause := time.Duration(0)
				if !l.one(ctx, s, request.ID(fmt.Sprintf("w%d-%d", w, n))) {
					pause = 20 * time.Millisecond // it will not be better at once
				}
				select {
				case <-l.stop:
					return
				case <-time.After(pause):
				}
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// one asks and approves, each within the time that the worker has for a write.
func (l *load) one(ctx context.Context, s contract, id request.ID) bool {
	step := func(to *[]request.ID, write func(ctx context.Context) error) bool {
		ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
		defer cancel()
		start := time.Now()
		err := write(ctx)
		l.told(id, to, start, err)
		return err == nil
	}
	asked := step(&l.created, func(ctx context.Context) error {
		return s.Create(ctx, request.Request{ID: id, State: request.Pending}, record("create"))
	})
	return asked && step(&l.approved, func(ctx context.Context) error {
		_, err := s.Update(ctx, id, func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
			r.State = request.Approved
			return record("approve")(r, now)
		})
		return err
	})
}

func (l *load) told(id request.ID, to *[]request.ID, start time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.last = err
	}
	switch {
	case err == nil:
		*to = append(*to, id)
		if !l.cut.IsZero() && start.After(l.cut) {
			if l.after++; l.after == 1 {
				l.back = time.Now()
			}
		}
	case !errors.Is(err, request.ErrUnavailable):
		l.unsure++
	case to == &l.created:
		l.refused = append(l.refused, id)
	}
}

// until waits for a number of acknowledgments, of writes begun after the cut if there
// was one.
func (l *load) until(t *testing.T, n int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); ; <-tick.C {
		l.mu.Lock()
		got := len(l.created) + len(l.approved)
		if !l.cut.IsZero() {
			got = l.after
		}
		last := l.last
		l.mu.Unlock()
		if got >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d writes acknowledged in 30 s, want %d; last error: %v", got, n, last)
		}
	}
}

// kill runs what ends the server, under load.
func (l *load) kill(end func()) {
	end()
	l.mu.Lock()
	l.cut = time.Now()
	l.mu.Unlock()
}

func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.done.Wait()
}

// missing counts what was acknowledged and is not there, and fails the test where the
// store is not whole: a broken chain, a step recorded twice or without its request, or
// something written of which was said that nothing was.
func (l *load) missing(t *testing.T, s contract) (requests, approvals int) {
	t.Helper()
	if _, err := (audit.Against{}).Verify(s.Records(t.Context(), 1)); err != nil {
		t.Errorf("the chain: %v", err)
	}
	recorded := map[string]int{}
	for _, line := range lines(t, s) {
		var e audit.Entry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		recorded[string(e.Request)+" "+e.Event]++
	}
	for what, n := range recorded {
		if n != 1 {
			t.Errorf("%s stands %d times in the record", what, n)
		}
	}
	is := func(id request.ID, event string, state request.State) bool {
		r, err := s.Get(t.Context(), id)
		if err != nil && !errors.Is(err, request.ErrNotFound) {
			t.Fatal(err)
		}
		stands := err == nil && (r.State == state || r.State == request.Approved)
		if in := recorded[string(id)+" "+event] == 1; in != stands {
			t.Errorf("%s: written %t and recorded %t, which is one write", id, stands, in)
		}
		return stands
	}
	for _, id := range l.created {
		if !is(id, "create", request.Pending) {
			requests++
		}
	}
	for _, id := range l.approved {
		if !is(id, "approve", request.Approved) {
			approvals++
		}
	}
	for _, id := range l.refused {
		if is(id, "create", request.Pending) {
			t.Errorf("%s was written, and its writer told that nothing was", id)
		}
	}
	return requests, approvals
}
