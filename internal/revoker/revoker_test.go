package revoker

import (
	"cmp"
	"context"
	"net/http"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

var mallory = request.Target{ObjectID: oid, UPN: "mallory@contoso.com", Name: "Mallory", Account: request.AccountMember, Enabled: true, ValidFrom: before}

// first is a first attempt.
var first = request.Attempt{Before: before}

func fault(status int, code, id string) request.Fault {
	return request.Fault{System: request.Graph, Status: status, Code: code, RequestID: id}
}

// A story is one revocation: what Graph does, and what has to come of it.
type story struct {
	name        string
	by          string   // the revoker; default: graph
	posts, gets []answer // default: works, and tells the truth
	states      []answer
	attempt     request.Attempt
	noToken     http.HandlerFunc
	want        request.Outcome // At is not compared
	nPosts      int
	nGets       int
	nStates     int
	retry       bool // a later attempt is worth it
	noAnswer    bool // Graph never told the time
}

func (s story) run(t *testing.T) {
	t.Helper()
	g := start(t)
	if s.posts != nil {
		g.posts = s.posts
	}
	if s.gets != nil {
		g.gets = s.gets
	}
	if s.states != nil {
		g.states = s.states
	}
	g.noToken = s.noToken
	if s.attempt == (request.Attempt{}) {
		s.attempt = first
	}
	begin := time.Now()
	r := g.revokers()[cmp.Or(s.by, "graph")]
	got := r.Revoke(t.Context(), r.Plan(mallory), s.attempt)
	if (got.RetryAfter > 0) != s.retry {
		t.Errorf("RetryAfter = %v, want one: %v", got.RetryAfter, s.retry)
	}
	// One step for each call; a read that was repeated by itself is one.
	if n := len(got.Steps); n > s.nPosts+s.nGets+s.nStates || n < s.nPosts+s.nStates || s.nGets > 0 && n == s.nPosts+s.nStates {
		t.Errorf("%d steps for %d revocations, %d by SharePoint and %d read-backs: %+v", n, s.nPosts, s.nStates, s.nGets, got.Steps)
	}
	got.RetryAfter, got.Steps = 0, nil
	if s.noAnswer {
		if got.At.Before(begin) || got.At.After(time.Now()) {
			t.Errorf("At = %v, want our time", got.At)
		}
	} else if !got.At.Equal(clock) {
		t.Errorf("At = %v, want Graph's %v", got.At, clock)
	}
	got.At = time.Time{}
	if diff := gocmp.Diff(s.want, got); diff != "" {
		t.Errorf("Outcome (-want +got):\n%s", diff)
	}
	if posts, gets := g.counts(); posts != s.nPosts || gets != s.nGets || g.nStates != s.nStates {
		t.Errorf("%d revocations, %d read-backs, %d by SharePoint; want %d, %d, %d", posts, gets, g.nStates, s.nPosts, s.nGets, s.nStates)
	}
}

func runAll(t *testing.T, stories []story) {
	t.Helper()
	all := together{t: t}
	defer all.wg.Wait()
	for _, s := range stories {
		all.run(s.name, s.run)
	}
}

func TestRevokeThatWorks(t *testing.T) {
	t.Parallel()
	proven := request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, Sends: 1, RequestIDs: []string{"post-1", "get-1"}}
	lagging := request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: before, Sends: 1, RequestIDs: []string{"post-1", "get-1", "get-2", "get-3"}}
	unread := request.Outcome{Result: request.SignedOutWithinHour, Sends: 1, RequestIDs: []string{"post-1"}}
	runAll(t, []story{
		{name: "true and moved", want: proven, nPosts: 1, nGets: 1},
		{name: "without metadata", posts: []answer{afterEffect(says(200, `{"value":true}`))}, want: proven, nPosts: 1, nGets: 1},
		{name: "empty body", posts: []answer{afterEffect(says(200, ``))}, want: proven, nPosts: 1, nGets: 1},
		{name: "empty object", posts: []answer{afterEffect(says(200, `{}`))}, want: proven, nPosts: 1, nGets: 1},
		{name: "null", posts: []answer{afterEffect(says(200, `{"value":null}`))}, want: proven, nPosts: 1, nGets: 1},
		{name: "204", posts: []answer{afterEffect(says(204, ``))}, want: proven, nPosts: 1, nGets: 1},
		{name: "202", posts: []answer{afterEffect(says(202, ``))}, want: proven, nPosts: 1, nGets: 1},
		{
			name: "moves late", gets: []answer{stale, stale, current}, nPosts: 1, nGets: 3,
			want: request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, Sends: 1, RequestIDs: []string{"post-1", "get-1", "get-2", "get-3"}},
		},
		{name: "true and not moved", gets: []answer{stale}, want: lagging, nPosts: 1, nGets: 3},
		{name: "true and read-back refused", gets: []answer{refuse(403, "Authorization_RequestDenied")}, want: unread, nPosts: 1, nGets: 3},
		{
			name: "true and read-back down for a while", gets: []answer{fault500, fault500, current}, nPosts: 1, nGets: 3,
			want: request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, Sends: 1, RequestIDs: []string{"post-1", "get-3"}},
		},
		{
			name: "throttled, then true", posts: []answer{throttled, throttled, yes}, nPosts: 3, nGets: 1,
			want: request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, Sends: 1, RequestIDs: []string{"post-3", "get-1"}},
		},
	})
}

