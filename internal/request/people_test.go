package request

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	carol      = admin("carol")
	privileged = func() Target { t := target; t.Roles = "Helpdesk Administrator"; return t }()
)

// pendingUnder is a card under a policy, for a target.
func pendingUnder(t *testing.T, p Policy, tg Target) Request {
	t.Helper()
	p.TTL = policy.TTL
	r, _, err := p.Next(received(), CommandLookedUp{Caller: alice, Place: Ours, Target: tg, Plan: planFor(tg)}, t0)
	if err != nil || r.State != Pending {
		t.Fatalf("state %s, %v", r.State, err)
	}
	r, _, err = p.Next(r, Reported{Shown{Card: Card{TS: "1.1", Face: FacePending, Shows: r.Shows()}}}, t0)
	if err != nil || r.Unshown() {
		t.Fatalf("not shown: %v", err)
	}
	return r
}

// confirmAs judges a Confirm and returns the answer to it.
func confirmAs(t *testing.T, p Policy, r Request, who Caller, change func(*Press, *PressLookedUp)) (Request, Reason) {
	t.Helper()
	p.TTL = policy.TTL
	press := Press{Key: "k" + who.Slack.User + time.Now().String(), Verb: Confirm, By: origin(who), MessageTS: "1.1", At: t0}
	j := PressLookedUp{At: t0, Caller: who, Place: Ours, Requester: alice, Target: r.Target, Plan: planFor(r.Target)}
	if change != nil {
		change(&press, &j)
	}
	j.Key = press.Key
	before := len(r.Replies)
	r, _, err := p.Next(r, Pressed{press}, t0)
	if err == nil {
		r, _, err = p.Next(r, j, t0)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Replies) > before {
		return r, r.Replies[len(r.Replies)-1].Reason
	}
	return r, ""
}

// As many different people confirm as the policy wants, each once, whatever Slack
// account they use.
func TestSeveralApprovals(t *testing.T) {
	second := bob
	second.Slack = slackUser("bob-again")
	tests := []struct {
		name    string
		policy  Policy
		target  Target
		presses []Caller
		answers []Reason
		state   State
	}{
		{"one is enough", Policy{}, target, []Caller{bob}, []Reason{""}, Approved},
		{"one of two", Policy{Approvals: 2}, target, []Caller{bob}, []Reason{""}, Pending},
		{"two of two", Policy{Approvals: 2}, target, []Caller{bob, carol}, []Reason{"", ""}, Approved},
		{"the same twice", Policy{Approvals: 2}, target, []Caller{bob, bob}, []Reason{"", ConfirmedBefore}, Pending},
		{"the same with a second Slack account", Policy{Approvals: 2}, target, []Caller{bob, second}, []Reason{"", ConfirmedBefore}, Pending},
		{"the requester is none of them", Policy{Approvals: 2}, target, []Caller{bob, alice}, []Reason{"", OwnRequest}, Pending},
		{"the target is none of them", Policy{Approvals: 2}, target, []Caller{bob, mallory}, []Reason{"", OwnAccount}, Pending},
		{"privileged", Policy{ApprovalsPrivileged: 2}, privileged, []Caller{bob}, []Reason{""}, Pending},
		{"privileged, two", Policy{ApprovalsPrivileged: 2}, privileged, []Caller{bob, carol}, []Reason{"", ""}, Approved},
		{"not privileged", Policy{ApprovalsPrivileged: 2}, target, []Caller{bob}, []Reason{""}, Approved},
		{"the larger number counts", Policy{Approvals: 2, ApprovalsPrivileged: 1}, privileged, []Caller{bob}, []Reason{""}, Pending},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := pendingUnder(t, tt.policy, tt.target)
			var answers []Reason
			for _, who := range tt.presses {
				var why Reason
				r, why = confirmAs(t, tt.policy, r, who, nil)
				answers = append(answers, why)
			}
			if diff := cmp.Diff(tt.answers, answers); diff != "" || r.State != tt.state {
				t.Errorf("state %s, want %s; answers (-want +got):\n%s", r.State, tt.state, diff)
			}
			if r.State == Pending && !r.Unshown() {
				t.Error("the card does not say who has confirmed so far")
			}
			if len(r.Approvers) > 1 && !r.CheckedAt.IsZero() {
				t.Error("what was read of the first counts as fresh")
			}
		})
	}
}

