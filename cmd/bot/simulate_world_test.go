package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"
)

// simulation is one world: replicas of the bot, the people, Slack and Microsoft.
// What happens in it follows from its seed alone. Everything outside the replicas
// lives in one goroutine, the scheduler's; a goroutine of a replica runs until it
// asks the outside for something, and then waits until the scheduler answers.
type simulation struct {
	seed   uint64
	rng    *rand.Rand
	mutant mutation
	plan   worldPlan
	calm   time.Time // from here on nothing fails any more
	began  time.Time

	mu      sync.Mutex // guards inbox, and what processes keep under it
	inbox   []*call
	arrived chan struct{}

	waiting   []*call
	idle      []*call // workers with nothing to do
	events    []event
	procs     []*incarnation // all that ever ran
	replicas  []*incarnation // those in service; nil while one is down
	store     *database
	slack     *workspace
	tenant    *microsoft
	people    people
	steps     int
	processes int
	stats     simStats
	faults    map[string]int
	broken    []violation
	trace     *strings.Builder
}

// event is something of the outside that happens at a time.
type event struct {
	at   time.Time
	seq  int
	what string
	do   func()
}

const (
	stepLimit  = 10_000
	timeLimit  = 6 * time.Hour
	pollWithin = 1200 * time.Millisecond
)

// chance draws whether a fault applies, and counts it.
func (s *simulation) chance(rate float64, kind string) bool {
	if rate == 0 || !time.Now().Before(s.calm) || s.rng.Float64() >= rate {
		return false
	}
	s.faults[kind]++
	return true
}

func (s *simulation) between(least, most time.Duration) time.Duration {
	return least + time.Duration(s.rng.Int64N(int64(most-least)+1))
}

func (s *simulation) coin() bool { return s.rng.IntN(2) == 0 }

func (s *simulation) after(d time.Duration, what string, do func()) {
	s.events = append(s.events, event{at: time.Now().Add(d), seq: s.steps, what: what, do: do})
}

func (s *simulation) tracef(format string, args ...any) {
	if s.trace != nil {
		fmt.Fprintf(s.trace, "%12.6f  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
	}
}

// run lets things happen until nothing is left that could.
func (s *simulation) run() {
	for {
		synctest.Wait()
		s.collect()
		at, act := s.next()
		switch {
		case act == nil && !s.busy():
			return
		case act == nil: // somebody waits for time to pass
			at = time.Now().Add(timeLimit)
		}
		if s.steps > stepLimit || time.Since(s.began) > timeLimit {
			s.violate("settles", "still busy after %d steps and %v", s.steps, time.Since(s.began))
			return
		}
		if s.sleep(time.Until(at)) || act == nil {
			continue
		}
		s.steps++
		act()
	}
}

// sleep lets time pass, and reports whether something arrived before it was over.
func (s *simulation) sleep(d time.Duration) bool {
	if d <= 0 {
		return false
	}
	select {
	case <-s.arrived:
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return false
	case <-s.arrived:
		return true
	}
}

// collect takes over those who have begun to wait, in an order that does not depend
// on who was faster, and draws how long each call takes.
func (s *simulation) collect() {
	s.mu.Lock()
	batch := s.inbox
	s.inbox = nil
	s.mu.Unlock()
	slices.SortFunc(batch, func(a, b *call) int {
		if a.p != b.p {
			return a.p.id - b.p.id
		}
		return a.seq - b.seq
	})
	for _, c := range batch {
		if c.p.dead { // it ended at the same instant
			c.end()
			continue
		}
		if c.kind == resting {
			c.w.poked = false
			if c.p.stopping {
				s.retire(c)
				continue
			}
			s.idle = append(s.idle, c)
			continue
		}
		c.ready = time.Now().Add(s.latency(c.kind))
		s.waiting = append(s.waiting, c)
	}
}

// latency never repeats itself, so that no two calls are ready at one instant.
func (s *simulation) latency(kind callKind) time.Duration {
	switch kind {
	case storing:
		return s.between(100*time.Microsecond, 4*time.Millisecond)
	case posting, looking:
		if s.chance(s.plan.slow, "slow answer") {
			return s.between(time.Second, 7*time.Second)
		}
		return s.between(10*time.Millisecond, 400*time.Millisecond)
	case turn, resting:
	}
	return s.between(0, 2*time.Microsecond)
}

// next is the earliest thing that can happen, and when.
func (s *simulation) next() (at time.Time, act func()) {
	earlier := func(t time.Time) bool { return act == nil || t.Before(at) }
	if due, ok := s.dueAt(); ok {
		at, act = due, s.poke
	}
	for i, e := range s.events {
		if earlier(e.at) {
			at, act = e.at, func() {
				s.events = slices.Delete(s.events, i, i+1)
				s.tracef("%s", e.what)
				e.do()
			}
		}
	}
	for _, c := range s.waiting {
		ready := c.ready
		if c.p.thaws.After(ready) {
			ready = c.p.thaws
		}
		if earlier(ready) {
			at, act = ready, func() { c.next() }
		}
	}
	return at, act
}

// dueAt is when the next worker should find something to do.
func (s *simulation) dueAt() (time.Time, bool) {
	due, ok := s.store.nextDue()
	if !ok || len(s.idle) == 0 {
		return due, false
	}
	for _, p := range s.replicas {
		if p != nil && !p.frozen() && slices.ContainsFunc(p.workers, func(w *worker) bool { return w.poked }) {
			return due, false
		}
	}
	return due, true
}

// poke lets one or two of the idle workers poll, as each does about once a second.
func (s *simulation) poke() {
	for range 1 + s.rng.IntN(5)/4 {
		var can []*call
		for _, c := range s.idle {
			if !c.p.frozen() {
				can = append(can, c)
			}
		}
		if len(can) == 0 {
			can = s.idle
		}
		if len(can) == 0 {
			return
		}
		c := can[s.rng.IntN(len(can))]
		s.idle = slices.DeleteFunc(s.idle, func(o *call) bool { return o == c })
		c.w.poked = true
		c.ready, c.next = time.Now().Add(s.between(0, pollWithin)), func() { s.release(c) }
		s.waiting = append(s.waiting, c)
	}
}