func TestRevokeThatIsRefused(t *testing.T) {
	t.Parallel()
	refused := func(trouble request.Trouble, f request.Fault) request.Outcome {
		return request.Outcome{Result: request.Failed, Trouble: trouble, Fault: f, Sends: 1, RequestIDs: []string{f.RequestID}}
	}
	gone := refused(request.TargetGone, fault(404, "Request_ResourceNotFound", "post-1"))
	gone.Result = request.NotFound
	declined := refused(request.Declined, request.Fault{})
	declined.RequestIDs = []string{"post-1"}
	runAll(t, []story{
		{name: "value:false", posts: []answer{says(200, `{"value":false}`)}, want: declined, nPosts: 1},
		{name: "403", posts: []answer{refuse(403, "Authorization_RequestDenied")}, want: refused(request.Forbidden, fault(403, "Authorization_RequestDenied", "post-1")), nPosts: 1},
		{name: "404", posts: []answer{refuse(404, "Request_ResourceNotFound")}, want: gone, nPosts: 1},
		{name: "401", posts: []answer{refuse(401, "InvalidAuthenticationToken")}, want: refused(request.CredentialRejected, fault(401, "InvalidAuthenticationToken", "post-1")), nPosts: 1},
		{name: "400", posts: []answer{refuse(400, "Request_BadRequest")}, want: refused(request.Declined, fault(400, "Request_BadRequest", "post-1")), nPosts: 1},
		{name: "405", posts: []answer{refuse(405, "Request_BadRequest")}, want: refused(request.Declined, fault(405, "Request_BadRequest", "post-1")), nPosts: 1},
		{name: "redirect", posts: []answer{says(302, ``)}, want: refused(request.Declined, fault(302, "", "post-1")), nPosts: 1},
		{name: "throttled without end", posts: []answer{throttled}, want: request.Outcome{Result: request.Failed, Trouble: request.Throttled, Fault: fault(429, "TooManyRequests", "post-4")}, nPosts: 4, retry: true},
	})
}

