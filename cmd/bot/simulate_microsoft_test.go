package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

const (
	revokeSuffix = "/revokeSignInSessions"
	isFirst      = "none came before"
)

// microsoft is Microsoft's side: accounts, roles, and what was done to them.
type microsoft struct {
	s        *simulation
	skew     time.Duration // of its clock against the world's
	accounts map[string]*account
	effects  []effect
	answers  int
}

type account struct {
	id, upn, slack string
	roles          []roleChange
	validFrom      []time.Time // by the tenant's clock, in whole seconds; the last counts
	changed        []time.Time // when each of them came to be, by the world's clock
	obscured       time.Time   // when somebody last looked and did not see them as they are
	deleted        bool
}

type roleChange struct {
	at    time.Time
	admin bool
}

// effect is one revocation that took place.
type effect struct {
	at        time.Time
	sent      time.Time
	target    string
	claim     *claim // on which it was asked for
	excuse    string // why nobody could know of the ones before it; "" if somebody could
	traceless bool   // it was in the same second as the one before, so nothing there shows it
}

func newMicrosoft(s *simulation) *microsoft {
	t := &microsoft{s: s, accounts: map[string]*account{}, skew: s.between(-4*time.Second, 4*time.Second)}
	long := time.Now().Add(-240 * time.Hour).Truncate(time.Second)
	for i, name := range []string{"alice", "bob", "carol", "helen", "mallory", "mike"} {
		admin := name != "helen" && name != "mike"
		a := &account{
			id: fmt.Sprintf("00000000-0000-0000-0000-00000000000%d", i+1), upn: name + "@contoso.com", slack: "U" + strings.ToUpper(name),
			roles: []roleChange{{long, admin}}, validFrom: []time.Time{long}, changed: []time.Time{long},
		}
		t.accounts[a.id] = a
	}
	return t
}

func (t *microsoft) now() time.Time { return time.Now().Add(t.skew).UTC() }

func (t *microsoft) by(match func(a *account) bool) *account {
	for _, id := range t.s.people.ids {
		if a := t.accounts[id]; match(a) {
			return a
		}
	}
	return nil
}

func (t *microsoft) byUPN(upn string) *account {
	return t.by(func(a *account) bool { return !a.deleted && (a.upn == upn || a.id == upn) })
}

func (t *microsoft) bySlack(user string) *account {
	return t.by(func(a *account) bool { return !a.deleted && a.slack == user })
}

// admin reports whether a held the role at some time between from and to.
func (a *account) admin(from, to time.Time) bool {
	for i, c := range a.roles {
		ends := to
		if i+1 < len(a.roles) {
			ends = a.roles[i+1].at
		}
		if c.admin && !c.at.After(to) && !ends.Before(from) {
			return true
		}
	}
	return false
}

func (a *account) holds() bool { return a.roles[len(a.roles)-1].admin }

// reads is since when sessions count, as a directory copy has it that may lag.
func (t *microsoft) reads(a *account) time.Time {
	asOf := time.Now()
	if t.s.chance(t.s.plan.stale, "stale read") {
		asOf = asOf.Add(-t.s.between(0, time.Minute))
	}
	i := len(a.changed) - 1
	for i > 0 && a.changed[i].After(asOf) {
		i--
		a.obscured = time.Now()
	}
	return a.validFrom[i]
}

func (t *microsoft) graph() service {
	return service{
		effect: func(q query) bool { return strings.HasSuffix(q.path, revokeSuffix) },
		carry:  t.call,
		later:  func(q query) func() { return func() { t.call(q) } },
		refuse: func(query) (answered, bool) {
			status := []int{500, 502, 503, 504}[t.s.rng.IntN(4)]
			return t.graphError(status, "serviceNotAvailable"), false
		},
		limit: func(_ query, seconds int) answered {
			a := t.graphError(http.StatusTooManyRequests, "TooManyRequests")
			a.header["Retry-After"] = fmt.Sprint(seconds)
			return a
		},
	}
}

func (t *microsoft) graphError(status int, code string) answered {
	return answered{status: status, header: t.headers(), body: `{"error":{"code":"` + code + `"}}`}
}

func (t *microsoft) headers() map[string]string {
	t.answers++
	return map[string]string{"request-id": fmt.Sprintf("ms-%d", t.answers), "Date": t.now().Format(http.TimeFormat)}
}

func (t *microsoft) call(q query) answered {
	id := strings.TrimSuffix(strings.TrimPrefix(q.path, "/v1.0/users/"), revokeSuffix)
	a := t.accounts[id]
	switch {
	case !q.auth:
		return t.graphError(http.StatusUnauthorized, "InvalidAuthenticationToken")
	case a == nil || a.deleted:
		return t.graphError(http.StatusNotFound, "Request_ResourceNotFound")
	case strings.HasSuffix(q.path, revokeSuffix):
		t.revoke(a, q)
		return answered{status: http.StatusOK, header: t.headers(), body: `{"value":true}`}
	}
	if q.claim != nil {
		q.claim.looked = time.Now()
	}
	body := fmt.Sprintf(`{"id":%q,"signInSessionsValidFromDateTime":%q}`, a.id, t.reads(a).Format(time.RFC3339))
	return answered{status: http.StatusOK, header: t.headers(), body: body}
}