// A target that becomes privileged while its card waits needs what such a target needs.
func TestTargetBecomesPrivileged(t *testing.T) {
	p := Policy{ApprovalsPrivileged: 2}
	r := pendingUnder(t, p, target)
	r, why := confirmAs(t, p, r, bob, func(_ *Press, j *PressLookedUp) { j.Target.Roles = "Global Administrator" })
	if r.State != Pending || why != "" || r.Missing() != 1 {
		t.Errorf("state %s, %q, %d missing; want it to wait for one more", r.State, why, r.Missing())
	}
}

// Nobody's word for one plan counts for another.
func TestApprovalsEndWithThePlan(t *testing.T) {
	p := Policy{Approvals: 2}
	r := pendingUnder(t, p, target)
	r, _ = confirmAs(t, p, r, bob, nil)
	renamed := target
	renamed.UPN = "m.allory@contoso.com"
	r, why := confirmAs(t, p, r, carol, func(_ *Press, j *PressLookedUp) { j.Target, j.Plan = renamed, planFor(renamed) })
	if why != PlanChanged || len(r.Approvers) != 0 || r.State != Pending {
		t.Errorf("%q, %d approvers, state %s; want a new plan that nobody has confirmed", why, len(r.Approvers), r.State)
	}
}

// Everybody's role is read again before the effect, however many they are.
func TestEveryApproverIsReadAgain(t *testing.T) {
	p := Policy{Approvals: 2, TTL: policy.TTL}
	r := pendingUnder(t, p, target)
	r, _ = confirmAs(t, p, r, bob, nil)
	r, _ = confirmAs(t, p, r, carol, nil)
	if _, _, err := p.Next(r, Started{Plan: thePlan}, t0); !errors.Is(err, errStale) {
		t.Errorf("Started without evidence = %v, want errStale", err)
	}
	lost := bob
	lost.Administrator = false
	tests := map[string]struct {
		approvers []Caller
		state     State
		want      Trouble
	}{
		"all hold it":      {[]Caller{bob, carol}, Executing, NoTrouble},
		"the first lost":   {[]Caller{lost, carol}, Finished, RoleLost},
		"one not read":     {[]Caller{bob}, Approved, RoleUnknown}, // for now
		"somebody else":    {[]Caller{bob, heidi}, Finished, RoleLost},
		"in another order": {[]Caller{carol, bob}, Finished, RoleLost},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			after, _, err := p.Next(r, Started{Plan: thePlan, Evidence: &Evidence{At: t0, Requester: alice, Approvers: tt.approvers, Target: target}}, t0)
			if err != nil {
				t.Fatal(err)
			}
			if got := after.Outcome.Trouble + after.SoFar.Trouble; after.State != tt.state || got != tt.want {
				t.Errorf("state %s, trouble %q; want %s, %q", after.State, got, tt.state, tt.want)
			}
		})
	}
}

