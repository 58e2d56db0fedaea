package request

import (
	"cmp"
	"errors"
	"time"
)

func (p Policy) started(r Request, e Started, now time.Time) (Request, []Record, error) {
	if r.State != Approved && r.State != Executing {
		return r, nil, errNothingToDo
	}
	if r.State == Approved && now.Sub(r.ApprovedAt) > runWithin {
		return executed(r, Outcome{Result: Failed, Trouble: TooOld, At: now}, now)
	}
	forbids := p.forbids(r, e)
	if r.State == Approved && forbids != NoTrouble {
		return executed(r, Outcome{Result: forbids.result(), Trouble: forbids, At: now}, now)
	}
	if e.Evidence == nil && now.Sub(r.CheckedAt) > freshFor {
		return r, nil, errStale
	}
	trouble, fault := NoTrouble, Fault{}
	if e.Evidence != nil {
		trouble, fault = stillHolds(r, *e.Evidence)
	}
	if trouble == NoTrouble && len(r.Plan.changes(e.Plan)) > 0 {
		trouble = TargetDiffers
	}
	if r.State == Approved {
		if trouble != NoTrouble {
			r.BegunAt = cmp.Or(r.BegunAt, now)
			return executed(r, Outcome{Result: trouble.result(), Trouble: trouble, Fault: fault, At: now, RetryAfter: trouble.retryAfter()}, now)
		}
		if e.Evidence != nil {
			r.Target, r.CheckedAt = e.Evidence.Target, e.Evidence.At
		}
	}
	// A resumed attempt may already have had its effect: it is always looked
	// at, but asked for again only while the approval still holds.
	r.Hold, r.HoldFault = trouble, fault
	if now.Sub(r.ApprovedAt) > runWithin {
		r.Hold, r.HoldFault = TooOld, Fault{}
	}
	if forbids != NoTrouble {
		r.Hold, r.HoldFault = forbids, Fault{}
	}
	r.BegunAt = cmp.Or(r.BegunAt, now)
	r.State, r.RunAt = Executing, time.Time{}
	r.Attempts++
	return r, []Record{r.record("execute", r.actor(), now)}, nil
}

// errStale is returned by Next when the effect needs a fresh look at both
// people and the target first.
var errStale = errors.New("evidence is stale")

func executed(r Request, o Outcome, now time.Time) (Request, []Record, error) {
	if r.State != Approved && r.State != Executing {
		return r, nil, errNothingToDo
	}
	o = o.after(r.SoFar)
	if r.Hold != NoTrouble && o.Trouble == r.Hold {
		if r.Hold == TargetGone {
			o.Result = NotFound
		}
		o.RetryAfter = max(o.RetryAfter, r.Hold.retryAfter())
	}
	if at := now.Add(o.RetryAfter); o.RetryAfter > 0 && at.Before(r.BegunAt.Add(giveUpAfter)) {
		r.SoFar, r.RunAt = o, at
		rec := r.record("postpone", r.actor(), now)
		rec.Outcome = &o
		return r, []Record{rec}, nil
	}
	r.State, r.Outcome, r.SoFar, r.RunAt, r.RetryAt, r.Failures = Finished, o, Outcome{}, time.Time{}, time.Time{}, 0
	if r.Thread.Gone {
		r = oweResult(r, now)
	}
	rec := r.record("result", r.actor(), now)
	rec.Outcome = &o
	return r, []Record{rec}, nil
}

// actor is on whose word a revocation runs: that of the last who had to confirm.
func (r Request) actor() Caller {
	if len(r.Approvers) == 0 {
		return r.Requester
	}
	return r.Approvers[len(r.Approvers)-1]
}
