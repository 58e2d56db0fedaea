package request

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// asked is what becomes of a command that is like the usual one but for change.
func asked(t *testing.T, p Policy, change func(*Request, *CommandLookedUp)) (Request, []Record) {
	t.Helper()
	r, v := received(), CommandLookedUp{At: t0, Caller: alice, Place: Ours, Target: target, Plan: thePlan}
	change(&r, &v)
	after, recs, err := p.Next(r, v, t0)
	if err != nil {
		t.Fatal(err)
	}
	return after, recs
}

// Every kind of command under every policy that concerns it.
func TestGateForParameters(t *testing.T) {
	whatIf := func(r *Request, _ *CommandLookedUp) { r.Command.WhatIf = true }
	alone := func(r *Request, _ *CommandLookedUp) { r.Command.Unconfirmed, r.Command.Reason = true, "INC-42" }
	and := func(fs ...func(*Request, *CommandLookedUp)) func(*Request, *CommandLookedUp) {
		return func(r *Request, v *CommandLookedUp) {
			for _, f := range fs {
				f(r, v)
			}
		}
	}
	asHeidi := func(_ *Request, v *CommandLookedUp) { v.Caller = heidi }
	direct := func(_ *Request, v *CommandLookedUp) { v.Place = Direct }
	guest := func(_ *Request, v *CommandLookedUp) { v.Target.Account = AccountGuest }
	ttl := policy.TTL
	tests := []struct {
		name   string
		policy Policy
		change func(*Request, *CommandLookedUp)
		state  State
		why    Reason // of the refusal, or of the answer
		event  string
	}{
		{"what-if", Policy{TTL: ttl}, whatIf, Planned, PlanShown, "command what-if"},
		{"what-if in a direct message", Policy{TTL: ttl}, and(whatIf, direct), Planned, PlanShown, "command what-if"},
		{"what-if in a direct message where channels are named", Policy{TTL: ttl, Channels: []string{"C2"}}, and(whatIf, direct), Refused, ChannelNotAllowed, "command what-if"},
		{"what-if by helpdesk", Policy{TTL: ttl}, and(whatIf, asHeidi), Refused, NotAdministrator, "command what-if"},
		{"what-if about a guest", Policy{TTL: ttl}, and(whatIf, guest), Refused, TargetGuest, "command what-if"},
		{"what-if beats unconfirmed", Policy{TTL: ttl}, and(alone, whatIf), Planned, PlanShown, "command what-if"},
		{"unconfirmed, not allowed", Policy{TTL: ttl}, alone, Refused, ConfirmRequired, "command"},
		{"unconfirmed, allowed", Policy{TTL: ttl, AllowUnconfirmed: true}, alone, Approved, "", "command"},
		{"unconfirmed, without a reason", Policy{TTL: ttl, AllowUnconfirmed: true}, func(r *Request, _ *CommandLookedUp) { r.Command.Unconfirmed = true }, Refused, ReasonRequired, "command"},
		{"unconfirmed by helpdesk", Policy{TTL: ttl, AllowUnconfirmed: true}, and(alone, asHeidi), Refused, NotAdministrator, "command"},
		{"unconfirmed about a guest", Policy{TTL: ttl, AllowUnconfirmed: true}, and(alone, guest), Refused, TargetGuest, "command"},
		{"unconfirmed in a direct message", Policy{TTL: ttl, AllowUnconfirmed: true}, and(alone, direct), Refused, ChannelDirect, "command"},
		{"confirmed where unconfirmed is allowed", Policy{TTL: ttl, AllowUnconfirmed: true}, func(*Request, *CommandLookedUp) {}, Pending, "", "command"},
		{"switched off", Policy{TTL: ttl, Disabled: true}, func(*Request, *CommandLookedUp) {}, Refused, CommandDisabled, "command"},
		{"switched off, what-if", Policy{TTL: ttl, Disabled: true}, whatIf, Refused, CommandDisabled, "command what-if"},
		{"switched off, unconfirmed", Policy{TTL: ttl, Disabled: true, AllowUnconfirmed: true}, alone, Refused, CommandDisabled, "command"},
		{"a mention that leads nowhere", Policy{TTL: ttl}, func(_ *Request, v *CommandLookedUp) {
			v.Target = Target{Account: AccountUnresolved, Standing: EntraMissing}
		}, Refused, TargetUnresolved, "command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, recs := asked(t, tt.policy, tt.change)
			if r.State != tt.state {
				t.Errorf("state %s, want %s", r.State, tt.state)
			}
			var why Reason
			if len(r.Replies) > 0 {
				why = r.Replies[0].Reason
			}
			if why != tt.why {
				t.Errorf("answer %q, want %q", why, tt.why)
			}
			decision := "allowed"
			if tt.state == Refused {
				decision = "refused"
			}
			if len(recs) != 1 || recs[0].Event != tt.event || recs[0].Decision != decision {
				t.Errorf("records %+v, want one %s %s", recs, decision, tt.event)
			}
		})
	}
}

