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

// Timings of the worker. Every write renews the lease, and what lies between two
// writes is bounded well below it, so that no call is made on a lease that may
// have ended (TestBoundsFitIntoTheLease).
const (
	LeaseFor     = 30 * time.Second
	LookWithin   = 9 * time.Second  // all look-ups of a step, side by side
	RevokeWithin = 15 * time.Second // one attempt, without its last look
	LastLook     = 3 * time.Second
	ReportWithin = 12 * time.Second
	writeWithin  = 4 * time.Second
	afterError   = time.Second // before a request whose step failed is due again
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
		next, more, err := s.step(context.WithoutCancel(ctx), r)
		if err != nil {
			logStepError(log, err)
			if errors.Is(err, ErrLeaseLost) {
				return
			}
			select { // whatever is wrong, it will not be better at once
			case <-ctx.Done():
			case <-time.After(afterError):
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
		next, err = s.apply(ctx, r, Reported{s.report(ctx, r)})
	default:
		return r, false, nil
	}
	return next, true, err
}

// apply writes what follows from events, guarded by the fence, and renews the
// lease. Events that no longer apply are skipped.
func (s *Service) apply(ctx context.Context, claimed Request, events ...Event) (Request, error) {
	// The write has its own time: slow work before it must not make it fail.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeWithin)
	defer cancel()
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
	ctx, cancel := context.WithTimeout(ctx, writeWithin)
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

// together runs functions side by side, each of which may panic without taking
// the process and all other requests with it: what it was to find out stays
// unknown, which nobody is allowed anything on.
func (s *Service) together(fns ...func()) {
	var wg sync.WaitGroup
	for _, fn := range fns {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					s.log.Error("panic in a look-up or call", "panic", p, "stack", string(debug.Stack()))
				}
			}()
			fn()
		})
	}
	wg.Wait()
}

// report brings the chat up to date within its time.
func (s *Service) report(ctx context.Context, r Request) Shown {
	ctx, cancel := context.WithTimeout(ctx, ReportWithin)
	defer cancel()
	shown := Shown{Failed: true} // unless the reporter gets to say otherwise
	s.together(func() { shown = s.reporter.Report(ctx, r) })
	return shown
}

// verify looks up who typed the command and whom it means.
func (s *Service) verify(ctx context.Context, r Request) (Request, error) {
	ctx, cancel := context.WithTimeout(ctx, LookWithin)
	defer cancel()
	e := Verified{Caller: Caller{Slack: r.Origin.SlackUser}}
	s.together(
		func() { e.Caller = s.directory.Caller(ctx, r.Origin) },
		func() { e.Place, e.Fault = s.reporter.Place(ctx, r.Origin) },
		func() { e.Target = s.directory.Target(ctx, r.User) },
	)
	if e.Target.Account == AccountMember {
		e.Plan = s.revoker.Plan(e.Target)
	}
	return s.apply(ctx, r, e)
}

// judge looks up those who have pressed and lets the gate decide, in the order in
// which the presses came. So many people at a time as can be looked up side by
// side; the others are next.
func (s *Service) judge(ctx context.Context, r Request) (Request, error) {
	ctx, cancel := context.WithTimeout(ctx, LookWithin)
	defer cancel()
	if r.State != Pending { // the answer is known without asking anybody
		events := make([]Event, len(r.Presses))
		for i, p := range r.Presses {
			events[i] = Judged{Key: p.Key}
		}
		return s.apply(ctx, r, events...)
	}
	var all Judged
	looks := []func(){
		func() { all.Place, all.Fault = s.reporter.Place(ctx, r.Origin) },
		func() { all.Requester = s.directory.Again(ctx, r.Requester) },
		func() { all.Target = s.directory.Target(ctx, r.Target.ObjectID) },
	}
	callers := map[Origin]*Caller{}
	for _, p := range r.Presses {
		if callers[p.By] == nil && len(callers) < workers {
			c := &Caller{}
			callers[p.By] = c
			looks = append(looks, func() { *c = s.directory.Caller(ctx, p.By) })
		}
	}
	s.together(looks...)
	var events []Event
	for _, p := range r.Presses {
		if c := callers[p.By]; c != nil {
			j := all
			j.Key, j.At, j.Caller = p.Key, r.Lease.At, *c
			events = append(events, j)
		}
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
	shown := make(chan Shown, 1)
	go func() { shown <- s.report(ctx, next) }()
	after, err := s.finish(ctx, next, s.revoke(ctx, next, resumed))
	was := <-shown
	if err != nil {
		return after, err
	}
	return s.apply(ctx, after, Reported{was})
}

func (s *Service) revoke(ctx context.Context, r Request, resumed bool) Outcome {
	ctx, cancel := context.WithTimeout(ctx, RevokeWithin)
	defer cancel()
	outcome := Outcome{Result: Failed, Trouble: Unreachable, At: r.Lease.At}
	s.together(func() {
		outcome = s.revoker.Revoke(ctx, r.Plan, Attempt{
			Before: r.Target.mark(), Resumed: resumed, Hold: r.Hold, Fault: r.HoldFault,
		})
	})
	return outcome
}

// finish writes the outcome, and tries again for as long as the lease lasts: an
// outcome that is not written has to be found out again by the next worker.
func (s *Service) finish(ctx context.Context, r Request, o Outcome) (Request, error) {
	deadline := time.Now().Add(LeaseFor - RevokeWithin - LastLook - 2*writeWithin) // a new try takes a whole write
	for {
		next, err := s.apply(ctx, r, Executed{o})
		if err == nil || errors.Is(err, ErrLeaseLost) || time.Now().After(deadline) {
			return next, err
		}
		s.log.Error("the outcome is not written yet", "request", r.ID, "error", err)
		time.Sleep(afterError / 2)
	}
}

func (s *Service) lookAgain(ctx context.Context, r Request) *Evidence {
	ctx, cancel := context.WithTimeout(ctx, LookWithin)
	defer cancel()
	e := Evidence{
		At:        r.Lease.At,
		Requester: Caller{Standing: Unverified}, Approver: Caller{Standing: Unverified}, Target: Target{Account: AccountUnknown},
	}
	s.together(
		func() { e.Requester = s.directory.Again(ctx, r.Requester) },
		func() { e.Approver = s.directory.Again(ctx, r.Approver) },
		func() { e.Target = s.directory.Target(ctx, r.Target.ObjectID) },
	)
	return &e
}
