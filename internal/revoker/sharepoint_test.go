package revoker

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

func stateIs(n int) answer { return says(200, `{"State":`+strconv.Itoa(n)+`}`) }

func spFault(status int, code string) request.Fault {
	return request.Fault{System: request.SharePoint, Status: status, Code: code, RequestID: "sp-1"}
}

// Each state of the enumeration, and each documented refusal.
func TestSharePointResults(t *testing.T) {
	t.Parallel()
	is := func(result request.Result, trouble request.Trouble, f request.Fault) request.Outcome {
		return request.Outcome{Result: result, Trouble: trouble, Fault: f, Sends: 1, RequestIDs: []string{"sp-1"}}
	}
	looked := func(result request.Result) request.Outcome {
		return request.Outcome{Result: result, Sends: 1, ValidFrom: before, RequestIDs: []string{"sp-1", "get-1"}}
	}
	unauthorized := `{"odata.error":{"code":"-2147024891, System.UnauthorizedAccessException","message":{"lang":"en-US","value":"Attempted to perform an unauthorized operation."}}}`
	const code = "-2147024891, System.UnauthorizedAccessException"
	proven := looked(request.SignedOut)
	proven.ValidFrom, proven.ReadBack = moved, true
	stories := []story{
		{name: "State 4", states: []answer{stateIs(4)}, want: looked(request.SignedOut), nStates: 1, nGets: 1},
		{name: "State 4 and moved", states: []answer{afterEffect(stateIs(4))}, want: proven, nStates: 1, nGets: 1},
		{name: "State 3", states: []answer{stateIs(3)}, want: looked(request.SignedOutWithinHour), nStates: 1, nGets: 1},
		{name: "State 2", states: []answer{stateIs(2)}, want: is(request.Failed, request.Declined, spFault(200, "State 2")), nStates: 1},
		{name: "State 1", states: []answer{stateIs(1)}, want: is(request.NotFound, request.NameNotKnown, spFault(200, "")), nStates: 1},
		{name: "State 0", states: []answer{stateIs(0)}, want: is(request.NotAvailable, request.FeatureDisabled, spFault(200, "")), nStates: 1},
		{name: "State 5", states: []answer{stateIs(5)}, want: is(request.Failed, request.Declined, spFault(200, "State 5")), nStates: 1},
		{name: "State -1", states: []answer{stateIs(-1)}, want: is(request.Failed, request.Declined, spFault(200, "State -1")), nStates: 1},
		{name: "no State", states: []answer{says(200, `{}`)}, want: is(request.Failed, request.Declined, spFault(200, "no State")), nStates: 1},
		{name: "empty", states: []answer{says(200, ``)}, want: is(request.Failed, request.Declined, spFault(200, "no State")), nStates: 1},
		{name: "unauthorized, 401", states: []answer{says(401, unauthorized)}, want: is(request.Failed, request.Forbidden, spFault(401, code)), nStates: 1},
		{name: "unauthorized, 403", states: []answer{says(403, unauthorized)}, want: is(request.Failed, request.Forbidden, spFault(403, code)), nStates: 1},
		{name: "no such route", states: []answer{says(404, `{"odata.error":{"code":"-1, Microsoft.SharePoint.Client.ResourceNotFoundException","message":{}}}`)}, want: is(request.Failed, request.Declined, spFault(404, "-1, Microsoft.SharePoint.Client.ResourceNotFoundException")), nStates: 1},
	}
	for i := range stories {
		stories[i].by = "sharepoint"
	}
	runAll(t, stories)
}

