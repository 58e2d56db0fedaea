package authz

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/revoke-session/revoke-session/internal/request"
)

func TestTargetAdministrators(t *testing.T) {
	user := func(n int, pairs ...any) account {
		id := fmt.Sprintf("00000000-0000-0000-0000-0000000001%02d", n)
		return alice.with("id", id, "userPrincipalName", fmt.Sprintf("u%d@contoso.com", n), "mail", nil).with(pairs...)
	}
	id := func(n int) [2]string { return [2]string{fmt.Sprint(user(n)["id"]), "/"} }
	everywhere := [2]string{oid, "/"}
	aGroup := [2]string{group, "/"}
	page := func(rows ...[2]string) [][2]string { return append([][2]string{everywhere}, rows...) }
	denied := refusal(403, "Authorization_RequestDenied")
	device := account{"@odata.type": "#microsoft.graph.device", "id": "d", "userPrincipalName": nil, "userType": nil, "accountEnabled": nil}
	var sixty [][2]string
	for i := range 60 {
		sixty = append(sixty, id(i))
	}
	tests := []struct {
		name     string
		users    []account
		assigned [][][2]string
		groups   map[string][]account
		next     string
		instead  map[string]http.HandlerFunc
		want     int
	}{
		{"the only one", nil, [][][2]string{page()}, nil, "", nil, 1},
		{"two", []account{user(1)}, [][][2]string{page(id(1))}, nil, "", nil, 2},
		{"disabled ones", []account{user(1, "accountEnabled", false)}, [][][2]string{page(id(1))}, nil, "", nil, 1},
		{"guests", []account{user(1, "userType", "Guest"), user(2, "creationType", "Invitation")}, [][][2]string{page(id(1), id(2))}, nil, "", nil, 1},
		{"an app", nil, [][][2]string{page(id(1))}, nil, "", nil, 1},
		{"another scope", []account{user(1)}, [][][2]string{page([2]string{id(1)[0], "/administrativeUnits/x"})}, nil, "", nil, 1},
		{"through a group", nil, [][][2]string{{aGroup}}, map[string][]account{group: {alice, user(1), user(2, "accountEnabled", false), user(3, "userType", "Guest"), device}}, "", nil, 2},
		{"activated in PIM for groups, and assigned", []account{user(1)}, [][][2]string{page(id(1), aGroup)}, map[string][]account{group: {alice, user(1), user(2)}}, "", nil, 3},
		{"an empty group", nil, [][][2]string{page(aGroup)}, map[string][]account{group: {}}, "", nil, 1},
		{"two pages", []account{user(1), user(2)}, [][][2]string{page(id(1)), {id(2)}}, nil, "", nil, 3},
		{"many", nil, [][][2]string{sixty}, nil, "", nil, 51},
		{"page at another host", []account{user(1)}, [][][2]string{page(), {id(1)}}, nil, "https://graph.contoso.com/v1.0/x", nil, 0},
		{"no permission", nil, [][][2]string{page()}, nil, "", map[string]http.HandlerFunc{"assigned": denied}, 0},
		{"no value", nil, [][][2]string{page()}, nil, "", map[string]http.HandlerFunc{"assigned": says(200, `{}`)}, 0},
		{"no permission for groups, and none needed", []account{user(1)}, [][][2]string{page(id(1))}, nil, "", map[string]http.HandlerFunc{"members": denied}, 2},
		{"no permission for groups", nil, [][][2]string{page(aGroup)}, nil, "", map[string]http.HandlerFunc{"members": denied}, 0},
		{"members are cut", nil, [][][2]string{page(aGroup)}, nil, "", map[string]http.HandlerFunc{"members": says(200, `<html>`)}, 0},
		{"too slow", nil, [][][2]string{page()}, nil, "", map[string]http.HandlerFunc{"assigned": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}, 0},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t, append(test.users, alice)...)
			g.holds, g.assigned, g.groups, g.next = []string{oid}, test.assigned, test.groups, test.next
			for op, f := range test.instead {
				g.instead[op] = f
			}
			got := g.directory(nil).Target(t.Context(), email)
			if got.Administrators != test.want || got.Account != request.AccountMember || got.Roles != "Global Administrator" {
				t.Errorf("Target = %+v, want %d administrators", got, test.want)
			}
		})
	}
}

// One principal that cannot be read makes any number wrong.
func TestTargetAdministratorsNotAllReadable(t *testing.T) {
	g := start(t, alice)
	g.holds, g.assigned = []string{oid}, [][][2]string{{{oid, "/"}, {other, "/"}}}
	g.instead["user"] = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1.0/users/"+other {
			refusal(403, "Authorization_RequestDenied")(w, r)
			return
		}
		g.user(oid, []string{"id", "userPrincipalName", "userType", "accountEnabled"})(w, r)
	}
	if got := g.directory(nil).Target(t.Context(), oid); got.Administrators != 0 || got.Account != request.AccountMember {
		t.Errorf("Target = %+v, want no number", got)
	}
}

func TestAdministratorsAreCountedForAdministratorsOnly(t *testing.T) {
	g := start(t, alice)
	g.in = map[string][]string{oid: {userRole}}
	g.assigned = [][][2]string{{{other, "/"}}}
	if got := g.directory(nil).Target(t.Context(), email); got.Administrators != 0 || slices.Contains(g.asked(), "assigned") {
		t.Errorf("Target = %+v after %v, want no count", got, g.asked())
	}
}

// Without the permission the question is asked once, not for every target.
func TestAdministratorsRefusedAreNotAskedForAgain(t *testing.T) {
	g := start(t, alice)
	g.holds = []string{oid}
	g.instead["assigned"] = refusal(403, "Authorization_RequestDenied")
	d := g.directory(nil)
	for range 3 {
		d.Target(t.Context(), email)
	}
	asked := g.asked()
	asked = slices.DeleteFunc(asked, func(op string) bool { return op != "assigned" })
	if len(asked) != 1 {
		t.Errorf("asked %d times", len(asked))
	}
}

// The token goes with the link to the next page, so that goes to Graph only.
func TestPagesElsewhereAreNotAsked(t *testing.T) {
	elsewhere := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the token went elsewhere, with %s", r.RequestURI)
	}))
	defer elsewhere.Close()
	host := elsewhere.Listener.Addr().String()
	g := start(t, alice)
	g.holds, g.assigned = []string{oid}, [][][2]string{{{oid, "/"}}, {{oid, "/"}}}
	for _, next := range []string{"https://" + host + "/v1.0/x", g.server.URL + "@" + host + "/v1.0/x", "//" + host + "/x", "/v1.0/x"} {
		g.next = next
		if got := g.directory(nil).Target(t.Context(), email); got.Administrators != 0 {
			t.Errorf("%s: %d administrators, want no number", next, got.Administrators)
		}
	}
}
