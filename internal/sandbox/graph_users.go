package sandbox

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

var guid = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// defaultProperties are what a user shows without $select. Whether the account
// is enabled and whether it is a guest is not among them.
func defaultProperties() []string {
	return []string{
		"businessPhones", "displayName", "givenName", "id", "jobTitle", "mail", "mobilePhone", "officeLocation",
		"preferredLanguage", "surname", "userPrincipalName",
	}
}

func userProperties(a *entraAccount) map[string]any {
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	properties := map[string]any{
		"id": a.id, "userPrincipalName": a.upn, "displayName": a.displayName, "mail": text(a.mail),
		"businessPhones": []any{}, "givenName": a.displayName, "jobTitle": text(a.jobTitle), "mobilePhone": nil,
		"officeLocation": nil, "preferredLanguage": nil, "surname": nil,
		"accountEnabled": a.enabled, "userType": a.userType, "creationType": text(a.creationType),
		"externalUserState": nil, "onPremisesSyncEnabled": nil, "onPremisesImmutableId": nil, "department": nil,
		"createdDateTime":                 a.created.UTC().Format(time.RFC3339),
		"signInSessionsValidFromDateTime": a.validFrom.UTC().Format(time.RFC3339),
		"mailNickname":                    strings.NewReplacer("@", "_", "#", "").Replace(a.upn),
		"proxyAddresses":                  []any{}, "otherMails": []any{},
	}
	if a.mail != "" {
		properties["proxyAddresses"] = []any{"SMTP:" + a.mail}
	}
	if a.guest() {
		properties["externalUserState"] = "Accepted"
		properties["otherMails"] = []any{a.mail}
	}
	return properties
}

// selected reads $select, in the order asked for. Names are compared without
// regard to case, as Graph does.
func selected(query url.Values) (names []string, given bool, err error) {
	raw := query.Get("$select")
	if raw == "" {
		return defaultProperties(), false, nil
	}
	known := slices.Collect(maps.Keys(userProperties(&entraAccount{})))
	for name := range strings.SplitSeq(raw, ",") {
		name = strings.TrimSpace(name)
		i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) })
		if i < 0 {
			return nil, true, badRequest("Parsing OData Select and Expand failed: Could not find a property named '%s' on type 'microsoft.graph.user'.", name)
		}
		if !slices.Contains(names, known[i]) {
			names = append(names, known[i])
		}
	}
	return names, true, nil
}

func project(a *entraAccount, names []string) map[string]any {
	all, out := userProperties(a), map[string]any{}
	for _, name := range names {
		out[name] = all[name]
	}
	return out
}

func allowOptions(query url.Values, allowed ...string) error {
	for name := range query {
		if strings.HasPrefix(name, "$") && !slices.Contains(allowed, name) {
			return badRequest("Query option '%s' is not supported for this request.", name)
		}
	}
	return nil
}

// graphUser answers for one user and what can be done with it.
func (s *Sandbox) graphUser(call graphCall, key string, rest []string) (map[string]any, error) {
	action := ""
	if len(rest) > 0 {
		action = strings.TrimPrefix(rest[0], "microsoft.graph.")
	}
	switch {
	case len(rest) == 0 && call.r.Method == http.MethodGet:
		return s.getUser(call, key)
	case len(rest) == 0:
		return nil, errMethod
	case len(rest) > 1 || (action != "checkMemberObjects" && action != "revokeSignInSessions"):
		return nil, badRequest("Resource not found for the segment '%s'.", rest[len(rest)-1])
	case call.r.Method != http.MethodPost:
		return nil, errMethod
	case action == "checkMemberObjects":
		return s.checkMemberObjects(call, key)
	default:
		return s.revokeSignInSessions(call, key)
	}
}

