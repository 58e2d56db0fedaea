package main

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// TestGateMatrixOfClosedCards presses each button of a card that waits no more, as an
// administrator who could have pressed it before. Nobody is looked up for that answer,
// so the record's actor has no object id.
func TestGateMatrixOfClosedCards(t *testing.T) {
	t.Parallel()
	rows := []struct {
		state, setting string
		close          func(*rig, sandbox.Message)
		shows          string
		reason, answer string
		revoked        int // by then
	}{
		{
			state: "executing", close: func(r *rig, card sandbox.Message) {
				r.world.SetFault(sandbox.Fault{System: "graph", Match: "revokeSignInSessions", Status: 429, RetryAfter: 3 * time.Second, Times: 1})
				r.press("bob", card, "Confirm")
			},
			shows: "it tries again by itself at", reason: "already-confirmed", answer: "has already confirmed this; it is running",
		},
		{
			state: "done", close: func(r *rig, card sandbox.Message) { r.press("bob", card, "Confirm") },
			shows: "(?i)confirmed by", reason: "already-done", answer: "^This is already done", revoked: 1,
		},
		{
			state: "canceled", close: func(r *rig, card sandbox.Message) { r.press("bob", card, "Cancel") },
			shows: "Canceled: ", reason: "already-canceled", answer: "^This was canceled by .*; nothing was run",
		},
		{
			state: "expired", setting: "REQUEST_TTL=1s", close: func(*rig, sandbox.Message) {},
			shows: "Expired: ", reason: "already-expired", answer: "^This request expired at .*; nothing was run",
		},
	}
	for _, row := range rows {
		t.Run(row.state, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, "IDENTITY=email", row.setting)
			if err := r.world.Join("carol"); err != nil {
				t.Fatal(err)
			}
			card := r.ask(gateTarget)
			row.close(r, card)
			shows := regexp.MustCompile(row.shows)
			r.await("a card that says "+row.shows, func(s sandbox.State) bool {
				return shows.MatchString(cardNow(s, card)) && (row.state != "done" || results(s, card.TS) == 1)
			})
			r.look()
			for _, label := range []string{"Confirm", "Cancel", "What-If"} {
				r.press("carol", card, label)
				r.told("carol", row.answer)
				if got := r.newAnswers(); len(got) != 1 {
					t.Errorf("%s: private answers: %+v, want one", label, got)
				}
				lines := r.decisions()
				want := fmt.Sprintf("%s refused %s U0CAROL042 ", strings.ToLower(label), row.reason)
				if len(lines) != 1 || lineOf(lines[0]) != want {
					t.Errorf("%s: the record says %+v, want %q", label, lines, want)
				}
			}
			if n := revocations(r.world.State()); n != row.revoked {
				t.Errorf("%d revocations, want %d", n, row.revoked)
			}
		})
	}
}
