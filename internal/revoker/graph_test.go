package revoker

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

func TestRevokeResumed(t *testing.T) {
	t.Parallel()
	resumed := func(hold request.Trouble) request.Attempt {
		return request.Attempt{Before: before, Resumed: true, Hold: hold}
	}
	done := afterEffect(current) // an earlier attempt had its effect
	found := request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, AnswerLost: true, RequestIDs: []string{"get-1"}}
	tooOld := request.Outcome{Result: request.Failed, Trouble: request.TooOld, ValidFrom: before, RequestIDs: []string{"get-1"}, Unsure: true}
	runAll(t, []story{
		{name: "moved", attempt: resumed(request.NoTrouble), gets: []answer{done}, want: found, nGets: 1},
		{name: "moved, may not send", attempt: resumed(request.TooOld), gets: []answer{done}, want: found, nGets: 1},
		{name: "not moved, may not send", attempt: resumed(request.TooOld), want: tooOld, nGets: 1},
		{
			name: "not readable, may not send", attempt: resumed(request.TooOld), gets: []answer{refuse(403, "Authorization_RequestDenied")},
			want: request.Outcome{Result: request.Failed, Trouble: request.TooOld, Unsure: true}, nGets: 1, noAnswer: true,
		},
		{
			name: "not moved", attempt: resumed(request.NoTrouble), nPosts: 1, nGets: 2,
			want: request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, Sends: 1, RequestIDs: []string{"get-1", "post-1", "get-2"}},
		},
		{
			name: "not readable at first", attempt: resumed(request.NoTrouble), gets: []answer{refuse(403, "x"), current}, nPosts: 1, nGets: 2,
			want: request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, Sends: 1, RequestIDs: []string{"post-1", "get-2"}},
		},
		{ // to send again without having seen what the first did would be blind
			name: "not readable for now", attempt: resumed(request.NoTrouble), gets: []answer{withRetryAfter("9", refuse(503, "x"))}, nGets: 1,
			want: request.Outcome{Result: request.Failed, Trouble: request.Unreachable, Fault: fault(503, "x", "get-1"), Unsure: true}, retry: true, noAnswer: true,
		},
		{
			name: "reading is throttled", attempt: resumed(request.NoTrouble), gets: []answer{withRetryAfter("9", refuse(429, "x"))}, nGets: 1,
			want: request.Outcome{Result: request.Failed, Trouble: request.Throttled, Fault: fault(429, "x", "get-1"), Unsure: true}, retry: true, noAnswer: true,
		},
		{
			name: "not moved, then cut with the effect", attempt: resumed(request.NoTrouble), posts: []answer{afterEffect(cut)}, nPosts: 1, nGets: 2,
			want: request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, AnswerLost: true, Sends: 1, RequestIDs: []string{"get-1", "get-2"}},
		},
	})
}

// A time from which sessions count that is years old is not what this
// revocation did, whatever is known of the time before.
func TestUnknownBeforeProvesNothing(t *testing.T) {
	t.Parallel()
	t.Run("resumed", func(t *testing.T) {
		g := start(t)
		r := g.revoker()
		got := r.Revoke(t.Context(), r.Plan(mallory), request.Attempt{Resumed: true})
		if posts, _ := g.counts(); posts != 1 || got.AnswerLost {
			t.Errorf("%d revocations, outcome %+v; want one", posts, got)
		}
	})
	t.Run("500 without the effect", func(t *testing.T) {
		g := start(t)
		g.posts = []answer{fault500}
		r := g.revoker()
		got := r.Revoke(t.Context(), r.Plan(mallory), request.Attempt{})
		if got.Result != request.Failed || got.ReadBack {
			t.Errorf("outcome %+v, want a failure", got)
		}
	})
}

