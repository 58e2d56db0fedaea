package main

import (
	"context"
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// Every way to sign in carries a whole revocation through SharePoint and Graph, with
// one token for each, which the next revocation uses again; and what the bot proves
// itself with can be replaced under it.
func TestServeWithEveryCredential(t *testing.T) {
	replace := map[string]func(*sandbox.Sandbox) error{
		"certificate":      (*sandbox.Sandbox).ReplaceCertificate,
		"pfx":              (*sandbox.Sandbox).ReplaceCertificate,
		"federated":        (*sandbox.Sandbox).RotateFederatedToken,
		"managed-identity": func(*sandbox.Sandbox) error { return nil },
	}
	for kind, change := range replace {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			world, p := startIn(t, kind, "REVOKER=both")
			play(t, world, "mallory@contoso.com")
			if n := world.State().SharePointRevoked["mallory@contoso.com"]; n != 1 {
				t.Errorf("SharePoint revoked %d times, want 1", n)
			}
			tokens := tokenCalls(world)
			if tokens != 2 {
				t.Errorf("%d tokens were asked for, want one for Graph and one for SharePoint", tokens)
			}
			play(t, world, "heidi@contoso.com")
			if again := tokenCalls(world); again != tokens {
				t.Errorf("a warm revocation asked for %d tokens", again-tokens)
			}

			if err := change(world); err != nil {
				t.Fatal(err)
			}
			world.ExpireTokens()
			renewed(t, world)
			play(t, world, "mallory@contoso.com")
			checkNoSecrets(t, p.out.String(), world.Env())
		})
	}
}

// renewed asks until the bot has fetched a new token. A refused token that is quite
// new is believed for a moment, so the first questions can fail.
func renewed(t *testing.T, world *sandbox.Sandbox) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for before := tokenCalls(world); tokenCalls(world) == before; {
		answers := toldTo(world.State(), "bob")
		if _, err := world.Say(ctx, "bob", incident, "/revoke-session mallory@contoso.com -WhatIf"); err != nil {
			t.Fatal(err)
		}
		if _, err := world.Await(ctx, func(s sandbox.State) bool { return toldTo(s, "bob") >= answers+2 }); err != nil {
			t.Fatalf("bob was not answered: %v", err)
		}
	}
}

func toldTo(s sandbox.State, person string) int {
	n := 0
	for _, e := range s.Ephemerals {
		if e.To == person {
			n++
		}
	}
	return n
}

func tokenCalls(world *sandbox.Sandbox) int {
	n := 0
	for _, c := range world.State().Calls {
		if c.System == "Entra" && (strings.HasSuffix(c.Path, "/token")) {
			n++
		}
	}
	return n
}