// What one person runs alone is public before it has an effect.
func TestUnconfirmedIsShownBeforeItRuns(t *testing.T) {
	p := Policy{TTL: policy.TTL, AllowUnconfirmed: true}
	alone := func(r *Request, _ *CommandLookedUp) { r.Command.Unconfirmed, r.Command.Reason = true, "INC-42" }
	r, recs := asked(t, p, alone)
	if !recs[0].Unconfirmed || recs[0].Justification != "INC-42" || recs[0].Plan != thePlan.Code() {
		t.Errorf("record %+v, want it to say unconfirmed, why, and the plan", recs[0])
	}
	if !r.mustShowFirst() || r.Face() != FaceRunning || r.Card.TS != "" {
		t.Errorf("face %q, card %+v; want one to be shown first", r.Face(), r.Card)
	}
	failed, _, err := p.Next(r, Reported{Shown{Failed: true, RetryAfter: 7 * time.Second}}, t0)
	if err != nil || !failed.mustShowFirst() || !failed.Due.Equal(t0.Add(7*time.Second)) {
		t.Errorf("not shown: due %v, %v; want to try again in 7 s", failed.Due, err)
	}
	gone, recs, err := p.Next(r, Reported{Shown{Gone: "not_in_channel"}}, t0)
	if err != nil || gone.State != Refused || gone.Refusal != CardNotPosted || len(recs) != 1 {
		t.Errorf("nowhere to show it: %s, %q, %v; want refused", gone.State, gone.Refusal, err)
	}
	posted, _, err := p.Next(r, Reported{Shown{Card: Card{TS: "1.1", Face: FaceRunning}}}, t0)
	if err != nil || posted.mustShowFirst() || !posted.Due.Equal(t0) {
		t.Errorf("shown: due %v, %v; want to run now", posted.Due, err)
	}
	// Their own role still counts, read again; there is no approver to read.
	e := Evidence{At: t0.Add(time.Minute), Requester: alice, Target: target}
	running, recs, err := p.Next(posted, Started{Plan: thePlan, Evidence: &e}, t0.Add(time.Minute))
	if err != nil || running.State != Executing || recs[0].Actor.ObjectID != alice.ObjectID {
		t.Errorf("%s, %+v, %v; want executing on alice's word", running.State, recs, err)
	}
	e.Requester.Administrator = false
	if lost, _, _ := p.Next(posted, Started{Plan: thePlan, Evidence: &e}, t0.Add(time.Minute)); lost.Outcome.Trouble != RoleLost {
		t.Errorf("requester without the role: %s, %+v; want role lost", lost.State, lost.Outcome)
	}
}

// The operator's permission counts when it runs, not when it was asked for.
func TestAllowUnconfirmedIsWithdrawn(t *testing.T) {
	allowed, forbidden := Policy{TTL: policy.TTL, AllowUnconfirmed: true}, Policy{TTL: policy.TTL}
	r, _ := asked(t, allowed, func(r *Request, _ *CommandLookedUp) { r.Command.Unconfirmed, r.Command.Reason = true, "INC-42" })
	r.Card.TS = "1.1"
	stopped, recs, err := forbidden.Next(r, Started{Plan: thePlan}, t0)
	if err != nil || stopped.State != Finished || stopped.Outcome.Trouble != AloneForbidden || stopped.Outcome.Result != Failed || len(recs) != 1 {
		t.Errorf("approved before: %s, %+v, %v; want result 4, alone forbidden", stopped.State, stopped.Outcome, err)
	}
	begun, _, err := allowed.Next(r, Started{Plan: thePlan}, t0)
	if err != nil {
		t.Fatal(err)
	}
	held, _, err := forbidden.Next(begun, Started{Plan: thePlan}, t0)
	if err != nil || held.State != Executing || held.Hold != AloneForbidden {
		t.Errorf("begun before: %s, hold %q, %v; want a look only", held.State, held.Hold, err)
	}
}

