package request

import (
	"slices"
	"time"
)

// mayAsk is the gate for a command.
func (p Policy) mayAsk(r Request, e Verified, now time.Time) (Reason, Fault) {
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
func (p Policy) mayBegin(c Command, e Verified) Reason {
	switch {
	case e.Target.Protected != "":
		return TargetProtected
	case c.WhatIf:
		return ""
	case e.Freeze.On:
		return IsFrozen
	case e.Other.Request != "" && !c.Unconfirmed:
		return AskedBefore
	case e.Over:
		return TooManyRequests
	}
	return ""
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

// mayPress is the gate for a button.
func (p Policy) mayPress(r Request, press Press, e Judged, now time.Time) (Reason, Fault) {
	if r.State == Noted || !samePlace(r, press) || !slices.Contains(verbs, press.Verb) {
		return UnknownCard, Fault{}
	}
	if r.Card.TS != "" && r.Card.TS != press.MessageTS {
		return OtherCard, Fault{}
	}
	switch r.State {
	case Received:
		if !r.known() {
			return UnknownCard, Fault{}
		}
		return StillChecking, Fault{}
	case Pending:
	case Approved, Executing:
		return AlreadyConfirmed, Fault{}
	case Finished, Settling, Done:
		return AlreadyDone, Fault{}
	case Refused, Planned, Answered, Noted:
		return AlreadyRefused, Fault{}
	case Canceled:
		return AlreadyCanceled, Fault{}
	case Expired:
		return AlreadyExpired, Fault{}
	}
	if !press.At.Before(r.Expires) || now.Sub(r.Expires) > JudgeGrace {
		return AlreadyExpired, Fault{}
	}
	if press.Verb == Cancel && (press.By.SlackUser == r.Origin.SlackUser || e.Caller.Standing == Member && e.Caller.Is(r.Requester)) {
		// Whoever asked may take it back: administrator or no longer, and also while
		// nobody can be looked up.
		return "", Fault{}
	}
	if why := p.mayUse(r.Origin.Channel, e.Place); why != "" {
		return why, e.Fault
	}
	if why := isAdministrator(e.Caller); why != "" {
		return why, e.Caller.Fault
	}
	switch press.Verb {
	case Confirm:
		if p.Disabled {
			return CommandDisabled, Fault{}
		}
		if e.Freeze.On {
			return IsFrozen, Fault{}
		}
		if why, fault := mayConfirm(r, press, e); why != "" {
			return why, fault
		}
		if p.stepsUp(e.Target) && !press.Proof.proves(e.Caller, r, press.At) {
			return StepUpNeeded, Fault{}
		}
	case WhatIf:
		if r.Thread.PlanWanted {
			return AlreadyPlanned, Fault{}
		}
	case Cancel:
		// The account in question may be in the wrong hands, with its role.
		if e.Caller.ObjectID == r.Target.ObjectID {
			return OwnAccount, Fault{}
		}
	}
	return "", Fault{}
}

// samePlace reports whether a press comes from where this request's card is: the
// same workspace (or Grid organization) and channel.
func samePlace(r Request, press Press) bool {
	sameOrg := press.By.Enterprise != "" && press.By.Enterprise == r.Origin.Enterprise // the same Grid
	return (press.By.Team == r.Origin.Team || sameOrg) &&
		press.By.Channel == r.Origin.Channel
}

// mayConfirm is the second person's part of the gate: another human than the
// requester, not the target, and a plan that still is the one they saw.
func mayConfirm(r Request, press Press, e Judged) (Reason, Fault) {
	// One Slack account is one person, too, whatever address it has by now.
	if e.Caller.Is(r.Requester) || press.By.is(r.Requester.Slack) {
		return OwnRequest, Fault{}
	}
	if e.Caller.ObjectID == r.Target.ObjectID {
		return OwnAccount, Fault{}
	}
	if slices.ContainsFunc(r.Approvers, func(a Caller) bool { return e.Caller.Is(a) || press.By.is(a.Slack) }) {
		return ConfirmedBefore, Fault{}
	}
	if !e.Requester.Is(r.Requester) || isAdministrator(e.Requester) != "" {
		return RequesterNotAdmin, e.Requester.Fault
	}
	if e.Target.Account == AccountUnknown {
		return TargetUnknown, e.Target.Fault
	}
	if !sameAccount(r.Target, e.Target) {
		return TargetChanged, Fault{}
	}
	if e.Target.Protected != "" {
		return TargetProtected, Fault{}
	}
	// A press that does not say which plan it saw counts for one that never changed.
	sawAnother := press.Plan != r.Plan.Code() && (press.Plan != "" || len(r.Changes) > 0)
	if sawAnother || len(r.Plan.changes(e.Plan)) > 0 {
		return PlanChanged, Fault{}
	}
	return "", Fault{}
}

// sameAccount reports whether an account still is the one that was shown, and one
// that can be signed out.
func sameAccount(shown, now Target) bool {
	return shown.ObjectID != "" && shown.ObjectID == now.ObjectID && now.Account == AccountMember
}

// stillHolds judges what was read again just before the effect.
func stillHolds(r Request, e Evidence) (Trouble, Fault) {
	type look struct{ was, is Caller }
	people := []look{{r.Requester, e.Requester}}
	for i, a := range r.Approvers {
		now := Caller{Standing: Unverified}
		if i < len(e.Approvers) {
			now = e.Approvers[i]
		}
		people = append(people, look{a, now})
	}
	for _, c := range people {
		if c.is.Standing == Unverified {
			return RoleUnknown, c.is.Fault
		}
		if !c.is.Is(c.was) || isAdministrator(c.is) != "" {
			return RoleLost, c.is.Fault
		}
	}
	if e.Target.Account == AccountUnknown {
		return Unreachable, e.Target.Fault
	}
	if !sameAccount(r.Target, e.Target) {
		return TargetDiffers, e.Target.Fault
	}
	return NoTrouble, Fault{}
}
