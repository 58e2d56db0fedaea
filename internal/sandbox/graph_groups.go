package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// graphGroup answers who is in a group, directly or through another one; groups
// here are not nested.
// https://learn.microsoft.com/graph/api/group-list-transitivemembers
func (s *Sandbox) graphGroup(call graphCall, key string, rest []string) (map[string]any, error) {
	cast := len(rest) == 2 && rest[1] == "microsoft.graph.user"
	switch {
	case len(rest) == 0 || rest[0] != "transitiveMembers" || (len(rest) > 1 && !cast):
		return nil, badRequest("Resource not found for the segment '%s'.", strings.Join(rest, "/"))
	case call.r.Method != http.MethodGet:
		return nil, errMethod
	}
	if err := call.may("GroupMember.Read.All", "Group.Read.All", "GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.Read.All"); err != nil {
		return nil, err
	}
	if err := allowOptions(call.query, "$select", "$top", "$count", "$skiptoken"); err != nil {
		return nil, err
	}
	// "This header and $count are required when using ... OData cast query
	// parameters." People report that the cast to users works without, too.
	advanced := strings.EqualFold(call.r.Header.Get("ConsistencyLevel"), "eventual") && call.query.Get("$count") == "true"
	if cast && !advanced {
		return nil, &graphError{http.StatusBadRequest, "Request_UnsupportedQuery", "Invalid search request."}
	}
	key = strings.ToLower(key)
	switch {
	case !guid.MatchString(key):
		return nil, &graphError{http.StatusBadRequest, "Request_BadRequest", "Invalid object identifier '" + key + "'."}
	case !slices.Contains(s.world.groups, key):
		return nil, notFound(key)
	}
	return s.members(call, key, cast, advanced)
}

func (s *Sandbox) members(call graphCall, group string, cast, counted bool) (map[string]any, error) {
	names, given, err := selected(call.query)
	if err != nil {
		return nil, err
	}
	// Somebody who may not read users learns that there are some, and their ids.
	limited := call.may("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All") != nil
	rows := []any{}
	for _, p := range s.world.cast {
		if p.entra == nil || !slices.Contains(p.entra.memberGroups(), group) {
			continue
		}
		row := project(p.entra, names)
		for name := range row {
			if limited && name != "id" {
				row[name] = nil
			}
		}
		if !cast {
			row["@odata.type"] = "#microsoft.graph.user"
		}
		rows = append(rows, row)
	}
	context := "directoryObjects"
	if cast {
		context = "users"
	}
	if given {
		context += "(" + strings.Join(names, ",") + ")"
	}
	answer, err := s.list(call, context, rows)
	if err == nil && counted && call.query.Get("$skiptoken") == "" {
		answer["@odata.count"] = len(rows)
	}
	return answer, err
}
