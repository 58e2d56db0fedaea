package revoker

import (
	"context"
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
	p.Calls = append([]request.Call{b.sharepoint.call()}, p.Calls...)
	return p
}

// Revoke implements request.Revoker.
func (b *Both) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	if a.Resumed || a.Hold != request.NoTrouble {
		// Which of the two had its effect cannot be told from what is read back.
		o := request.Outcome{Result: request.Failed, At: time.Now().UTC()}
		if a.Resumed {
			o = b.graph.look.once(ctx, p.Target.ObjectID, a.Before, o)
		}
		if o.ReadBack {
			return lost(o)
		}
		if a.Hold != request.NoTrouble {
			return held(o, a)
		}
	}
	first, cancel := context.WithTimeout(ctx, sharePointWithin)
	defer cancel()
	s := b.sharepoint.revoke(first, p, a, 0)
	return combined(s, b.graph.Revoke(ctx, p, a))
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
	one.Sends = s.Sends + g.Sends
	one.RequestIDs = append(append([]string(nil), s.RequestIDs...), g.RequestIDs...)
	one.Steps = append(append([]request.Step(nil), s.Steps...), g.Steps...)
	one.Parts = []request.Part{part(request.SharePoint, s), part(request.Graph, g)}
	if one.Unsure, one.RetryAfter = false, 0; !succeeded(one) {
		one.Unsure, one.RetryAfter = s.Unsure || g.Unsure, max(s.RetryAfter, g.RetryAfter)
	}
	return one
}

func part(system request.System, o request.Outcome) request.Part {
	return request.Part{System: system, Result: o.Result, Trouble: o.Trouble, Fault: o.Fault}
}