// A fresh sign-in counts for one person, one request, one plan, and minutes.
func TestStepUp(t *testing.T) {
	proof := Proof{Request: "r1", Plan: thePlan.Code(), ObjectID: bob.ObjectID, At: t0.Add(-time.Minute)}
	tests := []struct {
		name   string
		stepUp StepUp
		target Target
		change func(*Proof)
		want   Reason
	}{
		{"never", StepUpNever, privileged, func(p *Proof) { *p = Proof{} }, ""},
		{"privileged, and the target is not", StepUpPrivileged, target, func(p *Proof) { *p = Proof{} }, ""},
		{"privileged, without", StepUpPrivileged, privileged, func(p *Proof) { *p = Proof{} }, StepUpNeeded},
		{"privileged, with", StepUpPrivileged, privileged, func(*Proof) {}, ""},
		{"always, without", StepUpAlways, target, func(p *Proof) { *p = Proof{} }, StepUpNeeded},
		{"always, with", StepUpAlways, target, func(*Proof) {}, ""},
		{"by somebody else", StepUpAlways, target, func(p *Proof) { p.ObjectID = carol.ObjectID }, StepUpNeeded},
		{"by nobody", StepUpAlways, target, func(p *Proof) { p.ObjectID = "" }, StepUpNeeded},
		{"for another request", StepUpAlways, target, func(p *Proof) { p.Request = "r2" }, StepUpNeeded},
		{"for another plan", StepUpAlways, target, func(p *Proof) { p.Plan = "AAAA-AAAA" }, StepUpNeeded},
		{"too old", StepUpAlways, target, func(p *Proof) { p.At = t0.Add(-ProofFor - time.Second) }, StepUpNeeded},
		{"from the future", StepUpAlways, target, func(p *Proof) { p.At = t0.Add(2 * clockSkew) }, StepUpNeeded},
		{"at a clock that is a little ahead", StepUpAlways, target, func(p *Proof) { p.At = t0.Add(clockSkew / 2) }, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Policy{StepUp: tt.stepUp}
			r := pendingUnder(t, p, tt.target)
			_, got := confirmAs(t, p, r, bob, func(press *Press, _ *PressLookedUp) {
				press.Proof = proof
				tt.change(&press.Proof)
			})
			if got != tt.want {
				t.Errorf("answer %q, want %q", got, tt.want)
			}
		})
	}
}

// Who may not confirm is told so before they are asked to sign in.
func TestStepUpComesLast(t *testing.T) {
	p := Policy{StepUp: StepUpAlways}
	for who, want := range map[*Caller]Reason{&alice: OwnRequest, &mallory: OwnAccount, &heidi: NotAdministrator, &nobody: NotVerified} {
		if _, got := confirmAs(t, p, pendingUnder(t, p, target), *who, nil); got != want {
			t.Errorf("%s: %q, want %q", who.Slack.User, got, want)
		}
	}
}

// Where more than one word is needed, nobody runs anything alone.
func TestNobodyIsAloneWhereMoreAreNeeded(t *testing.T) {
	for name, p := range map[string]Policy{
		"two approvals": {Approvals: 2}, "two for the privileged": {ApprovalsPrivileged: 2},
		"fresh sign-in": {StepUp: StepUpAlways}, "fresh sign-in for the privileged": {StepUp: StepUpPrivileged},
	} {
		t.Run(name, func(t *testing.T) {
			p.TTL, p.AllowUnconfirmed = policy.TTL, true
			r := received()
			r.Command.Unconfirmed, r.Command.Reason = true, "INC-42"
			after, _, err := p.Next(r, CommandLookedUp{Caller: alice, Place: Ours, Target: privileged, Plan: planFor(privileged)}, t0)
			if err != nil || after.State != Refused || after.Refusal != ConfirmRequired {
				t.Errorf("state %s, %q, %v; want it refused", after.State, after.Refusal, err)
			}
		})
	}
}

