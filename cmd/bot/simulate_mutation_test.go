package main

import (
	"flag"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

var simulateMutants = flag.Int("simulate.mutants", 0, "run every mutant through so many schedules and print how many notice it")

// mutation is one way in which the bot could be wrong, put on one of its seams.
type mutation struct {
	name string
	// rate is how many of 10,000 schedules notice it, about; survives is why none does.
	rate     float64
	survives string

	rates     float64 // of faults, as a part of the usual
	plan      func(p *worldPlan)
	store     func(p *incarnation, st request.Store) request.Store
	directory func(request.Directory) request.Directory
	revoker   func(request.Revoker) request.Revoker
	reporter  func(request.Reporter) request.Reporter
	transport func(http.RoundTripper) http.RoundTripper
	world     func(s *simulation)
}

// mutants are the ways that the simulation has to notice.
var mutants = []mutation{
	{name: "no wait for replicas, and promised all the same", rate: 272, plan: func(p *worldPlan) { p.wait, p.promised = false, true }},
	{name: "no fence", rate: 12, plan: freezing, world: func(s *simulation) { s.store.fence = sameFence }},
	{name: "a counter for a fence", survives: "a claim that was answered is not lost where the store waits for replicas", world: func(s *simulation) { s.store.fence = countingFence }},
	{name: "no lease", rate: 92, store: updates(func(u *mutantStore) { u.lease, u.change = 1, noLease })},
	{name: "the attempt is not written before it is made", rate: 128, store: updates(func(u *mutantStore) { u.skip = begins })},
	{name: "the approval is not written before it runs", rate: 508, store: updates(func(u *mutantStore) { u.skip = approves })},
	{name: "the outcome is not written before it is shown", rate: 220, store: updates(func(u *mutantStore) { u.skip = finishes })},
	{name: "open requests are forgotten after a minute", rate: 2692, world: func(s *simulation) { s.store.forgets = time.Minute }},
	{name: "no settling", rate: 348, store: updates(func(u *mutantStore) { u.change = noSettling })},
	{name: "no look for copies of a card that waits", rate: 7, plan: freezing, store: updates(func(u *mutantStore) { u.change = noSecondLook })},
	{name: "nothing expires", rate: 2828, store: updates(func(u *mutantStore) { u.change = noExpiry })},
	{name: "a press is acknowledged and not stored", rate: 1280, store: updates(func(u *mutantStore) { u.boast = true })},
	{name: "each step is on record twice", rate: 9588, store: updates(func(u *mutantStore) { u.twice = true })},
	{name: "no look before asking again", rate: 152, revoker: func(r request.Revoker) request.Revoker { return neverLooks{r} }},
	{name: "success without proof", rate: 232, revoker: func(r request.Revoker) request.Revoker { return alwaysWell{r} }},
	{name: "nothing may be unsure", rate: 16, revoker: func(r request.Revoker) request.Revoker { return alwaysSure{r} }},
	{name: "everybody administers", rate: 1472, directory: func(d request.Directory) request.Directory { return everybodyAdministers{d} }},
	{name: "one approval is enough", survives: "how many have confirmed is held against what is required once more, before the effect", store: updates(func(u *mutantStore) { u.change = oneIsEnough })},
	{name: "a freeze is not asked for", rate: 26, store: updates(func(u *mutantStore) { u.thawed = true })},
	{name: "roles are not read again", rate: 48, directory: func(d request.Directory) request.Directory { return neverAgain{d} }},
	{name: "nobody is recognized", rate: 1164, directory: func(d request.Directory) request.Directory { return strangers{d, new(atomic.Int64)} }},
	{name: "answers are tried once", rate: 1424, reporter: func(r request.Reporter) request.Reporter { return onlyOnce{r} }},
	{name: "a locked thread takes its card along", rate: 67, reporter: func(r request.Reporter) request.Reporter { return allGone{r} }},
	{name: "posts without a look", rate: 1676, transport: func(t http.RoundTripper) http.RoundTripper { return &mutantWire{next: t, blind: true} }},
	{name: "posts are repeated blindly", survives: "copies are looked for, whoever made them", transport: func(t http.RoundTripper) http.RoundTripper { return &mutantWire{next: t, repeat: true} }},
	{name: "copies are never deleted", rate: 432, transport: func(t http.RoundTripper) http.RoundTripper { return &mutantWire{next: t, keep: true} }},
	{name: "whoever writes the result deletes all other copies", survives: "the oldest is written, and only a fence that repeats lets another be", world: func(s *simulation) { s.slack.sweeps = true }},
}

// freezing is for what only matters where processes stand still and others take over.
func freezing(p *worldPlan) { p.replicas, p.workers, p.freeze, p.slow = 3, 2, .08, .3 }

// TestSimulationNoticesMutants shows that the simulation can fail.
//
//	go test -run TestSimulationNoticesMutants ./cmd/bot -v -simulate.mutants=10000
func TestSimulationNoticesMutants(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(800))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	t.Run("all", func(t *testing.T) {
		for _, m := range mutants {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				if *simulateMutants > 0 {
					measure(t, m)
					return
				}
				notice(t, m)
			})
		}
	})
}

// measure prints how many schedules notice a mutant.
func measure(t *testing.T, m mutation) {
	t.Helper()
	all := newTotals()
	for seed := *simulateSeed; seed < *simulateSeed+uint64(*simulateMutants); seed++ {
		all.add(simulate(t, seed, m, false))
	}
	t.Logf("%-55s %7.1f of 10,000 schedules: %v, extra effects %d of %d, orphans %d",
		m.name, 1e4*float64(all.violating)/float64(all.schedules), all.rules, all.stats.extra, all.stats.effects, all.stats.orphans)
}

// notice runs a mutant until it is noticed, or for far longer than that should take.
func notice(t *testing.T, m mutation) {
	t.Helper()
	most := uint64(200)
	if m.survives == "" {
		most = max(most, uint64(8e4/m.rate))
	}
	if underRace && most > 250 {
		t.Skip("seldom noticed, so it runs without the race detector only")
	}
	if underRace && m.survives != "" {
		most = 30
	}
	for seed := *simulateSeed; seed < *simulateSeed+most; seed++ {
		if out := simulate(t, seed, m, false); len(out.broken) > 0 {
			if m.survives != "" {
				t.Errorf("noticed after all, seed %d: %s: %s", seed, out.broken[0].rule, out.broken[0].text)
			}
			t.Logf("seed %d: %s: %s", seed, out.broken[0].rule, out.broken[0].text)
			return
		}
	}
	if m.survives == "" {
		t.Errorf("nothing noticed in %d schedules", most)
	}
}
