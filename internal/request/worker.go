package request

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// Timings of the worker. A step's time is well below the lease, and each step
// renews the lease, so that a call is never made on a lease that may have ended.
const (
	LeaseFor     = 30 * time.Second
	StepWithin   = 20 * time.Second
	RevokeWithin = 12 * time.Second // of a step: the outcome must still be written
	poll         = time.Second
	sweepEvery   = 5 * time.Minute
	workers      = 16
	maxSteps     = 32 // on one claim; more means that something does not converge
)

// ErrLeaseLost says that another worker has taken the request over.
var ErrLeaseLost = errors.New("lease lost")

// Run works on due requests until ctx ends, then finishes the steps under way,
// hands the leases back and returns.
func (s *Service) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { s.sweep(ctx) })
	slots := make(chan struct{}, workers)
	for ctx.Err() == nil {
		slots <- struct{}{}
		r, err := s.store.Claim(ctx, LeaseFor)
		if err == nil {
			wg.Go(func() {
				s.advance(ctx, r)
				<-slots
			})
			continue
		}
		<-slots
		if !errors.Is(err, ErrNothingDue) && ctx.Err() == nil {
			s.log.Error("claiming a request", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-s.nudge:
		case <-time.After(poll + rand.N(poll/4)): //nolint:gosec // jitter
		}
	}
	wg.Wait()
}

