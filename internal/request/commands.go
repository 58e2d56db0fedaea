package request

import (
	"context"
	"errors"
	"time"
)

func (p Policy) verified(r Request, e CommandLookedUp, now time.Time) (Request, []Record, error) {
	if r.State != Received {
		return r, nil, errNothingToDo
	}
	r.Requester, r.Target, r.RetryAt = e.Caller, e.Target, time.Time{}
	if r.Command.Kind != Revoke {
		return p.answered(r, e, now)
	}
	why, fault := p.mayAsk(r, e, now)
	if why != "" {
		r.State, r.Refusal, r.ClosedAt = Refused, why, now
		r.Replies = append(r.Replies, Reply{
			Key: string(r.ID), To: r.Origin, Reason: why, Standing: e.Caller.Standing, Fault: fault, Eligible: e.Caller.Eligible, At: now,
		})
		if why == AskedBefore {
			r.OpenCard = e.OpenCard
		}
		if why == IsFrozen {
			r.FrozenBy = e.Freeze.By.Slack
		}
		return r, []Record{r.record(r.asked(), e.Caller, now).refused(why)}, nil
	}
	r.Plan, r.Approvals = e.Plan, p.needs(e.Target)
	switch {
	case r.Command.WhatIf:
		r.State, r.ClosedAt = Planned, now
		r.Replies = append(r.Replies, Reply{Key: string(r.ID), To: r.Origin, Reason: PlanShown, At: now})
	case r.Command.Unconfirmed:
		r.State, r.ApprovedAt, r.CheckedAt, r.Card.Fence = Approved, now, e.At, r.Lease.Fence
	default:
		r.State, r.Expires, r.Card.Fence = Pending, now.Add(p.TTL), r.Lease.Fence
	}
	return r, []Record{r.record(r.asked(), e.Caller, now).allowed()}, nil
}

// asked names in the record what was asked for.
func (r Request) asked() string {
	switch {
	case r.Command.Kind != Revoke:
		return "command " + string(r.Command.Kind)
	case r.Command.WhatIf:
		return "command what-if"
	}
	return "command"
}

// answered ends a command that asks for no revocation.
func (p Policy) answered(r Request, e CommandLookedUp, now time.Time) (Request, []Record, error) {
	r.State, r.ClosedAt = Answered, now
	why, done := p.mayDo(r, e), Reason("")
	switch r.Command.Kind {
	case Freeze:
		done = FrozenNow
	case Link:
		done = LinkShown
	case Unlink:
		if done = NothingLinked; e.Linked {
			done = LinkEnded
		}
	case Revoke:
	}
	reply := Reply{
		Key: string(r.ID), To: r.Origin, Reason: done, Standing: e.Caller.Standing, Fault: e.Caller.Fault, Eligible: e.Caller.Eligible, At: now,
	}
	rec := r.record(r.asked(), e.Caller, now).allowed()
	if why != "" {
		r.State, r.Refusal, reply.Reason = Refused, why, why
		rec = r.record(r.asked(), e.Caller, now).refused(why)
	}
	r.Replies = append(r.Replies, reply)
	return r, []Record{rec}, nil
}

// notesOf completes the facts about a command with what is kept beside requests, where
// the command is all right otherwise. It reports whether another one has to be decided
// first.
func (s *Service) notesOf(ctx context.Context, r Request, e *CommandLookedUp) (wait bool, err error) {
	if e.Freeze, err = s.frozen(ctx); err != nil {
		return false, err
	}
	would := r
	would.Requester, would.Target = e.Caller, e.Target
	if r.Command.Kind != Revoke {
		if r.Command.Kind == Freeze {
			if e.Accused, err = s.accused(ctx, e.Caller, r.Lease.At); err != nil {
				return false, err
			}
		}
		if s.policy.mayDo(would, *e) == "" {
			e.Linked, err = s.do(ctx, r, e.Caller)
		}
		return false, err
	}
	if why, _ := s.policy.mayAsk(would, *e, e.At); why != "" || r.Command.WhatIf {
		return false, nil
	}
	if !r.Command.Unconfirmed && !ownAccount(e.Caller, e.Target) {
		if e.OpenCard, wait, err = s.takeCard(ctx, r, e.Target); err != nil || wait || e.OpenCard.Request != "" {
			return wait, err
		}
	}
	e.Over, err = s.count(ctx, r.ID, e.Caller)
	return false, err
}

// do carries out a command that asks for no revocation. It reports whether there was
// a link to remove.
func (s *Service) do(ctx context.Context, r Request, by Caller) (linked bool, err error) {
	switch r.Command.Kind {
	case Freeze:
		_, err = s.decide(ctx, freezeNote, Freezing{By: by})
		s.wake()
	case Unlink:
		id := linkNote(r.Origin.SlackUser)
		_, err = s.store.Update(ctx, id, func(n Request, now time.Time) (Request, []Record, error) {
			return s.policy.Next(n, Unlinking{By: by, Command: r.ID}, now)
		})
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if errors.Is(err, errNothingToDo) {
			n, err := s.store.Get(ctx, id)
			return n.Note.Ended == r.ID, err // by this command, before a crash
		}
		linked = true
	case Link, Revoke:
	}
	return linked, err
}
