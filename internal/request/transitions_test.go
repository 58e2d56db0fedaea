package request

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	t0     = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	policy = Policy{TTL: 15 * time.Minute}

	alice   = admin("alice")
	bob     = admin("bob")
	mallory = admin("mallory") // the target, who may even be an administrator
	heidi   = Caller{Slack: slackUser("heidi"), ObjectID: "oid-heidi", Standing: Member}
	nobody  = Caller{Slack: slackUser("nobody"), Standing: EntraMissing}
	target  = Target{ObjectID: "oid-mallory", UPN: "mallory@contoso.com", Account: AccountMember, Enabled: true, ValidFrom: t0.Add(-time.Hour)}
	thePlan = Plan{Revoker: "Microsoft Graph", Tenant: "contoso.onmicrosoft.com", Target: target}
	shown   = Card{TS: "1.1", Face: FacePending, Shows: thePlan.Code() + " 0/1"}
)

// planFor is the plan for t, as the service makes it.
func planFor(t Target) Plan {
	if t.Account != AccountMember {
		return Plan{}
	}
	p := thePlan
	p.Target = t
	return p
}

func slackUser(name string) SlackUser { return SlackUser{Team: "T1", User: "U-" + name} }

func origin(c Caller) Origin { return Origin{SlackUser: c.Slack, Channel: "C1"} }

func admin(name string) Caller {
	return Caller{Slack: slackUser(name), ObjectID: "oid-" + name, Standing: Member, Administrator: true}
}

// next is Next for steps that must apply.
func next(t *testing.T, r Request, e Event, now time.Time) Request {
	t.Helper()
	if _, ok := e.(Reported); ok {
		r.Lease.At = now // a report that took no time
	}
	after, _, err := policy.Next(r, e, now)
	if err != nil {
		t.Fatalf("Next(%s, %T) = %v", r.State, e, err)
	}
	return after
}

func received() Request {
	return Request{ID: "r1", State: Received, Command: Command{User: target.UPN}, Origin: origin(alice), Received: t0, Due: t0}
}

func pending(t *testing.T) Request {
	t.Helper()
	r := next(t, received(), CommandLookedUp{Caller: alice, Place: Ours, Target: target, Plan: thePlan}, t0)
	return next(t, r, Reported{Shown{Card: shown}}, t0)
}

// press puts a press on the request and judges it.
func press(t *testing.T, r Request, verb Verb, who Caller, now time.Time) (Request, []Record) {
	t.Helper()
	key := fmt.Sprint(verb, who.Slack.User, len(r.Judged))
	r = next(t, r, Pressed{Press{Key: key, Verb: verb, By: origin(who), MessageTS: "1.1", At: now}}, now)
	after, recs, err := policy.Next(r, PressLookedUp{Key: key, At: now, Caller: who, Place: Ours, Requester: alice, Target: target, Plan: thePlan}, now)
	if err != nil {
		t.Fatalf("Next(%s, PressLookedUp) = %v", r.State, err)
	}
	return after, recs
}

// inState brings a request into each state of its life by the same steps as the
// program.
func inState(t *testing.T, s State) Request {
	t.Helper()
	switch s {
	case Received:
		return received()
	case Planned:
		r := received()
		r.Command.WhatIf = true
		return next(t, r, CommandLookedUp{Caller: alice, Place: Ours, Target: target, Plan: thePlan}, t0)
	case Answered:
		r := received()
		r.Command = Command{Kind: Freeze}
		return next(t, r, CommandLookedUp{Caller: alice}, t0)
	case Noted:
		return next(t, Request{ID: freezeNote, State: Noted, Origin: origin(alice)}, Freezing{By: alice}, t0)
	case Refused:
		return next(t, received(), CommandLookedUp{Caller: heidi, Place: Ours, Target: target}, t0)
	case Pending:
		return pending(t)
	case Canceled:
		r, _ := press(t, pending(t), Cancel, bob, t0)
		return r
	case Expired:
		return next(t, pending(t), Ticked{}, t0.Add(policy.TTL))
	case Approved:
		r, _ := press(t, pending(t), Confirm, bob, t0)
		return r
	case Executing:
		return next(t, inState(t, Approved), Started{Plan: thePlan}, t0)
	case Finished:
		return next(t, inState(t, Executing), Executed{Outcome{Result: SignedOutWithinHour, At: t0}}, t0)
	case Settling:
		return next(t, inState(t, Finished), Reported{Shown{Card: Card{TS: "1.1", Face: FaceDone}, ResultTS: "1.2", ResultDone: true}}, t0)
	case Done:
		r := inState(t, Settling)
		for range settlePasses {
			r = next(t, r, Reported{Shown{Card: r.Card, ResultTS: "1.2", ResultDone: true}}, r.SettleAt)
		}
		return r
	}
	t.Fatalf("no way to state %s", s)
	return Request{}
}

var allStates = []State{Received, Pending, Approved, Executing, Finished, Settling, Done, Planned, Answered, Noted, Refused, Canceled, Expired}

func TestEveryStateIsReached(t *testing.T) {
	for _, s := range allStates {
		if r := inState(t, s); r.State != s {
			t.Errorf("inState(%s) is %s", s, r.State)
		}
	}
}