func TestRevokeWhoseAnswerProvesNothing(t *testing.T) {
	t.Parallel()
	lost := func(sends int, ids ...string) request.Outcome {
		return request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, AnswerLost: true, Sends: sends, RequestIDs: ids}
	}
	answered := func(ids ...string) request.Outcome {
		return request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, Sends: 2, RequestIDs: ids}
	}
	never := func(f request.Fault, ids ...string) request.Outcome {
		return request.Outcome{Result: request.Failed, Trouble: request.Unreachable, Fault: f, ValidFrom: before, Sends: 4, Unsure: true, RequestIDs: ids}
	}
	runAll(t, []story{
		{name: "500 with the effect", posts: []answer{afterEffect(fault500)}, want: lost(1, "post-1", "get-1"), nPosts: 1, nGets: 1},
		{name: "503 with the effect", posts: []answer{afterEffect(refuse(503, "x"))}, want: lost(1, "post-1", "get-1"), nPosts: 1, nGets: 1},
		{name: "504 with the effect", posts: []answer{afterEffect(refuse(504, "x"))}, want: lost(1, "post-1", "get-1"), nPosts: 1, nGets: 1},
		{name: "408 with the effect", posts: []answer{afterEffect(refuse(408, "x"))}, want: lost(1, "post-1", "get-1"), nPosts: 1, nGets: 1},
		{name: "cut with the effect", posts: []answer{afterEffect(cut)}, want: lost(1, "get-1"), nPosts: 1, nGets: 1},
		{name: "half an answer with the effect", posts: []answer{afterEffect(half)}, want: lost(1, "post-1", "get-1"), nPosts: 1, nGets: 1},
		{name: "no JSON with the effect", posts: []answer{afterEffect(says(200, "<html>"))}, want: lost(1, "post-1", "get-1"), nPosts: 1, nGets: 1},
		{name: "500 without, then true", posts: []answer{fault500, yes}, want: answered("post-1", "get-1", "post-2", "get-2"), nPosts: 2, nGets: 2},
		{name: "cut without, then true", posts: []answer{cut, yes}, want: answered("get-1", "post-2", "get-2"), nPosts: 2, nGets: 2},
		{name: "500 without, then 500 with the effect", posts: []answer{fault500, afterEffect(fault500)}, want: lost(2, "post-1", "get-1", "post-2", "get-2"), nPosts: 2, nGets: 2},
		{name: "500 with the effect, seen late", posts: []answer{afterEffect(fault500)}, gets: []answer{stale, current}, want: lost(2, "post-1", "get-1", "post-2", "get-2"), nPosts: 2, nGets: 2},
		{name: "500 with the effect, not readable at once", posts: []answer{afterEffect(fault500)}, gets: []answer{withRetryAfter("9", refuse(503, "x")), current}, want: lost(1, "post-1", "get-2"), nPosts: 1, nGets: 2},
		{
			name: "500 without, not readable for now", posts: []answer{fault500}, gets: []answer{withRetryAfter("9", refuse(503, "x"))}, nPosts: 1, nGets: 2, retry: true,
			want: request.Outcome{Result: request.Failed, Trouble: request.Unreachable, Fault: fault(500, "InternalServerError", "post-1"), Sends: 1, Unsure: true, RequestIDs: []string{"post-1"}},
		},
		{name: "500 without, never readable, then true", posts: []answer{fault500, yes}, gets: []answer{refuse(403, "x"), current}, want: answered("post-1", "post-2", "get-2"), nPosts: 2, nGets: 2},
		{name: "500 with the effect, seen last", posts: []answer{afterEffect(fault500)}, gets: []answer{stale, stale, stale, current}, want: lost(4, "post-1", "get-1", "post-2", "get-2", "post-3", "get-3", "post-4", "get-4"), nPosts: 4, nGets: 4},
		{name: "500 without end", posts: []answer{fault500}, want: never(fault(500, "InternalServerError", "post-4"), "post-1", "get-1", "post-2", "get-2", "post-3", "get-3", "post-4", "get-4"), nPosts: 4, nGets: 4, retry: true},
		{name: "cut without end", posts: []answer{cut}, want: never(request.Fault{System: request.Graph}, "get-1", "get-2", "get-3", "get-4"), nPosts: 4, nGets: 4, retry: true},
	})
}

