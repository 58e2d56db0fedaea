package revoker

import (
	"context"
	"slices"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// sharePointWithin leaves Graph its own time, whatever SharePoint does.
const sharePointWithin = 6 * time.Second

// Both asks SharePoint and then Graph, each whatever became of the other. It has
// one result: a success of either, the better one first, else Graph's. Safe for
// concurrent use.
type Both struct {
	sharepoint *SharePoint
	graph      *Graph
}

// NewBoth returns a revoker of both ways.
func NewBoth(s *SharePoint, g *Graph) *Both { return &Both{sharepoint: s, graph: g} }

// Plan implements request.Revoker.
func (b *Both) Plan(t request.Target) request.Plan {
	p := b.graph.Plan(t)
	p.Revoker = string(request.SharePoint) + ", then " + string(request.Graph)
	p.Calls = append(b.sharepoint.Plan(t).Calls, p.Calls...)
	return p
}

// Revoke implements request.Revoker. What an earlier attempt did is looked at once,
// for both: which of them it was cannot be told.
func (b *Both) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	o, ends := b.graph.look.begin(ctx, p.Target.ObjectID, a, b.graph.backoff)
	if ends {
		return o
	}
	first, cancel := context.WithTimeout(ctx, sharePointWithin)
	defer cancel()
	s := b.sharepoint.Revoke(first, p, request.Attempt{Before: a.Before})
	before := a.Before
	if s.ValidFrom.After(before) { // what proves Graph's effect has to be later than SharePoint's
		before = s.ValidFrom
	}
	one := combined(s, b.graph.Revoke(ctx, p, request.Attempt{Before: before}))
	one.Steps, one.RequestIDs = append(o.Steps, one.Steps...), append(o.RequestIDs, one.RequestIDs...)
	one.Unsure = one.Unsure || a.Resumed && !succeeded(one)
	return one
}

func succeeded(o request.Outcome) bool {
	return o.Result == request.SignedOut || o.Result == request.SignedOutWithinHour
}

// combined is the one outcome of SharePoint's and Graph's.
func combined(s, g request.Outcome) request.Outcome {
	one := g
	if succeeded(s) && (!succeeded(g) || s.Result < g.Result) {
		one.Result, one.Trouble, one.Fault, one.AnswerLost = s.Result, s.Trouble, s.Fault, s.AnswerLost
	}
	if one.ValidFrom.IsZero() {
		one.ValidFrom = s.ValidFrom
	}
	one.ReadBack = s.ReadBack || g.ReadBack
	one.Sends = s.Sends + g.Sends
	one.RequestIDs = append(slices.Clone(s.RequestIDs), g.RequestIDs...)
	one.Steps = append(slices.Clone(s.Steps), g.Steps...)
	one.Parts = []request.Part{part(request.SharePoint, s), part(request.Graph, g)}
	if one.Unsure, one.RetryAfter = false, 0; !succeeded(one) {
		one.Unsure, one.RetryAfter = s.Unsure || g.Unsure, sooner(s.RetryAfter, g.RetryAfter)
	}
	return one
}

// sooner is the shorter of two waits, of which zero is none.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func part(system request.System, o request.Outcome) request.Part {
	return request.Part{System: system, Result: o.Result, Trouble: o.Trouble, Fault: o.Fault, AnswerLost: o.AnswerLost, Unsure: o.Unsure}
}
