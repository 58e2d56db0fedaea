package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
)

// Stores have clocks of their own, so what the model test writes lies so far from
// today that they agree on what is due and in which order.
var (
	longAgo = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	oneDay  = time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC)
)

var errBoom = errors.New("boom")

// decision is what one step of the model test does to a request. Every store is asked
// for the same ones.
type decision struct {
	user    string
	records int
	due     *time.Time
	forget  *time.Time
	lease   time.Duration // renewed for that long, where somebody has one; 0 leaves it
	release bool
	fails   bool
}

func (d decision) update(step int) request.UpdateFunc {
	return func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
		r.Command.User = d.user
		if d.due != nil {
			r.Due = *d.due
		}
		if d.forget != nil {
			r.Forget = *d.forget
		}
		if d.lease != 0 && r.Lease.Fence != "" {
			r.Lease.At, r.Lease.Until = now, now.Add(d.lease)
		}
		if d.release {
			r.Lease = request.Lease{}
		}
		var recs []request.Record
		for i := range d.records {
			recs = append(recs, request.Record{
				Time: longAgo.Add(time.Duration(step) * time.Second), Request: r.ID, Event: fmt.Sprintf("step %d.%d", step, i), State: r.State,
			})
		}
		if d.fails {
			return r, recs, errBoom
		}
		return r, recs, nil
	}
}

func randomDecision(rng *rand.Rand) decision {
	d := decision{user: fmt.Sprint("user", rng.IntN(1000)), records: max(0, rng.IntN(5)-1), fails: rng.IntN(8) == 0}
	pick := func(some ...time.Time) *time.Time { return &some[rng.IntN(len(some))] }
	past := longAgo.Add(time.Duration(rng.IntN(50)) * time.Second) // the same more than once: then the id decides
	switch rng.IntN(3) {
	case 0:
		d.due = pick(past, past, oneDay, time.Time{})
	case 1:
		d.forget = pick(oneDay, oneDay.Add(time.Hour), time.Time{})
	}
	switch rng.IntN(5) {
	case 0:
		d.lease = time.Hour
	case 1:
		d.lease = -time.Hour // it has ended
	case 2, 3:
		d.release = true
	}
	return d
}

// pair is a store and its model.
type pair struct {
	store contract
	model *Memory
}

// step does the same to both and returns what each says.
func (p pair) step(t *testing.T, rng *rand.Rand, n int) (what string, got, want any) {
	ctx := t.Context()
	id := request.ID(fmt.Sprint("r", rng.IntN(9)))
	d := randomDecision(rng)
	answer := func(r request.Request, err error) any { return saying(t, r, err) }
	switch k := rng.IntN(20); {
	case k < 3:
		r := request.Request{ID: id, State: request.Received}
		return fmt.Sprintf("Create(%s, %+v)", id, d),
			known(t, p.store.Create(ctx, r, d.update(n))), known(t, p.model.Create(ctx, r, d.update(n)))
	case k < 12:
		return fmt.Sprintf("Update(%s, %+v)", id, d),
			answer(p.store.Update(ctx, id, d.update(n))), answer(p.model.Update(ctx, id, d.update(n)))
	case k < 17:
		lease := []time.Duration{time.Hour, -time.Hour}[rng.IntN(2)]
		return fmt.Sprintf("Claim(%v)", lease), answer(p.store.Claim(ctx, lease)), answer(p.model.Claim(ctx, lease))
	case k < 19:
		return fmt.Sprintf("Get(%s)", id), answer(p.store.Get(ctx, id)), answer(p.model.Get(ctx, id))
	}
	gotN, gotErr := p.store.Sweep(ctx)
	wantN, wantErr := p.model.Sweep(ctx)
	return "Sweep()", fmt.Sprint(gotN, gotErr), fmt.Sprint(wantN, wantErr)
}

// said is an answer with what the JSON of a request leaves out.
type said struct {
	Request request.Request
	Version int64
	Lease   string
	Err     string
}

func saying(t *testing.T, r request.Request, err error) said {
	t.Helper()
	r = plain(r)
	return said{Request: r, Version: r.Version, Lease: r.Lease.Fence, Err: known(t, err)}
}

// differ shows a difference, if there is one. Comparing the JSON first is many times
// faster than cmp.
func differ(want, got any) string {
	a, errA := json.Marshal(want)
	b, errB := json.Marshal(got)
	if errA == nil && errB == nil && bytes.Equal(a, b) {
		return ""
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty())
}

// plain is a request with what must be the same everywhere: fences are random, and
// the ends of leases are counted from clocks that differ.
func plain(r request.Request) request.Request {
	if r.Lease.Fence == "" {
		r.Lease = request.Lease{}
		return r
	}
	over := r.Lease.Until.Before(time.Now())
	r.Lease = request.Lease{Fence: "held"}
	if over {
		r.Lease.Fence = "over"
	}
	return r
}

func known(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	for _, want := range []error{request.ErrExists, request.ErrNotFound, request.ErrNothingDue, errBoom} {
		if errors.Is(err, want) {
			return want.Error()
		}
	}
	t.Fatalf("unexpected error: %v", err)
	return ""
}

// Every store answers a random conversation as the model does, and both end up with
// the same requests, the same order of what is due, and byte for byte the same record.
func TestStoresAgreeWithTheModel(t *testing.T) {
	const seeds = 4
	eachRoom(t, func(t *testing.T, room room) {
		start := time.Now()
		for seed := range uint64(seeds) {
			rng := rand.New(rand.NewPCG(seed, 4))
			p := pair{store: room.open(t), model: NewMemory(audit.Chain, time.Now)}
			for n := range room.steps / seeds {
				what, got, want := p.step(t, rng, n)
				if diff := differ(want, got); diff != "" {
					t.Fatalf("seed %d, step %d: %s differs (-model +store):\n%s", seed, n, what, diff)
				}
			}
			p.compare(t)
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		t.Logf("%d steps in %v", room.steps, time.Since(start).Round(time.Millisecond))
	})
}

func (p pair) compare(t *testing.T) {
	t.Helper()
	for i := range 9 {
		id := request.ID(fmt.Sprint("r", i))
		got, gotErr := p.store.Get(t.Context(), id)
		want, wantErr := p.model.Get(t.Context(), id)
		if diff := differ(saying(t, want, wantErr), saying(t, got, gotErr)); diff != "" {
			t.Errorf("%s ends differently (-model +store):\n%s", id, diff)
		}
	}
	for range 20 { // more than there are
		got, gotErr := p.store.Claim(t.Context(), time.Hour)
		want, wantErr := p.model.Claim(t.Context(), time.Hour)
		if got.ID != want.ID || known(t, gotErr) != known(t, wantErr) {
			t.Errorf("due is %q, %v; the model says %q, %v", got.ID, gotErr, want.ID, wantErr)
		}
		if wantErr != nil {
			break
		}
	}
	if got, want := lines(t, p.store), lines(t, p.model); !bytes.Equal(bytes.Join(got, []byte("\n")), bytes.Join(want, []byte("\n"))) {
		t.Errorf("the record differs (-model +store):\n%s", cmp.Diff(want, got))
	}
	if n := count(t, p.store); n == 0 {
		t.Error("there is no record: the test proves nothing")
	}
}

func lines(t *testing.T, s contract) [][]byte {
	t.Helper()
	var all [][]byte
	for line, err := range s.Records(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	return all
}
