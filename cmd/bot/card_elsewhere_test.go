package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// TestCardReplayedElsewhere presses Confirm as an administrator who may, from where
// the card is not.
func TestCardReplayedElsewhere(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	card := r.ask(gateTarget)
	r.look()
	in := func(payload map[string]any, name string) map[string]any { return payload[name].(map[string]any) }
	bob := " U0BOB042 " + r.world.ObjectID("bob")
	tests := []struct {
		name, action, value string
		twist               func(payload map[string]any)
		answer, line        string // no line: nothing is recorded
	}{
		{name: "in another channel", twist: func(p map[string]any) {
			in(p, "container")["channel_id"], in(p, "channel")["id"] = "C0PRIVATE", "C0PRIVATE"
		}, answer: "^I don't know this card or button", line: "confirm refused unknown-card" + bob},
		{name: "in no channel", twist: func(p map[string]any) {
			delete(in(p, "container"), "channel_id")
		}, answer: "^I don't know this card or button", line: "confirm refused unknown-card" + bob},
		{name: "on another message", twist: func(p map[string]any) {
			in(p, "container")["message_ts"] = "1000000000.000001"
		}, answer: "^This is an outdated copy of the card, so nothing was done", line: "confirm refused other-card" + bob},
		{name: "in another workspace", twist: func(p map[string]any) {
			in(p, "team")["id"] = "T0FABRIKAM"
		}, answer: "^This app is not set up for your workspace"},
		{name: "in another organization", twist: func(p map[string]any) {
			p["team"], p["enterprise"] = nil, map[string]any{"id": "E0FABRIKAM"}
		}, answer: "^This app is not set up for your workspace"},
		{name: "by a user of another workspace", twist: func(p map[string]any) {
			in(p, "user")["team_id"] = "T0FABRIKAM"
		}, answer: "^Nothing was done. You are not a member of this Slack workspace", line: "confirm refused not-verified U0BOB042 "},
		{name: "of another plan", twist: func(p map[string]any) {
			p["actions"].([]any)[0].(map[string]any)["block_id"] = "plan:AAAA-AAAA"
		}, answer: "^Nothing was run: the plan has changed", line: "confirm refused plan-changed" + bob},
		{name: "by another button", action: "confirmed", answer: "^I don't know this card or button", line: "confirmed refused unknown-card" + bob},
		{name: "of a request that there is not", value: "aaaaaaaaaaaaaaaaaaaaaaaa", answer: "^I don't know this card or button", line: "confirm refused unknown-card U0BOB042 "},
		{name: "of no request", value: "", answer: "^I don't know this card or button", line: "confirm refused unknown-card U0BOB042 "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			outer := r.t
			r.t = t
			defer func() { r.t = outer }()
			action, value := "confirm", card.Buttons[0].Value
			if tt.action != "" {
				action = tt.action
			}
			if strings.HasPrefix(tt.name, "of ") && tt.twist == nil {
				value = tt.value
			}
			r.taken(r.world.PressTwisted(t.Context(), "bob", incident, card.TS, action, value, func(p map[string]any) {
				if tt.twist != nil {
					tt.twist(p)
				}
			}))
			r.told("bob", tt.answer)
			if n := len(r.newAnswers()); n != 1 {
				t.Errorf("%d private answers, want 1", n)
			}
			r.wantDecisions(tt.line)
			if s := r.world.State(); revocations(s) != 0 || !strings.Contains(cardNow(s, card), "Sign out everywhere: ") {
				t.Errorf("revoked %v\n%s", s.Revoked, chat(s))
			}
		})
	}
	r.press("bob", card, "Confirm") // the same button where it stands
	r.await("the result", func(s sandbox.State) bool { return results(s, card.TS) == 1 })
}

// wantDecisions wants the record to have had these decisions since the last look.
func (r *rig) wantDecisions(want ...string) {
	r.t.Helper()
	var have []string
	for _, e := range r.decisions() {
		have = append(have, lineOf(e))
	}
	want = slices.DeleteFunc(want, func(line string) bool { return line == "" })
	if !slices.Equal(have, want) {
		r.t.Errorf("the record says %q, want %q", have, want)
	}
}