// The gate: every state, every button, every kind of person.
func TestGateForButtons(t *testing.T) {
	people := []struct {
		name string
		who  Caller
	}{{"requester", alice}, {"second administrator", bob}, {"target", mallory}, {"helpdesk", heidi}, {"nobody", nobody}}
	pendingWants := map[string]map[Verb]Reason{
		"requester":            {Confirm: OwnRequest, Cancel: "", WhatIf: ""},
		"second administrator": {Confirm: "", Cancel: "", WhatIf: ""},
		"target":               {Confirm: OwnAccount, Cancel: OwnAccount, WhatIf: ""},
		"helpdesk":             {Confirm: NotAdministrator, Cancel: NotAdministrator, WhatIf: NotAdministrator},
		"nobody":               {Confirm: NotVerified, Cancel: NotVerified, WhatIf: NotVerified},
	}
	elsewhere := map[State]Reason{
		Received: StillChecking, Approved: AlreadyConfirmed, Executing: AlreadyConfirmed, Finished: AlreadyDone,
		Settling: AlreadyDone, Done: AlreadyDone, Planned: AlreadyRefused, Answered: AlreadyRefused, Noted: UnknownCard, Refused: AlreadyRefused, Canceled: AlreadyCanceled, Expired: AlreadyExpired,
	}
	leadsTo := map[Verb]State{Confirm: Approved, Cancel: Canceled, WhatIf: Pending}
	for _, state := range allStates {
		for _, p := range people {
			for _, verb := range verbs {
				t.Run(fmt.Sprintf("%s/%s/%s", state, p.name, verb), func(t *testing.T) {
					before := inState(t, state)
					want, state := elsewhere[state], state
					if state == Pending {
						want = pendingWants[p.name][verb]
					}
					after, recs := press(t, before, verb, p.who, t0)
					var got Reason
					if n := len(after.Replies); n > len(before.Replies) {
						got = after.Replies[n-1].Reason
					}
					if got != want {
						t.Errorf("answer %q, want %q", got, want)
					}
					wantState, decision := state, "refused"
					if want == "" {
						wantState, decision = leadsTo[verb], "allowed"
					}
					if after.State != wantState {
						t.Errorf("state %s, want %s", after.State, wantState)
					}
					if len(recs) != 1 || recs[0].Decision != decision || recs[0].Reason != want || recs[0].Event != string(verb) {
						t.Errorf("records %+v, want one %s of %s", recs, decision, verb)
					}
				})
			}
		}
	}
}

func TestGateForCommands(t *testing.T) {
	tests := []struct {
		name   string
		change func(*CommandLookedUp, *Request)
		want   Reason
	}{
		{"administrator", func(*CommandLookedUp, *Request) {}, ""},
		{"disabled target is still revoked", func(v *CommandLookedUp, _ *Request) { v.Target.Enabled = false }, ""},
		{"own account", func(v *CommandLookedUp, _ *Request) { v.Target.ObjectID = alice.ObjectID }, ""},
		{"not an administrator", func(v *CommandLookedUp, _ *Request) { v.Caller = heidi }, NotAdministrator},
		{"nobody", func(v *CommandLookedUp, _ *Request) { v.Caller = nobody }, NotVerified},
		{"look-up failed", func(v *CommandLookedUp, _ *Request) { v.Caller = Caller{Standing: Unverified} }, NotVerified},
		{"administrator without an id", func(v *CommandLookedUp, _ *Request) { v.Caller.ObjectID = "" }, NotVerified},
		{"missing target", func(v *CommandLookedUp, _ *Request) { v.Target = Target{Account: AccountMissing} }, TargetMissing},
		{"guest target", func(v *CommandLookedUp, _ *Request) { v.Target.Account = AccountGuest }, TargetGuest},
		{"external target", func(v *CommandLookedUp, _ *Request) { v.Target.Account = AccountExternal }, TargetGuest},
		{"unknown target", func(v *CommandLookedUp, _ *Request) { v.Target = Target{Account: AccountUnknown} }, TargetUnknown},
		{"target without an account", func(v *CommandLookedUp, _ *Request) { v.Target = Target{} }, TargetUnknown},
		{"shared channel", func(v *CommandLookedUp, _ *Request) { v.Place = Shared }, ChannelShared},
		{"direct message", func(v *CommandLookedUp, _ *Request) { v.Place = Direct }, ChannelDirect},
		{"unreadable channel", func(v *CommandLookedUp, _ *Request) { v.Place = Unreadable }, ChannelUnreadable},
		{"unknown channel", func(v *CommandLookedUp, _ *Request) { v.Place = PlaceUnknown }, ChannelUnknown},
		{"protected target", func(v *CommandLookedUp, _ *Request) { v.Target.Protected = "breakglass@contoso.com" }, TargetProtected},
		{"frozen", func(v *CommandLookedUp, _ *Request) { v.Freeze.On = true }, IsFrozen},
		{"asked before", func(v *CommandLookedUp, _ *Request) { v.OpenCard = OpenCard{Request: "r0"} }, AskedBefore},
		{"too many", func(v *CommandLookedUp, _ *Request) { v.Over = true }, TooManyRequests},
		{"protected, and what-if", func(v *CommandLookedUp, r *Request) { v.Target.Protected, r.Command.WhatIf = "x", true }, TargetProtected},
		{"not an administrator, protected target", func(v *CommandLookedUp, _ *Request) { v.Caller, v.Target.Protected = heidi, "x" }, NotAdministrator},
		{"not linked", func(v *CommandLookedUp, _ *Request) { v.Caller = Caller{Slack: slackUser("bob"), Standing: NotLinked} }, NotVerified},
		{"no place at all", func(v *CommandLookedUp, _ *Request) { v.Place = "" }, ChannelUnknown},
		{"found after an outage", func(_ *CommandLookedUp, r *Request) { r.Received = t0.Add(-policy.TTL - time.Second) }, CommandTooOld},
		// Who may not ask learns nothing about the target.
		{"not an administrator, missing target", func(v *CommandLookedUp, _ *Request) {
			v.Caller, v.Target = heidi, Target{Account: AccountMissing}
		}, NotAdministrator},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, v := received(), CommandLookedUp{Caller: alice, Place: Ours, Target: target, Plan: thePlan}
			tt.change(&v, &r)
			after, recs, err := policy.Next(r, v, t0)
			if err != nil {
				t.Fatal(err)
			}
			wantState, replies := Pending, 0
			if tt.want != "" {
				wantState, replies = Refused, 1
			}
			if after.State != wantState || after.Refusal != tt.want || len(after.Replies) != replies {
				t.Errorf("state %s, refusal %q, %d replies; want %s, %q, %d", after.State, after.Refusal, len(after.Replies), wantState, tt.want, replies)
			}
			if len(recs) != 1 || recs[0].Reason != tt.want {
				t.Errorf("records %+v, want one with reason %q", recs, tt.want)
			}
		})
	}
}