// Once an answer has proven nothing, a later refusal does not prove that the
// first send had no effect: it has to be looked at before the result is Failed.
func TestRefusedAfterAnUnclearSendIsLookedAt(t *testing.T) {
	t.Parallel()
	want := request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, AnswerLost: true}
	tests := []struct {
		name    string
		attempt request.Attempt
		posts   []answer
	}{
		{"cut, then throttled", first, []answer{afterEffect(cut), throttled}},
		{"500, then 403", first, []answer{afterEffect(fault500), refuse(403, "Authorization_RequestDenied")}},
		{"500, then 401", first, []answer{afterEffect(fault500), refuse(401, "InvalidAuthenticationToken")}},
		{"500, then value:false", first, []answer{afterEffect(fault500), says(200, `{"value":false}`)}},
		{"resumed, then throttled", request.Attempt{Before: before, Resumed: true}, []answer{afterEffect(throttled)}},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t)
			g.posts, g.gets = test.posts, []answer{stale, current} // the directory lags once
			r := g.revoker()
			got := r.Revoke(t.Context(), r.Plan(mallory), test.attempt)
			got.At, got.Sends, got.RequestIDs, got.Steps = time.Time{}, 0, nil, nil
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("Outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func entraSays(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { says(status, body)(nil, w, r) }
}

func TestRevokeWithoutEntra(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		entra   http.HandlerFunc
		trouble request.Trouble
		fault   request.Fault
	}{
		{
			"credential refused", entraSays(401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`),
			request.CredentialRejected, request.Fault{System: request.Entra, Status: 401, Code: "AADSTS7000215"},
		},
		{
			"app unknown", entraSays(400, `{"error":"unauthorized_client","error_description":"AADSTS700016: Application not found."}`),
			request.CredentialRejected, request.Fault{System: request.Entra, Status: 400, Code: "AADSTS700016"},
		},
		{"down", entraSays(503, ``), request.Unreachable, request.Fault{System: request.Entra, Status: 503}},
		{"cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, request.Unreachable, request.Fault{System: request.Entra}},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t)
			g.noToken = test.entra
			r := g.revoker()
			got := r.Revoke(t.Context(), r.Plan(mallory), first)
			got.At, got.Sends, got.Steps, got.RetryAfter = time.Time{}, 0, nil, 0 // Sends: see TestSendsCountOnlyWhatWasSent
			want := request.Outcome{Result: request.Failed, Trouble: test.trouble, Fault: test.fault}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Errorf("Outcome (-want +got):\n%s", diff)
			}
			if posts, gets := g.counts(); posts != 0 || gets != 0 {
				t.Errorf("%d revocations and %d read-backs, want none", posts, gets)
			}
		})
	}
}

// Entra throttling the sign-in is worth another attempt, not another secret.
func TestThrottledLoginIsNotARejectedCredential(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.noToken = entraSays(429, `{}`)
	r := g.revoker()
	if got := r.Revoke(t.Context(), r.Plan(mallory), first); got.Result != request.Failed || got.Trouble != request.Throttled {
		t.Errorf("Outcome is %d, %q; want %d, %q", got.Result, got.Trouble, request.Failed, request.Throttled)
	}
}

// Sends is how often the effect was asked for, which is evidence.
func TestSendsCountOnlyWhatWasSent(t *testing.T) {
	t.Parallel()
	t.Run("no token", func(t *testing.T) {
		g := start(t)
		g.noToken = entraSays(401, `{}`)
		r := g.revoker()
		if got := r.Revoke(t.Context(), r.Plan(mallory), first); got.Sends != 0 {
			t.Errorf("Sends = %d, but nothing was sent", got.Sends)
		}
	})
	t.Run("no time", func(t *testing.T) {
		g := start(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		r := g.revoker()
		got := r.Revoke(ctx, r.Plan(mallory), first)
		if posts, _ := g.counts(); posts != 0 || got.Sends != 0 {
			t.Errorf("Sends = %d with %d revocations, want 0 and 0", got.Sends, posts)
		}
	})
}

// Only Graph can say that the account is gone; a proxy's page cannot.
func TestForeign404IsNotAMissingUser(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.posts = []answer{says(404, "<html>no such route</html>")}
	r := g.revoker()
	if got := r.Revoke(t.Context(), r.Plan(mallory), first); got.Result != request.Failed || got.Trouble == request.TargetGone {
		t.Errorf("Outcome is %d, %q; want %d", got.Result, got.Trouble, request.Failed)
	}
}
