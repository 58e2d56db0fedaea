package authz

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

func TestTarget(t *testing.T) {
	const name = "alice@contoso.com"
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	member := request.Target{ObjectID: oid, UPN: name, Name: "Alice", Account: request.AccountMember, Enabled: true, ValidFrom: since}
	with := func(f func(*request.Target)) request.Target {
		c := member
		f(&c)
		return c
	}
	fault := func(a request.Account, status int, code, id string) request.Target {
		return request.Target{UPN: name, Account: a, Fault: request.Fault{System: request.Graph, Status: status, Code: code, RequestID: id}}
	}
	tests := []struct {
		name    string
		user    account
		instead http.HandlerFunc
		want    request.Target
	}{
		{"member", alice, nil, member},
		{"typed in another case", alice.with("userPrincipalName", "Alice@Contoso.com"), nil, with(func(u *request.Target) { u.UPN = "Alice@Contoso.com" })},
		{"disabled member", alice.with("accountEnabled", false), nil, with(func(u *request.Target) { u.Enabled = false })},
		{"userType null", alice.with("userType", nil), nil, member},
		{"guest", alice.with("userType", "Guest"), nil, with(func(u *request.Target) { u.Account = request.AccountGuest })},
		{"guest in another case", alice.with("userType", "guest"), nil, with(func(u *request.Target) { u.Account = request.AccountGuest })},
		{"invited guest", alice.with("userType", "Guest", "creationType", "Invitation"), nil, with(func(u *request.Target) { u.Account = request.AccountGuest })},
		{"invited member", alice.with("creationType", "Invitation"), nil, with(func(u *request.Target) { u.Account = request.AccountExternal })},
		{"404", alice, refusal(404, "Request_ResourceNotFound"), fault(request.AccountMissing, 404, "Request_ResourceNotFound", "rid-user")},
		{"403", alice, refusal(403, "Authorization_RequestDenied"), fault(request.AccountUnknown, 403, "Authorization_RequestDenied", "rid-user")},
		{"401", alice, refusal(401, "InvalidAuthenticationToken"), fault(request.AccountUnknown, 401, "InvalidAuthenticationToken", "rid-user")},
		{"500", alice, refusal(500, "InternalServerError"), fault(request.AccountUnknown, 500, "InternalServerError", "rid-user")},
		{"429", alice, refusal(429, "TooManyRequests"), fault(request.AccountUnknown, 429, "TooManyRequests", "rid-user")},
		{"cut", alice, cut, fault(request.AccountUnknown, 0, "", "")},
		{"no JSON", alice, says(200, "<html>"), fault(request.AccountUnknown, 200, "", "rid-user")},
		{"no id", alice.with("id", nil), nil, fault(request.AccountUnknown, 200, "incomplete answer", "rid-user")},
		{"no UPN", alice, says(200, `{"id":"`+oid+`"}`), fault(request.AccountUnknown, 200, "incomplete answer", "rid-user")},
		{"nothing", alice, says(200, ``), fault(request.AccountUnknown, 200, "incomplete answer", "rid-user")},
		{"nothing yet", alice, says(202, ``), fault(request.AccountUnknown, 200, "incomplete answer", "rid-user")},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t, test.user)
			if test.instead != nil {
				g.instead["user"] = test.instead
			}
			if test.want.ObjectID != "" {
				test.want.AsOf, test.want.Evidence = graphClock, "rid-user"
			}
			if diff := cmp.Diff(test.want, g.directory(nil).Target(t.Context(), name)); diff != "" {
				t.Errorf("Target (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTargetExternalMember(t *testing.T) {
	for _, upn := range []string{"alice_fabrikam.com#EXT#@contoso.onmicrosoft.com", "alice_fabrikam.com#ext#@contoso.onmicrosoft.com"} {
		g := start(t, alice.with("userPrincipalName", upn))
		got := g.directory(nil).Target(t.Context(), upn)
		if got.Account != request.AccountExternal || got.UPN != upn || got.ObjectID != oid {
			t.Errorf("Target(%q) = %+v, want an external member", upn, got)
		}
	}
}

func TestTargetWithoutEntra(t *testing.T) {
	g := start(t, alice)
	g.noToken = says(401, `{"error":"invalid_client","error_description":"AADSTS7000222: The provided client secret keys are expired."}`)
	want := request.Target{UPN: email, Account: request.AccountUnknown, Fault: request.Fault{System: request.Entra, Status: 401, Code: "AADSTS7000222"}}
	if diff := cmp.Diff(want, g.directory(nil).Target(t.Context(), email)); diff != "" {
		t.Errorf("Target (-want +got):\n%s", diff)
	}
}

// A 404 of Entra is about the app's sign-in, not about the person.
func TestTargetWhenTheTenantIsNotFound(t *testing.T) {
	g := start(t, alice)
	g.noToken = says(404, `<html>`)
	if got := g.directory(nil).Target(t.Context(), email); got.Account != request.AccountUnknown || got.Fault.System != request.Entra {
		t.Errorf("Target = %+v, want an account that is unknown for Entra's sake", got)
	}
}

// The request lines are what Graph needs to read a key back as it was typed.
func TestUserPath(t *testing.T) {
	const fields = "?$select=id,userPrincipalName,displayName,userType,creationType,accountEnabled,signInSessionsValidFromDateTime"
	tests := []struct{ key, want string }{
		{"mallory@contoso.com", "/v1.0/users/mallory@contoso.com"},
		{"m.a-l_lory@contoso.com", "/v1.0/users/m.a-l_lory@contoso.com"},
		{oid, "/v1.0/users/" + oid},
		{"$x@contoso.com", "/v1.0/users('$x@contoso.com')"},
		{"o'neil@contoso.com", "/v1.0/users('o%27%27neil@contoso.com')"},
		{"'@contoso.com", "/v1.0/users('%27%27@contoso.com')"},
		{"a#EXT#@contoso.com", "/v1.0/users('a%23EXT%23@contoso.com')"},
		{"a!b^c~d@contoso.com", "/v1.0/users('a%21b%5Ec~d@contoso.com')"},
		{"a/b@contoso.com", "/v1.0/users('a%2Fb@contoso.com')"},
		{"a?b&c=d@contoso.com", "/v1.0/users('a%3Fb&c=d@contoso.com')"},
		{"a%23b@contoso.com", "/v1.0/users('a%2523b@contoso.com')"},
		{"a b+c@contoso.com", "/v1.0/users('a%20b+c@contoso.com')"},
		{"jürgen@contoso.com", "/v1.0/users('j%C3%BCrgen@contoso.com')"},
		{"../groups('x')", "/v1.0/users('..%2Fgroups%28%27%27x%27%27%29')"},
	}
	for _, test := range tests {
		t.Run(test.key, func(t *testing.T) {
			g := start(t, alice.with("userPrincipalName", test.key))
			got := g.directory(nil).Target(t.Context(), test.key)
			if got.ObjectID != oid {
				t.Errorf("Target = %+v, want to be found", got)
			}
			check := test.want + "/checkMemberObjects"
			want := []string{test.want + fields, check, check}
			slices.Sort(want)
			if diff := cmp.Diff(want, slices.Sorted(slices.Values(g.uris))); diff != "" {
				t.Errorf("asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTargetIsReadAnew(t *testing.T) {
	g := start(t, alice)
	d := g.directory(nil)
	for range 3 {
		d.Target(t.Context(), email)
	}
	if got := g.asked(); len(got) != 9 {
		t.Errorf("three look-ups made %d calls", len(got))
	}
}

// Only Graph can say that there is no such user; a proxy's page cannot.
func TestForeign404IsNotAMissingUser(t *testing.T) {
	g := start(t, alice)
	g.holds = []string{oid}
	g.instead["user"] = says(404, "<html>no such route</html>")
	d := g.directory(vouches(email))
	if got := d.Target(t.Context(), email); got.Account != request.AccountUnknown {
		t.Errorf("Target is %s, want %s", got.Account, request.AccountUnknown)
	}
	if got := d.Caller(t.Context(), origin); got.Standing != request.Unverified || got.Administrator {
		t.Errorf("Caller is %s, administrator %v; want %s and not", got.Standing, got.Administrator, request.Unverified)
	}
	if got := d.Again(t.Context(), somebody(request.Member)); got.Standing != request.Unverified {
		t.Errorf("Again is %s, want %s", got.Standing, request.Unverified)
	}
}