// A freeze stops everything that has not begun, and nothing thaws but the operator.
func TestFrozen(t *testing.T) {
	t.Run("confirm", func(t *testing.T) {
		r, why := confirmAs(t, policy, pending(t), bob, func(_ *Press, j *PressLookedUp) { j.Freeze = FreezeOf{On: true, By: carol.actor()} })
		if why != IsFrozen || r.State != Pending || r.FrozenBy != carol.Slack {
			t.Errorf("%q, state %s", why, r.State)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		r := next(t, pending(t), Pressed{Press{Key: "k", Verb: Cancel, By: origin(bob), MessageTS: "1.1", At: t0}}, t0)
		r = next(t, r, PressLookedUp{Key: "k", Caller: bob, Place: Ours, Requester: alice, Target: target, Plan: thePlan, Freeze: FreezeOf{On: true}}, t0)
		if r.State != Canceled {
			t.Errorf("state %s, want canceled: that runs nothing", r.State)
		}
	})
	t.Run("approved", func(t *testing.T) {
		r := next(t, inState(t, Approved), Started{Plan: thePlan, Freeze: FreezeOf{On: true}}, t0)
		if r.State != Finished || r.Outcome.Result != Failed || r.Outcome.Trouble != FrozenBefore {
			t.Errorf("state %s, outcome %+v", r.State, r.Outcome)
		}
	})
	t.Run("executing", func(t *testing.T) {
		r := next(t, inState(t, Executing), Started{Plan: thePlan, Freeze: FreezeOf{On: true}}, t0)
		if r.State != Executing || r.Hold != FrozenBefore {
			t.Errorf("state %s, hold %q; want it to look only", r.State, r.Hold)
		}
	})
	t.Run("card", func(t *testing.T) {
		r := next(t, pending(t), FreezeSeen{FreezeOf{On: true, By: carol.actor()}}, t0)
		if !r.Frozen || !r.Unshown() || !r.Due.Equal(t0) {
			t.Errorf("frozen %v, due %v; want the card brought up to date now", r.Frozen, r.Due)
		}
		if _, _, err := policy.Next(r, FreezeSeen{FreezeOf{On: true, By: carol.actor()}}, t0); !errors.Is(err, errNothingToDo) {
			t.Errorf("a second time: %v", err)
		}
		if r = next(t, r, FreezeSeen{}, t0); r.Frozen {
			t.Error("still frozen")
		}
	})
}

// A protected account is protected from the moment on which its operator says so.
func TestProtectedMeanwhile(t *testing.T) {
	r, why := confirmAs(t, policy, pending(t), bob, func(_ *Press, j *PressLookedUp) { j.Target.Protected = "x" })
	if why != TargetProtected || r.State != Pending {
		t.Errorf("%q, state %s", why, r.State)
	}
	protected := target
	protected.Protected = "x"
	after := next(t, inState(t, Approved), Started{Plan: thePlan, Evidence: &Evidence{At: t0, Requester: alice, Approvers: []Caller{bob}, Target: protected}}, t0)
	if after.Outcome.Trouble != ProtectedNow {
		t.Errorf("trouble %q", after.Outcome.Trouble)
	}
}

// The head that the outcome's own records led to is what the result shows, whatever is
// recorded later.
func TestSealedHead(t *testing.T) {
	r := inState(t, Finished)
	r.Head = Head{Count: 7, Hash: "a"} // as the store sets it
	r = next(t, r, Reported{Shown{Failed: true}}, t0)
	r.Head = Head{Count: 9, Hash: "b"}
	r = next(t, r, Reported{Shown{Failed: true}}, t0)
	if want := (Head{Count: 7, Hash: "a"}); r.Sealed != want {
		t.Errorf("Sealed = %+v, want %+v", r.Sealed, want)
	}
}

func TestCountsWithinTheHour(t *testing.T) {
	var n Note
	var got []bool
	add := func(id ID, at time.Time) {
		var ok bool
		n, ok = n.count(id, 2, at)
		got = append(got, ok)
	}
	add("r1", t0)
	add("r1", t0.Add(time.Minute)) // the same command, worked on again
	add("r2", t0.Add(30*time.Minute))
	add("r3", t0.Add(59*time.Minute))
	add("r3", t0.Add(time.Hour))
	add("r4", t0.Add(time.Hour+29*time.Minute))
	if want := []bool{true, true, true, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}

// What the operator requires is held against what was read last.
func TestRequirementsAtTheEffect(t *testing.T) {
	unconfirmed := received()
	unconfirmed.Command.Unconfirmed, unconfirmed.Command.Reason = true, "INC-42"
	alone := Policy{TTL: policy.TTL, AllowUnconfirmed: true, ApprovalsPrivileged: 2}
	unconfirmed, _, err := alone.Next(unconfirmed, CommandLookedUp{Caller: alice, Place: Ours, Target: target, Plan: thePlan}, t0)
	if err != nil || unconfirmed.State != Approved {
		t.Fatalf("state %s, %v", unconfirmed.State, err)
	}
	approved := inState(t, Approved)
	nobody := approved
	nobody.Approvers = nil
	tests := []struct {
		name   string
		policy Policy
		r      Request
		target Target
		want   Trouble
	}{
		{"alone, and the target is privileged now", alone, unconfirmed, privileged, AloneForbidden},
		{"alone, and it is not", alone, unconfirmed, target, NoTrouble},
		{"one of two, since the target is privileged now", Policy{ApprovalsPrivileged: 2}, approved, privileged, MoreNeeded},
		{"one of two, since the operator wants two now", Policy{Approvals: 2}, approved, target, MoreNeeded},
		{"protected now", Policy{}, approved, func() Target { t := target; t.Protected = "x"; return t }(), ProtectedNow},
		{"nobody at all", Policy{}, nobody, target, MoreNeeded},
		{"one of one", Policy{}, approved, target, NoTrouble},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := &Evidence{At: t0, Requester: alice, Approvers: tt.r.Approvers, Target: tt.target}
			after, _, err := tt.policy.Next(tt.r, Started{Plan: thePlan, Evidence: e}, t0)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]State{true: Executing, false: Finished}[tt.want == NoTrouble]; after.State != want || after.Outcome.Trouble != tt.want {
				t.Errorf("state %s, %q; want %s, %q", after.State, after.Outcome.Trouble, want, tt.want)
			}
		})
	}
}

