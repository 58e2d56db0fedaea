package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Halves of a call: what a process can be struck between.
const (
	crashBefore   = "before"   // the call has left the process and reaches nobody
	crashAfter    = "after"    // it has taken effect, and its answer is lost
	crashAnswered = "answered" // of a delivery: Slack has its answer
)

// crashMoment is a place in a conversation: a half of the n-th call of a kind, over
// all processes.
type crashMoment struct {
	What string
	N    int
	Half string
}

func (m crashMoment) String() string { return fmt.Sprintf("%s %d %s", m.What, m.N, m.Half) }

// crashStep is a moment that somebody has passed.
type crashStep struct {
	crashMoment
	by *crashLife
	at time.Time
}

// crashWatch sees all calls of the processes of a cell, and strikes at one moment.
type crashWatch struct {
	at     crashMoment
	strike func(l *crashLife) (goesOn bool)

	mu     sync.Mutex
	armed  bool // nothing counts before the conversation has begun
	counts map[string]int
	steps  []crashStep
	struck chan struct{} // closed when it has happened
	blow   crashStep     // at is when it was over
	next   crashStep     // the first step by another process after that
}

func newCrashWatch(at crashMoment, strike func(*crashLife) bool) *crashWatch {
	return &crashWatch{at: at, strike: strike, counts: map[string]int{}, struck: make(chan struct{})}
}

// crashKill is the usual strike.
func crashKill(l *crashLife) bool {
	l.kill()
	return false
}

func (w *crashWatch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.armed = true
}

// begin counts a call and says whether it goes on.
func (w *crashWatch) begin(l *crashLife, what string) (n int, goesOn bool) {
	w.mu.Lock()
	if w.armed {
		w.counts[what]++
	}
	n = w.counts[what]
	w.mu.Unlock()
	return n, w.pass(l, crashMoment{what, n, crashBefore})
}

// pass notes a moment and says whether what was to follow goes on.
func (w *crashWatch) pass(l *crashLife, m crashMoment) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.armed || l == nil {
		return true
	}
	s := crashStep{m, l, time.Now()}
	w.steps = append(w.steps, s)
	if w.blow.by == nil && m == w.at {
		goesOn := w.strike(l) // nobody else goes on meanwhile
		s.at = time.Now()
		w.blow = s
		close(w.struck)
		return goesOn
	}
	if w.blow.by != nil && w.blow.by != l && w.next.by == nil {
		w.next = s
	}
	return true
}

// moments are those that were passed, in order, each once.
func (w *crashWatch) moments() []crashMoment {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []crashMoment
	for _, s := range w.steps {
		if !slices.Contains(all, s.crashMoment) {
			all = append(all, s.crashMoment)
		}
	}
	return all
}

// happens reports whether it has happened, or does yet: the people have seen the end
// of the conversation a little before the processes are done with it.
func (w *crashWatch) happens() bool {
	if w.at == (crashMoment{}) {
		return false
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-w.struck:
		return true
	case <-timer.C:
		return false
	}
}

// takeover is how long it took from the strike to the next step by another process;
// 0 if there was none.
func (w *crashWatch) takeover() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.next.by == nil {
		return 0
	}
	return w.next.at.Sub(w.blow.at)
}

// handover is how long it took from the last step of the process that was struck to
// the next one by another.
func (w *crashWatch) handover(within time.Duration) (took time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.blow
	for _, s := range w.steps {
		if s.by == w.blow.by {
			last = s
			continue
		}
		if last.at.After(w.blow.at) {
			took = s.at.Sub(last.at)
			break
		}
	}
	if took == 0 || took > within {
		return took, fmt.Errorf("handed over in %v (0: never), want at most %v", took, within)
	}
	return took, nil
}

// trace prints what went before, for failures.
func (w *crashWatch) trace() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var b strings.Builder
	for _, s := range w.steps {
		mark := ""
		if s.crashMoment == w.blow.crashMoment {
			mark = "   <-- struck"
		}
		fmt.Fprintf(&b, "%s %s %s%s\n", s.at.Format("05.000"), s.by.name, s.crashMoment, mark)
	}
	return b.String()
}
