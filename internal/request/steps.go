package request

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// guarded runs functions together, each of which may panic without taking the
// process and all other requests with it: what it was to find out stays unknown,
// which nobody is allowed anything on.
func (s *Service) guarded(fns ...func()) {
	for i, fn := range fns {
		fns[i] = func() {
			defer func() {
				if p := recover(); p != nil {
					s.log.Error("panic in a look-up or call", "panic", p, "stack", string(debug.Stack()))
				}
			}()
			fn()
		}
	}
	s.together(fns...)
}

// report brings the chat up to date within its time.
func (s *Service) report(ctx context.Context, r Request) Shown {
	ctx, cancel := context.WithTimeout(ctx, reportWithin)
	defer cancel()
	shown := Shown{Failed: true} // unless the reporter gets to say otherwise
	s.guarded(func() { shown = s.reporter.Report(ctx, r) })
	return shown
}

// verify looks up who typed the command and whom it means.
func (s *Service) verify(ctx context.Context, r Request) (Request, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	e := CommandLookedUp{At: r.Lease.At, Caller: Caller{Slack: r.Origin.SlackUser}}
	looks := []func(){func() { e.Caller = s.caller(ctx, r.Origin) }}
	if r.Command.Kind == Revoke {
		looks = append(looks,
			func() { e.Place, e.Fault = s.reporter.Place(ctx, r.Origin) },
			func() { e.Target = s.target(ctx, r) },
		)
	}
	s.guarded(looks...)
	e.Plan = s.plan(e.Target)
	wait, err := s.notesOf(ctx, r, &e)
	if err != nil {
		return r, err
	}
	if wait {
		return s.apply(ctx, r, Waited{})
	}
	return s.apply(ctx, r, e)
}

// plan is what would be done to t now; none for an account that cannot be signed out.
func (s *Service) plan(t Target) Plan {
	if t.Account != AccountMember {
		return Plan{}
	}
	return s.revoker.Plan(t)
}

// caller, again and target look up and say how long it took.

func (s *Service) caller(ctx context.Context, by Origin) Caller {
	began := time.Now()
	c := s.directory.Caller(ctx, by)
	c.Took = time.Since(began)
	return c
}

func (s *Service) again(ctx context.Context, was Caller) Caller {
	began := time.Now()
	c := s.directory.Again(ctx, was)
	c.Took = time.Since(began)
	return c
}

// target looks the target up by object id once that is known.
func (s *Service) target(ctx context.Context, r Request) (t Target) {
	began := time.Now()
	defer func() { t.Took = time.Since(began) }()
	switch {
	case r.Target.ObjectID != "":
		return s.directory.Target(ctx, r.Target.ObjectID)
	case r.Command.Mention != "":
		who := r.Origin
		who.User, who.Home = r.Command.Mention, ""
		return s.directory.Mentioned(ctx, who)
	}
	return s.directory.Target(ctx, r.Command.User)
}

// judge looks up those who have pressed and lets the gate decide, in the order in
// which the presses came. lookups people at a time; the others are next.
func (s *Service) judge(ctx context.Context, r Request) (Request, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	if r.State != Pending { // the answer is known without asking anybody
		events := make([]Event, len(r.Presses))
		for i, p := range r.Presses {
			events[i] = PressLookedUp{Key: p.Key}
		}
		return s.apply(ctx, r, events...)
	}
	all := PressLookedUp{ // unless the look-ups get to say otherwise
		Place: PlaceUnknown, Requester: Caller{Standing: Unverified}, Target: Target{Account: AccountUnknown},
	}
	looks := []func(){
		func() { all.Place, all.Fault = s.reporter.Place(ctx, r.Origin) },
		func() { all.Requester = s.again(ctx, r.Requester) },
		func() { all.Target = s.target(ctx, r) },
	}
	callers := map[Origin]*Caller{}
	for _, p := range r.Presses {
		if callers[p.By] == nil && len(callers) < lookups {
			c := &Caller{}
			callers[p.By] = c
			looks = append(looks, func() { *c = s.caller(ctx, p.By) })
		}
	}
	s.guarded(looks...)
	all.Plan = s.plan(all.Target)
	var err error
	if all.Freeze, err = s.frozen(ctx); err != nil {
		return r, err
	}
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
	// An attempt that Microsoft cleanly refused for now has had no effect.
	resumed := r.State == Executing && (r.RunAt.IsZero() || r.SoFar.Unsure)
	began := time.Now() // before the write from which the lease is counted
	next, err := s.start(ctx, r, Started{Plan: s.plan(r.Target)})
	if errors.Is(err, errStale) {
		e := s.lookAgain(ctx, r)
		began = time.Now()
		next, err = s.start(ctx, r, Started{Plan: s.plan(e.Target), Evidence: e})
	}
	if err != nil || next.State != Executing {
		return next, err
	}
	after, was := next, Shown{Failed: true}
	s.guarded(
		func() { was = s.report(ctx, next) },
		func() {
			if time.Since(began) > startWithin { // this process was frozen: another may be at work
				err = fmt.Errorf("too little of the lease is left to begin: %w", ErrLeaseLost)
				return
			}
			after, err = s.finish(ctx, next, s.revoke(ctx, next, resumed))
		},
	)
	if err != nil {
		return after, err
	}
	return s.apply(ctx, after, Reported{was})
}

// start writes that an attempt begins, unless everything was frozen the moment before.
func (s *Service) start(ctx context.Context, r Request, e Started) (Request, error) {
	var err error
	if e.Freeze, err = s.frozen(ctx); err != nil {
		return r, err
	}
	return s.apply(ctx, r, e)
}

func (s *Service) revoke(ctx context.Context, r Request, resumed bool) Outcome {
	ctx, cancel := context.WithTimeout(ctx, revokeWithin)
	defer cancel()
	outcome := Outcome{Result: Failed, Trouble: Unreachable, Unsure: true, At: r.Lease.At} // unless the revoker gets to say otherwise
	s.guarded(func() {
		outcome = s.revoker.Revoke(ctx, r.Plan, Attempt{
			Before: r.Target.mark(), Resumed: resumed, Hold: r.Hold, Fault: r.HoldFault,
		})
	})
	return outcome
}

// finish writes the outcome, and tries again for as long as the lease lasts: an
// outcome that is not written has to be found out again by the next worker.
func (s *Service) finish(ctx context.Context, r Request, o Outcome) (Request, error) {
	deadline := time.Now().Add(startWithin) // a new try takes a whole write
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
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	e := Evidence{
		At:        r.Lease.At,
		Requester: Caller{Standing: Unverified}, Approvers: make([]Caller, len(r.Approvers)), Target: Target{Account: AccountUnknown},
	}
	looks := []func(){
		func() { e.Requester = s.again(ctx, r.Requester) },
		func() { e.Target = s.target(ctx, r) },
	}
	for i, a := range r.Approvers {
		e.Approvers[i] = Caller{Standing: Unverified}
		looks = append(looks, func() { e.Approvers[i] = s.again(ctx, a) })
	}
	s.guarded(looks...)
	return &e
}
