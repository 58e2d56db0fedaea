package authz

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Target implements request.Directory. The account and what it is a member of are
// asked for side by side under the same key, so that roles and protection cost no
// round trip; before anything is revoked, both are asked for by object id again.
// Only a Global Administrator costs two more, for the warning that hardly another
// one is left: signing out the last one can lock out the tenant, and is the one
// case in which the two who decide should hesitate.
func (d *Directory) Target(ctx context.Context, name string) request.Target {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	var u user
	var in map[string]bool
	var err, inErr error
	var wg sync.WaitGroup
	wg.Go(func() { u, err = d.user(ctx, name, targetFields) })
	wg.Go(func() { in, inErr = d.memberships(ctx, name) })
	wg.Wait()
	if isNotFound(err) {
		return request.Target{UPN: name, Account: request.AccountMissing, Fault: fault(err)}
	}
	if err != nil {
		return request.Target{UPN: name, Account: request.AccountUnknown, Fault: fault(err)}
	}
	return d.complete(ctx, targetOf(u), in, inErr)
}

// Mentioned implements request.Directory: a mention of a full member of our own
// workspace, whose linked account or confirmed e-mail address leads to exactly one
// account.
func (d *Directory) Mentioned(ctx context.Context, who request.Origin) request.Target {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	standing, email, f := d.vouch(ctx, who)
	if standing == request.Unverified {
		return request.Target{Account: request.AccountUnknown, Standing: standing, Fault: f}
	}
	if d.vouched(standing) != request.Member {
		return request.Target{Account: request.AccountUnresolved, Standing: standing, Fault: f}
	}
	id := ""
	if d.links != nil {
		var err error
		if id, err = d.links(ctx, who.SlackUser); err != nil {
			return request.Target{Account: request.AccountUnknown, Standing: request.Unverified}
		}
	}
	if id == "" && standing != request.Member {
		return request.Target{Account: request.AccountUnresolved, Standing: standing, Fault: f}
	}
	users, err := d.mentioned(ctx, id, email)
	switch {
	case err != nil:
		return request.Target{Account: request.AccountUnknown, Standing: request.Member, Fault: fault(err)}
	case len(users) == 0:
		return request.Target{Account: request.AccountUnresolved, Standing: request.EntraMissing}
	case len(users) > 1:
		return request.Target{Account: request.AccountUnresolved, Standing: request.EntraAmbiguous}
	}
	in, err := d.memberships(ctx, users[0].ID)
	return d.complete(ctx, targetOf(users[0]), in, err)
}

// mentioned returns the accounts of a link's object id or else of an e-mail address.
func (d *Directory) mentioned(ctx context.Context, id, email string) ([]user, error) {
	if id == "" {
		return d.byEmail(ctx, email, targetFields)
	}
	u, err := d.user(ctx, id, targetFields)
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []user{u}, nil
}

// targetOf is u as a target, with the kind of account that it is.
func targetOf(u user) request.Target {
	t := request.Target{
		ObjectID: u.ID, UPN: u.UserPrincipalName, Name: u.DisplayName, Account: request.AccountMember,
		Enabled: u.AccountEnabled, ValidFrom: u.SignInSessionsValidFrom, AsOf: u.readAt, Evidence: u.requestID,
	}
	switch {
	case strings.EqualFold(u.UserType, "Guest"):
		t.Account = request.AccountGuest
	case u.external():
		t.Account = request.AccountExternal
	}
	return t
}

// complete adds to t what it is a member of, as memberships has answered.
func (d *Directory) complete(ctx context.Context, t request.Target, in map[string]bool, err error) request.Target {
	if t.Account != request.AccountMember { // nobody signs it out
		return t
	}
	if refusesID(err) {
		in, err = d.oneByOne(ctx, t.ObjectID)
	}
	if err != nil && d.rolesMatter {
		t.Account, t.Fault = request.AccountUnknown, fault(err)
		return t
	}
	if err != nil { // a warning is missing then, and says so
		t.RolesUnknown = true
		return t
	}
	t.Roles, t.Protected = rolesAmong(in), d.protectedBy(t, in)
	if in[globalAdministrator] {
		t.Administrators = d.administrators(ctx)
	}
	return t
}

// protectedBy returns the first of the operator's entries that means t.
func (d *Directory) protectedBy(t request.Target, in map[string]bool) string {
	for _, entry := range d.protected {
		if strings.EqualFold(entry, t.ObjectID) || strings.EqualFold(entry, t.UPN) || in[strings.ToLower(entry)] {
			return entry
		}
	}
	return ""
}

// byEmail returns every account whose sign-in name or mail is email, with fields.
func (d *Directory) byEmail(ctx context.Context, email, fields string) ([]user, error) {
	var byUPN user
	var byMail []user
	var upnErr, mailErr error
	var wg sync.WaitGroup
	wg.Go(func() { byUPN, upnErr = d.user(ctx, email, fields) })
	wg.Go(func() { byMail, mailErr = d.usersByMail(ctx, email, fields) })
	wg.Wait()
	if isNotFound(upnErr) {
		upnErr = nil
	}
	if err := errors.Join(upnErr, mailErr); err != nil {
		return nil, err
	}
	seen := map[string]bool{"": true}
	var all []user
	for _, u := range append(byMail, byUPN) {
		if !seen[u.ID] {
			seen[u.ID] = true
			all = append(all, u)
		}
	}
	return all, nil
}
