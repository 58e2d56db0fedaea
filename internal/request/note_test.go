package request

import (
	"errors"
	"testing"
	"time"
)

func linked(t *testing.T, who Caller) Request {
	t.Helper()
	r := next(t, Request{ID: linkNote(who.Slack), State: Noted}, linkingOf(who, who.ObjectID), t0)
	if r.Refusal != "" || r.Note.Link.ObjectID != who.ObjectID {
		t.Fatalf("not linked: %q", r.Refusal)
	}
	return r
}

func linkingOf(who Caller, objectID string) Linking {
	return Linking{
		Caller:  Caller{Slack: who.Slack, ObjectID: objectID, Standing: Member},
		Account: Target{ObjectID: objectID, Account: AccountMember, Enabled: true},
	}
}

// The gate for links.
func TestLinking(t *testing.T) {
	tests := []struct {
		name   string
		before func(t *testing.T) Request
		change func(*Linking)
		want   Reason
	}{
		{"a member", nil, func(*Linking) {}, ""},
		{"again to the same", func(t *testing.T) Request { return linked(t, bob) }, func(*Linking) {}, ""},
		{"to another person's", func(t *testing.T) Request { return linked(t, bob) }, func(l *Linking) { *l = linkingOf(bob, carol.ObjectID) }, LinkedToAnother},
		{"a Slack guest", nil, func(l *Linking) { l.Caller.Standing = SlackGuest }, NotVerified},
		{"not looked up in Slack", nil, func(l *Linking) { l.Caller.Standing = Unverified }, NotVerified},
		{"nothing known of them", nil, func(l *Linking) { l.Caller.Standing = "" }, NotVerified},
		{"an Entra guest", nil, func(l *Linking) { l.Account.Account = AccountGuest }, AccountUnfit},
		{"a blocked account", nil, func(l *Linking) { l.Account.Enabled = false }, AccountUnfit},
		{"no account", nil, func(l *Linking) { l.Account = Target{Account: AccountMissing} }, AccountUnfit},
		{"not looked up in Entra", nil, func(l *Linking) { l.Account = Target{Account: AccountUnknown} }, TargetUnknown},
		{"another account than the one that signed in", nil, func(l *Linking) { l.Account.ObjectID = carol.ObjectID }, AccountUnfit},
		{"no object id", nil, func(l *Linking) { l.Account.ObjectID, l.Caller.ObjectID = "", "" }, AccountUnfit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := Request{ID: linkNote(bob.Slack), State: Noted}
			if tt.before != nil {
				r = tt.before(t)
			}
			was := r.Note.Link.ObjectID
			e := linkingOf(bob, bob.ObjectID)
			tt.change(&e)
			after, recs, err := policy.Next(r, e, t0)
			if err != nil {
				t.Fatal(err)
			}
			decision, object := "allowed", bob.ObjectID
			if tt.want != "" {
				decision, object = "refused", was
			}
			if after.Refusal != tt.want || after.Note.Link.ObjectID != object {
				t.Errorf("%q, linked to %q; want %q, %q", after.Refusal, after.Note.Link.ObjectID, tt.want, object)
			}
			if len(recs) != 1 || recs[0].Event != "link" || recs[0].Decision != decision || recs[0].Reason != tt.want {
				t.Errorf("records %+v, want one link %s", recs, decision)
			}
		})
	}
}

// A link ends with its person's word or with their Slack account, and with nothing else.
func TestLinkEnds(t *testing.T) {
	for standing, ends := range map[Standing]bool{
		SlackDeactivated: true, SlackOutsider: true, Member: false, Unverified: false, SlackGuest: false,
	} {
		r := next(t, linked(t, bob), Rechecked{standing}, t0.Add(recheckLinks))
		if (r.Note.Link.ObjectID == "") != ends {
			t.Errorf("%s: linked to %q", standing, r.Note.Link.ObjectID)
		}
		if ends == (r.Due.After(t0)) {
			t.Errorf("%s: looked at again at %v", standing, r.Due)
		}
	}
	r := linked(t, bob)
	if !r.Due.Equal(t0.Add(recheckLinks)) || !r.Forget.IsZero() {
		t.Errorf("due %v, forgotten at %v; want it looked at within the hour and kept", r.Due, r.Forget)
	}
	after, recs, err := policy.Next(r, Unlinking{By: Caller{Slack: bob.Slack}, Command: "r9"}, t0)
	if err != nil || after.Note.Link.ObjectID != "" || len(recs) != 1 || recs[0].Actor.ObjectID != bob.ObjectID || recs[0].Event != "unlink" {
		t.Errorf("unlinking: %+v, %+v, %v", after.Note.Link, recs, err)
	}
	if _, _, err := policy.Next(after, Unlinking{}, t0); !errors.Is(err, errNothingToDo) {
		t.Errorf("unlinking twice: %v", err)
	}
}