func (s *Sandbox) getUser(call graphCall, key string) (map[string]any, error) {
	if err := call.may("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"); err != nil {
		return nil, err
	}
	if err := allowOptions(call.query, "$select"); err != nil {
		return nil, err
	}
	names, given, err := selected(call.query)
	if err != nil {
		return nil, err
	}
	a := s.world.byEntraKey(key)
	if a == nil {
		return nil, notFound(key)
	}
	answer := project(a, names)
	answer["@odata.context"] = graphContext + "users/$entity"
	if given {
		answer["@odata.context"] = graphContext + "users(" + strings.Join(names, ",") + ")/$entity"
	}
	return answer, nil
}

func (s *Sandbox) listUsers(call graphCall) (map[string]any, error) {
	if call.r.Method != http.MethodGet {
		return nil, errMethod
	}
	if err := call.may("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"); err != nil {
		return nil, err
	}
	if err := allowOptions(call.query, "$select", "$filter", "$top", "$skiptoken"); err != nil {
		return nil, err
	}
	names, given, err := selected(call.query)
	if err != nil {
		return nil, err
	}
	keep := func(map[string]any) bool { return true }
	if filter, ok := call.query["$filter"]; ok {
		if keep, err = parseFilter(filter[0], filterableUser()); err != nil {
			return nil, err
		}
	}
	matches := []any{}
	for _, p := range s.world.cast {
		if p.entra != nil && keep(userProperties(p.entra)) {
			matches = append(matches, project(p.entra, names))
		}
	}
	context := "users"
	if given {
		context += "(" + strings.Join(names, ",") + ")"
	}
	return s.list(call, context, matches)
}

// checkMemberObjects tells which of the ids the user is a member of now, be it
// through a group. A role is named by its id or by the id of its template.
func (s *Sandbox) checkMemberObjects(call graphCall, key string) (map[string]any, error) {
	if err := call.may("User.Read.All", "User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"); err != nil {
		return nil, err
	}
	var parameters struct {
		IDs []string `json:"ids"`
	}
	if err := call.parameters(&parameters); err != nil {
		return nil, err
	}
	invalid := func(message string) error {
		return &graphError{http.StatusBadRequest, "Request_BadRequest", message}
	}
	switch {
	case len(parameters.IDs) == 0:
		return nil, invalid("One or more parameters of the operation 'checkMemberObjects' are missing from the request payload. The missing parameters are: ids.")
	case len(parameters.IDs) > 20:
		return nil, invalid("Too many elements specified in 'ids'. The maximum is 20.")
	}
	for _, id := range parameters.IDs {
		if !guid.MatchString(id) {
			return nil, invalid(fmt.Sprintf("Invalid GUID: '%s'.", id))
		}
	}
	a := s.world.byEntraKey(key)
	if a == nil {
		return nil, notFound(key)
	}
	member, value := a.memberObjects(), []string{}
	for _, id := range parameters.IDs {
		if slices.Contains(member, strings.ToLower(id)) {
			value = append(value, id)
		}
	}
	return map[string]any{"@odata.context": graphContext + "Collection(Edm.String)", "value": value}, nil
}

// revokeSignInSessions moves the moment from which sessions are valid. For
// guests the answer is the same and nothing happens: their sessions belong to
// their home tenant.
func (s *Sandbox) revokeSignInSessions(call graphCall, key string) (map[string]any, error) {
	if err := call.may("User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"); err != nil {
		return nil, err
	}
	var parameters map[string]any
	if err := call.parameters(&parameters); err != nil {
		return nil, err
	}
	for name := range parameters {
		return nil, badRequest("The parameter '%s' in the request payload is not a valid parameter for the operation 'revokeSignInSessions'.", name)
	}
	a := s.world.byEntraKey(key)
	if a == nil {
		return nil, notFound(key)
	}
	if !a.guest() {
		a.resetSessions(s.now())
		s.world.revoked[a.upn]++
	}
	return map[string]any{"@odata.context": graphContext + "Edm.Boolean", "value": true}, nil
}

// resetSessions moves the moment from which sessions are valid: to now, and
// always further, in the whole seconds that Graph shows.
func (a *entraAccount) resetSessions(now time.Time) {
	now = now.Truncate(time.Second).UTC()
	if !now.After(a.validFrom) {
		now = a.validFrom.Add(time.Second)
	}
	a.validFrom = now
	a.resets++
}
