package request

import "slices"

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
	if e.Target.Account == AccountMissing {
		return TargetGone, e.Target.Fault
	}
	if !sameAccount(r.Target, e.Target) {
		return TargetDiffers, e.Target.Fault
	}
	return NoTrouble, Fault{}
}

// forbids is what the operator's settings, or a freeze, have against running r now:
// they may have changed since it was approved.
func (p Policy) forbids(r Request, e Started) Trouble {
	t := r.Target
	if e.Evidence != nil && e.Evidence.Target.Account == AccountMember {
		t = e.Evidence.Target
	}
	switch {
	case e.Freeze.On:
		return FrozenBefore
	case t.Protected != "":
		return ProtectedNow
	case p.Disabled:
		return SwitchedOff
	case !r.Command.Unconfirmed && len(r.Approvers) < max(r.needed(), p.needs(t)):
		return MoreNeeded
	case p.stepsUp(t) && slices.ContainsFunc(r.Approvers, func(a Caller) bool { return !a.Proven }):
		return MoreNeeded
	case p.mayRunAlone(r.Command, t) == ConfirmRequired:
		return AloneForbidden
	}
	return NoTrouble
}
