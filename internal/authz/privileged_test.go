package authz

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

func TestPrivilegedRoles(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range privileged {
		if !guid.MatchString(r.template) || r.name == "" || seen[r.template] || seen[r.name] {
			t.Errorf("%q %q is listed twice or is not a role", r.name, r.template)
		}
		seen[r.template], seen[r.name] = true, true
	}
	if privileged[0].template != globalAdministrator {
		t.Errorf("%s is first", privileged[0].name)
	}
	if n := len(privileged); n > 2*idsPerCall {
		t.Errorf("%d roles take more than two calls", n)
	}
}

func TestTargetRoles(t *testing.T) {
	tests := []struct {
		name    string
		user    account
		holds   []string
		in      []string
		strange []string
		want    string
	}{
		{"none", alice, nil, nil, nil, ""},
		{"one", alice, nil, []string{userRole}, nil, "User Administrator"},
		{"several", alice, []string{oid}, []string{userRole, readerRole}, nil, "Global Administrator, Global Reader, User Administrator"},
		{"others'", alice, []string{other}, nil, nil, ""},
		{"of a guest, whom nobody signs out", alice.with("userType", "Guest"), []string{oid}, nil, nil, ""},
		{"one unknown to the tenant", alice, []string{oid}, []string{userRole}, []string{readerRole}, "Global Administrator, User Administrator"},
		{"unknown ones in each call", alice, nil, []string{userRole}, []string{readerRole, privileged[31].template}, "User Administrator"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, test.user)
			g.holds, g.in, g.strange = test.holds, map[string][]string{oid: test.in}, test.strange
			d := g.directory(nil)
			for range 3 { // the order is the same every time
				if got := d.Target(t.Context(), email); got.Roles != test.want || got.Account == request.AccountUnknown {
					t.Errorf("Target = %+v, want the roles %q", got, test.want)
				}
			}
		})
	}
}

// A target whose roles cannot be read is unknown: the card must not show an
// administrator, or somebody whom the operator protects, as an ordinary user.
func TestTargetRolesFailClosed(t *testing.T) {
	denied := refusal(403, "Authorization_RequestDenied")
	fault := func(op string, status int, code string) request.Fault {
		return request.Fault{System: request.Graph, Status: status, Code: code, RequestID: "rid-" + op}
	}
	tests := []struct {
		name    string
		instead map[string]http.HandlerFunc
		strange []string
		want    request.Fault
	}{
		{"403", map[string]http.HandlerFunc{"roles": denied}, nil, fault("roles", 403, "Authorization_RequestDenied")},
		{"503", map[string]http.HandlerFunc{"roles": refusal(503, "serviceUnavailable")}, nil, fault("roles", 503, "serviceUnavailable")},
		{"cut", map[string]http.HandlerFunc{"roles": cut}, nil, request.Fault{System: request.Graph}},
		{"no value", map[string]http.HandlerFunc{"roles": says(200, `{}`)}, nil, fault("roles", 200, "incomplete answer")},
		{"no JSON", map[string]http.HandlerFunc{"roles": says(200, `<html>`)}, nil, fault("roles", 200, "")},
		{"a proxy's 404", map[string]http.HandlerFunc{"roles": says(404, `<html>`)}, nil, fault("roles", 404, "")},
		{"one by one, one denied", map[string]http.HandlerFunc{"one": denied}, []string{readerRole}, fault("one", 403, "Authorization_RequestDenied")},
		{"not even Global Administrator is known", nil, []string{role}, fault("role", 404, "Request_ResourceNotFound")},
		{"the call itself is refused", map[string]http.HandlerFunc{"roles": refusal(400, "Request_BadRequest"), "one": refusal(400, "Request_BadRequest"), "role": refusal(400, "Request_BadRequest")}, nil, fault("role", 400, "Request_BadRequest")},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t, alice)
			g.holds, g.strange = []string{oid}, test.strange
			for op, f := range test.instead {
				g.instead[op] = f
			}
			matter := Options{RolesMatter: true}
			got := g.directory(vouches(email), matter).Target(t.Context(), email)
			if got.Account != request.AccountUnknown || got.Roles != "" || got.Protected != "" {
				t.Errorf("Target = %+v, want it unknown", got)
			}
			if diff := cmp.Diff(test.want, got.Fault); diff != "" {
				t.Errorf("fault (-want +got):\n%s", diff)
			}
			if got := g.directory(vouches(email), matter).Mentioned(t.Context(), origin); got.Account != request.AccountUnknown {
				t.Errorf("Mentioned = %+v, want it unknown", got)
			}
			// Where nothing depends on them, an incident does not wait for a warning.
			if got := g.directory(vouches(email)).Target(t.Context(), email); got.Account != request.AccountMember || !got.RolesUnknown || got.Roles != "" {
				t.Errorf("Target where roles do not matter = %+v, want a member of unknown roles", got)
			}
		})
	}
}

func TestTargetProtected(t *testing.T) {
	const shouted = "00000000-0000-0000-0000-0000000000AA"
	var many []string
	for i := range 45 {
		many = append(many, fmt.Sprintf("10000000-0000-0000-0000-0000000000%02d", i))
	}
	tests := []struct {
		name      string
		protected []string
		in        []string
		strange   []string
		want      string
	}{
		{"nobody", nil, []string{group}, nil, ""},
		{"others", []string{other, "bob@contoso.com", group}, nil, nil, ""},
		{"by name", []string{"Alice@Contoso.com"}, nil, nil, "Alice@Contoso.com"},
		{"by object id", []string{oid}, nil, nil, oid},
		{"by object id, in another case", []string{"00000000-0000-0000-0000-00000000000A"}, nil, nil, "00000000-0000-0000-0000-00000000000A"},
		{"by group", []string{group}, []string{group}, nil, group},
		{"by group, in another case", []string{shouted}, []string{group}, nil, shouted},
		{"first of two entries", []string{other, group, email}, []string{group}, nil, group},
		{"last of many groups", append(slices.Clone(many), group), []string{group}, nil, group},
		{"by role", []string{userRole}, []string{userRole}, nil, userRole},
		{"by group, beside the id of a user, which Graph refuses", []string{other, group}, []string{group}, []string{other}, group},
		{"a deleted group", []string{group}, nil, []string{group}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, alice)
			g.in, g.strange = map[string][]string{oid: test.in}, test.strange
			d := g.directory(vouches(email), Options{Protected: test.protected})
			for _, got := range []request.Target{d.Target(t.Context(), email), d.Target(t.Context(), oid), d.Mentioned(t.Context(), origin)} {
				if got.Protected != test.want || got.Account != request.AccountMember {
					t.Errorf("Target = %+v, want a member protected by %q", got, test.want)
				}
			}
		})
	}
}

// Roles cost no round trip: they are asked for while the account is being read.
func TestTargetAsksSideBySide(t *testing.T) {
	g := start(t, alice)
	roles := make(chan struct{})
	g.instead["user"] = func(w http.ResponseWriter, r *http.Request) {
		<-roles
		<-roles
		g.user(oid, []string{"id", "userPrincipalName", "userType"})(w, r)
	}
	g.instead["roles"] = func(w http.ResponseWriter, _ *http.Request) {
		roles <- struct{}{}
		write(w, map[string]any{"value": []string{}})
	}
	if got := g.directory(nil).Target(t.Context(), email); got.Account != request.AccountMember {
		t.Errorf("Target = %+v, want a member", got)
	}
}
