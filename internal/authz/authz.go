// Package authz says who a Slack user is in Entra and whether they hold the
// Global Administrator role now, and what there is to know of the account that a
// sign-in name belongs to. It states facts and fails closed: whoever cannot be
// found, or cannot be looked up, is nobody. What follows from a fact is judged in
// request.
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

// Links says which Entra account a Slack user has proven to be theirs, by its
// object id; "" if none.
type Links func(ctx context.Context, who request.SlackUser) (objectID string, err error)

// Options are what a Directory can do without.
type Options struct {
	// Links identifies people by the account they have linked; nil identifies
	// them by the e-mail address that Slack has confirmed.
	Links Links
	// Protected are the operator's entries: sign-in names, and object ids of users
	// and of groups.
	Protected []string
	// RolesMatter says that something depends on a target's roles or protection: where
	// they cannot be read, nobody is signed out. Otherwise only a warning is missing.
	RolesMatter bool
}

// Directory implements request.Directory on Microsoft Graph. Nothing it learns of
// people is kept. Safe for concurrent use.
type Directory struct {
	vouch       Vouch
	graph       *entra.API
	links       Links
	protected   []string
	rolesMatter bool
	watched     []string // what a target's membership in is asked for

	eligibility, assignments, groups optional
}

// New returns a Directory that asks vouch about Slack users and graph, whose
// calls are retried as reads, about everything else.
func New(vouch Vouch, graph *entra.API, o Options) *Directory {
	return &Directory{
		vouch: vouch, graph: graph, links: o.Links,
		protected: o.Protected, rolesMatter: o.RolesMatter || len(o.Protected) > 0, watched: watched(o.Protected),
	}
}

// Caller implements request.Directory: a linked account, or else the one account
// whose sign-in name or mail is the Slack profile's confirmed e-mail. Either has
// to be an enabled member.
func (d *Directory) Caller(ctx context.Context, by request.Origin) request.Caller {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	c := request.Caller{Slack: by.SlackUser}
	standing, email, f := d.vouch(ctx, by)
	if d.vouched(standing) != request.Member {
		c.Standing, c.Fault = standing, f
		return c
	}
	if d.links != nil {
		return d.linked(ctx, c)
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
		c.Identified = request.ByEmail
		return d.role(ctx, c, users[0])
	default:
		c.Standing = request.EntraAmbiguous
		return c
	}
}

// vouched is a standing as far as it matters here: to whoever has signed in to
// their account, Slack's e-mail address does not.
func (d *Directory) vouched(s request.Standing) request.Standing {
	if d.links != nil && (s == request.EmailMissing || s == request.EmailUnconfirmed) {
		return request.Member
	}
	return s
}

// Standing implements request.Directory.
func (d *Directory) Standing(ctx context.Context, who request.Origin) (request.Standing, request.Fault) {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	standing, _, fault := d.vouch(ctx, who)
	return d.vouched(standing), fault
}

// linked is c as the account that c has linked. That the store could not be asked
// is a fault of no system that anybody could look up.
func (d *Directory) linked(ctx context.Context, c request.Caller) request.Caller {
	id, err := d.links(ctx, c.Slack)
	if err != nil {
		c.Standing = request.Unverified
		return c
	}
	if id == "" {
		c.Standing = request.NotLinked
		return c
	}
	u, err := d.user(ctx, id, callerFields)
	if isNotFound(err) {
		c.Standing = request.EntraMissing
		return c
	}
	if err != nil {
		return unverified(c, err)
	}
	c.Identified = request.ByLink
	return d.role(ctx, c, u)
}

// Again implements request.Directory. What Slack and the link have to say is asked
// side by side with Graph, and goes first: the word of a Slack user who was
// deactivated or unlinked meanwhile does not count, whatever their account is.
func (d *Directory) Again(ctx context.Context, c request.Caller) request.Caller {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	was := request.Caller{Slack: c.Slack, ObjectID: c.ObjectID, UPN: c.UPN, Name: c.Name, Identified: c.Identified}
	var again request.Caller
	var standing request.Standing
	var f request.Fault
	var wg sync.WaitGroup
	wg.Go(func() { again = d.reread(ctx, was) })
	wg.Go(func() { standing, f = d.stillTheirs(ctx, was) })
	wg.Wait()
	if standing != request.Member {
		was.Standing, was.Fault = standing, f
		return was
	}
	return again
}

func (d *Directory) reread(ctx context.Context, c request.Caller) request.Caller {
	u, err := d.user(ctx, c.ObjectID, callerFields)
	if isNotFound(err) {
		c.Standing = request.EntraMissing
		return c
	}
	if err != nil {
		return unverified(c, err)
	}
	return d.role(ctx, c, u)
}

// revouchWithin is how long Slack is waited for about somebody it has vouched for before.
const revouchWithin = 3 * time.Second

// stillTheirs says whether Slack has anything against c's user by now and, where people
// are identified by link, whether theirs still leads to the same account. While Slack
// cannot be asked, what it said before holds: an outage of the chat must not undo what
// was confirmed in it.
func (d *Directory) stillTheirs(ctx context.Context, c request.Caller) (request.Standing, request.Fault) {
	bound := c.ObjectID
	var err error
	var standing request.Standing
	var f request.Fault
	var wg sync.WaitGroup
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, revouchWithin)
		defer cancel()
		if standing, _, f = d.vouch(ctx, request.Origin{SlackUser: c.Slack}); standing == request.Unverified {
			standing, f = request.Member, request.Fault{}
		}
	})
	if d.links != nil {
		wg.Go(func() { bound, err = d.links(ctx, c.Slack) })
	}
	wg.Wait()
	switch {
	case d.vouched(standing) != request.Member:
		return standing, f
	case err != nil:
		return request.Unverified, request.Fault{}
	case !strings.EqualFold(bound, c.ObjectID):
		return request.NotLinked, request.Fault{}
	}
	return request.Member, request.Fault{}
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
	in, meta, err := d.memberOf(ctx, "check role", u.ID, globalAdministrator)
	if err != nil {
		return unverified(c, err)
	}
	c.Standing, c.Administrator, c.Evidence = request.Member, in[globalAdministrator], meta.RequestID
	if !c.Administrator {
		c.Eligible = d.eligible(ctx, u.ID)
	}
	return c
}

func unverified(c request.Caller, err error) request.Caller {
	c.Standing, c.Administrator, c.Fault = request.Unverified, false, fault(err)
	return c
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
