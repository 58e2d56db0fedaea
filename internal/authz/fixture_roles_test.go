package authz

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	readerRole = "f2ef992c-3afb-46b9-b7cf-a126ee74c451" // Global Reader
	userRole   = "fe930be7-5e62-47db-91af-98c3a49a38b1" // User Administrator
	group      = "00000000-0000-0000-0000-0000000000aa"
)

// check answers checkMemberObjects: "role" if it is about the one role, "roles" if
// it is about many ids, and "one" if it is about another one.
func (g *graph) check(r *http.Request, key, body string) (string, http.HandlerFunc) {
	var in struct {
		IDs []string `json:"ids"`
	}
	if err := json.Unmarshal([]byte(body), &in); err != nil || len(in.IDs) == 0 || len(in.IDs) > 20 || r.Header.Get("Content-Type") != "application/json" || r.URL.RawQuery != "" {
		g.t.Errorf("roles were asked for with %s, %q, %q", r.RequestURI, r.Header.Get("Content-Type"), body)
	}
	op := "roles"
	if len(in.IDs) == 1 {
		op = "one"
	}
	if body == `{"ids":["`+role+`"]}` {
		op = "role"
	}
	if slices.ContainsFunc(in.IDs, func(id string) bool { return slices.Contains(g.strange, id) }) {
		return op, refusal(404, "Request_ResourceNotFound")
	}
	i := slices.IndexFunc(g.users, func(u account) bool { return u.is(key) })
	if i < 0 {
		return op, refusal(404, "Request_ResourceNotFound")
	}
	id := fmt.Sprint(g.users[i]["id"])
	held := []string{}
	for _, asked := range in.IDs {
		if asked == role && slices.Contains(g.holds, id) || slices.Contains(g.in[id], asked) {
			held = append(held, asked)
		}
	}
	return op, func(w http.ResponseWriter, _ *http.Request) { write(w, map[string]any{"value": held}) }
}

// optional answers what needs a permission or a license that may not be there.
func (g *graph) optional(r *http.Request, query url.Values, fields []string) (string, http.HandlerFunc) {
	const of = "roleDefinitionId eq '" + role + "'"
	filter := query.Get("$filter")
	switch path := r.URL.Path; {
	case path == "/v1.0/roleManagement/directory/roleEligibilityScheduleInstances" && len(query) == 1:
		id, ok := strings.CutSuffix(filter, "' and "+of)
		id, ok2 := strings.CutPrefix(id, "principalId eq '")
		if !ok || !ok2 {
			g.t.Errorf("$filter = %q", filter)
		}
		rows := []any{}
		if slices.Contains(g.eligible, id) {
			rows = append(rows, map[string]any{"principalId": id, "roleDefinitionId": role, "directoryScopeId": "/", "memberType": "Direct"})
		}
		return "eligible", func(w http.ResponseWriter, _ *http.Request) { write(w, map[string]any{"value": rows}) }
	case path == "/v1.0/roleManagement/directory/roleAssignments" && filter == of:
		return "assigned", g.assignments(query.Get("$skiptoken"))
	case strings.HasPrefix(path, "/v1.0/groups/"):
		id, ok := strings.CutSuffix(strings.TrimPrefix(path, "/v1.0/groups/"), "/transitiveMembers")
		if !ok || len(query) != 1 {
			return "", nil
		}
		return "members", g.members(id, fields)
	}
	return "", nil
}

func (g *graph) assignments(page string) http.HandlerFunc {
	n := len(page) // x, xx, ...
	rows := []any{}
	if n < len(g.assigned) {
		for _, a := range g.assigned[n] {
			rows = append(rows, map[string]any{"id": "x", "principalId": a[0], "directoryScopeId": a[1], "roleDefinitionId": role})
		}
	}
	answer := map[string]any{"value": rows}
	if n+1 < len(g.assigned) {
		next := g.next
		if next == "" {
			next = g.server.URL + "/v1.0/roleManagement/directory/roleAssignments?$filter=" + url.QueryEscape("roleDefinitionId eq '"+role+"'") + "&$skiptoken=" + page + "x"
		}
		answer["@odata.nextLink"] = next
	}
	return func(w http.ResponseWriter, _ *http.Request) { write(w, answer) }
}

func (g *graph) members(id string, fields []string) http.HandlerFunc {
	members, ok := g.groups[id]
	if !ok {
		return refusal(404, "Request_ResourceNotFound")
	}
	rows := []account{}
	for _, m := range members {
		rows = append(rows, m.only(fields))
	}
	return func(w http.ResponseWriter, _ *http.Request) { write(w, map[string]any{"value": rows}) }
}

// is reports whether key names the account in a path.
func (a account) is(key string) bool {
	return a["id"] == key || strings.EqualFold(fmt.Sprint(a["userPrincipalName"]), key)
}
