package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// Check refuses a Redis that cannot keep a promise, in words that say what to do.
func TestRedisCheckRefuses(t *testing.T) {
	t.Parallel()
	servers := redistest.StartReplicated(t, 1)
	tests := []struct {
		name     string
		server   *redistest.Server
		replicas int
		set      []any // CONFIG SET
		want     string
	}{
		{"eviction", servers.Master, 0, []any{"maxmemory-policy", "allkeys-lru"}, "set noeviction"},
		{"eviction of what has an end", servers.Master, 0, []any{"maxmemory-policy", "volatile-ttl"}, "set noeviction"},
		{"replica", servers.Replicas[0], 0, []any{"maxmemory-policy", "noeviction"}, "REDIS_URL must lead to the master"},
		{"too few replicas", servers.Master, 2, []any{"maxmemory-policy", "noeviction"}, "REDIS_WAIT_REPLICAS is 2, and 1 have"},
	}
	for _, tt := range tests {
		tt.server.Must(t, append([]any{"CONFIG", "SET"}, tt.set...)...)
		note, err := openWaiting(t, tt.server.URL(0), tt.replicas).Check(t.Context())
		if note != "" || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: Check = %q, %v; want an error with %q", tt.name, note, err, tt.want)
		}
		if got := errors.Is(err, request.ErrNotReplicated); got != (tt.replicas > 0) {
			t.Errorf("%s: Check = %v; ErrNotReplicated %t", tt.name, err, got)
		}
	}
	s := openWaiting(t, servers.Master.URL(0), 1)
	if note, err := s.Check(t.Context()); note != "" || err != nil {
		t.Errorf("Check of a good one = %q, %v", note, err)
	}
	servers.Replicas[0].Pause(t) // connected is not yet answering
	if _, err := s.Check(t.Context()); !errors.Is(err, request.ErrNotReplicated) {
		t.Errorf("Check with a silent replica = %v, want ErrNotReplicated", err)
	}
}

func TestRedisCheckNotesAMissingFile(t *testing.T) {
	t.Parallel()
	server := redistest.StartServer(t, "--appendonly", "no")
	note, err := openRedis(t, server.URL(0)).Check(t.Context())
	if err != nil || !strings.Contains(note, "set appendonly yes") {
		t.Errorf("Check = %q, %v; want a note on appendonly", note, err)
	}
}

// A Redis whose disk is full refuses writes, and Check says where to look.
func TestRedisCheckRefusesAFullDisk(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("skipped: no /dev/full")
	}
	server := redistest.StartServer(t, "--appendonly", "no")
	s := openRedis(t, server.URL(0))
	create(t, s, "r1", due(0))
	if err := os.Mkdir(filepath.Join(server.Dir, "appendonlydir"), 0o700); err != nil {
		t.Fatal(err)
	}
	// Redis 7 opens this file when it begins its append-only file, and goes on with it.
	if err := os.Symlink("/dev/full", filepath.Join(server.Dir, "appendonlydir", "temp-appendonly.aof.incr")); err != nil {
		t.Fatal(err)
	}
	server.Must(t, "CONFIG", "SET", "appendonly", "yes")
	var err error
	for deadline := time.Now().Add(10 * time.Second); err == nil; { // found at the first write, told a moment later
		if time.Now().After(deadline) {
			t.Fatal("Check found nothing")
		}
		_, err = s.Check(t.Context())
	}
	if !strings.Contains(err.Error(), "look at its disk") {
		t.Errorf("Check = %v, want it to name the disk", err)
	}
	err = s.Create(t.Context(), request.Request{ID: "r2"}, due(0))
	if !errors.Is(err, request.ErrUnavailable) {
		t.Errorf("Create = %v, want ErrUnavailable: nothing was written", err)
	}
	if _, err := s.Get(t.Context(), "r2"); !errors.Is(err, request.ErrNotFound) {
		t.Errorf("Get = %v, want ErrNotFound", err)
	}
}