// The freeze is kept for as long as it lasts, and is the operator's to end.
func TestFreezeIsKept(t *testing.T) {
	r := inState(t, Noted)
	if !r.Due.Equal(t0) {
		t.Errorf("due %v, want now: the cards have to say so", r.Due)
	}
	if r = next(t, r, Spread{r.Note.Freeze}, t0); !r.Due.IsZero() || !r.Forget.IsZero() || !r.Note.Freeze.On {
		t.Errorf("due %v, forgotten at %v, on %v; want it kept", r.Due, r.Forget, r.Note.Freeze.On)
	}
	if _, _, err := policy.Next(r, Freezing{By: bob}, t0.Add(time.Hour)); !errors.Is(err, errNothingToDo) {
		t.Errorf("freezing twice: %v", err)
	}
	after, recs, err := policy.Next(r, Thawing{}, t0.Add(time.Hour))
	if err != nil || after.Note.Freeze.On || len(recs) != 1 || recs[0].Event != "thaw" || !after.Due.Equal(t0.Add(time.Hour)) {
		t.Errorf("thawing: %+v, %+v, %v", after.Note.Freeze, recs, err)
	}
}

// Commands that ask for no revocation.
func TestTasks(t *testing.T) {
	notLinked := Caller{Slack: bob.Slack, Standing: NotLinked}
	tests := []struct {
		name   string
		task   Kind
		links  bool
		facts  CommandLookedUp
		answer Reason
		state  State
	}{
		{"freeze", Freeze, false, CommandLookedUp{Caller: alice}, FrozenNow, Answered},
		{"freeze by helpdesk", Freeze, false, CommandLookedUp{Caller: heidi}, NotAdministrator, Refused},
		{"freeze by the target of an open card", Freeze, false, CommandLookedUp{Caller: mallory, Accused: true}, OwnAccount, Refused},
		{"freeze by nobody", Freeze, false, CommandLookedUp{Caller: nobody}, NotVerified, Refused},
		{"link by e-mail", Link, false, CommandLookedUp{Caller: alice}, LinkNotUsed, Refused},
		{"link, linked", Link, true, CommandLookedUp{Caller: alice}, LinkShown, Answered},
		{"link, not linked", Link, true, CommandLookedUp{Caller: notLinked}, NotVerified, Refused},
		{"unlink", Unlink, true, CommandLookedUp{Caller: bob, Linked: true}, LinkEnded, Answered},
		{"unlink, not linked", Unlink, true, CommandLookedUp{Caller: notLinked}, NothingLinked, Answered},
		{"unlink by e-mail", Unlink, false, CommandLookedUp{Caller: bob}, LinkNotUsed, Refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := received()
			r.Command, r.Origin, tt.facts.At = Command{Kind: tt.task}, origin(tt.facts.Caller), t0
			after, recs, err := Policy{Links: tt.links, TTL: policy.TTL}.Next(r, tt.facts, t0)
			if err != nil {
				t.Fatal(err)
			}
			if after.State != tt.state || len(after.Replies) != 1 || after.Replies[0].Reason != tt.answer {
				t.Errorf("state %s, replies %+v; want %s, %q", after.State, after.Replies, tt.state, tt.answer)
			}
			if len(recs) != 1 || recs[0].Event != "command "+string(tt.task) || (recs[0].Decision == "allowed") != (tt.state == Answered) {
				t.Errorf("records %+v", recs)
			}
		})
	}
}

// A freeze typed before an outage does not freeze what its operator has thawed since.
func TestTasksGrowOld(t *testing.T) {
	r := received()
	r.Command, r.Received = Command{Kind: Freeze}, t0.Add(-policy.TTL-time.Second)
	if after := next(t, r, CommandLookedUp{Caller: alice, At: t0}, t0); after.State != Refused || after.Refusal != CommandTooOld {
		t.Errorf("state %s, %q", after.State, after.Refusal)
	}
}

// A link that was ended while Slack was asked about its user stays ended.
func TestRecheckOfAnEndedLink(t *testing.T) {
	for _, standing := range []Standing{Member, Unverified, SlackDeactivated} {
		r := next(t, linked(t, bob), Unlinking{By: bob, Command: "r9"}, t0)
		r = next(t, r, Rechecked{standing}, t0.Add(time.Minute))
		if !r.Due.IsZero() || r.Note.Ended != "r9" {
			t.Errorf("%s: due %v", standing, r.Due)
		}
	}
}

// A thaw while the freeze is being brought to the cards is brought to them as well.
func TestThawWhileSpreading(t *testing.T) {
	frozen := inState(t, Noted)
	thawed := next(t, frozen, Thawing{}, t0.Add(time.Second))
	if r := next(t, thawed, Spread{frozen.Note.Freeze}, t0.Add(2*time.Second)); r.Due.IsZero() {
		t.Error("nobody brings the thaw to the cards")
	}
}

// Times are compared as times: a store gives them back in whatever zone they were written.
func TestSpreadInAnotherZone(t *testing.T) {
	frozen := inState(t, Noted)
	elsewhere := frozen.Note.Freeze
	elsewhere.At = elsewhere.At.In(time.FixedZone("", 5*60*60+30*60))
	if r := next(t, frozen, Spread{elsewhere}, t0.Add(time.Second)); !r.Due.IsZero() {
		t.Errorf("due %v, want never", r.Due)
	}
}
