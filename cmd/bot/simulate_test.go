package main

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

var (
	simulateN     = flag.Int("simulate.n", 300, "how many schedules TestSimulation runs")
	simulateSeed  = flag.Uint64("simulate.seed", 1, "seed of the first; the others follow")
	simulateRates = flag.Float64("simulate.rates", 1, "times the highest fault rates: 30 % of calls and more")
	simulateTrace = flag.Bool("simulate.trace", false, "print what happens")
)

// simStats are the figures of one or of many schedules.
type simStats struct {
	effects, extra, lostAnswers, orphans int
	excuses                              map[string]int // of extra effects: why no look showed the ones before
	forgotten                            int            // orphans that nobody promised to prevent: no replicas, channel archived or threads locked
	requests, done                       int
	taken                                []time.Duration
}

func (st *simStats) takeOver(d time.Duration) { st.taken = append(st.taken, d) }

func (st *simStats) add(o simStats) {
	st.effects += o.effects
	st.extra += o.extra
	st.lostAnswers += o.lostAnswers
	st.orphans += o.orphans
	for why, n := range o.excuses {
		st.excuses[why] += n
	}
	st.forgotten += o.forgotten
	st.requests += o.requests
	st.done += o.done
	st.taken = append(st.taken, o.taken...)
}

// outcome is what came of one schedule.
type outcome struct {
	seed   uint64
	broken []violation
	steps  int
	faults map[string]int
	stats  simStats
	trace  string
}

// simulate runs the schedule of a seed.
func simulate(t *testing.T, seed uint64, m mutation, trace bool) outcome {
	t.Helper()
	var out outcome
	synctest.Test(t, func(*testing.T) {
		s := &simulation{
			seed: seed, rng: rand.New(rand.NewPCG(seed, 0x51317)), mutant: m, began: time.Now(),
			arrived: make(chan struct{}, 1), faults: map[string]int{}, stats: simStats{excuses: map[string]int{}},
		}
		if trace {
			s.trace = &strings.Builder{}
		}
		s.plan = drawPlan(s)
		s.calm = s.began.Add(s.between(2*time.Minute, 10*time.Minute))
		if m.plan != nil {
			m.plan(&s.plan)
		}
		s.tracef("seed %d: %+v", seed, s.plan)
		s.store, s.slack, s.tenant = newDatabase(s), &workspace{s: s}, newMicrosoft(s)
		if m.world != nil {
			m.world(s)
		}
		s.replicas = make([]*incarnation, s.plan.replicas)
		s.populate()
		for i := range s.replicas {
			s.start(i)
		}
		s.run()
		if len(s.broken) == 0 {
			s.check()
		}
		for _, id := range s.store.order {
			s.stats.requests++
			if s.store.latest[id].r.State == request.Done {
				s.stats.done++
			}
		}
		for _, p := range s.procs {
			if !p.dead {
				s.end(p)
			}
		}
		time.Sleep(time.Minute) // for timers of calls that were cut off
		out = outcome{seed: seed, broken: s.broken, steps: s.steps, faults: s.faults, stats: s.stats}
		if trace {
			out.trace = s.trace.String()
		}
	})
	return out
}

// totals are the figures of many schedules.
type totals struct {
	schedules, steps, violating int
	faults, rules               map[string]int
	stats                       simStats
	first                       *outcome
	seeds                       []uint64 // that violate
	took                        time.Duration
}