// A press that does not say which plan it saw is good for a plan that never changed.
func TestPressWithoutAPlan(t *testing.T) {
	renamed := target
	renamed.UPN = "m.allory@contoso.com"
	r := pending(t)
	for _, key := range []string{"first", "second, in the same moment"} {
		r = next(t, r, Pressed{Press{Key: key, Verb: Confirm, By: origin(bob), MessageTS: "1.1"}}, t0)
		r = next(t, r, PressLookedUp{Key: key, At: t0, Caller: bob, Place: Ours, Requester: alice, Target: renamed, Plan: planFor(renamed)}, t0)
		if r.State != Pending {
			t.Fatalf("%s: %s, want a plan that nobody has seen not to be confirmed", key, r.State)
		}
	}
}

// A request that this version cannot read the command of is answered, not kept open.
func TestCommandOfAnotherVersion(t *testing.T) {
	r := received()
	r.Command = Command{}
	r = next(t, r, CommandLookedUp{Caller: alice, Place: Ours, Target: Target{Account: AccountMissing}}, t0)
	if r.State != Refused || len(r.Replies) != 1 || r.Replies[0].Reason != CommandTooOld {
		t.Errorf("%s, %+v; want refused and command-too-old", r.State, r.Replies)
	}
}

func TestPlanIsBound(t *testing.T) {
	r := pending(t)
	r.Thread.PlanWanted, r.Thread.PlanTS = true, "1.5"
	renamed := target
	renamed.UPN = "m.allory@contoso.com"
	confirm := func(r Request, key, seen string, tg Target) (Request, []Record) {
		t.Helper()
		r = next(t, r, Pressed{Press{Key: key, Verb: Confirm, By: origin(bob), MessageTS: "1.1", Plan: seen}}, t0)
		after, recs, err := policy.Next(r, PressLookedUp{Key: key, At: t0, Caller: bob, Place: Ours, Requester: alice, Target: tg, Plan: planFor(tg)}, t0)
		if err != nil {
			t.Fatal(err)
		}
		return after, recs
	}
	r, recs := confirm(r, "k1", thePlan.Code(), renamed)
	want := []Change{{"sign-in name", "mallory@contoso.com", "m.allory@contoso.com"}}
	if diff := cmp.Diff(want, r.Changes); r.State != Pending || diff != "" || recs[0].Reason != PlanChanged {
		t.Errorf("%s, %+v, changes (-want +got):\n%s", r.State, recs, diff)
	}
	if !r.Unshown() || r.Thread.PlanWanted || r.Plan.Target.UPN != renamed.UPN {
		t.Errorf("the card is not brought up to date: %+v", r)
	}
	// Whoever still has the old card before their eyes confirms nothing.
	r, _ = confirm(r, "k2", thePlan.Code(), renamed)
	if r.State != Pending || len(r.Changes) != 1 {
		t.Errorf("a press on the old plan: %s, changes %+v", r.State, r.Changes)
	}
	r, _ = confirm(r, "k3", r.Plan.Code(), renamed)
	if r.State != Approved || r.Plan.Target.UPN != renamed.UPN {
		t.Errorf("confirmed anew: %s for %s", r.State, r.Plan.Target.UPN)
	}
	// Also what changes between Confirm and effect stops it.
	other := planFor(renamed)
	other.Revoker = "SharePoint Online"
	stopped := next(t, r, Started{Plan: other}, t0)
	if stopped.State != Finished || stopped.Outcome.Trouble != TargetDiffers {
		t.Errorf("another revoker after the Confirm: %s, %+v", stopped.State, stopped.Outcome)
	}
}

