package authz

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

var errStore = errors.New("the store does not answer")

func linked(standing request.Standing) request.Caller {
	c := somebody(standing)
	c.Identified = request.ByLink
	return c
}

func (g *graph) linking(vouch Vouch, id string, err error) *Directory {
	return g.directory(vouch, Options{Links: binds(id, err)})
}

func TestCallerByLink(t *testing.T) {
	administrator := linked(request.Member)
	administrator.Administrator, administrator.Evidence = true, "rid-role"
	nobody := func(s request.Standing) request.Caller { return request.Caller{Slack: slackUser, Standing: s} }
	tests := []struct {
		name  string
		vouch Vouch
		id    string
		err   error
		user  account
		want  request.Caller
		asked []string
	}{
		{"linked", vouches("mallory@contoso.com"), oid, nil, alice, administrator, []string{"role", "user"}},
		{"without an address", stands(request.EmailMissing), oid, nil, alice, administrator, []string{"role", "user"}},
		{"with an unconfirmed address", stands(request.EmailUnconfirmed), oid, nil, alice, administrator, []string{"role", "user"}},
		{"not linked", vouches(email), "", nil, alice, nobody(request.NotLinked), nil},
		{"not linked, without an address", stands(request.EmailMissing), "", nil, alice, nobody(request.NotLinked), nil},
		{"the store fails", vouches(email), "", errStore, alice, nobody(request.Unverified), nil},
		{"the store fails after all", vouches(email), oid, errStore, alice, nobody(request.Unverified), nil},
		{"deactivated in Slack", stands(request.SlackDeactivated), oid, nil, alice, nobody(request.SlackDeactivated), nil},
		{"guest in Slack", stands(request.SlackGuest), oid, nil, alice, nobody(request.SlackGuest), nil},
		{"account gone, another has its name", vouches(email), oid, nil, alice.with("id", other), nobody(request.EntraMissing), []string{"user"}},
		{"account disabled", vouches(email), oid, nil, alice.with("accountEnabled", false), linked(request.EntraDisabled), []string{"user"}},
		{"account a guest", vouches(email), oid, nil, alice.with("userType", "Guest"), linked(request.EntraGuest), []string{"user"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, test.user)
			g.holds = []string{oid}
			got := g.linking(test.vouch, test.id, test.err).Caller(t.Context(), origin)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Caller (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.asked, g.asked()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallerByLinkFailsClosed(t *testing.T) {
	for op, want := range map[string]request.Caller{
		"user": {Slack: slackUser, Standing: request.Unverified},
		"role": linked(request.Unverified),
	} {
		g := start(t, alice)
		g.holds = []string{oid}
		g.instead[op] = refusal(403, "Authorization_RequestDenied")
		want.Fault = request.Fault{System: request.Graph, Status: 403, Code: "Authorization_RequestDenied", RequestID: "rid-" + op}
		if diff := cmp.Diff(want, g.linking(vouches(email), oid, nil).Caller(t.Context(), origin)); diff != "" {
			t.Errorf("%s: Caller (-want +got):\n%s", op, diff)
		}
	}
}

// What was true when somebody gave their word has to be true when it is acted on.
func TestAgainAsksSlackAndTheLink(t *testing.T) {
	down := request.Fault{System: request.Slack, Status: 503}
	slackDown := func(context.Context, request.Origin) (request.Standing, string, request.Fault) {
		return request.Unverified, "", down
	}
	is := func(c request.Caller, s request.Standing, f request.Fault) request.Caller {
		c.Standing, c.Fault = s, f
		return c
	}
	still := func(c request.Caller) request.Caller {
		c.Administrator, c.Evidence = true, "rid-role"
		return c
	}
	byEmail, byLink := somebody(request.Member), linked(request.Member)
	tests := []struct {
		name  string
		vouch Vouch
		binds Links
		was   request.Caller
		want  request.Caller
	}{
		{"by e-mail", vouches(email), nil, byEmail, still(byEmail)},
		{"by link", vouches(email), binds(oid, nil), byLink, still(byLink)},
		{"link in another case", vouches(email), binds("00000000-0000-0000-0000-00000000000A", nil), byLink, still(byLink)},
		{"by link, without an address now", stands(request.EmailMissing), binds(oid, nil), byLink, still(byLink)},
		{"by e-mail, linked since", vouches(email), binds(oid, nil), byEmail, still(byEmail)},
		{"by link, before people were identified by e-mail", vouches(email), nil, byLink, still(byLink)},
		{"by e-mail, without an address now", stands(request.EmailMissing), nil, byEmail, is(byEmail, request.EmailMissing, request.Fault{})},
		{"by e-mail, deactivated", stands(request.SlackDeactivated), nil, byEmail, is(byEmail, request.SlackDeactivated, request.Fault{})},
		{"by link, deactivated", stands(request.SlackDeactivated), binds(oid, nil), byLink, is(byLink, request.SlackDeactivated, request.Fault{})},
		{"by link, guest in Slack", stands(request.SlackGuest), binds(oid, nil), byLink, is(byLink, request.SlackGuest, request.Fault{})},
		{"by link, unlinked", vouches(email), binds("", nil), byLink, is(byLink, request.NotLinked, request.Fault{})},
		{"by link, linked to another account", vouches(email), binds(other, nil), byLink, is(byLink, request.NotLinked, request.Fault{})},
		{"by e-mail, link wanted now", vouches(email), binds("", nil), byEmail, is(byEmail, request.NotLinked, request.Fault{})},
		{"the store fails", vouches(email), binds(oid, errStore), byLink, is(byLink, request.Unverified, request.Fault{})},
		{"Slack fails", slackDown, binds(oid, nil), byLink, still(byLink)},
		{"Slack fails, by e-mail", slackDown, nil, byEmail, still(byEmail)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, alice)
			g.holds = []string{oid}
			got := g.directory(test.vouch, Options{Links: test.binds}).Again(t.Context(), test.was)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Again (-want +got):\n%s", diff)
			}
		})
	}
}

// Graph, Slack and the store wait for nobody but themselves.
func TestAgainAsksSideBySide(t *testing.T) {
	g := start(t, alice)
	g.holds = []string{oid}
	slack, store := make(chan struct{}), make(chan struct{})
	g.instead["user"] = func(w http.ResponseWriter, r *http.Request) {
		<-slack
		<-store
		g.user(oid, []string{"id", "userPrincipalName", "userType", "accountEnabled"})(w, r)
	}
	vouch := func(context.Context, request.Origin) (request.Standing, string, request.Fault) {
		close(slack)
		<-store
		return request.Member, email, request.Fault{}
	}
	links := func(context.Context, request.SlackUser) (string, error) {
		<-slack
		close(store)
		return oid, nil
	}
	if got := g.directory(vouch, Options{Links: links}).Again(t.Context(), linked(request.Member)); !got.Administrator {
		t.Errorf("Again = %+v, want an administrator", got)
	}
}

func TestMentionedByLink(t *testing.T) {
	renamed := alice.with("mail", nil, "userPrincipalName", "a1@contoso.com")
	tests := []struct {
		name     string
		vouch    Vouch
		id       string
		err      error
		user     account
		instead  http.HandlerFunc
		want     request.Account
		standing request.Standing
		found    string
	}{
		{"linked", vouches(email), oid, nil, renamed, nil, request.AccountMember, "", oid},
		{"linked, without an address", stands(request.EmailMissing), oid, nil, renamed, nil, request.AccountMember, "", oid},
		{"not linked", vouches(email), "", nil, alice, nil, request.AccountMember, "", oid},
		{"not linked, without an address", stands(request.EmailMissing), "", nil, alice, nil, request.AccountUnresolved, request.EmailMissing, ""},
		{"linked account gone", vouches(email), other, nil, alice, nil, request.AccountUnresolved, request.EntraMissing, ""},
		{"linked account not readable", vouches(email), oid, nil, alice, refusal(403, "Authorization_RequestDenied"), request.AccountUnknown, request.Member, ""},
		{"the store fails", vouches(email), "", errStore, alice, nil, request.AccountUnknown, request.Unverified, ""},
		{"deactivated", stands(request.SlackDeactivated), oid, nil, alice, nil, request.AccountUnresolved, request.SlackDeactivated, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, test.user)
			if test.instead != nil {
				g.instead["user"] = test.instead
			}
			got := g.linking(test.vouch, test.id, test.err).Mentioned(t.Context(), origin)
			if got.Account != test.want || got.Standing != test.standing || got.ObjectID != test.found {
				t.Errorf("Mentioned = %+v, want account %q, standing %q, id %q", got, test.want, test.standing, test.found)
			}
		})
	}
}