// An e-mail address that two accounts have, one as its sign-in name and one as its
// mail, is nobody's.
func TestAmbiguousEmailIsNobody(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	card := r.ask(gateTarget)
	for _, err := range []error{r.world.SetUPN("bob", "robert@contoso.com"), r.world.SetUPN("heidi", "bob@contoso.com")} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r.look()
	answer := "^Nothing was done. More than one Entra account has your Slack e-mail address"
	for _, label := range []string{"Confirm", "Cancel", "What-If"} {
		r.press("bob", card, label)
		r.told("bob", answer)
		r.newAnswers()
		r.wantDecisions(strings.ToLower(label) + " refused not-verified U0BOB042 ")
	}
	for text, event := range map[string]string{gateTarget: "command", gateTarget + " -WhatIf": "command what-if", "freeze": "command freeze"} {
		r.say("bob", "/revoke-session "+text)
		r.told("bob", answer)
		r.newAnswers()
		r.wantDecisions(event + " refused not-verified U0BOB042 ")
	}
	if s := r.world.State(); revocations(s) != 0 || !strings.Contains(cardNow(s, card), "Sign out everywhere: ") {
		t.Errorf("revoked %v\n%s", s.Revoked, chat(s))
	}
}

// roleLost is a moment at which somebody loses their role.
type roleLost struct {
	name    string
	setting string
	hold    string // the calls that are under way meanwhile; %s is the loser's object id
	butNot  int    // the first calls that are not held
	loser   string
	before  func(*rig, sandbox.Message)
	act     func(*rig, sandbox.Message) // nil: a command of alice's
	to      string                      // whom the answer is for; "" for a result in the thread
	answer  string
	line    string // of the record; the last word is whose object id it has
}

func rolesLost() []roleLost {
	const roleOf = "POST /v1.0/users/%s/checkMemberObjects"
	confirms := func(person string) func(*rig, sandbox.Message) {
		return func(r *rig, card sandbox.Message) { r.press(person, card, "Confirm") }
	}
	all := []roleLost{
		{
			name: "before a command is judged", hold: "/api/users.info", loser: "alice", to: "alice",
			answer: "^You are not an active Global Administrator right now", line: "command refused not-administrator U0ALICE042 alice",
		},
		{
			name: "before a press is judged, the approver's", hold: "/api/users.info", loser: "bob", to: "bob", act: confirms("bob"),
			answer: "^You are not an active Global Administrator right now", line: "confirm refused not-administrator U0BOB042 bob",
		},
		{
			name: "before a press is judged, the requester's", hold: roleOf, loser: "alice", to: "bob", act: confirms("bob"),
			answer: "^Nothing was run: .*, who asked, is no longer an active Global Administrator", line: "confirm refused requester-not-administrator U0BOB042 bob",
		},
	}
	// The role of the requester, and of the last to confirm, is read at the press; that of
	// all once more before the effect.
	for loser, before := range map[string]int{"alice": 1, "bob": 0, "carol": 1} {
		all = append(all, roleLost{
			name: "between the last press and the effect, " + loser + "'s", setting: "APPROVALS=2", hold: roleOf, butNot: before, loser: loser,
			before: func(r *rig, c sandbox.Message) {
				r.press("bob", c, "Confirm")
				r.await("one confirmation", func(s sandbox.State) bool { return strings.Contains(cardNow(s, c), "so far") })
			},
			act:    confirms("carol"),
			answer: "who asked or who confirmed no longer counts as an active Global Administrator",
			line:   "confirm allowed  U0CAROL042 carol",
		})
	}
	return all
}

// A role that is taken away while somebody is being looked up does not count.
func TestRoleTakenAway(t *testing.T) {
	for _, tt := range rolesLost() {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, tt.setting)
			if err := r.world.Join("carol"); err != nil {
				t.Fatal(err)
			}
			var card sandbox.Message
			if tt.act != nil {
				card = r.ask(gateTarget)
			}
			if tt.before != nil {
				tt.before(r, card)
			}
			r.look()
			pattern := tt.hold
			if strings.Contains(pattern, "%s") {
				pattern = fmt.Sprintf(pattern, r.world.ObjectID(tt.loser))
			}
			wait, release := r.holdCalls(pattern, tt.butNot)
			if tt.act == nil {
				r.say("alice", "/revoke-session "+gateTarget)
			} else {
				tt.act(r, card)
			}
			wait()
			if err := r.world.SetRole(tt.loser, false); err != nil {
				t.Fatal(err)
			}
			release()
			if tt.to != "" {
				r.told(tt.to, tt.answer)
			} else {
				re := regexp.MustCompile(tt.answer)
				r.await("a result", func(s sandbox.State) bool { return inThread(s, card, re) })
			}
			r.wantDecisions(withObjectID(r, tt.line))
			r.halt()
			s := r.world.State()
			n := 0
			for _, c := range s.Calls {
				if strings.Contains(c.Path, "revokeSignInSessions") {
					n++
				}
			}
			if n != 0 || revocations(s) != 0 {
				t.Errorf("%d calls to revoke, %d revocations\n%s", n, revocations(s), chat(s))
			}
		})
	}
}

// withObjectID is a line with the person at its end replaced by their object id.
func withObjectID(r *rig, line string) string {
	i := strings.LastIndexByte(line, ' ') + 1
	return line[:i] + r.world.ObjectID(line[i:])
}
