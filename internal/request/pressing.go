package request

import (
	"slices"
	"time"
)

func pressed(r Request, press Press) (Request, error) {
	if r.seen(press.Key) {
		return r, errNothingToDo
	}
	if len(r.Presses) >= maxPresses {
		return r, ErrTooMany
	}
	r.Presses = append(r.Presses, press)
	return r, nil
}

func (p Policy) judged(r Request, e PressLookedUp, now time.Time) (Request, []Record, error) {
	i := slices.IndexFunc(r.Presses, func(p Press) bool { return p.Key == e.Key })
	if i < 0 {
		return r, nil, errNothingToDo
	}
	press := r.Presses[i]
	r.Presses = slices.Delete(r.Presses, i, i+1)
	r.Judged = slices.DeleteFunc(r.Judged, func(s Seen) bool { return now.Sub(s.At) > ReplayWindow })
	r.Judged = append(r.Judged, Seen{Key: press.Key, At: now})
	if e.Caller.Slack == (SlackUser{}) {
		e.Caller.Slack = press.By.SlackUser
	}

	why, fault := p.mayPress(r, press, e, now)
	if r.Card.TS == "" && r.State != Received && samePlace(r, press) {
		// The answer to our post was lost; the press tells where the card is, whatever
		// becomes of the press.
		r.Card.TS, r.Card.Face, r.Card.Shows, r.RetryAt = press.MessageTS, FacePending, r.Shows(), time.Time{}
	}
	if why == UnknownCard && r.State == Received && !r.known() {
		r.State, r.Refusal, r.ClosedAt = Refused, why, now // a press on a card nobody knows
	}
	if why == PlanChanged {
		r = r.planAnew(e)
	}
	if why == IsFrozen {
		r.FrozenBy = e.Freeze.By.Slack
	}
	if why != "" {
		r.Replies = append(r.Replies, Reply{
			Key: press.Key, To: press.By, Verb: press.Verb, Reason: why,
			Standing: e.Caller.Standing, Fault: fault, Eligible: e.Caller.Eligible, Requester: e.Requester.Standing, At: now,
			MessageTS: press.MessageTS, Plan: press.Plan,
		})
		return r, []Record{r.record(string(press.Verb), e.Caller, now).refused(why)}, nil
	}
	r.RetryAt = time.Time{} // what there is to show has changed
	switch press.Verb {
	case Confirm:
		if e.Target.Account == AccountMissing {
			return r.endsGone(press, e, now)
		}
		r = p.confirmed(r, e, press.Proof.proves(e.Caller, r, press.At), now)
	case Cancel:
		r.State, r.Closer, r.ClosedAt = Canceled, e.Caller, now
	case WhatIf:
		r.Thread.PlanWanted, r.Thread.PlanFor = !r.Thread.Gone, press.By
	}
	if r.Card.Gone || r.Thread.Gone && press.Verb == WhatIf {
		r = r.owePress(press, now)
	}
	return r, []Record{r.record(string(press.Verb), e.Caller, now).allowed()}, nil
}

// owePress answers privately a press of which nothing can be shown in the channel.
func (r Request) owePress(press Press, now time.Time) Request {
	why := map[Verb]Reason{Confirm: ConfirmedBefore, Cancel: AlreadyCanceled, WhatIf: PlanShown}[press.Verb]
	if r.State == Approved {
		why = AlreadyConfirmed
	}
	r.Replies = append(r.Replies, Reply{Key: press.Key, To: press.By, Verb: press.Verb, Reason: why, At: now, MessageTS: press.MessageTS})
	return r
}

// confirmed adds one person's word. The last that is needed is the claim.
func (p Policy) confirmed(r Request, e PressLookedUp, proven bool, now time.Time) Request {
	r.Requester, r.Target, r.Approvals = e.Requester, e.Target, max(r.Approvals, p.needs(e.Target))
	e.Caller.Proven = proven
	if p.stepsUp(e.Target) { // by now; those who confirmed before did not have to sign in
		r.Approvers = slices.DeleteFunc(r.Approvers, func(a Caller) bool { return !a.Proven })
	}
	r.Approvers = append(r.Approvers, e.Caller)
	if r.Missing() > 0 {
		return r
	}
	r.State, r.ApprovedAt = Approved, now
	if len(r.Approvers) == 1 { // what was read of others is older
		r.CheckedAt = e.At
	}
	return r
}

// endsGone ends a request at its Confirm, because the account exists no more: that is a
// result, and nothing is run for it, however many would have had to confirm.
func (r Request) endsGone(press Press, e PressLookedUp, now time.Time) (Request, []Record, error) {
	e.Caller.Proven = press.Proof.proves(e.Caller, r, press.At)
	r.Requester, r.Approvers = e.Requester, append(r.Approvers, e.Caller)
	r.State, r.ApprovedAt = Approved, now
	confirm := r.record(string(press.Verb), e.Caller, now).allowed()
	r, recs, err := executed(r, Outcome{Result: TargetGone.result(), Trouble: TargetGone, Fault: e.Target.Fault, At: now}, now)
	return r, append([]Record{confirm}, recs...), err
}

// planAnew puts what is so now on the card, which is then confirmed anew.
func (r Request) planAnew(e PressLookedUp) Request {
	changes := r.Plan.changes(e.Plan)
	if len(changes) == 0 { // the press was on a card that had not been brought up to date yet
		return r
	}
	r.Target, r.Plan, r.Changes, r.Approvers = e.Target, e.Plan, changes, nil // nobody has confirmed this one
	r.Thread.PlanWanted, r.Thread.PlanTS, r.RetryAt = false, "", time.Time{}
	return r
}

func ticked(r Request, now time.Time) (Request, []Record, error) {
	if r.State != Pending || now.Before(r.Expires) {
		return r, nil, errNothingToDo
	}
	inTime := func(p Press) bool { return p.At.Before(r.Expires) && now.Sub(r.Expires) <= judgeGrace }
	if slices.ContainsFunc(r.Presses, inTime) { // it came while we were about to; it is judged first
		return r, nil, errNothingToDo
	}
	r.State, r.ClosedAt, r.RetryAt = Expired, now, time.Time{}
	if r.Card.TS == "" {
		r.Card.Doubt = true // a worker may have posted it and died before it could say so
		r.Replies = append(r.Replies, Reply{Key: string(r.ID), To: r.Origin, Reason: CardNotPosted, At: now})
	} else if r.Card.Gone {
		r.Replies = append(r.Replies, Reply{Key: string(r.ID), To: r.Origin, Reason: AlreadyExpired, At: now})
	}
	return r, []Record{r.record("expire", Caller{}, now)}, nil
}
