package store

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// lasting are the servers that tests share: a Sentinel or a Cluster takes seconds to
// start. Tests keep apart by database, in a Cluster by taking turns.
var (
	lasting      redistest.Lasting
	oneServer    = sync.OnceValue(func() *redistest.Server { return redistest.StartServer(&lasting) })
	twoServers   = sync.OnceValue(func() *redistest.Replicated { return redistest.StartReplicated(&lasting, 1) })
	withSentinel = sync.OnceValue(func() *redistest.Sentinel { return redistest.StartSentinel(&lasting) })
	inCluster    = sync.OnceValue(func() *redistest.Cluster { return redistest.StartCluster(&lasting, hashTag, 0) })

	databases atomic.Int64
)

const hashTag = "revoke-session"

func TestMain(m *testing.M) {
	code := m.Run()
	lasting.Close()
	os.Exit(code)
}

type contract interface {
	request.Store
	Records(ctx context.Context, from uint64) iter.Seq2[[]byte, error]
}

// room is a store behind the contract. It opens empty.
type room struct {
	name  string
	steps int  // of a model test, more where they are fast
	alone bool // one test at a time
	open  func(t *testing.T) contract
}

var rooms = []room{
	{name: "memory", steps: 2000, open: func(*testing.T) contract { return NewMemory(audit.Chain, time.Now) }},
	{name: "bolt", steps: 2000, open: func(t *testing.T) contract {
		return openBolt(t, filepath.Join(t.TempDir(), "state.db"))
	}},
	{name: "redis", steps: 2000, open: func(t *testing.T) contract {
		redistest.Need(t)
		return emptied(t, openRedis(t, oneServer().URL(database())))
	}},
	{name: "replicated", steps: 1000, open: func(t *testing.T) contract {
		redistest.Need(t)
		return emptied(t, openWaiting(t, twoServers().Master.URL(database()), 1))
	}},
	{name: "sentinel", steps: 1000, open: func(t *testing.T) contract {
		redistest.Need(t)
		return emptied(t, openWaiting(t, withSentinel().URL(database()), 1))
	}},
	{name: "cluster", steps: 1000, alone: true, open: func(t *testing.T) contract {
		redistest.Need(t)
		inCluster().Flush(t)
		return openRedis(t, inCluster().URL())
	}},
}

// database is one that no other test of this run uses at the same time.
func database() int { return int(databases.Add(1) % 256) }

func emptied(t *testing.T, s *Redis) *Redis {
	t.Helper()
	if err := s.client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	return s
}

// each runs a test against every store.
func each(t *testing.T, test func(t *testing.T, s contract)) {
	eachRoom(t, func(t *testing.T, r room) { test(t, r.open(t)) })
}

func eachRoom(t *testing.T, test func(t *testing.T, r room)) {
	for _, r := range rooms {
		t.Run(r.name, func(t *testing.T) {
			if !r.alone {
				t.Parallel()
			}
			test(t, r)
		})
	}
}

func openRedis(t *testing.T, url string) *Redis {
	t.Helper()
	return openWaiting(t, url, 0)
}

// openWaiting opens a store whose writes wait for replicas.
func openWaiting(t *testing.T, url string, replicas int) *Redis {
	t.Helper()
	s, err := OpenRedis(url, replicas, audit.Chain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
