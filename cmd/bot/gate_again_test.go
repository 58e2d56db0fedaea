package main

import (
	"net/url"
	"testing"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// A button works for ten minutes, so whoever was refused once, for a reason that passes,
// uses it once more.
func TestStepUpButtonUsedAgain(t *testing.T) {
	t.Parallel()
	s := newStepUp(t)
	s.change(s.world.SetRole("alice", false))
	s.signIn("bob", "bob", s.ticket, "Sent")
	s.told("bob", "is no longer an active Global Administrator")
	s.change(s.world.SetRole("alice", true))
	s.look()
	s.signIn("bob", "bob", s.ticket, "Sent")
	s.await("the result", func(state sandbox.State) bool { return results(state, s.card.TS) == 1 })
}

// The id in a button is not ours to trust: what the store keeps beside requests cannot
// be pressed on.
func TestPressOnANote(t *testing.T) {
	t.Parallel()
	r := startRig(t)
	card := r.ask(gateTarget)
	r.look()
	r.taken(r.world.PressValue(t.Context(), "bob", incident, card.TS, "confirm", "note/card/"+r.world.ObjectID("mallory")))
	r.told("bob", "^I don't know this card or button")
}

// While the bot does not know yet which workspace it is in, the worker has to turn away
// what comes from another one.
func TestForeignCommandBeforeTheBotKnowsItsWorkspace(t *testing.T) {
	t.Parallel()
	var wait, release func()
	r := startRigAt(t, func(r *rig) { wait, release = r.holdCalls("/api/auth.test", 0) })
	wait()
	r.taken(r.world.SayTwisted(t.Context(), "bob", incident, "/revoke-session "+gateTarget, func(f url.Values) { f.Set("team_id", "T0FABRIKAM") }))
	release()
	r.told("bob", "not a member of this Slack workspace|not set up for your workspace")
	r.wantDecisions("command refused not-verified U0BOB042 ")
}
