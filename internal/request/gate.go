package request

import (
	"slices"
	"time"
)

// mayAsk is the gate for a command.
func (p Policy) mayAsk(r Request, e CommandLookedUp, now time.Time) (Reason, Fault) {
	if p.Disabled {
		return CommandDisabled, Fault{}
	}
	if now.Sub(r.Received) > p.TTL || !r.known() { // or of a version that stored it differently
		return CommandTooOld, Fault{}
	}
	place := e.Place
	if r.Command.WhatIf && place == Direct { // nobody else has to see what nobody else has to confirm
		place = Ours
	}
	if why := p.mayUse(r.Origin.Channel, place); why != "" {
		return why, e.Fault
	}
	if why := isAdministrator(e.Caller); why != "" {
		return why, e.Caller.Fault
	}
	if why := p.mayRunAlone(r.Command, e.Target); why != "" {
		return why, Fault{}
	}
	switch e.Target.Account {
	case AccountMember:
		return p.mayBegin(r.Command, e), Fault{}
	case AccountMissing:
		return TargetMissing, e.Target.Fault
	case AccountGuest, AccountExternal:
		return TargetGuest, Fault{}
	case AccountUnknown:
		return TargetUnknown, e.Target.Fault
	case AccountUnresolved:
		return TargetUnresolved, e.Target.Fault
	}
	return TargetUnknown, e.Target.Fault
}

// mayBegin judges a command whose people and target are all right.
func (p Policy) mayBegin(c Command, e CommandLookedUp) Reason {
	switch {
	case e.Target.Protected != "":
		return TargetProtected
	case c.WhatIf:
		return ""
	case e.Freeze.On:
		return IsFrozen
	case e.OpenCard.Request != "" && !c.Unconfirmed:
		return AskedBefore
	case e.Over:
		return TooManyRequests
	}
	return ""
}

// mayDo is the gate for a command that asks for no revocation. What it allows is done
// before the answer is written, and can be done again.
func (p Policy) mayDo(r Request, e CommandLookedUp) Reason {
	if e.At.Sub(r.Received) > p.TTL { // by the time of the looks, so that what was done is answered as done
		return CommandTooOld
	}
	switch r.Command.Kind {
	case Freeze: // from anywhere: it can only keep something from running
		if e.Accused { // that account may be in the wrong hands, and this would be its way out
			return OwnAccount
		}
		return isAdministrator(e.Caller)
	case Link, Unlink:
		if !p.Links {
			return LinkNotUsed
		}
		if r.Command.Kind == Unlink || e.Caller.ObjectID != "" {
			return ""
		}
		return NotVerified
	case Revoke:
	}
	return ""
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

// needs is how many others have to confirm the signing out of t.
func (p Policy) needs(t Target) int {
	n := max(1, p.Approvals)
	if t.Roles != "" {
		n = max(n, p.ApprovalsPrivileged)
	}
	return n
}

// stepsUp reports whether a Confirm on t has to come with a fresh sign-in.
func (p Policy) stepsUp(t Target) bool {
	return p.StepUp == StepUpAlways || p.StepUp == StepUpPrivileged && t.Roles != ""
}

// mayRunAlone is what -Confirm:$false needs. One person's word is enough only
// where the operator has said so, and never without their reason.
func (p Policy) mayRunAlone(c Command, t Target) Reason {
	switch {
	case !c.Unconfirmed || c.WhatIf:
		return ""
	case !p.AllowUnconfirmed || p.needs(t) > 1 || p.stepsUp(t):
		return ConfirmRequired
	case c.Reason == "":
		return ReasonRequired
	}
	return ""
}

func (p Policy) mayUse(channel string, place Place) Reason {
	if len(p.Channels) > 0 && !slices.Contains(p.Channels, channel) {
		return ChannelNotAllowed
	}
	switch place {
	case Ours:
		return ""
	case Shared:
		return ChannelShared
	case Direct:
		return ChannelDirect
	case Unreadable:
		return ChannelUnreadable
	case PlaceUnknown:
		return ChannelUnknown
	}
	return ChannelUnknown
}

func isAdministrator(c Caller) Reason {
	if c.Standing != Member || c.ObjectID == "" {
		return NotVerified
	}
	if !c.Administrator {
		return NotAdministrator
	}
	return ""
}
