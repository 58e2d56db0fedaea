package main

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/sandbox"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// While too few replicas have what is written, nothing is promised and nothing runs;
// then it goes on by itself.
func TestNothingRunsBeforeItIsReplicated(t *testing.T) {
	redis := redistest.StartReplicated(t, 1)
	world, p := startIn(t, "secret", "REDIS_URL="+redis.Master.URL(0), "REDIS_WAIT_REPLICAS=1")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if d, err := world.Say(ctx, "alice", incident, "/revoke-session mallory@contoso.com"); err != nil || d.Status != http.StatusOK {
		t.Fatalf("command: %+v, %v", d, err)
	}
	card := awaitCard(t, world)

	redis.Links[0].Hold()
	d, err := world.Press(ctx, "bob", card, "Confirm")
	if err != nil || d.Status != http.StatusServiceUnavailable {
		t.Errorf("press: %+v, %v; want no 200", d, err)
	}
	if _, err := world.Await(ctx, func(s sandbox.State) bool {
		for _, e := range s.Ephemerals {
			if e.To == "bob" && strings.Contains(e.Plain, "Recorded, not yet replicated") {
				return true
			}
		}
		return false
	}); err != nil {
		t.Errorf("bob was not told: %v", err)
	}
	if err := awaitReadiness(p.base, http.StatusServiceUnavailable); err != nil {
		t.Error(err)
	}
	if n := world.State().Revoked["mallory@contoso.com"]; n != 0 {
		t.Errorf("revoked %d times before anything was replicated", n)
	}

	redis.Links[0].Release()
	state, err := world.Await(ctx, func(s sandbox.State) bool { return results(s, card) == 1 })
	if err != nil {
		t.Fatalf("no result: %v\n%s\n%s", err, chat(state), p.out)
	}
	if n := state.Revoked["mallory@contoso.com"]; n != 1 {
		t.Errorf("revoked %d times, want once", n)
	}
	if err := awaitReadiness(p.base, http.StatusOK); err != nil {
		t.Error(err)
	}
}