func (t *microsoft) revoke(a *account, q query) {
	on := q.claim
	e := effect{at: time.Now(), sent: q.sent, target: a.id, claim: on, excuse: isFirst}
	e.traceless = !t.now().Truncate(time.Second).After(a.validFrom[len(a.validFrom)-1])
	for _, before := range t.effects {
		if before.claim.id != on.id || e.excuse == "" {
			continue
		}
		switch {
		case before.at.After(q.sent):
			e.excuse = "took place after the next was sent"
		case !q.looked.IsZero() && before.at.After(q.looked):
			e.excuse = "took place after the look"
		case before.traceless:
			e.excuse = "left no trace, in the same second as another request's"
		case q.vain:
			e.excuse = "the look failed"
		case a.obscured.After(before.at):
			e.excuse = "the look saw an old copy"
		default:
			e.excuse = ""
		}
	}
	t.effects = append(t.effects, e)
	a.validFrom, a.changed = append(a.validFrom, t.now().Truncate(time.Second)), append(a.changed, time.Now())
	t.s.tracef("*** sessions of %s end, for %s", a.upn, on.id)
}

// unread notes that somebody could not look at an account, or had no token to look
// with.
func (t *microsoft) unread(q query) {
	if t.graph().effect(q) || strings.HasPrefix(q.path, "/api/") {
		return
	}
	if q.claim != nil {
		q.claim.vain = true
	}
	for _, a := range t.accounts {
		if strings.HasSuffix(q.path, a.id) || strings.HasPrefix(q.path, "/"+tenantName) {
			a.obscured = time.Now()
		}
	}
}

func (t *microsoft) login() service {
	return service{
		simple: true,
		effect: func(query) bool { return false },
		carry: func(q query) answered {
			body := `{"token_type":"Bearer","expires_in":3599,"access_token":"token"}`
			if q.method == http.MethodGet {
				at := loginBase + "/" + tenantName
				body = fmt.Sprintf(`{"authorization_endpoint":"%s/oauth2/v2.0/authorize","token_endpoint":"%s/oauth2/v2.0/token","issuer":"%s/v2.0"}`, at, at, at)
			}
			return answered{status: http.StatusOK, header: map[string]string{}, body: body}
		},
		// Every answer is one, with Retry-After or final: after others entra waits with jitter,
		// which no seed determines.
		refuse: func(query) (answered, bool) {
			return answered{status: 503, header: map[string]string{"Retry-After": fmt.Sprint(1 + t.s.rng.IntN(9))}, body: "{}"}, true
		},
		limit: func(_ query, seconds int) answered {
			return answered{status: 429, header: map[string]string{"Retry-After": fmt.Sprint(seconds)}, body: "{}"}
		},
	}
}

// directory is a model of authz over the tenant.
type directory struct{ p *incarnation }

var lookupFault = request.Fault{System: request.Graph, Status: http.StatusServiceUnavailable}

// look asks the tenant, unless that fails.
func (d *directory) look(ctx context.Context, what string, found, failed func()) {
	s := d.p.s
	d.p.ask(ctx, looking, what, func(c *call) {
		if ctx.Err() != nil || s.chance(s.plan.unknown, "look-up failed") {
			s.tracef("p%d %s: failed", c.p.id, c.what)
			failed()
		} else {
			found()
			s.tracef("p%d %s", c.p.id, c.what)
		}
		s.answer(c, 0)
	})
}

// Caller implements request.Directory.
func (d *directory) Caller(ctx context.Context, by request.Origin) request.Caller {
	c := request.Caller{Slack: by.SlackUser}
	d.look(ctx, "who is "+by.User, func() { d.fill(&c, d.p.s.tenant.bySlack(by.User)) }, func() {
		c.Standing, c.Fault = request.Unverified, lookupFault
	})
	return c
}

// Again implements request.Directory.
func (d *directory) Again(ctx context.Context, was request.Caller) request.Caller {
	c := request.Caller{Slack: was.Slack}
	d.look(ctx, "again "+was.UPN, func() { d.fill(&c, d.p.s.tenant.byUPN(was.ObjectID)) }, func() {
		c.Standing, c.Fault = request.Unverified, lookupFault
	})
	return c
}

func (d *directory) fill(c *request.Caller, a *account) {
	if a == nil {
		c.Standing = request.EntraMissing
		return
	}
	c.ObjectID, c.UPN, c.Name, c.Standing = a.id, a.upn, a.upn, request.Member
	c.Administrator, c.Evidence = a.holds(), "evidence"
}

// Target implements request.Directory.
func (d *directory) Target(ctx context.Context, user string) request.Target {
	t := request.Target{Account: request.AccountMissing}
	d.look(ctx, "account "+user, func() {
		if a := d.p.s.tenant.byUPN(user); a != nil {
			t = request.Target{
				ObjectID: a.id, UPN: a.upn, Name: a.upn, Account: request.AccountMember, Enabled: true,
				ValidFrom: d.p.s.tenant.reads(a), AsOf: d.p.s.tenant.now().Truncate(time.Second),
			}
		}
	}, func() { t = request.Target{Account: request.AccountUnknown, Fault: lookupFault} })
	return t
}

// Standing implements request.Directory.
func (d *directory) Standing(context.Context, request.Origin) (request.Standing, request.Fault) {
	return request.Member, request.Fault{}
}

// Mentioned implements request.Directory.
func (d *directory) Mentioned(context.Context, request.Origin) request.Target {
	return request.Target{Account: request.AccountUnresolved}
}
