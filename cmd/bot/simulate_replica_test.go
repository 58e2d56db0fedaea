package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/revoker"
	"github.com/revoke-session/revoke-session/internal/slackapp"
)

// incarnation is one life of a replica, from its start until it ends or is killed.
type incarnation struct {
	s        *simulation
	id       int
	replica  int
	service  *request.Service
	workers  []*worker
	stop     context.CancelFunc
	stopping bool
	thaws    time.Time // frozen until then
	froze    time.Time // when it last was frozen

	// Guarded by s.mu.
	dead     bool
	arrivals int
	running  int // its goroutines that do not wait for the scheduler
}

// worker is one of a process's loops over due requests.
type worker struct {
	p     *incarnation
	poked bool   // about to poll
	claim *claim // the last that it made
}

// claim is what one worker did on one claim, as only the world can know it.
type claim struct {
	id       request.ID
	fence    string
	troubled bool      // something went wrong that excuses doing it again
	looked   time.Time // when it last saw the account, since it last asked
	vain     bool      // it has tried to since then, and may not have been able to
}

type workerKey struct{}

// start brings a replica into service. Its wiring is serve.go's, with the world's
// seams in it.
func (s *simulation) start(replica int) {
	s.processes++
	if !slices.ContainsFunc(s.replicas, func(p *incarnation) bool { return p != nil }) {
		s.store.adopt() // until now there was nobody who could take over
	}
	p := &incarnation{s: s, id: s.processes, replica: replica}
	log := slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	m := s.mutant
	var wire http.RoundTripper = &wire{p: p}
	if m.transport != nil {
		wire = m.transport(wire)
	}
	slack, err := slackapp.NewClient("xoxb-simulated", slackBase, wire)
	if err != nil {
		panic(err)
	}
	credential, err := entra.NewSecretCredential(loginBase, tenantName, "client", "secret", wire)
	if err != nil {
		panic(err)
	}
	// Graph is read with the policy of effects, whose waits have no jitter.
	graph := entra.NewAPI(entra.GraphService(graphBase), credential, wire, entra.Effects, log)
	backoff := func(n int, err error) time.Duration {
		if e, ok := errors.AsType[*entra.Error](err); ok && e.RetryAfter > 0 {
			return e.RetryAfter
		}
		return time.Duration(n)*500*time.Millisecond + time.Duration(p.id)*time.Microsecond
	}
	var rv request.Revoker = revoker.NewGraph(graph, graph, tenantName, backoff)
	var rp request.Reporter = slackapp.NewReporter(slack, slackapp.NewResponseURLs(), nil, p.together, log)
	var dir request.Directory = &directory{p: p}
	var st request.Store = &client{p: p}
	if m.revoker != nil {
		rv = m.revoker(rv)
	}
	if m.directory != nil {
		dir = m.directory(dir)
	}
	if m.store != nil {
		st = m.store(p, st)
	}
	if m.reporter != nil {
		rp = m.reporter(rp)
	}
	p.service = request.NewService(st, dir, rv, rp, s.plan.policy, p.together, log)
	s.replicas[replica] = p
	s.procs = append(s.procs, p)
	s.tracef("p%d starts as replica %d", p.id, replica)
	for range s.plan.workers {
		w := &worker{p: p}
		p.workers = append(p.workers, w)
		p.spawn(func() { p.work(context.WithValue(ctx, workerKey{}, w), w) })
	}
}

// spawn runs fn as a goroutine of p.
func (p *incarnation) spawn(fn func()) {
	p.s.mu.Lock()
	p.running++
	p.s.mu.Unlock()
	go func() {
		defer func() {
			p.s.mu.Lock()
			p.running--
			p.s.mu.Unlock()
		}()
		fn()
	}()
}

func (p *incarnation) work(ctx context.Context, w *worker) {
	for {
		p.park(&call{w: w, kind: resting, what: "rest"})
		for more := true; more && ctx.Err() == nil; {
			more, _ = p.service.Work(ctx)
		}
	}
}

