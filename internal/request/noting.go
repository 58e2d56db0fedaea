package request

import "time"

// NoteEvent is an event of a note.
type NoteEvent interface {
	Event
	note()
}

type (
	// Linking asks to bind a Slack user to the Entra account that they signed in to.
	Linking struct {
		Caller  Caller // the Slack user, with their standing and the account's object id
		Account Target // that account, as the directory has it
	}
	// Unlinking ends a binding.
	Unlinking struct {
		By      Caller // nobody, where the operator or Slack ends it
		Command ID     // by which the person asked for it
	}
	// Rechecked says what Slack says of a linked user now.
	Rechecked struct{ Standing Standing }
	// Freezing asks that nothing be run any more.
	Freezing struct{ By Caller }
	// Thawing ends that.
	Thawing struct{}
	// Spread says that all open cards show the freeze as it was.
	Spread struct{ Of FreezeOf }
	// FreezeSeen brings it to one of them.
	FreezeSeen struct{ Freeze FreezeOf }
)

func (Linking) event()    {}
func (Unlinking) event()  {}
func (Rechecked) event()  {}
func (Freezing) event()   {}
func (Thawing) event()    {}
func (Spread) event()     {}
func (FreezeSeen) event() {}

func (Linking) note()    {}
func (Unlinking) note()  {}
func (Rechecked) note()  {}
func (Freezing) note()   {}
func (Thawing) note()    {}
func (Spread) note()     {}
func (FreezeSeen) note() {}

// noted is Next for notes.
func (p Policy) noted(r Request, e NoteEvent, now time.Time) (Request, []Record, error) {
	switch e := e.(type) {
	case Linking:
		return linking(r, e, now)
	case Unlinking:
		return unlinking(r, e, now)
	case Rechecked:
		return rechecked(r, e, now)
	case Freezing:
		if r.Note.Freeze.On {
			return r, nil, ErrNothingToDo
		}
		r.Note.Freeze, r.RetryAt = FreezeOf{On: true, By: e.By.actor(), At: now.UTC()}, now
		return r, []Record{r.record("freeze", e.By, now).allowed()}, nil
	case Thawing:
		if !r.Note.Freeze.On {
			return r, nil, ErrNothingToDo
		}
		r.Note.Freeze, r.RetryAt = FreezeOf{At: now.UTC()}, now
		return r, []Record{r.record("thaw", Caller{}, now)}, nil
	case Spread:
		if r.Note.Freeze.On == e.Of.On && r.Note.Freeze.At.Equal(e.Of.At) { // else it was switched meanwhile
			r.RetryAt = time.Time{}
		}
	case FreezeSeen:
		if r.State != Pending && r.State != Received || r.Frozen == e.Freeze.On {
			return r, nil, ErrNothingToDo
		}
		if r.Frozen, r.FrozenBy = e.Freeze.On, e.Freeze.By.Slack; r.State == Pending {
			r.RetryAt = time.Time{}
		}
	}
	return r, nil, nil
}

// mayLink is the gate for a link: one enabled member of the tenant, and nobody's place
// is taken.
func mayLink(r Request, e Linking) (Reason, Fault) {
	switch {
	case e.Caller.Standing != Member:
		return NotVerified, e.Caller.Fault
	case e.Account.Account == AccountUnknown:
		return TargetUnknown, e.Account.Fault
	case e.Account.Account != AccountMember || !e.Account.Enabled || e.Account.ObjectID == "" || e.Account.ObjectID != e.Caller.ObjectID:
		return AccountUnfit, Fault{}
	case r.Note.Link.ObjectID != "" && r.Note.Link.ObjectID != e.Account.ObjectID:
		return LinkedToAnother, Fault{}
	}
	return "", Fault{}
}

// linking leaves in Refusal why a link was refused.
func linking(r Request, e Linking, now time.Time) (Request, []Record, error) {
	why, _ := mayLink(r, e)
	e.Caller.Identified = ByLink
	rec := r.record("link", e.Caller, now)
	rec.Target, rec.TargetUPN = e.Account.ObjectID, e.Account.UPN
	if r.Refusal = why; why != "" {
		return r, []Record{rec.refused(why)}, nil
	}
	r.Note.Link, r.RetryAt = Bound{ObjectID: e.Account.ObjectID, At: now}, now.Add(recheckLinks)
	return r, []Record{rec.allowed()}, nil
}

func unlinking(r Request, e Unlinking, now time.Time) (Request, []Record, error) {
	if r.Note.Link.ObjectID == "" {
		return r, nil, ErrNothingToDo
	}
	if e.Command != "" {
		e.By.ObjectID, e.By.Identified = r.Note.Link.ObjectID, ByLink
	}
	rec := r.record("unlink", e.By, now)
	rec.Target = r.Note.Link.ObjectID
	r.Note.Link, r.Note.Ended, r.RetryAt = Bound{}, e.Command, time.Time{}
	if e.Command != "" {
		rec = rec.allowed()
	}
	return r, []Record{rec}, nil
}

// rechecked ends the binding of somebody who has left. What could not be found out is
// asked again.
func rechecked(r Request, e Rechecked, now time.Time) (Request, []Record, error) {
	if r.Note.Link.ObjectID == "" { // it was ended while Slack was asked
		r.RetryAt = time.Time{}
		return r, nil, nil
	}
	if e.Standing == SlackDeactivated || e.Standing == SlackOutsider {
		return unlinking(r, Unlinking{}, now)
	}
	r.RetryAt = now.Add(recheckLinks)
	if e.Standing == Unverified {
		r.RetryAt = now.Add(recheckLinks / 12)
	}
	return r, nil, nil
}

// answered ends a command that asks for no revocation.
func (p Policy) answered(r Request, e Verified, now time.Time) (Request, []Record, error) {
	r.State, r.ClosedAt = Answered, now
	why, done := p.mayDo(r, e), Reason("")
	switch r.Command.Task {
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

// mayDo is the gate for a command that asks for no revocation. What it allows is done
// before the answer is written, and can be done again.
func (p Policy) mayDo(r Request, e Verified) Reason {
	if e.At.Sub(r.Received) > p.TTL { // by the time of the looks, so that what was done is answered as done
		return CommandTooOld
	}
	switch r.Command.Task {
	case Freeze: // from anywhere: it can only keep something from running
		if e.Accused { // that account may be in the wrong hands, and this would be its way out
			return OwnAccount
		}
		return isAdministrator(e.Caller)
	case Link, Unlink:
		if !p.Links {
			return LinkNotUsed
		}
		if r.Command.Task == Unlink || e.Caller.ObjectID != "" {
			return ""
		}
		return NotVerified
	case Revoke:
	}
	return ""
}