func TestAllowedChannels(t *testing.T) {
	p := Policy{TTL: time.Minute, Channels: []string{"C2", "C3"}}
	v := CommandLookedUp{Caller: alice, Place: Ours, Target: target, Plan: thePlan}
	r := received()
	if after, _, _ := p.Next(r, v, t0); after.Refusal != ChannelNotAllowed {
		t.Errorf("in C1: refusal %q, want %q", after.Refusal, ChannelNotAllowed)
	}
	r.Origin.Channel = "C3"
	if after, _, _ := p.Next(r, v, t0); after.State != Pending {
		t.Errorf("in C3: state %s, want pending", after.State)
	}
	v.Place = Shared
	if after, _, _ := p.Next(r, v, t0); after.Refusal != ChannelShared {
		t.Errorf("allowed but shared: refusal %q, want %q", after.Refusal, ChannelShared)
	}
}

// What a Confirm needs beside a second administrator.
func TestConfirmNeedsTheWholePicture(t *testing.T) {
	tests := []struct {
		name   string
		change func(*PressLookedUp, *Press)
		want   Reason
	}{
		{"as it should be", func(*PressLookedUp, *Press) {}, ""},
		{"requester lost the role", func(j *PressLookedUp, _ *Press) { j.Requester.Administrator = false }, RequesterNotAdmin},
		{"requester unknown now", func(j *PressLookedUp, _ *Press) { j.Requester.Standing = Unverified }, RequesterNotAdmin},
		{"requester is somebody else now", func(j *PressLookedUp, _ *Press) { j.Requester = bob }, RequesterNotAdmin},
		{"requester not looked up", func(j *PressLookedUp, _ *Press) { j.Requester = Caller{} }, RequesterNotAdmin},
		{"target unknown", func(j *PressLookedUp, _ *Press) { j.Target = Target{Account: AccountUnknown} }, TargetUnknown},
		{"target renamed", func(j *PressLookedUp, _ *Press) { j.Target.UPN = "other@contoso.com" }, PlanChanged},
		{"another revoker", func(j *PressLookedUp, _ *Press) { j.Plan.Revoker = "SharePoint Online" }, PlanChanged},
		{"another tenant", func(j *PressLookedUp, _ *Press) { j.Plan.Tenant = "fabrikam.onmicrosoft.com" }, PlanChanged},
		{"pressed on an older plan", func(_ *PressLookedUp, p *Press) { p.Plan = "AAAA-AAAA" }, PlanChanged},
		{"pressed on this plan", func(_ *PressLookedUp, p *Press) { p.Plan = thePlan.Code() }, ""},
		{"target is another account", func(j *PressLookedUp, _ *Press) { j.Target.ObjectID = "oid-other" }, TargetChanged},
		{"target became a guest", func(j *PressLookedUp, _ *Press) { j.Target.Account = AccountGuest }, TargetChanged},
		{"channel became shared", func(j *PressLookedUp, _ *Press) { j.Place = Shared }, ChannelShared},
		{"another message", func(_ *PressLookedUp, p *Press) { p.MessageTS = "9.9" }, OtherCard},
		{"another channel", func(_ *PressLookedUp, p *Press) { p.By.Channel = "C9" }, UnknownCard},
		{"another workspace", func(_ *PressLookedUp, p *Press) { p.By.Team = "T9" }, UnknownCard},
		{"another organization's workspace", func(_ *PressLookedUp, p *Press) { p.By.Team, p.By.Enterprise = "T9", "E9" }, UnknownCard},
		{"an unknown button", func(_ *PressLookedUp, p *Press) { p.Verb = "approve" }, UnknownCard},
		// A second Slack account of the same human is the same human.
		{"requester's second Slack account", func(j *PressLookedUp, p *Press) {
			j.Caller = alice
			j.Caller.Slack = slackUser("alice-2")
			p.By.SlackUser = j.Caller.Slack
		}, OwnRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Press{Key: "k", Verb: Confirm, By: origin(bob), MessageTS: "1.1"}
			j := PressLookedUp{Key: "k", Caller: bob, Place: Ours, Requester: alice, Target: target, Plan: thePlan}
			tt.change(&j, &p)
			if j.Target != target {
				j.Plan = planFor(j.Target)
			}
			r := next(t, pending(t), Pressed{p}, t0)
			r = next(t, r, j, t0)
			if tt.want == "" {
				if r.State != Approved || r.actor().ObjectID != bob.ObjectID {
					t.Errorf("state %s by %q, want approved by bob", r.State, r.actor().ObjectID)
				}
				return
			}
			if r.State != Pending || len(r.Replies) != 1 || r.Replies[0].Reason != tt.want {
				t.Errorf("state %s, replies %+v; want pending and %q", r.State, r.Replies, tt.want)
			}
		})
	}
}

