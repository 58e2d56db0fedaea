package authz

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
)

const (
	// countWithin bounds counting: it is for a warning only, and nobody waits for it
	// for longer.
	countWithin = 3 * time.Second
	// manyAdministrators is when counting stops: whether there are more than a
	// handful is all that matters.
	manyAdministrators = 50
)

// administrators counts the active Global Administrators: enabled members, assigned
// or activated, directly or through a group. 0 if they could not all be counted.
func (d *Directory) administrators(ctx context.Context) int {
	ctx, cancel := context.WithTimeout(ctx, countWithin)
	defer cancel()
	principals, err := d.principals(ctx)
	if err != nil {
		return 0
	}
	if len(principals) > manyAdministrators {
		return len(principals)
	}
	people, err := d.gather(len(principals), func(i int) (map[string]bool, error) {
		return d.people(ctx, principals[i])
	})
	if err != nil {
		return 0
	}
	return len(people)
}

// principals lists who is assigned the role for the whole tenant, of whatever kind
// (learn.microsoft.com/graph/api/rbacapplication-list-roleassignments).
func (d *Directory) principals(ctx context.Context) ([]string, error) {
	if !d.assignments.worthAsking() {
		return nil, errRefusedBefore
	}
	type assignment struct {
		PrincipalID      string `json:"principalId"`
		DirectoryScopeID string `json:"directoryScopeId"`
	}
	var ids []string
	filter := "roleDefinitionId eq '" + globalAdministrator + "'"
	err := pages(ctx, d.graph, "list administrators (optional)",
		"/v1.0/roleManagement/directory/roleAssignments?$filter="+url.QueryEscape(filter),
		func(a assignment) bool {
			if a.DirectoryScopeID == "/" && a.PrincipalID != "" {
				ids = append(ids, a.PrincipalID)
			}
			return len(ids) <= manyAdministrators
		})
	d.assignments.answered(err)
	return ids, err
}

// people returns the object ids of the people behind a principal. An assignment
// does not say whether it is a user, a group, or an app: both questions are asked
// at once, because waiting for a 404 would cost another round trip.
func (d *Directory) people(ctx context.Context, principal string) (map[string]bool, error) {
	var u user
	var members map[string]bool
	var err, membersErr error
	var wg sync.WaitGroup
	wg.Go(func() { u, err = d.user(ctx, principal, callerFields) })
	wg.Go(func() { members, membersErr = d.members(ctx, principal) })
	wg.Wait()
	switch {
	case err == nil && u.administers():
		return map[string]bool{u.ID: true}, nil
	case err == nil:
		return nil, nil
	case !isNotFound(err):
		return nil, err
	case isNotFound(membersErr): // an app
		return nil, nil
	}
	return members, membersErr
}

// members returns those members of a group who can act as administrators. Reading
// only the users among the members would need the header ConsistencyLevel and an
// index that lags behind (learn.microsoft.com/graph/api/group-list-transitivemembers);
// of members of other kinds, the properties asked for are null.
func (d *Directory) members(ctx context.Context, group string) (map[string]bool, error) {
	if !d.groups.worthAsking() {
		return nil, errRefusedBefore
	}
	people := map[string]bool{}
	err := pages(ctx, d.graph, "list members (optional)",
		"/v1.0/groups/"+url.PathEscape(group)+"/transitiveMembers?$select="+memberFields,
		func(u user) bool {
			if u.administers() {
				people[u.ID] = true
			}
			return len(people) <= manyAdministrators
		})
	d.groups.answered(err)
	return people, err
}

// administers reports whether the account can use a role that it holds.
func (u user) administers() bool {
	return u.ID != "" && u.AccountEnabled && u.UserType == "Member" && !u.external()
}

// pages hands over the elements of a collection until more says that it is enough.
// The link to the next page is followed to Graph only: the token goes with it.
func pages[T any](ctx context.Context, graph *entra.API, op, path string, more func(T) bool) error {
	for path != "" {
		var page struct {
			Value []T    `json:"value"`
			Next  string `json:"@odata.nextLink"`
		}
		meta, err := graph.Do(ctx, op, http.MethodGet, path, nil, &page)
		if err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		if page.Value == nil {
			return incomplete(op, meta)
		}
		for _, v := range page.Value {
			if !more(v) {
				return nil
			}
		}
		var ours bool
		if path, ours = strings.CutPrefix(page.Next, graph.URL("")); page.Next != "" && (!ours || !strings.HasPrefix(path, "/")) {
			return incomplete(op, meta)
		}
	}
	return nil
}