// together is a request.Together: the functions take turns as the scheduler says.
func (p *incarnation) together(fns ...func()) {
	if len(fns) == 1 {
		fns[0]()
		return
	}
	var wg sync.WaitGroup
	for _, fn := range fns {
		p.s.mu.Lock()
		p.arrivals++
		c := &call{kind: turn, what: "turn", seq: p.arrivals}
		p.running++
		p.s.mu.Unlock()
		wg.Go(func() {
			defer func() {
				p.s.mu.Lock()
				p.running--
				p.s.mu.Unlock()
			}()
			c.next = func() { p.s.release(c) }
			p.park(c)
			fn()
		})
	}
	wg.Wait()
}

func (p *incarnation) frozen() bool { return time.Now().Before(p.thaws) }

// kill ends p as kill -9 does.
func (s *simulation) kill(p *incarnation) {
	if p.dead {
		return
	}
	s.tracef("p%d is killed", p.id)
	s.end(p)
	s.after(s.between(200*time.Millisecond, s.plan.restart), fmt.Sprintf("replica %d comes back", p.replica), func() { s.start(p.replica) })
}

func (s *simulation) end(p *incarnation) {
	s.mu.Lock()
	p.dead = true
	s.mu.Unlock()
	for _, w := range p.workers {
		w.trouble()
		if w.claim != nil {
			s.store.orphaned(w.claim)
		}
	}
	s.replicas[p.replica] = nil
	mine := func(c *call) bool {
		if c.p == p {
			c.end()
		}
		return c.p == p
	}
	s.waiting = slices.DeleteFunc(s.waiting, mine)
	s.idle = slices.DeleteFunc(s.idle, mine)
	p.stop()
}

// freeze stops p for a while, as SIGSTOP or a suspended machine does.
func (s *simulation) freeze(p *incarnation) time.Duration {
	d := s.between(time.Second, 90*time.Second)
	p.thaws, p.froze = time.Now().Add(d), time.Now()
	s.tracef("p%d freezes for %v", p.id, d)
	for _, w := range p.workers {
		if w.trouble(); w.claim != nil {
			w.claim.vain = true // the time for a look may end meanwhile
		}
	}
	return d
}

// retire ends a worker that rests while its process stops, and starts the replica
// anew after the last.
func (s *simulation) retire(c *call) {
	p := c.p
	c.end()
	p.workers = slices.DeleteFunc(p.workers, func(w *worker) bool { return w == c.w })
	if len(p.workers) == 0 {
		s.tracef("p%d has stopped", p.id)
		s.end(p)
		s.after(s.between(200*time.Millisecond, s.plan.restart), fmt.Sprintf("replica %d comes back", p.replica), func() { s.start(p.replica) })
	}
}

// terminate asks p to stop, as SIGTERM does.
func (s *simulation) terminate(p *incarnation) {
	s.tracef("p%d is asked to stop", p.id)
	p.stopping = true
	p.stop()
	for _, c := range slices.Clone(s.idle) {
		if c.p == p {
			s.idle = slices.DeleteFunc(s.idle, func(o *call) bool { return o == c })
			s.retire(c)
		}
	}
}

func (w *worker) trouble() {
	if w != nil && w.claim != nil {
		w.claim.troubled = true
	}
}

// ask makes the calling goroutine wait until the scheduler has served the call.
// serve runs in the scheduler and ends in answer, or never.
func (p *incarnation) ask(ctx context.Context, kind callKind, what string, serve func(c *call)) {
	w, _ := ctx.Value(workerKey{}).(*worker)
	c := &call{w: w, kind: kind, what: what}
	c.next = func() { p.s.serve(c, serve) }
	p.park(c)
}

// serve decides what happens to the process at this point, before or after the
// call has done what it does.
func (s *simulation) serve(c *call, do func(c *call)) {
	p := c.p
	switch {
	case s.chance(s.plan.crash, "crash"):
		if s.coin() {
			do(c)
		}
		s.kill(p)
		return
	case s.chance(s.plan.stop, "stop"):
		s.terminate(p)
	case time.Since(p.froze) > 4*time.Minute && s.chance(s.plan.freeze, "freeze"):
		if s.coin() {
			do(c)
		}
		s.freeze(p)
		return // c.next is what it goes on with
	}
	if s.chance(s.plan.failover, "failover") {
		s.store.failover()
	}
	if !p.dead {
		do(c)
	}
}

// answer lets the caller go on after d.
func (s *simulation) answer(c *call, d time.Duration) {
	c.ready = time.Now().Add(d)
	c.next = func() { s.release(c) }
}
