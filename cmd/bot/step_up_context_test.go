package main

import (
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// Where the operator wants an authentication context, a fresh sign-in without it does not
// count: whoever holds the browser can take the wish for it out of the address.
func TestStepUpContext(t *testing.T) {
	t.Parallel()
	r := startRig(t, "IDENTITY=link", "STEP_UP=always", "STEP_UP_CONTEXT=c1")
	for _, person := range []string{"alice", "bob"} {
		r.link(person, person)
	}
	s := &stepUp{&attacked{rig: r}, r.ask(gateTarget)}
	s.ticket = s.confirmTicket("bob", s.card)
	s.look()

	v := s.visitor()
	address := s.open(v, s.ticket).location
	if !strings.Contains(address, "acrs") {
		t.Fatalf("the context is not asked for: %s", address)
	}
	back, err := s.world.SignIn(t.Context(), v.Client, withQuery(address, "claims", ""), "bob")
	s.change(err)
	if page := s.open(v, back.String()); page.status != 403 || !strings.Contains(page.text, "This sign-in is not strong enough") {
		t.Errorf("without the context: %d %q", page.status, page.text)
	}
	if unsafe := s.safe(); unsafe != "" {
		t.Error(unsafe)
	}
	s.signIn("bob", "bob", s.ticket, "Sent")
	s.await("the result", func(state sandbox.State) bool { return results(state, s.card.TS) == 1 })
}