// A Confirm on an account that exists no more ends the request for all to see, with
// nothing run, where one of somebody else changes nothing.
func TestConfirmOfADeletedAccount(t *testing.T) {
	p := Policy{TTL: policy.TTL, Approvals: 3, StepUp: StepUpAlways}
	confirm := func(by Caller) (Request, []Record) {
		press := Press{Key: "k", Verb: Confirm, By: origin(by), MessageTS: "1.1", At: t0}
		r := next(t, pending(t), Pressed{press}, t0)
		after, recs, err := p.Next(r, PressLookedUp{Key: "k", Caller: by, Place: Ours, Requester: alice, Target: Target{Account: AccountMissing}}, t0)
		if err != nil {
			t.Fatal(err)
		}
		return after, recs
	}
	r, recs := confirm(bob)
	if r.State != Finished || r.Outcome.Result != NotFound || r.Outcome.Trouble != TargetGone || r.Outcome.Sends != 0 || r.Attempts != 0 {
		t.Errorf("state %s after %d attempts, outcome %+v; want result 1, and nothing tried", r.State, r.Attempts, r.Outcome)
	}
	if r.Target != target || r.actor().ObjectID != bob.ObjectID {
		t.Errorf("target %+v, confirmed by %q; want what the card shows, and bob", r.Target, r.actor().ObjectID)
	}
	if len(recs) != 2 || recs[0].Event != "confirm" || recs[0].Decision != "allowed" || recs[1].Event != "result" {
		t.Errorf("records %+v, want the confirm and the result", recs)
	}
	lost := carol
	lost.Administrator = false
	for _, by := range []Caller{alice, lost} {
		if r, _ := confirm(by); r.State != Pending || len(r.Replies) != 1 {
			t.Errorf("by %s: state %s, replies %+v; want a refusal", by.Slack.User, r.State, r.Replies)
		}
	}
}

func TestRequesterMayCancelWithoutTheRole(t *testing.T) {
	demoted := alice
	demoted.Administrator = false
	if r, _ := press(t, pending(t), Cancel, demoted, t0); r.State != Canceled {
		t.Errorf("state %s, want canceled", r.State)
	}
	// Nothing runs by it, so it needs no look-up to succeed.
	unknown := Caller{Slack: alice.Slack, Standing: Unverified}
	if r, _ := press(t, pending(t), Cancel, unknown, t0); r.State != Canceled {
		t.Errorf("requester who could not be looked up: state %s, want canceled", r.State)
	}
	stranger := Caller{Slack: bob.Slack, Standing: Unverified}
	if r, _ := press(t, pending(t), Cancel, stranger, t0); r.State != Pending {
		t.Errorf("somebody else who could not be looked up: state %s, want pending", r.State)
	}
}

func TestConfirmAfterExpiryIsRefusedBeforeTheTick(t *testing.T) {
	r, _ := press(t, pending(t), Confirm, bob, t0.Add(policy.TTL))
	if r.State != Pending || r.Replies[0].Reason != AlreadyExpired {
		t.Errorf("state %s, replies %+v; want pending and already-expired", r.State, r.Replies)
	}
	r, _ = press(t, pending(t), Confirm, bob, t0.Add(policy.TTL-time.Millisecond))
	if r.State != Approved {
		t.Errorf("just in time: state %s, want approved", r.State)
	}
}

func TestReplayedPressIsNotJudgedTwice(t *testing.T) {
	p := Press{Key: "k", Verb: WhatIf, By: origin(bob), MessageTS: "1.1"}
	r := next(t, pending(t), Pressed{p}, t0)
	if _, _, err := policy.Next(r, Pressed{p}, t0); !errors.Is(err, errNothingToDo) {
		t.Errorf("replay before the judgment = %v, want errNothingToDo", err)
	}
	r = next(t, r, PressLookedUp{Key: "k", Caller: bob, Place: Ours, Requester: alice, Target: target, Plan: thePlan}, t0)
	if _, _, err := policy.Next(r, Pressed{p}, t0.Add(5*time.Minute)); !errors.Is(err, errNothingToDo) {
		t.Errorf("replay after the judgment = %v, want errNothingToDo", err)
	}
}

func TestPressOnAnUnknownRequestIsAnswered(t *testing.T) {
	p := Press{Key: "k", Verb: Confirm, By: origin(bob), MessageTS: "1.1"}
	r := Request{ID: "k", State: Received, Origin: p.By, Presses: []Press{p}}
	r = next(t, r, PressLookedUp{Key: "k"}, t0)
	if r.State != Refused || len(r.Replies) != 1 || r.Replies[0].Reason != UnknownCard || r.Replies[0].To != p.By {
		t.Errorf("state %s, replies %+v; want refused and unknown-card", r.State, r.Replies)
	}
	r = next(t, r, Reported{Shown{Replied: []string{"k"}}}, t0)
	if !r.Due.IsZero() {
		t.Errorf("answered, but due at %v", r.Due)
	}
}

