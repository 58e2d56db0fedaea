// Package authz says who a Slack user is in Entra and whether they hold the
// Global Administrator role now, and to which account a sign-in name belongs.
// It states facts and fails closed: whoever cannot be found, or cannot be looked
// up, is nobody. What follows from a fact is judged in request.
package authz

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

// lookupWithin bounds all look-ups for one person or account together.
const lookupWithin = 8 * time.Second

// Vouch says what Slack knows of one of its users: Member with their confirmed
// e-mail address if Slack has nothing against them, else another standing.
type Vouch func(ctx context.Context, by request.Origin) (standing request.Standing, email string, fault request.Fault)

// Directory implements request.Directory on Microsoft Graph. Nothing it learns
// is kept. Safe for concurrent use.
type Directory struct {
	vouch Vouch
	graph *entra.API
}

// New returns a Directory that asks vouch about Slack users and graph, whose
// calls are retried as reads, about everything else.
func New(vouch Vouch, graph *entra.API) *Directory {
	return &Directory{vouch: vouch, graph: graph}
}

// Caller implements request.Directory: the Slack profile's confirmed e-mail must
// be the sign-in name or mail of exactly one account, an enabled member.
func (d *Directory) Caller(ctx context.Context, by request.Origin) request.Caller {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	c := request.Caller{Slack: by.SlackUser}
	var email string
	if c.Standing, email, c.Fault = d.vouch(ctx, by); c.Standing != request.Member {
		return c
	}
	users, err := d.byEmail(ctx, email, callerFields)
	if err != nil {
		return unverified(c, err)
	}
	switch len(users) {
	case 0:
		c.Standing = request.EntraMissing
		return c
	case 1:
		return d.role(ctx, c, users[0])
	default:
		c.Standing = request.EntraAmbiguous
		return c
	}
}

// Again implements request.Directory.
func (d *Directory) Again(ctx context.Context, c request.Caller) request.Caller {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	again := request.Caller{Slack: c.Slack, ObjectID: c.ObjectID, UPN: c.UPN, Name: c.Name}
	u, err := d.user(ctx, c.ObjectID, callerFields)
	if isNotFound(err) {
		again.Standing = request.EntraMissing
		return again
	}
	if err != nil {
		return unverified(again, err)
	}
	return d.role(ctx, again, u)
}

// role completes c with what the account u is and whether it holds the role.
func (d *Directory) role(ctx context.Context, c request.Caller, u user) request.Caller {
	c.ObjectID, c.UPN, c.Name = u.ID, u.UserPrincipalName, u.DisplayName
	switch {
	case u.external() || u.UserType != "Member":
		c.Standing = request.EntraGuest
		return c
	case !u.AccountEnabled:
		c.Standing = request.EntraDisabled
		return c
	}
	holds, meta, err := d.holds(ctx, u.ID, globalAdministrator)
	if err != nil {
		return unverified(c, err)
	}
	c.Standing, c.Administrator, c.Evidence = request.Member, holds, meta.RequestID
	return c
}

func unverified(c request.Caller, err error) request.Caller {
	c.Standing, c.Administrator, c.Fault = request.Unverified, false, fault(err)
	return c
}

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
// workspace, whose confirmed e-mail address has to lead to exactly one account.
func (d *Directory) Mentioned(ctx context.Context, who request.Origin) request.Target {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	standing, email, f := d.vouch(ctx, who)
	if standing == request.Unverified {
		return request.Target{Account: request.AccountUnknown, Standing: standing, Fault: f}
	}
	if standing != request.Member {
		return request.Target{Account: request.AccountUnresolved, Standing: standing, Fault: f}
	}
	users, err := d.byEmail(ctx, email, targetFields)
	switch {
	case err != nil:
		return request.Target{Account: request.AccountUnknown, Standing: standing, Fault: fault(err)}
	case len(users) == 0:
		return request.Target{Account: request.AccountUnresolved, Standing: request.EntraMissing}
	case len(users) > 1:
		return request.Target{Account: request.AccountUnresolved, Standing: request.EntraAmbiguous}
	}
	return targetOf(users[0])
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

// fault reduces an error to what may be shown.
func fault(err error) request.Fault {
	e, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return request.Fault{System: request.Graph}
	}
	return request.Fault{System: request.System(e.System), Status: e.Status, Code: e.Code, RequestID: e.RequestID}
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*entra.Error](err)
	return ok && e.NotFound()
}
