package main

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store"
)

// database is store.Memory as one server that can fail over to a replica of itself.
// A replica has a prefix of what was written, and lags behind.
type database struct {
	s       *simulation
	memory  *store.Memory
	skew    time.Duration // of its clock
	upAt    time.Time     // it does not answer before
	writes  []written
	lines   [][]byte // of the audit record
	head    request.Head
	fresh   [][]byte // lines of the write under way
	loading bool
	latest  map[request.ID]written // by request
	order   []request.ID
	forgets time.Duration                  // a mutation: how long open requests are kept
	fence   func(r request.Request) string // a mutation: of a claim

	orphans map[request.ID]time.Time // claims whose process ended, and when
}

// written is one write that the server has taken.
type written struct {
	r    request.Request
	at   time.Time // of the world, not of the server
	safe time.Time // when the replica has it as well
	// lines and head are those of the audit record after it.
	lines int
	head  request.Head
}

var (
	errAnswerLost = errors.New("read: i/o timeout")
	errLate       = errors.New("somebody else came first")
)

const (
	storeWait = time.Second // as WAIT's limit
	storeDown = 2500 * time.Millisecond
)

func newDatabase(s *simulation) *database {
	d := &database{s: s, latest: map[request.ID]written{}, orphans: map[request.ID]time.Time{}}
	d.memory = store.NewMemory(d.chain, d.now)
	return d
}

func (d *database) now() time.Time { return time.Now().Add(d.skew).UTC() }

func (d *database) chain(head request.Head, recs []request.Record) ([][]byte, request.Head, error) {
	if d.loading {
		return nil, d.head, nil
	}
	if head == (request.Head{}) { // it was reloaded without any request
		head = d.head
	}
	lines, head, err := audit.Chain(head, recs)
	d.fresh = lines
	return lines, head, err
}

// wrote notes what a write has led to and says when the replica has it.
func (d *database) wrote(r request.Request) written {
	for _, l := range d.fresh {
		d.head = request.Head{Count: d.head.Count + 1, Hash: audit.Hash(l)}
	}
	d.lines, d.fresh = append(d.lines, d.fresh...), nil
	lag := d.s.between(200*time.Microsecond, 3*time.Millisecond)
	if d.s.chance(d.s.plan.lag, "replica lags") {
		lag = d.s.between(100*time.Millisecond, 20*time.Second)
	}
	w := written{r: r, at: time.Now(), safe: time.Now().Add(lag), lines: len(d.lines), head: d.head}
	if n := len(d.writes); n > 0 && d.writes[n-1].safe.After(w.safe) {
		w.safe = d.writes[n-1].safe
	}
	d.writes = append(d.writes, w)
	d.note(w)
	return w
}

func (d *database) note(w written) {
	if _, known := d.latest[w.r.ID]; !known {
		d.order = append(d.order, w.r.ID)
	}
	d.latest[w.r.ID] = w
}

// failover makes the replica the server, with what it has, and with its own clock.
func (d *database) failover() {
	now := time.Now()
	keep := 0
	for keep < len(d.writes) && !d.writes[keep].safe.After(now) {
		keep++
	}
	lost := len(d.writes) - keep
	d.s.tracef("the store fails over and loses %d writes", lost)
	if lost > 0 {
		d.s.faults["failover that loses writes"]++
	}
	d.restore(keep)
	d.skew += d.s.between(-3*time.Second, 3*time.Second)
	d.upAt = now.Add(d.s.between(storeDown/2, 2*storeDown))
	for _, p := range d.s.replicas {
		if p != nil {
			for _, w := range p.workers {
				w.trouble()
			}
		}
	}
	for _, c := range d.s.waiting {
		if c.onFailover != nil {
			c.onFailover()
		}
	}
}

// restore goes back to the state after the first keep writes.
func (d *database) restore(keep int) {
	d.writes = d.writes[:keep]
	d.latest, d.order = map[request.ID]written{}, nil
	before := d.lines
	d.lines, d.head = nil, request.Head{}
	for _, w := range d.writes {
		d.note(w)
	}
	if keep > 0 {
		last := d.writes[keep-1]
		d.head = last.head
		d.lines = before[:last.lines:last.lines]
	}
	d.reload()
}

// forget drops requests that have waited for long.
func (d *database) forget() {
	before := len(d.order)
	d.order = slices.DeleteFunc(d.order, func(id request.ID) bool {
		w := d.latest[id]
		old := w.r.State == request.Pending && w.r.Lease.Fence == "" && time.Since(w.at) > d.forgets
		if old {
			delete(d.latest, id)
		}
		return old
	})
	if len(d.order) < before {
		d.reload()
	}
}

// reload makes a Memory of the latest writes.
func (d *database) reload() {
	d.memory, d.loading = store.NewMemory(d.chain, d.now), true
	defer func() { d.loading = false }()
	for _, id := range d.order {
		r := d.latest[id].r
		r.Version--
		_ = d.memory.Create(context.Background(), r, func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
			return r, nil, nil
		})
	}
}

// nextDue is when the next request is due, by the world's clock.
func (d *database) nextDue() (time.Time, bool) {
	var due time.Time
	for _, id := range d.order {
		wake := d.latest[id].r.WakeAt()
		if !wake.IsZero() && (due.IsZero() || wake.Before(due)) {
			due = wake
		}
	}
	if due.IsZero() {
		return due, false
	}
	due = due.Add(-d.skew)
	for _, t := range []time.Time{time.Now(), d.upAt} {
		if t.After(due) {
			due = t
		}
	}
	return due, true
}
