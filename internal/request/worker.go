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
	leaseFor     = 30 * time.Second
	lookWithin   = 9 * time.Second  // all look-ups of a step, side by side
	revokeWithin = 15 * time.Second // one attempt, without its last look
	LastLook     = 3 * time.Second
	reportWithin = 12 * time.Second
	// startWithin is how long after the write before it an effect may begin.
	startWithin = leaseFor - revokeWithin - LastLook - 2*writeWithin
	writeWithin = 4 * time.Second
	afterError  = time.Second // before a request whose step failed is due again
	poll        = time.Second
	sweepEvery  = 5 * time.Minute
	workers     = 16
	lookups     = 16 // of people who have pressed, side by side
	maxSteps    = 32 // on one claim; more means that something does not converge
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
		r, err := s.store.Claim(ctx, leaseFor)
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

// Work takes one due request as far as it goes now, and reports whether there was
// one: Run for those who decide themselves when to do what.
func (s *Service) Work(ctx context.Context) (bool, error) {
	r, err := s.store.Claim(ctx, leaseFor)
	if errors.Is(err, ErrNothingDue) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("claiming a request: %w", err)
	}
	s.advance(ctx, r)
	return true, nil
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
		if err := s.spread(ctx); err != nil && ctx.Err() == nil {
			s.log.Error("bringing the freeze to open cards", "error", err)
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
	for n := 1; ctx.Err() == nil; n++ {
		if n > maxSteps {
			log.Error("a request does not come to rest; it is tried again", "state", r.State, "steps", maxSteps)
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
	case r.State == Noted && !r.RetryAt.IsZero() && !now.Before(r.RetryAt):
		next, err = s.tend(ctx, r)
	case r.State == Noted:
		return r, false, nil
	case len(r.Presses) > 0:
		next, err = s.judge(ctx, r)
	case r.State == Received && now.Before(r.RetryAt):
		return r, false, nil
	case r.State == Received:
		next, err = s.verify(ctx, r)
	case r.mustShowFirst() && now.Sub(r.ApprovedAt) <= runWithin:
		if now.Before(r.RetryAt) {
			return r, false, nil
		}
		next, err = s.apply(ctx, r, Reported{s.report(ctx, r)})
	case (r.State == Approved || r.State == Executing) && !now.Before(r.RunAt):
		next, err = s.execute(ctx, r)
	case r.State == Pending && !now.Before(r.Expires):
		next, err = s.apply(ctx, r, Ticked{})
	case (r.Unshown() || r.CardLookDue()) && !now.Before(r.RetryAt),
		(r.State == Finished || r.State == Settling) && !now.Before(r.SettleAt), r.SettlePassDue():
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
		if r.Lease.Fence != claimed.Lease.Fence || r.Version < claimed.Version { // the store has gone back to before
			return r, nil, ErrLeaseLost
		}
		var all []Record
		had := r.HasOutcome()
		for _, e := range events {
			after, recs, err := s.policy.Next(r, e, now)
			if errors.Is(err, errNothingToDo) {
				continue
			}
			if err != nil {
				return r, nil, err
			}
			r, all = after, append(all, recs...)
			if !had && r.HasOutcome() {
				break // the head that is shown with it is known after this write only
			}
		}
		r.Lease.At, r.Lease.Until = now, now.Add(leaseFor)
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
