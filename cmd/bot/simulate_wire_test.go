package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Where the world's services are.
const (
	slackBase  = "https://slack.simulated/api/"
	loginBase  = "https://login.simulated"
	graphBase  = "https://graph.simulated"
	tenantName = "11111111-2222-3333-4444-555555555555"
)

// errCut is a connection that ended without an answer. slack-go repeats reads after
// some such errors, with jitter; not after this one.
var errCut = errors.New("read: connection timed out")

// wire is a process's http.RoundTripper: to the services of the world, with faults.
type wire struct{ p *incarnation }

// answered is a service's answer.
type answered struct {
	status int
	header map[string]string
	body   string
}

// query is one HTTP request as a service sees it.
type query struct {
	c      *call
	claim  *claim // that the worker works on
	sent   time.Time
	looked time.Time // when the account was last seen before
	vain   bool      // somebody tried to look, and could not
	method string
	path   string
	auth   bool
	body   string
}

// service is one side of the wire.
type service struct {
	// carry carries a request out.
	carry func(q query) answered
	// later is what carries it out at a later time.
	later func(q query) func()
	// effect reports whether carrying it out changes anything.
	effect func(q query) bool
	// refuse is an answer that says no; some of them after the effect took place.
	refuse func(q query) (a answered, clean bool)
	limit  func(q query, seconds int) answered
	simple bool // no other faults than those, and answers are heard even if they are late
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		blob, err := io.ReadAll(r.Body)
		_ = r.Body.Close()
		if err != nil {
			return nil, err
		}
		body = string(blob)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s := w.p.s
	to, sent := s.serviceAt(r.URL.Host), time.Now()
	var got answered
	var err error
	w.p.ask(r.Context(), posting, r.Method+" "+r.URL.Path, func(c *call) {
		q := query{c: c, sent: sent, method: r.Method, path: r.URL.Path, auth: r.Header.Get("Authorization") != "", body: body}
		s.exchange(r.Context(), to, q, &got, &err)
	})
	if err != nil {
		return nil, err
	}
	resp := &http.Response{
		StatusCode: got.status, Status: strconv.Itoa(got.status) + " " + http.StatusText(got.status),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Request: r,
		ContentLength: int64(len(got.body)), Body: io.NopCloser(strings.NewReader(got.body)),
	}
	resp.Header.Set("Content-Type", "application/json")
	for name, value := range got.header {
		resp.Header.Set(name, value)
	}
	return resp, nil
}

func (s *simulation) serviceAt(host string) service {
	switch host {
	case "slack.simulated":
		return s.slack.service()
	case "graph.simulated":
		return s.tenant.graph()
	}
	return s.tenant.login()
}

// exchange is one HTTP request with what can become of it.
func (s *simulation) exchange(ctx context.Context, to service, q query, got *answered, err *error) {
	c := q.c
	if c.w != nil {
		q.claim = c.w.claim
	}
	effect := to.effect(q)
	if strings.HasSuffix(q.path, revokeSuffix) && q.claim != nil {
		q.looked, q.vain = q.claim.looked, q.claim.vain
		q.claim.looked, q.claim.vain = time.Time{}, false
	}
	give := func(a answered, e error, in time.Duration, how string) {
		if e != nil || a.status != http.StatusOK {
			s.tenant.unread(q)
		}
		*got, *err = a, e
		s.tracef("p%d %s: %d %s%s", c.p.id, c.what, a.status, how, note(a))
		s.answer(c, in)
	}
	patience := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	hang := max(patience, 0) + time.Microsecond
	if s.coin() {
		hang = min(hang, s.between(time.Millisecond, time.Second))
	}
	if ctx.Err() != nil && !to.simple { // it was frozen, with the request in its hands
		if effect && s.coin() {
			s.faults["sent with a time that has ended"]++
			to.carry(q)
			s.lostAnswer(q)
		}
		give(answered{}, ctx.Err(), 0, "too late")
		return
	}
	if ctx.Err() != nil { // there is no time left to look with its token
		s.tenant.unread(q)
	}
	plan := s.plan
	switch {
	case s.chance(plan.limited, "429"):
		give(to.limit(q, 1+s.rng.IntN(20)), nil, 0, "throttled")
	case s.chance(plan.refused, "5xx and ok:false"):
		a, clean := to.refuse(q)
		if effect && !clean && s.coin() {
			to.carry(q)
		}
		if !clean {
			s.lostAnswer(q)
		}
		give(a, nil, 0, "refused")
	case to.simple:
		give(to.carry(q), nil, 0, "")
	case s.chance(plan.dropped, "request lost"):
		s.lostAnswer(q)
		give(answered{}, errCut, hang, "request lost")
	case s.chance(plan.lost, "answer lost"):
		to.carry(q)
		s.lostAnswer(q)
		give(answered{}, errCut, hang, "answer lost")
	case effect && s.chance(plan.late, "applied late"):
		s.lostAnswer(q)
		s.late(to, q, hang)
		give(answered{}, errCut, hang, "will be applied late")
	default:
		give(to.carry(q), nil, 0, "")
	}
}

// late carries a request out after its client has given up.
func (s *simulation) late(to service, q query, hang time.Duration) {
	s.after(hang+s.between(time.Second, 90*time.Second), "late: "+q.c.what, to.later(q))
}

// lostAnswer notes a revocation whose client does not know what became of it.
func (s *simulation) lostAnswer(q query) {
	if strings.HasSuffix(q.path, revokeSuffix) {
		s.stats.lostAnswers++
		q.c.w.trouble()
	}
}

func note(a answered) string {
	if strings.Contains(a.body, `"ok":false`) || a.status >= 400 {
		return " " + a.body
	}
	if i := strings.Index(a.body, `"ts":"`); i >= 0 && len(a.body) > i+23 {
		return " " + a.body[i+6:i+22]
	}
	return ""
}