func TestStartNeedsFreshEvidence(t *testing.T) {
	late := t0.Add(freshFor + time.Second)
	evidence := func(change func(*Evidence)) Started {
		e := Evidence{At: late, Requester: alice, Approvers: []Caller{bob}, Target: target}
		change(&e)
		return Started{Plan: planFor(e.Target), Evidence: &e}
	}
	if _, _, err := policy.Next(inState(t, Approved), Started{Plan: thePlan}, late); !errors.Is(err, errStale) {
		t.Errorf("stale start = %v, want errStale", err)
	}
	tests := []struct {
		name   string
		change func(*Evidence)
		want   Trouble
	}{
		{"all holds", func(*Evidence) {}, NoTrouble},
		{"requester lost the role", func(e *Evidence) { e.Requester.Administrator = false }, RoleLost},
		{"approver lost the role", func(e *Evidence) { e.Approvers[0].Administrator = false }, RoleLost},
		{"approver disabled", func(e *Evidence) { e.Approvers[0].Standing = EntraDisabled }, RoleLost},
		{"role unknown", func(e *Evidence) { e.Approvers[0].Standing = Unverified }, RoleUnknown},
		{"target unknown", func(e *Evidence) { e.Target.Account = AccountUnknown }, Unreachable},
		{"target renamed", func(e *Evidence) { e.Target.UPN = "x@contoso.com" }, TargetDiffers},
		{"target gone", func(e *Evidence) { e.Target = Target{Account: AccountMissing} }, TargetGone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := next(t, inState(t, Approved), evidence(tt.change), late)
			if tt.want == NoTrouble {
				if r.State != Executing || r.Hold != NoTrouble || r.Attempts != 1 {
					t.Errorf("state %s, hold %q, attempts %d; want executing, none, 1", r.State, r.Hold, r.Attempts)
				}
				return
			}
			if tt.want == RoleUnknown || tt.want == Unreachable {
				if r.State != Approved || r.SoFar.Trouble != tt.want || !r.RunAt.Equal(late.Add(2*time.Second)) || r.Face() != FaceWaiting {
					t.Errorf("state %s, so far %+v, again at %v, face %q; want another look soon, and a card that says so", r.State, r.SoFar, r.RunAt, r.Face())
				}
				again := late.Add(giveUpAfter)
				r = next(t, r, evidence(tt.change), again)
			}
			if r.State != Finished || r.Outcome.Result != tt.want.result() || r.Outcome.Trouble != tt.want || r.Outcome.Unsure {
				t.Errorf("state %s, outcome %+v; want result %d for %s, with certainty", r.State, r.Outcome, tt.want.result(), tt.want)
			}
		})
		t.Run("resumed, "+tt.name, func(t *testing.T) {
			r := next(t, inState(t, Executing), evidence(tt.change), late)
			if r.State != Executing || r.Hold != tt.want {
				t.Errorf("state %s, hold %q; want executing, %q", r.State, r.Hold, tt.want)
			}
			if r.Target != target {
				t.Errorf("the mark to read back against was overwritten: %+v", r.Target)
			}
			if tt.want == TargetGone {
				r = next(t, r, Executed{Outcome{Result: Failed, Trouble: tt.want, Unsure: true}}, late)
				if r.Outcome.Result != NotFound || !r.Outcome.Unsure {
					t.Errorf("outcome %+v, want result 1, unsure", r.Outcome)
				}
			}
		})
	}
}

func TestOldApprovalIsNeverExecuted(t *testing.T) {
	late := t0.Add(runWithin + time.Second)
	e := &Evidence{At: late, Requester: alice, Approvers: []Caller{bob}, Target: target}
	r := next(t, inState(t, Approved), Started{Plan: thePlan, Evidence: e}, late)
	if r.State != Finished || r.Outcome.Trouble != TooOld || r.Outcome.Result != Failed {
		t.Errorf("state %s, outcome %+v; want result 4, too old", r.State, r.Outcome)
	}
	r = next(t, inState(t, Executing), Started{Plan: thePlan, Evidence: e}, late)
	if r.State != Executing || r.Hold != TooOld {
		t.Errorf("begun before the outage: state %s, hold %q; want a look only", r.State, r.Hold)
	}
}

func TestOutcomeIsWrittenOnce(t *testing.T) {
	r := inState(t, Finished)
	if _, _, err := policy.Next(r, Executed{Outcome{Result: Failed}}, t0); !errors.Is(err, errNothingToDo) {
		t.Errorf("second outcome = %v, want errNothingToDo", err)
	}
	for _, s := range []State{Received, Pending, Planned, Answered, Noted, Refused, Canceled, Expired, Finished, Settling, Done} {
		if _, _, err := policy.Next(inState(t, s), Started{Plan: thePlan}, t0); !errors.Is(err, errNothingToDo) {
			t.Errorf("starting a %s request = %v, want errNothingToDo", s, err)
		}
	}
}

// An open request is always due at some time: nothing waits for ever.
func TestOpenRequestsAreDue(t *testing.T) {
	want := map[State]time.Time{
		Received: t0, Approved: t0, Executing: t0, Finished: t0,
		Pending: t0.Add(lookAfterPost), Settling: t0.Add(time.Minute), Done: {},
		Planned: t0, Answered: t0, Refused: t0, Canceled: t0, Expired: t0.Add(policy.TTL), // there is still something to show
		Noted: t0, // a freeze is brought to the cards
	}
	for _, s := range allStates {
		if got := inState(t, s).Due; !got.Equal(want[s]) {
			t.Errorf("%s is due at %v, want %v", s, got, want[s])
		}
	}
	r := inState(t, Canceled)
	r = next(t, r, Reported{Shown{Card: Card{TS: "1.1", Face: FaceCanceled}}}, t0)
	for range settlePasses { // a frozen worker may have changed it back
		if r.Due.IsZero() || !r.Due.Equal(r.SettleAt) {
			t.Errorf("canceled and shown: due at %v, want to be looked at again", r.Due)
		}
		r = next(t, r, Reported{Shown{Card: Card{TS: "1.1", Face: FaceCanceled}}}, r.SettleAt)
	}
	if !r.Due.IsZero() {
		t.Errorf("canceled, shown and looked at again, but due at %v", r.Due)
	}
}

