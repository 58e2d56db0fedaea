// Package redistest starts real redis-server processes for tests: one, a master
// with replicas, Sentinel, a Cluster. All listen on free loopback ports.
package redistest

import (
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

// T is what servers need of the test that they run for. *testing.T has it; Lasting
// is for servers that several tests share.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Skip(args ...any)
	Cleanup(fn func())
	TempDir() string
}

// Start runs a redis-server with append-only persistence in a directory of the
// test, on a free loopback port, until the test ends. It returns
// the URL of the first of its 256 databases. Where
// there is no redis-server the test is skipped, or fails if CI is set.
func Start(t T) string {
	t.Helper()
	return StartServer(t).URL(0)
}

// StartServer is Start with a hand on the server. More arguments are added to its
// command line and win over ours.
func StartServer(t T, args ...string) *Server {
	t.Helper()
	s := launch(t, args...)
	s.ready(t)
	return s
}

// Need skips the test where there is no redis-server, or fails it if CI is set.
// It returns the path of redis-server.
func Need(t T) string {
	t.Helper()
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no redis-server, and CI is set")
		}
		t.Skip("skipped: no redis-server")
	}
	return bin
}

// Lasting stands in for a test where servers last longer than one: until Close.
// Whoever uses it calls Need first, with the test's own T.
type Lasting struct {
	mu   sync.Mutex
	ends []func()
}

// Helper implements T.
func (l *Lasting) Helper() {}

// Fatalf implements T; the goroutine cannot be ended as a test can.
func (l *Lasting) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

// Skip implements T.
func (l *Lasting) Skip(args ...any) { panic(fmt.Sprint(args...)) }

// Cleanup implements T.
func (l *Lasting) Cleanup(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends = append(l.ends, fn)
}

// TempDir implements T.
func (l *Lasting) TempDir() string {
	dir, err := os.MkdirTemp("", "redistest-")
	if err != nil {
		l.Fatalf("making a directory for redis-server: %v", err)
	}
	l.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Close ends what was started, the latest first.
func (l *Lasting) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.ends) - 1; i >= 0; i-- {
		l.ends[i]()
	}
	l.ends = nil
}

// await polls until ok, and fails the test if that takes too long.
func await(t T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(within); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v", what, within)
		}
	}
}
