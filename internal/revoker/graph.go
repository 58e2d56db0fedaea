package revoker

import (
	"context"
	"net/http"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

// Graph revokes with Microsoft Graph's revokeSignInSessions. A success is
// always result 3: refresh tokens and browser sessions end, issued access tokens
// live on, and Graph never says more. Safe for concurrent use.
type Graph struct {
	effects *entra.API
	look    *lookback
	tenant  string
	backoff Backoff
}

// NewGraph returns a revoker that asks for effects and reads through APIs of
// Microsoft Graph with the retries of those names, in a tenant.
func NewGraph(effects, reads *entra.API, tenant string, backoff Backoff) *Graph {
	return &Graph{effects: effects, look: &lookback{reads}, tenant: tenant, backoff: backoff}
}

// Plan implements request.Revoker.
func (g *Graph) Plan(t request.Target) request.Plan {
	return request.Plan{
		Revoker: string(request.Graph), Tenant: g.tenant, Target: t,
		Calls: []request.Call{
			{Method: http.MethodPost, URL: g.effects.URL(revokePath(t.ObjectID)), Why: "ends refresh tokens and browser sessions"},
			g.look.call(t.ObjectID),
		},
		DoesNotEnd: doesNotEnd,
	}
}

func revokePath(id string) string { return userPath(id) + "/revokeSignInSessions" }

const graphReadBacks = 3

// Revoke implements request.Revoker.
func (g *Graph) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	t := attempt{
		look: g.look, target: p.Target, readBacks: graphReadBacks,
		what: "revoke sign-in sessions", system: request.Graph, backoff: g.backoff,
	}
	t.send = func(ctx context.Context) reply {
		// Any 2xx is a success; the value is documented and always true
		// (learn.microsoft.com/graph/api/user-revokesigninsessions).
		var out struct {
			Value *bool `json:"value"`
		}
		meta, err := g.effects.Do(ctx, t.what, http.MethodPost, revokePath(p.Target.ObjectID), nil, &out)
		switch {
		case err != nil:
			return failure(err, meta, t.system)
		case out.Value != nil && !*out.Value:
			return reply{meta: meta, verdict: refused, result: request.Failed, trouble: request.Declined}
		}
		return reply{meta: meta, verdict: took, result: request.SignedOutWithinHour}
	}
	return t.run(ctx, a)
}