func TestRevokeWhoseTimeEnds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		posts []answer
		gets  []answer
		want  request.Outcome
	}{
		{
			"while a revocation with effect is awaited", []answer{afterEffect(hang)}, []answer{current},
			request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, AnswerLost: true, Sends: 1, RequestIDs: []string{"get-1"}},
		},
		{
			"while a revocation without effect is awaited", []answer{hang}, []answer{current},
			request.Outcome{Result: request.Failed, Trouble: request.Unreachable, Fault: request.Fault{System: request.Graph}, ValidFrom: before, Sends: 1, RequestIDs: []string{"get-1"}, Unsure: true},
		},
		{
			"while the read-back is awaited", []answer{yes}, []answer{hang},
			request.Outcome{Result: request.SignedOutWithinHour, Sends: 1, RequestIDs: []string{"post-1"}},
		},
		{
			"between two sends", []answer{fault500}, []answer{current},
			request.Outcome{
				Result: request.Failed, Trouble: request.Unreachable, Fault: fault(500, "InternalServerError", "post-1"),
				ValidFrom: before, Sends: 1, RequestIDs: []string{"post-1", "get-1"}, Unsure: true,
			},
		},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t)
			r := g.revoker()
			if _, err := r.(*Graph).look.reads.Do(t.Context(), "warm up", "GET", readBackPath(oid), nil, nil); err != nil {
				t.Fatal(err) // a connection and a token, so that the time below is Graph's alone
			}
			g.mu.Lock()
			g.nGets, g.posts, g.gets = 0, test.posts, test.gets
			g.mu.Unlock()
			ctx, cancel := context.WithTimeout(t.Context(), 240*time.Millisecond) // less than any pause between sends
			defer cancel()
			got := r.Revoke(ctx, r.Plan(mallory), first)
			if (got.RetryAfter > 0) != (got.Result == request.Failed) {
				t.Errorf("RetryAfter = %v of result %d", got.RetryAfter, got.Result)
			}
			got.At, got.Steps, got.RetryAfter = time.Time{}, nil, 0
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Outcome (-want +got):\n%s", diff)
			}
			if posts, _ := g.counts(); posts != 1 {
				t.Errorf("%d revocations, want 1", posts)
			}
		})
	}
}

func TestRevokeWithNoTimeAtAll(t *testing.T) {
	t.Parallel()
	g := start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := g.revoker()
	got := r.Revoke(ctx, r.Plan(mallory), first)
	if got.Result != request.Failed || got.Trouble != request.Unreachable {
		t.Errorf("Outcome = %+v, want a failure", got)
	}
	if posts, _ := g.counts(); posts != 0 {
		t.Errorf("%d revocations, want none", posts)
	}
}

// What-If prints the plan, so that the plan has to be what is done.
func TestPlanIsWhatIsCalled(t *testing.T) {
	t.Parallel()
	const post, back, state = "POST /v1.0/users/" + oid + "/revokeSignInSessions",
		"GET /v1.0/users/" + oid + "?$select=id,signInSessionsValidFromDateTime", "POST " + revokeAll
	for by, want := range map[string][]string{"graph": {post, back}, "sharepoint": {state, back}, "both": {state, back, post, back}} {
		t.Run(by, func(t *testing.T) { planIsWhatIsCalled(t, by, want) })
	}
}

func planIsWhatIsCalled(t *testing.T, by string, want []string) {
	g := start(t)
	r := g.revokers()[by]
	p := r.Plan(mallory)
	var planned []string
	for _, c := range p.Calls {
		planned = append(planned, c.Method+" "+c.URL)
		if c.Why == "" {
			t.Errorf("%s %s has no reason", c.Method, c.URL)
		}
	}
	if posts, gets := g.counts(); posts+gets != 0 {
		t.Errorf("planning called Graph: %q", g.calls)
	}
	for i := range want {
		want[i] = strings.Replace(want[i], " ", " "+g.server.URL, 1)
	}
	if diff := cmp.Diff(want, planned); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	r.Revoke(t.Context(), p, first)
	if diff := cmp.Diff(planned, g.calls); diff != "" {
		t.Errorf("calls (-planned +made):\n%s", diff)
	}
	if p.Revoker == "" || p.Tenant != tenant || len(p.DoesNotEnd) == 0 {
		t.Errorf("plan = %+v, want the revoker's name, the tenant and what goes on working", p)
	}
	if diff := cmp.Diff(mallory, p.Target); diff != "" {
		t.Errorf("target (-want +got):\n%s", diff)
	}
}

// The object id is all that is addressed: a sign-in name can be given to
// somebody else between the command and the Confirm.
func TestPlanAddressesTheObjectID(t *testing.T) {
	t.Parallel()
	g := start(t)
	r := g.revoker()
	renamed := mallory
	renamed.UPN = "somebody.else@contoso.com"
	if diff := cmp.Diff(r.Plan(mallory).Calls, r.Plan(renamed).Calls); diff != "" {
		t.Errorf("calls depend on the sign-in name:\n%s", diff)
	}
}
