package request

import (
	"slices"
	"time"
)

// mayPress is the gate for a button.
func (p Policy) mayPress(r Request, press Press, e PressLookedUp, now time.Time) (Reason, Fault) {
	if why := isClosedTo(r, press, now); why != "" {
		return why, Fault{}
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
		return p.mayConfirm(r, press, e)
	case WhatIf:
		if r.Thread.PlanWanted && !r.Thread.Gone {
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

// isClosedTo says why a press does not count whoever pressed: it is not on this card, or
// the card does not wait any more.
func isClosedTo(r Request, press Press, now time.Time) Reason {
	if r.State == Noted || !samePlace(r, press) || !slices.Contains(verbs, press.Verb) {
		return UnknownCard
	}
	if r.Card.TS != "" && r.Card.TS != press.MessageTS {
		return OtherCard
	}
	switch r.State {
	case Received:
		if !r.known() {
			return UnknownCard
		}
		return StillChecking
	case Pending:
	case Approved, Executing:
		return AlreadyConfirmed
	case Finished, Settling, Done:
		return AlreadyDone
	case Refused, Planned, Answered, Noted:
		return AlreadyRefused
	case Canceled:
		return AlreadyCanceled
	case Expired:
		return AlreadyExpired
	}
	if !press.At.Before(r.Expires) || now.Sub(r.Expires) > judgeGrace {
		return AlreadyExpired
	}
	return ""
}

// samePlace reports whether a press comes from where this request's card is: the
// same workspace (or Grid organization) and channel.
func samePlace(r Request, press Press) bool {
	sameOrg := press.By.Enterprise != "" && press.By.Enterprise == r.Origin.Enterprise // the same Grid
	return (press.By.Team == r.Origin.Team || sameOrg) &&
		press.By.Channel == r.Origin.Channel
}

// mayConfirm is the second person's part of the gate.
func (p Policy) mayConfirm(r Request, press Press, e PressLookedUp) (Reason, Fault) {
	if p.Disabled {
		return CommandDisabled, Fault{}
	}
	if e.Freeze.On {
		return IsFrozen, Fault{}
	}
	if why, fault := isSecondPerson(r, press, e); why != "" {
		return why, fault
	}
	if e.Target.Account == AccountMissing {
		return "", Fault{} // there is nothing left to run, which everybody should know
	}
	if p.stepsUp(e.Target) && !press.Proof.proves(e.Caller, r, press.At) {
		return StepUpNeeded, Fault{}
	}
	return "", Fault{}
}

// isSecondPerson asks for another human than the requester, who is not the target and
// has not confirmed yet, and for a plan that still is the one they saw.
func isSecondPerson(r Request, press Press, e PressLookedUp) (Reason, Fault) {
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
	if e.Target.Account == AccountMissing {
		return "", Fault{}
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