func TestShowingIsTriedAgainLaterAndLater(t *testing.T) {
	r := inState(t, Finished)
	var waits []time.Duration
	for range 9 {
		r = next(t, r, Reported{Shown{Failed: true}}, t0)
		waits = append(waits, r.Due.Sub(t0))
	}
	want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}
	if diff := cmp.Diff(want, waits); diff != "" {
		t.Errorf("waits (-want +got):\n%s", diff)
	}
	r = next(t, r, Reported{Shown{Failed: true, RetryAfter: 3 * time.Minute}}, t0)
	if got := r.Due.Sub(t0); got != 3*time.Minute {
		t.Errorf("with Retry-After: %v, want 3m", got)
	}
}

func TestSettlingPasses(t *testing.T) {
	r := inState(t, Settling)
	early := next(t, r, Reported{Shown{Card: r.Card}}, t0.Add(time.Second))
	if early.Passes != 0 || early.State != Settling {
		t.Errorf("a report before its time counted as a pass: %+v", early)
	}
	first := next(t, r, Reported{Shown{Card: r.Card}}, t0.Add(time.Minute))
	if first.State != Settling || !first.Due.Equal(t0.Add(6*time.Minute)) {
		t.Errorf("after the first pass: %s due %v, want settling at +6m", first.State, first.Due)
	}
	failed := next(t, first, Reported{Shown{Failed: true}}, first.SettleAt)
	if failed.State != Settling || failed.Passes != 1 {
		t.Errorf("a failed pass counted: %s, %d passes", failed.State, failed.Passes)
	}
	done := next(t, failed, Reported{Shown{Card: r.Card}}, failed.SettleAt)
	if done.State != Done || !done.Due.IsZero() {
		t.Errorf("after the last pass: %s due %v, want done", done.State, done.Due)
	}
}

func TestChannelGone(t *testing.T) {
	gone := Reported{Shown{Gone: "is_archived"}}
	r := next(t, next(t, received(), CommandLookedUp{Caller: alice, Place: Ours, Target: target, Plan: thePlan}, t0), gone, t0)
	if r.State != Refused || len(r.Replies) != 1 || r.Replies[0].Reason != CardNotPosted {
		t.Errorf("before the card: %s, %+v; want refused and card-not-posted", r.State, r.Replies)
	}
	r = next(t, inState(t, Finished), gone, t0)
	var to []string
	for _, a := range r.Replies {
		to = append(to, a.To.User+" "+string(a.Reason))
	}
	if diff := cmp.Diff([]string{"U-alice result-by-message", "U-bob result-by-message"}, to); diff != "" {
		t.Errorf("after the effect (-want +got):\n%s", diff)
	}
	r = next(t, inState(t, Executing), gone, t0)
	r = next(t, r, Executed{Outcome{Result: SignedOutWithinHour}}, t0)
	if len(r.Replies) != 2 {
		t.Errorf("during the effect: %d replies, want 2", len(r.Replies))
	}
}

func TestAnswersAreNotTriedForEver(t *testing.T) {
	r := inState(t, Refused)
	r = next(t, r, Reported{Shown{Failed: true}}, t0.Add(answerWithin-time.Second))
	if len(r.Replies) != 1 {
		t.Error("an answer was given up too early")
	}
	r = next(t, r, Reported{Shown{Failed: true}}, t0.Add(answerWithin+time.Second))
	if len(r.Replies) != 0 || !r.Due.IsZero() {
		t.Errorf("%d answers left, due %v; want none", len(r.Replies), r.Due)
	}
}

func TestTransitionsDoNotShareMemory(t *testing.T) {
	r := pending(t)
	r.Presses = make([]Press, 0, 4)
	a := next(t, r, Pressed{Press{Key: "a"}}, t0)
	next(t, r, Pressed{Press{Key: "b"}}, t0)
	if a.Presses[0].Key != "a" {
		t.Error("two transitions of one request wrote into each other")
	}
}

// Between two writes of a worker nothing may take longer than its lease.
func TestBoundsFitIntoTheLease(t *testing.T) {
	for what, d := range map[string]time.Duration{
		"look-ups": lookWithin + 2*writeWithin,
		"effect":   revokeWithin + LastLook + writeWithin,
		"report":   reportWithin + writeWithin,
	} {
		if d >= leaseFor {
			t.Errorf("%s take up to %v, the lease is %v", what, d, leaseFor)
		}
	}
}

func TestPressInTimeIsJudgedALittleLate(t *testing.T) {
	p := Press{Key: "k", Verb: Confirm, By: origin(bob), MessageTS: "1.1", At: t0.Add(policy.TTL - time.Second)}
	r := next(t, pending(t), Pressed{p}, p.At)
	j := PressLookedUp{Key: "k", Caller: bob, Place: Ours, Requester: alice, Target: target, Plan: thePlan}
	if after := next(t, r, j, t0.Add(policy.TTL+judgeGrace-time.Second)); after.State != Approved {
		t.Errorf("within the grace: %s, want approved", after.State)
	}
	if after := next(t, r, j, t0.Add(policy.TTL+judgeGrace+time.Second)); after.State != Pending || after.Replies[0].Reason != AlreadyExpired {
		t.Errorf("after the grace: %s, want pending and already-expired", after.State)
	}
}