// SharePoint's throttling is waited out; an answer that proves nothing is followed
// by a look and then by asking again, which is as good as once.
func TestSharePointTroubles(t *testing.T) {
	t.Parallel()
	again := request.Outcome{Result: request.SignedOut, Sends: 2, ValidFrom: before}
	ids := func(o request.Outcome, ids ...string) request.Outcome {
		o.RequestIDs = ids
		return o
	}
	lostAnswer := request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, AnswerLost: true, Sends: 1}
	once := again
	once.Sends = 1
	busy := says(503, `Server Too Busy`) // with Retry-After: 0, which is none
	tooBusy := withRetryAfter("1", busy)
	stories := []story{
		{name: "429, then 4", states: []answer{says(429, ``), stateIs(4)}, want: ids(once, "sp-2", "get-1"), nStates: 2, nGets: 1},
		{name: "503 with Retry-After, then 4", states: []answer{tooBusy, stateIs(4)}, want: ids(once, "sp-2", "get-1"), nStates: 2, nGets: 1},
		{name: "503 without, then 4", states: []answer{busy, stateIs(4)}, want: ids(again, "sp-1", "get-1", "sp-2", "get-2"), nStates: 2, nGets: 2},
		{name: "cut, then 4", states: []answer{cut, stateIs(4)}, want: ids(again, "get-1", "sp-2", "get-2"), nStates: 2, nGets: 2},
		{name: "cut with an effect that Graph shows", states: []answer{afterEffect(cut)}, want: ids(lostAnswer, "get-1"), nStates: 1, nGets: 1},
		{name: "no JSON, then 3", states: []answer{says(200, `<html>`), stateIs(3)}, want: ids(request.Outcome{Result: request.SignedOutWithinHour, Sends: 2, ValidFrom: before}, "sp-1", "get-1", "sp-2", "get-2"), nStates: 2, nGets: 2},
		{
			name: "throttled without end", states: []answer{says(429, ``)}, nStates: 4, retry: true,
			want: request.Outcome{Result: request.Failed, Trouble: request.Throttled, Fault: request.Fault{System: request.SharePoint, Status: 429, RequestID: "sp-4"}},
		},
		{
			name: "may not send any more", attempt: request.Attempt{Before: before, Resumed: true, Hold: request.RoleLost}, nGets: 1,
			want: request.Outcome{Result: request.Failed, Trouble: request.RoleLost, ValidFrom: before, RequestIDs: []string{"get-1"}, Unsure: true},
		},
		{
			name: "switched off meanwhile", attempt: request.Attempt{Before: before, Resumed: true, Hold: request.SwitchedOff}, nGets: 1,
			want: request.Outcome{Result: request.Failed, Trouble: request.SwitchedOff, ValidFrom: before, RequestIDs: []string{"get-1"}, Unsure: true},
		},
	}
	for i := range stories {
		stories[i].by = "sharepoint"
	}
	runAll(t, stories)
}

// Both have one result, and both answers in the evidence.
func TestBoth(t *testing.T) {
	t.Parallel()
	part := func(system request.System, result request.Result, trouble request.Trouble, f request.Fault) request.Part {
		return request.Part{System: system, Result: result, Trouble: trouble, Fault: f}
	}
	accepted := part(request.Graph, request.SignedOutWithinHour, "", request.Fault{})
	atOnce := part(request.SharePoint, request.SignedOut, "", request.Fault{})
	forbidden := part(request.Graph, request.Failed, request.Forbidden, fault(403, "x", "post-1"))
	disabled := part(request.SharePoint, request.NotAvailable, request.FeatureDisabled, spFault(200, ""))
	unknown := part(request.SharePoint, request.NotFound, request.NameNotKnown, spFault(200, ""))
	gone := part(request.Graph, request.NotFound, request.TargetGone, fault(404, "Request_ResourceNotFound", "post-1"))
	moveds := func(result request.Result, ids []string, parts ...request.Part) request.Outcome {
		return request.Outcome{Result: result, ValidFrom: moved, ReadBack: true, Sends: 2, RequestIDs: ids, Parts: parts}
	}
	failed := func(result request.Result, trouble request.Trouble, f request.Fault, parts ...request.Part) request.Outcome {
		return request.Outcome{Result: result, Trouble: trouble, Fault: f, Sends: 2, RequestIDs: []string{"sp-1", "post-1"}, Parts: parts}
	}
	no := []answer{refuse(403, "x")}
	looked := []string{"sp-1", "get-1", "post-1", "get-2"}
	stories := []story{
		{name: "4 and true", want: moveds(request.SignedOut, looked, atOnce, accepted), nStates: 1, nPosts: 1, nGets: 2},
		{name: "3 and true", states: []answer{stateIs(3)}, want: moveds(request.SignedOutWithinHour, looked, part(request.SharePoint, request.SignedOutWithinHour, "", request.Fault{}), accepted), nStates: 1, nPosts: 1, nGets: 2},
		{name: "disabled and true", states: []answer{stateIs(0)}, want: moveds(request.SignedOutWithinHour, []string{"sp-1", "post-1", "get-1"}, disabled, accepted), nStates: 1, nPosts: 1, nGets: 1},
		{name: "4 and forbidden", posts: no, want: request.Outcome{
			Result: request.SignedOut, ValidFrom: before, Sends: 2, RequestIDs: []string{"sp-1", "get-1", "post-1"}, Parts: []request.Part{atOnce, forbidden},
		}, nStates: 1, nPosts: 1, nGets: 1},
		{name: "disabled and forbidden", states: []answer{stateIs(0)}, posts: no, want: failed(request.Failed, request.Forbidden, fault(403, "x", "post-1"), disabled, forbidden), nStates: 1, nPosts: 1},
		{name: "unknown and gone", states: []answer{stateIs(1)}, posts: []answer{refuse(404, "Request_ResourceNotFound")}, want: failed(request.NotFound, request.TargetGone, fault(404, "Request_ResourceNotFound", "post-1"), unknown, gone), nStates: 1, nPosts: 1},
		{
			name: "begun before and moved", attempt: request.Attempt{Before: before, Resumed: true}, gets: []answer{afterEffect(current)}, nGets: 1,
			want: request.Outcome{Result: request.SignedOutWithinHour, ValidFrom: moved, ReadBack: true, AnswerLost: true, RequestIDs: []string{"get-1"}},
		},
		{
			name: "begun before, may not send", attempt: request.Attempt{Before: before, Resumed: true, Hold: request.TooOld}, nGets: 1,
			want: request.Outcome{Result: request.Failed, Trouble: request.TooOld, ValidFrom: before, RequestIDs: []string{"get-1"}, Unsure: true},
		},
	}
	for i := range stories {
		stories[i].by = "both"
	}
	runAll(t, stories)
	// SharePoint's effect is no proof of Graph's, neither in this attempt nor after one
	// that ended in the middle.
	for name, a := range map[string]request.Attempt{"first": first, "resumed": {Before: before, Resumed: true}} {
		t.Run("moved by SharePoint, Graph refuses, "+name, func(t *testing.T) {
			g := start(t)
			g.states, g.posts = []answer{afterEffect(stateIs(4))}, no
			r := g.revokers()["both"]
			got := r.Revoke(t.Context(), r.Plan(mallory), a)
			if posts, _ := g.counts(); posts != 1 || len(got.Parts) != 2 || got.Parts[1] != forbidden {
				t.Errorf("Graph was asked %d times, parts %+v; want once, and what it answered", posts, got.Parts)
			}
			if got.Result != request.SignedOut || got.Unsure {
				t.Errorf("Outcome = %+v, want SharePoint's success", got)
			}
		})
	}
	t.Run("the sooner wait counts", func(t *testing.T) {
		s, g := request.Outcome{Result: request.Failed, RetryAfter: 2 * time.Minute}, request.Outcome{Result: request.Failed, RetryAfter: 5 * time.Second}
		if one := combined(s, g); one.RetryAfter != 5*time.Second {
			t.Errorf("RetryAfter = %v, want Graph's 5 s", one.RetryAfter)
		}
	})
	t.Run("throttled both", func(t *testing.T) {
		g := start(t)
		g.states, g.posts = []answer{says(429, ``)}, []answer{throttled}
		r := g.revokers()["both"]
		if got := r.Revoke(t.Context(), r.Plan(mallory), first); got.Result != request.Failed || got.RetryAfter == 0 || got.Sends != 0 {
			t.Errorf("Outcome = %+v, want a failure that is worth another attempt", got)
		}
	})
}