// simulateMany runs n schedules on all cores. What comes of a seed does not depend
// on the others.
func simulateMany(t *testing.T, first uint64, n int, m mutation) totals {
	t.Helper()
	began := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // little is alive at any time
	all := newTotals()
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := first
	for range min(runtime.GOMAXPROCS(0), n) {
		wg.Go(func() {
			for {
				mu.Lock()
				seed := next
				next++
				mu.Unlock()
				if seed >= first+uint64(n) {
					return
				}
				out := simulate(t, seed, m, *simulateTrace)
				mu.Lock()
				all.add(out)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	all.took = time.Since(began)
	return all
}

func newTotals() totals {
	return totals{faults: map[string]int{}, rules: map[string]int{}, stats: simStats{excuses: map[string]int{}}}
}

func (a *totals) add(o outcome) {
	a.schedules++
	a.steps += o.steps
	a.stats.add(o.stats)
	for kind, n := range o.faults {
		a.faults[kind] += n
	}
	if len(o.broken) == 0 {
		return
	}
	a.violating++
	a.seeds = append(a.seeds, o.seed)
	for _, rule := range slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, v := range o.broken {
			if !yield(v.rule) {
				return
			}
		}
	})) {
		a.rules[rule]++
	}
	if a.first == nil || o.seed < a.first.seed {
		a.first = &o
	}
}

func (a *totals) print(t *testing.T) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%d schedules, %d steps, %d requests (%d with a result), %.0f schedules/s\n",
		a.schedules, a.steps, a.stats.requests, a.stats.done, float64(a.schedules)/a.took.Seconds())
	fmt.Fprintf(&b, "faults:")
	for _, kind := range slices.Sorted(maps.Keys(a.faults)) {
		fmt.Fprintf(&b, " %s %d,", kind, a.faults[kind])
	}
	fmt.Fprintf(&b, "\neffects %d, extra %d (%.1f per 1000 lost answers, of %d; why no look kept them from it: %v), orphan messages %d (and %d without replicas or in an archived channel)\n",
		a.stats.effects, a.stats.extra, 1000*float64(a.stats.extra)/float64(max(1, a.stats.lostAnswers)), a.stats.lostAnswers, a.stats.excuses, a.stats.orphans, a.stats.forgotten)
	if taken := a.stats.taken; len(taken) > 0 {
		fmt.Fprintf(&b, "taken over after a kill: %d times, p50 %v, p99 %v, max %v\n", len(taken),
			quantile(taken, .5), quantile(taken, .99), quantile(taken, 1))
	}
	fmt.Fprintf(&b, "violating schedules: %d", a.violating)
	for _, rule := range slices.SortedFunc(maps.Keys(a.rules), func(x, y string) int { return cmp.Compare(a.rules[y], a.rules[x]) }) {
		fmt.Fprintf(&b, ", %s %d", rule, a.rules[rule])
	}
	if a.violating > 0 {
		slices.Sort(a.seeds)
		fmt.Fprintf(&b, "\nviolating seeds: %v", a.seeds[:min(30, len(a.seeds))])
	}
	t.Log(b.String())
}

// quantile is the q-th (0 to 1) of some times, of which there is at least one.
func quantile(of []time.Duration, q float64) time.Duration {
	slices.Sort(of)
	return of[min(int(q*float64(len(of))), len(of)-1)].Round(time.Millisecond)
}

// TestSimulation runs the real service, reporter and revoker through many schedules
// of faults, and looks at the invariants after each.
//
//	go test -run TestSimulation$ ./cmd/bot -v -simulate.n=20000 -simulate.seed=1
//	go test -run TestSimulation$ ./cmd/bot -v -simulate.n=1 -simulate.seed=S -simulate.trace
func TestSimulation(t *testing.T) {
	world := mutation{rates: *simulateRates}
	all := simulateMany(t, *simulateSeed, *simulateN, world)
	all.print(t)
	if *simulateTrace && all.first == nil && *simulateN == 1 {
		t.Log("\n" + simulate(t, *simulateSeed, world, true).trace)
	}
	all.fail(t)
}

// fail reports the first schedule that broke something.
func (a *totals) fail(t *testing.T) {
	t.Helper()
	if a.first == nil {
		return
	}
	for _, v := range a.first.broken {
		t.Errorf("seed %d: %s: %s", a.first.seed, v.rule, v.text)
	}
	if *simulateTrace {
		t.Log("\n" + a.first.trace)
	}
}

// TestSimulationFigures looks at what depends on how often things fail: where at most
// one call in thirty does, for each kind of fault, few effects happen twice, and another
// replica takes over within a minute.
func TestSimulationFigures(t *testing.T) {
	if underRace {
		t.Skip("too few schedules for figures")
	}
	all := simulateMany(t, *simulateSeed, max(*simulateN/2, 1000), mutation{rates: .1})
	all.print(t)
	all.fail(t)
	if extra := all.stats.extra; extra*100 > all.stats.effects {
		t.Errorf("%d of %d effects are extra, want at most one in a hundred", extra, all.stats.effects)
	}
	if p99 := quantile(all.stats.taken, .99); p99 > time.Minute {
		t.Errorf("one in a hundred is taken over after more than %v, want at most a minute", p99)
	}
}

// TestSimulationIsDeterministic runs some seeds twice.
func TestSimulationIsDeterministic(t *testing.T) {
	n := uint64(500)
	if underRace {
		n = 30
	}
	for seed := *simulateSeed; seed < *simulateSeed+n; seed++ {
		first, second := simulate(t, seed, mutation{}, true).trace, simulate(t, seed, mutation{}, true).trace
		if first != second {
			t.Fatalf("seed %d: two runs differ: %s", seed, firstDifference(first, second))
		}
	}
}

func firstDifference(a, b string) string {
	as, bs := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(as), len(bs)) {
		if as[i] != bs[i] {
			return fmt.Sprintf("line %d:\n%s\n%s", i, as[i], bs[i])
		}
	}
	return fmt.Sprintf("%d and %d lines", len(as), len(bs))
}