// Proof of an effect is a change after our own look, not somebody else's before it.
func TestMark(t *testing.T) {
	tests := []struct {
		name string
		t    Target
		want time.Time
	}{
		{"look later than value", Target{ValidFrom: t0.Add(-time.Hour), AsOf: t0}, t0.Add(-clockSkew)},
		{"value just before the look", Target{ValidFrom: t0, AsOf: t0}, t0},
		{"no clock", Target{ValidFrom: t0}, t0},
		{"never set", Target{AsOf: t0}, t0.Add(-clockSkew)},
		{"nothing known", Target{}, time.Time{}},
	}
	for _, tt := range tests {
		if got := tt.t.mark(); !got.Equal(tt.want) {
			t.Errorf("%s: mark %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestTooManyPressesAreRefusedNotForgotten(t *testing.T) {
	r := pending(t)
	for i := range maxPresses {
		r = next(t, r, Pressed{Press{Key: fmt.Sprint(i)}}, t0)
	}
	if _, _, err := policy.Next(r, Pressed{Press{Key: "one more"}}, t0); !errors.Is(err, ErrTooMany) {
		t.Errorf("one more = %v, want ErrTooMany", err)
	}
}

// A card whose post went unanswered is looked for a minute later, once, while it
// waits, and again whenever it changes.
func TestCopiesOfACardAreLookedFor(t *testing.T) {
	r := next(t, received(), CommandLookedUp{Caller: alice, Place: Ours, Target: target, Plan: thePlan}, t0)
	r = next(t, r, Reported{Shown{Card: Card{Doubt: true}, Failed: true}}, t0)
	r = next(t, r, Reported{Shown{Card: shown}}, t0.Add(time.Second))
	if want := t0.Add(lookForCopies); !r.Due.Equal(want) {
		t.Errorf("due %v, want %v", r.Due, want)
	}
	r.Lease.At = r.Due
	if !r.CardLookDue() {
		t.Error("the look is not due at its time")
	}
	r = next(t, r, Reported{Shown{Card: shown}}, r.Due)
	if !r.Due.Equal(r.Expires) || !r.Card.Doubt {
		t.Errorf("after the look: due %v, doubt %v; want the card's end, true", r.Due, r.Card.Doubt)
	}
}

func TestPressInTimeIsJudgedBeforeExpiry(t *testing.T) {
	p := Press{Key: "k", Verb: Confirm, By: origin(bob), MessageTS: "1.1", At: t0.Add(policy.TTL - time.Second)}
	r := next(t, pending(t), Pressed{p}, p.At)
	if _, _, err := policy.Next(r, Ticked{}, t0.Add(policy.TTL)); !errors.Is(err, errNothingToDo) {
		t.Errorf("tick with a press in time waiting = %v, want errNothingToDo", err)
	}
	if after := next(t, r, Ticked{}, t0.Add(policy.TTL+judgeGrace+time.Second)); after.State != Expired {
		t.Errorf("after the grace: %s, want expired", after.State)
	}
}

// A channel that is archived after the result was shown owes nobody anything.
func TestChannelGoneAfterTheResultWasShown(t *testing.T) {
	r := next(t, inState(t, Settling), Reported{Shown{Gone: "is_archived"}}, t0.Add(time.Minute))
	if len(r.Replies) != 0 {
		t.Errorf("owed: %+v, want nothing", r.Replies)
	}
}

// Whose card can't be closed any more is told privately how it ended, and who presses on
// it what came of that.
func TestChannelGoneWithTheCard(t *testing.T) {
	gone := Reported{Shown{Gone: "restricted_action", CardGone: true}}
	locked := Reported{Shown{Gone: "restricted_action_thread_locked"}}
	owed := func(r Request) (all []string) {
		for _, a := range r.Replies {
			all = append(all, a.To.User+" "+string(a.Reason))
		}
		return all
	}
	late := t0.Add(policy.TTL)
	posted := next(t, pending(t), Reported{Shown{Card: Card{TS: "1.1", Face: FacePending}}}, t0)
	pressed := func(r Request, by Caller, verb Verb) Request {
		p := Press{Key: string(verb) + by.Slack.User, Verb: verb, By: origin(by), MessageTS: "1.1", At: t0}
		r = next(t, r, Pressed{p}, t0)
		return next(t, r, PressLookedUp{Key: p.Key, At: t0, Caller: by, Place: Ours, Requester: alice, Target: target, Plan: thePlan}, t0)
	}
	before, alone := next(t, posted, gone, t0), next(t, posted, locked, t0)
	tests := map[string]struct {
		r    Request
		want []string
	}{
		"waiting":                   {before, nil},
		"expired afterwards":        {next(t, before, Ticked{}, late), []string{"U-alice already-expired"}},
		"expired before":            {next(t, next(t, posted, Ticked{}, late), gone, late), []string{"U-alice already-expired"}},
		"canceled before":           {next(t, pressed(posted, bob, Cancel), gone, t0), []string{"U-alice already-canceled", "U-bob already-canceled"}},
		"canceled by who asked":     {next(t, pressed(posted, alice, Cancel), gone, t0), []string{"U-alice already-canceled"}},
		"canceled afterwards":       {pressed(before, bob, Cancel), []string{"U-bob already-canceled"}},
		"plan asked for afterwards": {pressed(before, bob, WhatIf), []string{"U-bob plan-shown"}},
		"confirmed afterwards":      {pressed(before, bob, Confirm), []string{"U-bob already-confirmed"}},

		"the thread alone, expired":       {next(t, alone, Ticked{}, late), nil},
		"the thread alone, canceled":      {pressed(alone, bob, Cancel), nil},
		"the thread alone, confirmed":     {pressed(alone, bob, Confirm), nil},
		"the thread alone, plan asked":    {pressed(alone, bob, WhatIf), []string{"U-bob plan-shown"}},
		"the thread alone, before a plan": {next(t, pressed(posted, bob, WhatIf), locked, t0), []string{"U-bob plan-shown"}},
		"the thread, then the card":       {next(t, pressed(alone, bob, Cancel), gone, t0), []string{"U-alice already-canceled", "U-bob already-canceled"}},
		"two plans asked, then locked": {
			next(t, pressed(pressed(posted, bob, WhatIf), carol, WhatIf), locked, t0), []string{"U-carol plan-shown", "U-bob plan-shown"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, owed(tt.r)); diff != "" {
				t.Errorf("owed (-want +got):\n%s", diff)
			}
			if tt.r.Thread.PlanWanted {
				t.Error("a plan is wanted where none can be shown")
			}
		})
	}
}

// Whose word is one of several, and not shown any more, is told that it counts.
func TestCardGoneBetweenTwoConfirms(t *testing.T) {
	p := Policy{Approvals: 2, TTL: policy.TTL}
	r, why := confirmAs(t, p, pendingUnder(t, p, target), bob, nil)
	if why != "" {
		t.Fatal(why)
	}
	r, _, err := p.Next(r, Reported{Shown{Gone: "is_archived", CardGone: true}}, t0)
	if err != nil || len(r.Replies) != 1 || r.Replies[0].To.User != "U-bob" || r.Replies[0].Reason != ConfirmedBefore {
		t.Errorf("owed %+v, %v; want bob to be told", r.Replies, err)
	}
}

// A report that began before a look was due has not looked: it does not count as one,
// whatever the time is by its end.
func TestReportFromBeforeALookIsNone(t *testing.T) {
	report := func(r Request, began, ended time.Time) Request {
		r.Lease.At = began
		shown := Shown{Card: Card{TS: r.Card.TS, Face: r.Face()}, ResultTS: r.Thread.ResultTS, ResultDone: r.Thread.ResultDone}
		after, _, err := policy.Next(r, Reported{shown}, ended)
		if err != nil {
			t.Fatal(err)
		}
		return after
	}
	canceled := inState(t, Canceled)
	canceled = report(canceled, t0, t0)
	for name, r := range map[string]Request{"settling": inState(t, Settling), "canceled": canceled} {
		due := r.SettleAt
		if due.IsZero() {
			t.Fatalf("%s: no look is due", name)
		}
		if early := report(r, due.Add(-time.Millisecond), due.Add(time.Second)); !early.SettleAt.Equal(due) || early.Passes != 0 {
			t.Errorf("%s: the next look is due at %v after %d, want still %v", name, early.SettleAt, early.Passes, due)
		}
		if in := report(r, due, due.Add(time.Second)); in.Passes != 1 {
			t.Errorf("%s: %d looks, want 1", name, in.Passes)
		}
	}
	waiting := inState(t, Pending)
	waiting.Card.LookAt = t0.Add(time.Minute)
	if early := report(waiting, t0.Add(time.Minute-time.Millisecond), t0.Add(2*time.Minute)); early.Card.LookAt.IsZero() {
		t.Error("waiting: the look for copies counts as made")
	}
}

// A card whose thread is locked is looked at as often as any other: what Slack applies
// late can still be mended. One that cannot be changed is not.
func TestLockedThreadIsLookedAtAgain(t *testing.T) {
	for _, state := range []State{Finished, Canceled, Expired} {
		for _, tt := range []struct {
			gone bool // the card, too
			want int
		}{{false, len(settlePasses)}, {true, map[State]int{Finished: 1}[state]}} {
			r := inState(t, state)
			r.Replies, r.Thread.Gone, r.Card.Gone = nil, true, tt.gone
			card := Card{TS: r.Card.TS, Face: r.Face()}
			r = next(t, r, Reported{Shown{Card: card}}, t0)
			passes := 0
			for ; !r.SettleAt.IsZero(); passes++ {
				r = next(t, r, Reported{Shown{Card: card}}, r.SettleAt)
			}
			if passes != tt.want {
				t.Errorf("%s, card gone %v: %d more looks, want %d", state, tt.gone, passes, tt.want)
			}
		}
	}
}

// A worker may have posted the card and died before it could say so: what expired
// without a card is looked for, and closed where it is found.
func TestExpiredWithoutACardIsLookedFor(t *testing.T) {
	r := next(t, received(), CommandLookedUp{Caller: alice, Place: Ours, Target: target, Plan: thePlan}, t0)
	r = next(t, r, Ticked{}, t0.Add(policy.TTL))
	r = next(t, r, Reported{Shown{Replied: []string{string(r.ID)}}}, t0.Add(policy.TTL))
	if want := t0.Add(policy.TTL + settlePasses[0]); !r.Due.Equal(want) {
		t.Fatalf("due %v, want to be looked for at %v", r.Due, want)
	}
	r.Lease.At = r.Due
	if !r.SettlePassDue() {
		t.Error("the look is not due at its time")
	}
	r = next(t, r, Reported{Shown{Card: Card{TS: "1.1", Face: FaceExpired}}}, r.Due)
	if r.Card.TS != "1.1" || r.Due.IsZero() {
		t.Errorf("found: %+v due %v, want it to be looked at once more", r.Card, r.Due)
	}
}