// All forms in which SharePoint writes the one entity, and what is none of them.
func TestRevocationState(t *testing.T) {
	tests := map[string]int{
		`{"State":4}`:   4,
		`{"State":"3"}`: 3,
		`{"odata.metadata":"https://contoso-admin.sharepoint.com/_api/$metadata#SP.ApiData.SPOUserSessionRevocationResults/@Element","odata.type":"Microsoft.Online.SharePoint.TenantManagement.SPOUserSessionRevocationResult","State":1}`: 1,
		`{"d":{"__metadata":{"type":"Microsoft.Online.SharePoint.TenantManagement.SPOUserSessionRevocationResult"},"State":0}}`:                                                                                                             0,
		`{"d":{"RevokeAllUserSessions":{"__metadata":{},"State":2}}}`: 2,
	}
	for body, want := range tests {
		if got, ok := revocationState([]byte(body)); !ok || got != want {
			t.Errorf("revocationState(%s) = %d, %v; want %d", body, got, ok, want)
		}
	}
	for _, body := range []string{``, `{}`, `[]`, `null`, `4`, `{"State":null}`, `{"State":4.5}`, `{"State":"four"}`, `{"State":true}`, `{"State":[4]}`, `{"d":[]}`, `{"d":{}}`} {
		if got, ok := revocationState([]byte(body)); ok {
			t.Errorf("revocationState(%s) = %d, want none", body, got)
		}
	}
}

// A state is never read out of an answer that does not hold it.
func FuzzRevocationState(f *testing.F) {
	for _, s := range []string{`{"State":4}`, `{"State":"3"}`, `{"d":{"State":0}}`, `{"d":{"RevokeAllUserSessions":{"State":2}}}`, `{"d":[]}`, `<html>`, `{"State":1e3}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, ok := revocationState(body)
		if ok && (!json.Valid(body) || !strings.Contains(strings.ToLower(string(body)), "stat") && !strings.Contains(string(body), `\u`)) {
			t.Errorf("revocationState(%q) = %d", body, n)
		}
		r := fromState(body, entra.Meta{Status: 200})
		success := r.result == request.SignedOut || r.result == request.SignedOutWithinHour
		if success != (r.verdict == took) || success && (!ok || n != 3 && n != 4) {
			t.Errorf("fromState(%q) = %+v", body, r)
		}
	})
}
