package main

import (
	"runtime"
	"slices"
	"time"
)

// call is a goroutine of a replica that waits for the outside.
type call struct {
	p          *incarnation
	w          *worker
	seq        int // order of arrival within its process
	kind       callKind
	what       string
	ready      time.Time
	next       func()
	done       chan struct{}
	die        bool
	onFailover func() // instead of next, where the store fails over before the answer has left
}

type callKind int

const (
	turn    callKind = iota // a goroutine that begins
	resting                 // a worker that found nothing to do
	storing
	posting
	looking
)

// busy reports whether a goroutine of a living replica is neither idle nor waiting
// for us.
func (s *simulation) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.procs {
		if !p.dead && p.running > 0 {
			return true
		}
	}
	return false
}

// release lets the goroutine behind c go on.
func (s *simulation) release(c *call) {
	s.waiting = slices.DeleteFunc(s.waiting, func(o *call) bool { return o == c })
	c.done <- struct{}{}
}

// end ends the goroutine behind c.
func (c *call) end() {
	c.die = true
	c.done <- struct{}{}
}

// park makes the calling goroutine wait for the scheduler. In a process that has
// been killed it never returns: the goroutine ends, whatever it was about to do.
func (p *incarnation) park(c *call) {
	s := p.s
	c.p, c.done = p, make(chan struct{}, 1)
	s.mu.Lock()
	if p.dead {
		s.mu.Unlock()
		runtime.Goexit()
	}
	if c.seq == 0 {
		p.arrivals++
		c.seq = p.arrivals
	}
	p.running--
	s.inbox = append(s.inbox, c)
	s.mu.Unlock()
	select {
	case s.arrived <- struct{}{}:
	default:
	}
	<-c.done
	if c.die {
		runtime.Goexit()
	}
	s.mu.Lock()
	p.running++
	s.mu.Unlock()
}
