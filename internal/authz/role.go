package authz

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
)

// globalAdministrator is the role template id of Global Administrator, the same
// in every tenant (learn.microsoft.com/entra/identity/role-based-access-control/permissions-reference).
const globalAdministrator = "62e90394-69f5-4237-9190-012177145e10"

// memberOf returns which of at most 20 directory roles and groups a user is in now,
// directly, through a group, or activated in PIM; eligible is not being in. The
// call takes role template ids and is transitive
// (learn.microsoft.com/graph/api/directoryobject-checkmemberobjects).
func (d *Directory) memberOf(ctx context.Context, op, key string, ids ...string) (map[string]bool, entra.Meta, error) {
	var out struct {
		Value []string `json:"value"`
	}
	meta, err := d.graph.Do(ctx, op, http.MethodPost, userPath(key)+"/checkMemberObjects", map[string][]string{"ids": ids}, &out)
	if err != nil {
		return nil, meta, fmt.Errorf("checking roles: %w", err)
	}
	if out.Value == nil {
		return nil, meta, incomplete(op, meta)
	}
	in := map[string]bool{}
	for _, id := range out.Value {
		in[strings.ToLower(id)] = true
	}
	return in, meta, nil
}

// eligibleWithin keeps the question whether a person could activate the role, which
// only makes a refusal more helpful, from making it slow.
const eligibleWithin = 2 * time.Second

// eligible reports whether a user could activate Global Administrator in PIM. False
// also if that cannot be known: without the permission, or without the license that
// PIM needs (400 AadPremiumLicenseRequired). Whether a row about the eligibility of
// a group that the user is in comes under the user's id is not documented
// (learn.microsoft.com/graph/api/rbacapplication-list-roleeligibilityscheduleinstances).
func (d *Directory) eligible(ctx context.Context, id string) bool {
	if !d.eligibility.worthAsking() {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, eligibleWithin)
	defer cancel()
	filter := "principalId eq '" + id + "' and roleDefinitionId eq '" + globalAdministrator + "'"
	var page struct {
		Value []struct{} `json:"value"`
	}
	_, err := d.graph.Do(ctx, "check eligibility (optional)", http.MethodGet,
		"/v1.0/roleManagement/directory/roleEligibilityScheduleInstances?$filter="+url.QueryEscape(filter), nil, &page)
	d.eligibility.answered(err)
	return err == nil && len(page.Value) > 0
}