func TestPlanCode(t *testing.T) {
	seen := map[string]bool{}
	for _, change := range []func(*Plan){
		func(*Plan) {},
		func(p *Plan) { p.Target.ObjectID += "x" },
		func(p *Plan) { p.Target.UPN += "x" },
		func(p *Plan) { p.Revoker += "x" },
		func(p *Plan) { p.Tenant += "x" },
		func(p *Plan) { p.Target.ObjectID, p.Target.UPN = p.Target.ObjectID+p.Target.UPN, "" },
	} {
		p := thePlan
		change(&p)
		if code := p.Code(); seen[code] || len(code) != 9 {
			t.Errorf("code %q, want a new one of nine characters", code)
		} else {
			seen[code] = true
		}
	}
	p := thePlan
	p.Target.Name, p.Target.Enabled, p.Target.ValidFrom = "Mallory M.", false, t0
	if p.Code() != thePlan.Code() || len(thePlan.changes(p)) != 0 {
		t.Error("what a confirmation does not bind has changed the plan")
	}
	if code := (Plan{}).Code(); code != "" {
		t.Errorf("code of no plan is %q", code)
	}
}

func TestSwitchedOff(t *testing.T) {
	off := Policy{TTL: policy.TTL, Disabled: true}
	p := Press{Key: "k", Verb: Confirm, By: origin(bob), MessageTS: "1.1"}
	r := next(t, pending(t), Pressed{p}, t0)
	j := PressLookedUp{Key: "k", Caller: bob, Place: Ours, Requester: alice, Target: target, Plan: thePlan}
	if after, _, _ := off.Next(r, j, t0); after.State != Pending || after.Replies[0].Reason != CommandDisabled {
		t.Errorf("confirm: %s, %+v; want pending and command-disabled", after.State, after.Replies)
	}
	after, _, err := off.Next(inState(t, Approved), Started{Plan: thePlan}, t0)
	if err != nil || after.State != Finished || after.Outcome.Result != NotAvailable {
		t.Errorf("approved before: %s, %+v, %v; want result 5", after.State, after.Outcome, err)
	}
	after, _, err = off.Next(inState(t, Executing), Started{Plan: thePlan}, t0)
	if err != nil || after.State != Executing || after.Hold != SwitchedOff {
		t.Errorf("begun before: %s, hold %q, %v; want a look only", after.State, after.Hold, err)
	}
}

// Microsoft's "come later" is waited for without holding the lease, within the
// time after which somebody should do it by hand.
func TestPostponed(t *testing.T) {
	r := inState(t, Executing)
	throttled := Outcome{
		Result: Failed, Trouble: Throttled, RetryAfter: 10 * time.Second, Sends: 1,
		RequestIDs: []string{"a"}, Steps: []Step{{What: "one"}},
	}
	r, recs, err := policy.Next(r, Executed{throttled}, t0)
	if err != nil || r.State != Executing || !r.Due.Equal(t0) || r.Face() != FaceWaiting {
		t.Fatalf("%s due %v, face %q, %v; want executing, and the card first", r.State, r.Due, r.Face(), err)
	}
	if len(recs) != 1 || recs[0].Event != "postpone" || recs[0].Outcome.Trouble != Throttled {
		t.Errorf("records %+v, want one postpone with its trouble", recs)
	}
	r = next(t, r, Reported{Shown{Card: Card{TS: "1.1", Face: FaceWaiting}, ResultTS: "1.2"}}, t0)
	if want := t0.Add(10 * time.Second); !r.Due.Equal(want) {
		t.Errorf("due %v, want %v", r.Due, want)
	}
	e := Evidence{At: r.Due, Requester: alice, Approvers: []Caller{bob}, Target: target}
	r = next(t, r, Started{Plan: thePlan, Evidence: &e}, r.Due)
	if r.Attempts != 2 || !r.RunAt.IsZero() || r.Face() != FaceRunning {
		t.Errorf("second attempt: %+v", r)
	}
	done := next(t, r, Executed{Outcome{Result: SignedOutWithinHour, Sends: 1, RequestIDs: []string{"b"}, Steps: []Step{{What: "two"}}}}, t0.Add(11*time.Second))
	o := done.Outcome
	if diff := cmp.Diff([]string{"a", "b"}, o.RequestIDs); diff != "" || o.Sends != 2 || len(o.Steps) != 2 || done.State != Finished {
		t.Errorf("%s, outcome %+v; want finished with both attempts in the evidence", done.State, o)
	}
	late := next(t, r, Executed{throttled}, t0.Add(giveUpAfter-5*time.Second))
	if late.State != Finished || late.Outcome.Trouble != Throttled || late.Outcome.Result != Failed {
		t.Errorf("longer than worth waiting: %s, %+v; want result 4, throttled", late.State, late.Outcome)
	}
}
