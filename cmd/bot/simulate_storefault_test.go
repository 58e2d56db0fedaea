package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

var errOnlyRead = errors.New("nothing was written")

// ask puts one question to the database.
func (c *client) ask(ctx context.Context, what string, o operation) reply {
	var got reply
	d := c.p.s.store
	c.p.ask(ctx, storing, what, func(call *call) { d.serve(ctx, call, o, &got) })
	return got
}

// serve carries an operation out, or lets it fail in one of the ways in which that
// happens: not done, done without an answer, done later, done and not replicated.
func (d *database) serve(ctx context.Context, c *call, o operation, got *reply) {
	s := d.s
	fail := func(err error, within time.Duration, how string) {
		*got = reply{err: err}
		c.w.trouble()
		s.tracef("p%d %s: %s", c.p.id, c.what, how)
		s.answer(c, within)
	}
	if d.forgets > 0 {
		d.forget()
	}
	patience := 2 * time.Second // of the client
	if deadline, ok := ctx.Deadline(); ok {
		patience = max(0, min(patience, time.Until(deadline)))
	}
	switch {
	case ctx.Err() != nil:
		fail(request.ErrUnavailable, 0, "too late to ask")
		return
	case time.Now().Before(d.upAt):
		fail(request.ErrUnavailable, s.between(time.Millisecond, max(patience, time.Millisecond)), "the store is down")
		return
	case s.chance(s.plan.storeAway, "store unavailable"):
		fail(request.ErrUnavailable, s.between(time.Millisecond, max(patience, time.Millisecond)), "the store is not reached")
		return
	case o.late != nil && s.chance(s.plan.storeLate, "store write late"):
		if do := o.late(d.memory); do != nil {
			server := d.memory
			s.after(patience+s.between(time.Millisecond, 20*time.Second), "late: "+c.what, func() {
				if d.memory != server {
					return // it was for a server that is no more
				}
				r, err := do(d.memory)
				s.tracef("late %s: %v", c.what, err)
				if err == nil {
					d.wrote(r)
				}
			})
		}
		fail(errAnswerLost, patience+time.Microsecond, "is carried out late")
		return
	}
	r, err := o.run(d.memory)
	*got = reply{r, err}
	if err != nil {
		s.tracef("p%d %s: %v", c.p.id, c.what, err)
		s.answer(c, 0)
		return
	}
	w := d.wrote(r)
	d.observe(c, w)
	s.tracef("p%d %s: %s v%d due %s%s", c.p.id, c.what, r.State, r.Version, d.in(r.WakeAt()), d.heard(r))
	if s.chance(s.plan.storeLost, "store answer lost") {
		fail(errAnswerLost, patience+time.Microsecond, "its answer is lost")
		return
	}
	if !s.plan.wait {
		s.answer(c, 0)
		return
	}
	c.onFailover = func() { fail(errAnswerLost, time.Second, "its answer is lost in the failover") }
	if wait := time.Until(w.safe); wait <= storeWait {
		s.answer(c, wait)
		return
	}
	s.faults["not replicated in time"]++
	c.w.trouble()
	got.err = fmt.Errorf("%w: 0 of 1 replicas have it", request.ErrNotReplicated)
	s.tracef("p%d %s: not replicated yet", c.p.id, c.what)
	s.answer(c, storeWait)
}

// observe notes what only the world can see of a write.
func (d *database) observe(c *call, w written) {
	if c.what == "claim" {
		if at, ok := d.orphans[w.r.ID]; ok {
			d.s.stats.takeOver(time.Since(at))
			delete(d.orphans, w.r.ID)
		}
	}
}

// orphaned notes that the process behind a claim has ended.
func (d *database) orphaned(c *claim) {
	if w, ok := d.latest[c.id]; ok && w.r.Lease.Fence == c.fence && c.fence != "" {
		d.orphans[c.id] = time.Now()
	}
}

// adopt begins to count anew how long orphans wait.
func (d *database) adopt() {
	for id := range d.orphans {
		d.orphans[id] = time.Now()
	}
}

func (d *database) in(wake time.Time) string {
	if wake.IsZero() {
		return "never"
	}
	return "in " + wake.Sub(d.now()).Round(time.Millisecond).String()
}

func (d *database) heard(r request.Request) string {
	text := ""
	if len(r.Presses)+len(r.Replies) > 0 {
		text += fmt.Sprintf(" presses %d replies %d", len(r.Presses), len(r.Replies))
	}
	if r.Card.TS != "" {
		text += " card " + r.Card.TS
	}
	if r.Thread.ResultTS != "" {
		text += " result " + r.Thread.ResultTS
	}
	return text
}
