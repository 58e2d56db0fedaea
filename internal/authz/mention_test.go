package authz

import (
	"context"
	"net/http"
	"testing"

	"github.com/revoke-session/revoke-session/internal/request"
)

// A mention is good for exactly one account, and for none on the slightest doubt.
func TestMentioned(t *testing.T) {
	is := func(standing request.Standing, email string) Vouch {
		return func(context.Context, request.Origin) (request.Standing, string, request.Fault) {
			return standing, email, request.Fault{}
		}
	}
	const email = "alice@contoso.com"
	twin := alice.with("id", other, "userPrincipalName", "twin@contoso.com")
	tests := []struct {
		name     string
		vouch    Vouch
		users    []account
		instead  map[string]http.HandlerFunc
		want     request.Account
		standing request.Standing
		id       string
	}{
		{"member", vouches(email), []account{alice}, nil, request.AccountMember, "", oid},
		{"by mail only", vouches(email), []account{alice.with("userPrincipalName", "a1@contoso.com")}, nil, request.AccountMember, "", oid},
		{"guest in Entra", vouches(email), []account{alice.with("userType", "Guest")}, nil, request.AccountGuest, "", oid},
		{"nobody's address", vouches(email), nil, nil, request.AccountUnresolved, request.EntraMissing, ""},
		{"two accounts' address", vouches(email), []account{alice, twin}, nil, request.AccountUnresolved, request.EntraAmbiguous, ""},
		{"guest in Slack", is(request.SlackGuest, ""), []account{alice}, nil, request.AccountUnresolved, request.SlackGuest, ""},
		{"outsider", is(request.SlackOutsider, ""), []account{alice}, nil, request.AccountUnresolved, request.SlackOutsider, ""},
		{"unconfirmed address", is(request.EmailUnconfirmed, ""), []account{alice}, nil, request.AccountUnresolved, request.EmailUnconfirmed, ""},
		{"Slack does not answer", is(request.Unverified, ""), []account{alice}, nil, request.AccountUnknown, request.Unverified, ""},
		{"Graph refuses one look-up", vouches(email), []account{alice}, map[string]http.HandlerFunc{"mail": refusal(403, "Authorization_RequestDenied")}, request.AccountUnknown, request.Member, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := start(t, tt.users...)
			for op, f := range tt.instead {
				g.instead[op] = f
			}
			got := g.directory(tt.vouch).Mentioned(t.Context(), request.Origin{SlackUser: request.SlackUser{Team: "T1", User: "U1"}})
			if got.Account != tt.want || got.Standing != tt.standing || got.ObjectID != tt.id {
				t.Errorf("Mentioned = %+v, want account %q, standing %q, id %q", got, tt.want, tt.standing, tt.id)
			}
			if got.ObjectID != "" && (got.AsOf.IsZero() || got.ValidFrom.IsZero() || got.Evidence == "") {
				t.Errorf("Mentioned = %+v, want what the read-back is compared with", got)
			}
		})
	}
}