// One Slack account is one person, also if its address leads to another one by now.
func TestOneSlackAccountIsOnePerson(t *testing.T) {
	other := carol
	other.Slack = alice.Slack
	if _, why := confirmAs(t, policy, pending(t), other, nil); why != OwnRequest {
		t.Errorf("the requester's Slack account: %q, want %q", why, OwnRequest)
	}
	p := Policy{Approvals: 2}
	r, _ := confirmAs(t, p, pendingUnder(t, p, target), bob, nil)
	other.Slack = bob.Slack
	if _, why := confirmAs(t, p, r, other, nil); why != ConfirmedBefore {
		t.Errorf("an approver's Slack account: %q, want %q", why, ConfirmedBefore)
	}
}

// Where a fresh sign-in is wanted, nobody's word without one counts, also if it was given
// before it was wanted.
func TestEveryApproverIsProven(t *testing.T) {
	p := Policy{Approvals: 2, StepUp: StepUpPrivileged, TTL: policy.TTL}
	proof := func(who Caller) func(*Press, *PressLookedUp) {
		return func(press *Press, j *PressLookedUp) {
			j.Target = privileged
			press.Proof = Proof{Request: "r1", Plan: thePlan.Code(), ObjectID: who.ObjectID, At: t0}
		}
	}
	r, why := confirmAs(t, p, pendingUnder(t, p, target), bob, nil)
	if why != "" || len(r.Approvers) != 1 || r.Approvers[0].Proven {
		t.Fatalf("%q, %+v", why, r.Approvers)
	}
	r, why = confirmAs(t, p, r, carol, proof(carol))
	if why != "" || r.State != Pending || len(r.Approvers) != 1 || !r.Approvers[0].Is(carol) {
		t.Fatalf("%q, state %s, %+v; want carol's word alone", why, r.State, r.Approvers)
	}
	r, why = confirmAs(t, p, r, bob, proof(bob))
	if why != "" || r.State != Approved {
		t.Fatalf("%q, state %s", why, r.State)
	}
	r.Approvers[1].Proven = false
	e := &Evidence{At: t0, Requester: alice, Approvers: r.Approvers, Target: privileged}
	if after, _, err := p.Next(r, Started{Plan: thePlan, Evidence: e}, t0); err != nil || after.Outcome.Trouble != MoreNeeded {
		t.Errorf("an unproven word at the effect: %q, %v", after.Outcome.Trouble, err)
	}
}