func (s *Service) sweep(ctx context.Context) {
	for {
		n, err := s.store.Sweep(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			s.log.Error("sweeping the due index", "error", err)
		case n > 0:
			s.log.Warn("requests were missing from the due index", "count", n)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
	}
}

// advance takes a claimed request as far as it goes now.
func (s *Service) advance(ctx context.Context, r Request) {
	log := s.log.With("request", r.ID)
	defer func() {
		if p := recover(); p != nil { // the lease runs out and the request is tried again
			log.Error("panic while working on a request", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	id, fence := r.ID, r.Lease.Fence
	for range maxSteps {
		if ctx.Err() != nil {
			break
		}
		// A step that was begun is finished, also when the process is asked to stop.
		stepCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StepWithin)
		next, more, err := s.step(stepCtx, r)
		cancel()
		if err != nil {
			logStepError(log, err)
			if errors.Is(err, ErrLeaseLost) {
				return
			}
			break
		}
		if !more {
			break
		}
		r = next
	}
	if err := s.release(context.WithoutCancel(ctx), id, fence); err != nil {
		logStepError(log, err)
	}
}

func logStepError(log *slog.Logger, err error) {
	if errors.Is(err, ErrLeaseLost) {
		log.Warn("another worker has taken over", "error", err)
		return
	}
	log.Error("working on a request", "error", err)
}

// step does the next thing that is due and reports whether it did any.
func (s *Service) step(ctx context.Context, r Request) (next Request, more bool, err error) {
	now := r.Lease.At
	switch {
	case len(r.Presses) > 0:
		next, err = s.judge(ctx, r)
	case r.State == Received:
		next, err = s.verify(ctx, r)
	case r.State == Approved || r.State == Executing:
		next, err = s.execute(ctx, r)
	case r.State == Pending && !now.Before(r.Expires):
		next, err = s.apply(ctx, r, Ticked{})
	case r.Unshown() && !now.Before(r.RetryAt),
		(r.State == Finished || r.State == Settling) && !now.Before(r.SettleAt):
		next, err = s.apply(ctx, r, Reported{s.reporter.Report(ctx, r)})
	default:
		return r, false, nil
	}
	return next, true, err
}

// apply writes what follows from events, guarded by the fence, and renews the
// lease. Events that no longer apply are skipped.
func (s *Service) apply(ctx context.Context, claimed Request, events ...Event) (Request, error) {
	next, err := s.store.Update(ctx, claimed.ID, func(r Request, now time.Time) (Request, []Record, error) {
		if r.Lease.Fence != claimed.Lease.Fence {
			return r, nil, ErrLeaseLost
		}
		var all []Record
		for _, e := range events {
			after, recs, err := s.policy.Next(r, e, now)
			if errors.Is(err, ErrNothingToDo) {
				continue
			}
			if err != nil {
				return r, nil, err
			}
			r, all = after, append(all, recs...)
		}
		r.Lease.At, r.Lease.Until = now, now.Add(LeaseFor)
		return r, all, nil
	})
	if err != nil {
		return next, fmt.Errorf("writing step of %s request: %w", claimed.State, err)
	}
	if next.State != claimed.State {
		s.log.Info("request moved on", "request", next.ID, "from", claimed.State, "to", next.State)
	}
	return next, nil
}

// release gives the lease back; whatever came in meanwhile is due at once.
func (s *Service) release(ctx context.Context, id ID, fence string) error {
	ctx, cancel := context.WithTimeout(ctx, StepWithin)
	defer cancel()
	dueNow := false
	_, err := s.store.Update(ctx, id, func(r Request, now time.Time) (Request, []Record, error) {
		if r.Lease.Fence != fence {
			return r, nil, ErrLeaseLost
		}
		r.Lease = Lease{}
		r.Due = r.due(now)
		dueNow = !r.Due.IsZero() && !r.Due.After(now)
		return r, nil, nil
	})
	if err != nil {
		return fmt.Errorf("releasing lease: %w", err)
	}
	if dueNow {
		s.wake()
	}
	return nil
}

// verify looks up who typed the command and whom it means.
func (s *Service) verify(ctx context.Context, r Request) (Request, error) {
	var e Verified
	var wg sync.WaitGroup
	wg.Go(func() { e.Caller = s.directory.Caller(ctx, r.Origin) })
	wg.Go(func() { e.Place, e.Fault = s.reporter.Place(ctx, r.Origin) })
	wg.Go(func() { e.Target = s.directory.Target(ctx, r.User) })
	wg.Wait()
	if e.Target.Account == AccountMember {
		e.Plan = s.revoker.Plan(e.Target)
	}
	return s.apply(ctx, r, e)
}

// judge looks up everybody who has pressed and lets the gate decide, in the
// order in which the presses came.
func (s *Service) judge(ctx context.Context, r Request) (Request, error) {
	judged := make([]Judged, len(r.Presses))
	facts := r.State == Pending // in every other state the answer is known without asking
	var place Place
	var fault Fault
	var requester Caller
	var target Target
	var wg sync.WaitGroup
	if facts {
		wg.Go(func() { place, fault = s.reporter.Place(ctx, r.Origin) })
		wg.Go(func() { requester = s.directory.Again(ctx, r.Requester) })
		wg.Go(func() { target = s.directory.Target(ctx, r.Target.ObjectID) })
	}
	people := map[SlackUser][]int{}
	for i, p := range r.Presses {
		judged[i].Key = p.Key
		people[p.By.SlackUser] = append(people[p.By.SlackUser], i)
	}
	if facts {
		slots := make(chan struct{}, workers)
		for _, indexes := range people {
			wg.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				c := s.directory.Caller(ctx, r.Presses[indexes[0]].By)
				for _, i := range indexes {
					judged[i].Caller = c
				}
			})
		}
	}
	wg.Wait()
	events := make([]Event, len(judged))
	for i := range judged {
		j := judged[i]
		j.Place, j.Fault, j.Requester, j.Target = place, fault, requester, target
		events[i] = j
	}
	return s.apply(ctx, r, events...)
}

// execute writes that the effect is about to be tried, tries it, and writes the
// outcome. The chat is told meanwhile.
func (s *Service) execute(ctx context.Context, r Request) (Request, error) {
	resumed := r.State == Executing
	next, err := s.apply(ctx, r, Started{})
	if errors.Is(err, ErrStale) {
		next, err = s.apply(ctx, r, Started{Evidence: s.lookAgain(ctx, r)})
	}
	if err != nil || next.State != Executing {
		return next, err
	}
	var shown Shown
	var wg sync.WaitGroup
	wg.Go(func() { shown = s.reporter.Report(ctx, next) })
	revokeCtx, cancel := context.WithTimeout(ctx, RevokeWithin)
	defer cancel()
	outcome := s.revoker.Revoke(revokeCtx, next.Plan, Attempt{
		Before: next.Target.ValidFrom, Resumed: resumed, MaySend: next.MaySend,
	})
	next, err = s.apply(ctx, next, Executed{outcome})
	wg.Wait()
	if err != nil {
		return next, err
	}
	return s.apply(ctx, next, Reported{shown})
}

func (s *Service) lookAgain(ctx context.Context, r Request) *Evidence {
	var e Evidence
	var wg sync.WaitGroup
	wg.Go(func() { e.Requester = s.directory.Again(ctx, r.Requester) })
	wg.Go(func() { e.Approver = s.directory.Again(ctx, r.Approver) })
	wg.Go(func() { e.Target = s.directory.Target(ctx, r.Target.ObjectID) })
	wg.Wait()
	return &e
}
