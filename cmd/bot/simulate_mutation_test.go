package main

import (
	"context"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// mutation is one way in which the bot could be wrong, put on one of its seams.
type mutation struct {
	plan      func(p *worldPlan)
	store     func(request.Store) request.Store
	directory func(request.Directory) request.Directory
	revoker   func(request.Revoker) request.Revoker
}

// mutants are the ways that the simulation has to notice.
var mutants = map[string]mutation{
	"no wait for replicas, and promised all the same": {plan: func(p *worldPlan) { p.wait, p.promised = false, true }},
	"no fence":                    {store: func(st request.Store) request.Store { return &sameFence{st} }},
	"no settling":                 {store: func(st request.Store) request.Store { return &neverSettles{st} }},
	"no role":                     {directory: func(d request.Directory) request.Directory { return everybodyAdministers{d} }},
	"no look before asking again": {revoker: func(r request.Revoker) request.Revoker { return neverLooks{r} }},
}

// sameFence gives each claim the same fence, so that nobody notices a lost lease.
type sameFence struct{ request.Store }

func (s *sameFence) Claim(ctx context.Context, lease time.Duration) (request.Request, error) {
	r, err := s.Store.Claim(ctx, lease)
	if err != nil {
		return r, err
	}
	return s.Update(ctx, r.ID, func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
		r.Lease.Fence = "the same"
		return r, nil, nil
	})
}

// neverSettles ends what was shown without another look.
type neverSettles struct{ request.Store }

func (s *neverSettles) Update(ctx context.Context, id request.ID, fn request.UpdateFunc) (request.Request, error) {
	return s.Store.Update(ctx, id, func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
		next, recs, err := fn(r, now)
		if err == nil && next.State == request.Settling && !next.Unshown() {
			next.State, next.SettleAt, next.Due = request.Done, time.Time{}, time.Time{}
		}
		return next, recs, err
	})
}

type everybodyAdministers struct{ request.Directory }

func (d everybodyAdministers) Caller(ctx context.Context, by request.Origin) request.Caller {
	c := d.Directory.Caller(ctx, by)
	c.Administrator = c.Standing == request.Member
	return c
}

func (d everybodyAdministers) Again(ctx context.Context, was request.Caller) request.Caller {
	c := d.Directory.Again(ctx, was)
	c.Administrator = c.Standing == request.Member
	return c
}

type neverLooks struct{ request.Revoker }

func (r neverLooks) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	a.Resumed = false
	return r.Revoker.Revoke(ctx, p, a)
}

// The simulation can fail: each mutant violates something within so many schedules.
func TestSimulationNoticesMutants(t *testing.T) {
	const most = 2000
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := *simulateSeed; seed < *simulateSeed+most; seed++ {
				if out := simulate(t, seed, m, false); len(out.broken) > 0 {
					t.Logf("seed %d: %s: %s", seed, out.broken[0].rule, out.broken[0].text)
					return
				}
			}
			t.Errorf("nothing noticed in %d schedules", most)
		})
	}
}
