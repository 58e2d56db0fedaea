package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

var (
	crashAll  = flag.Bool("crash.all", false, "play the whole crash matrix")
	crashSeed = flag.Uint64("crash.seed", 1, "which cells the short form plays; 0: others each time")
	crashOnly = flag.String("crash.only", "", "play only the cells whose name has this in it")
)

// How many cells are played at the same time: those over Redis mostly wait for a
// lease, those over the embedded store never.
const (
	crashWide   = 16
	crashNarrow = 4
)

// TestCrash kills a real process at every one of its calls, the one before and the one
// after it has taken effect. `make test` plays a few cells, `make crash` all.
func TestCrash(t *testing.T) {
	t.Parallel()
	seed := *crashSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-crash.seed=%d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	servers := &crashServers{t: t}
	embedded := func() *crashCell { return &crashCell{replicas: 1, long: *crashAll} }
	replicated := func() *crashCell {
		return &crashCell{replicas: 3, redisURL: servers.database(), relayed: true, back: 2 * time.Second, long: *crashAll}
	}
	var wg sync.WaitGroup
	for _, kind := range []struct {
		name   string
		cell   func() *crashCell
		sample int // of the cells in the short form; 0: all
		wide   int
	}{
		{"embedded", embedded, 0, crashNarrow},
		{"redis", replicated, 8, crashWide},
	} {
		record := kind.cell()
		wg.Go(func() {
			var cells []*crashCell
			for i, m := range crashRecord(t, record) {
				c := kind.cell()
				c.name, c.at = kind.name+"/"+m.String(), m
				if i%2 == 1 { // over Redis; the embedded store has no other process to wait for
					c.back *= -1
				}
				cells = append(cells, c)
			}
			if !*crashAll && kind.sample > 0 {
				dice.Shuffle(len(cells), func(i, j int) { cells[i], cells[j] = cells[j], cells[i] })
				cells = cells[:min(kind.sample, len(cells))]
			}
			crashPlay(t, kind.name, cells, kind.wide)
		})
	}
	wg.Wait()
}

// crashRecord plays a cell in which nothing happens, and says what moments it has.
func crashRecord(t *testing.T, c *crashCell) []crashMoment {
	t.Helper()
	c.run(t.Context())
	if c.report.err != nil {
		t.Errorf("with nothing struck: %v", c.report.err)
		return nil
	}
	moments := c.watch.moments()
	t.Logf("%d moments: %v", len(moments), moments)
	return moments
}

// crashPlay plays cells, so many at a time, and reports on all.
func crashPlay(t *testing.T, kind string, cells []*crashCell, wide int) {
	t.Helper()
	cells = slices.DeleteFunc(cells, func(c *crashCell) bool { return !strings.Contains(c.name, *crashOnly) })
	began := time.Now()
	var wg sync.WaitGroup
	slots := make(chan struct{}, wide)
	for _, c := range cells {
		slots <- struct{}{}
		wg.Go(func() {
			c.run(t.Context())
			<-slots
			if c.report.err != nil {
				t.Errorf("%s: %v", c.name, c.report.err)
			}
		})
	}
	wg.Wait()
	t.Log(crashTable(kind, cells, time.Since(began)))
}

// crashTable sums cells up.
func crashTable(kind string, cells []*crashCell, took time.Duration) string {
	var passed, extra int
	var missed []string
	var takeovers []time.Duration
	var slowest string
	for _, c := range cells {
		r := c.report
		if r.err == nil {
			passed++
		}
		if !r.struck {
			missed = append(missed, c.name)
		}
		extra += r.extra
		if r.takeover > 0 {
			takeovers = append(takeovers, r.takeover)
			if r.takeover == slices.Max(takeovers) {
				slowest = c.name
			}
		}
	}
	line := fmt.Sprintf("%s: %d cells, %d passed, %d never struck %v, %d extra sends, %v", kind, len(cells), passed, len(missed), missed, extra, took.Round(100*time.Millisecond))
	if len(takeovers) > 0 {
		slices.Sort(takeovers)
		line += fmt.Sprintf("; taken over in %d: p50 %v, max %v (%s)", len(takeovers),
			takeovers[len(takeovers)/2].Round(time.Millisecond), takeovers[len(takeovers)-1].Round(time.Millisecond), slowest)
	}
	return line
}

// crashServers hands out databases.
type crashServers struct {
	t      *testing.T
	mu     sync.Mutex
	server *redistest.Server
	used   int
}

func (s *crashServers) database() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server == nil || s.used == 256 {
		s.server, s.used = redistest.StartServer(s.t), 0
		s.loadScripts()
	}
	s.used++
	return s.server.URL(s.used - 1)
}

// loadScripts makes the first conversation on a server as long as all others.
func (s *crashServers) loadScripts() {
	files, err := filepath.Glob("../../internal/store/*.lua")
	if err != nil || len(files) == 0 {
		s.t.Fatalf("the store's scripts: %v, %v", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		s.server.Must(s.t, "SCRIPT", "LOAD", string(text))
	}
}
