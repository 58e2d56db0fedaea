package authz

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Target implements request.Directory.
func (d *Directory) Target(ctx context.Context, name string) request.Target {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	u, err := d.user(ctx, name, targetFields)
	if isNotFound(err) {
		return request.Target{UPN: name, Account: request.AccountMissing, Fault: fault(err)}
	}
	if err != nil {
		return request.Target{UPN: name, Account: request.AccountUnknown, Fault: fault(err)}
	}
	return targetOf(u)
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
	if d.bindings != nil {
		var err error
		if id, err = d.bindings(ctx, who.SlackUser); err != nil {
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
	return targetOf(users[0])
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
