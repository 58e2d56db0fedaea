package store

import (
	"errors"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// What was acknowledged with WAIT is on the replica that takes over.
func TestPromotedReplicaHasWhatWasAcknowledged(t *testing.T) {
	t.Parallel()
	servers := redistest.StartReplicated(t, 1)
	l := startLoad(t, openWaiting(t, servers.Master.URL(0), 1), 4)
	l.until(t, 400)
	l.kill(servers.Master.Kill)
	l.end()
	promoted := openRedis(t, servers.Promote(t, 0).URL(0))
	if requests, approvals := l.missing(t, promoted); requests+approvals > 0 {
		t.Errorf("%d requests and %d approvals were acknowledged and are gone", requests, approvals)
	}
	t.Logf("%d requests and %d approvals acknowledged, none lost", len(l.created), len(l.approved))
}

// The same without WAIT, and a replica that is behind: what was acknowledged is gone.
// With it nothing is acknowledged, so nothing can be.
func TestPromotedReplicaThatWasBehind(t *testing.T) {
	t.Parallel()
	servers := redistest.StartReplicated(t, 1)
	servers.Links[0].Hold()
	careful := openWaiting(t, servers.Master.URL(0), 1)
	if err := careful.Create(t.Context(), request.Request{ID: "careful"}, due(0)); !errors.Is(err, request.ErrNotReplicated) {
		t.Errorf("Create with WAIT = %v, want ErrNotReplicated", err)
	}
	l := startLoad(t, openRedis(t, servers.Master.URL(0)), 4)
	l.until(t, 200)
	l.kill(servers.Master.Kill)
	l.end()
	servers.Links[0].Cut()
	promoted := openRedis(t, servers.Promote(t, 0).URL(0))
	requests, approvals := l.missing(t, promoted)
	if requests == 0 || approvals == 0 {
		t.Errorf("%d requests and %d approvals are gone: the tests of WAIT cannot fail", requests, approvals)
	}
	t.Logf("without WAIT %d of %d requests and %d of %d approvals are gone", requests, len(l.created), approvals, len(l.approved))
}

// The master dies under load: writers see errors for a while and go on, and nothing
// that was acknowledged is gone.
func TestFailoverUnderLoad(t *testing.T) {
	redistest.Need(t)
	t.Run("sentinel", func(t *testing.T) {
		t.Parallel()
		servers := redistest.StartSentinel(t)
		failOver(t, openWaiting(t, servers.URL(0), 1), func() { servers.KillMaster(t) }, func() { servers.AwaitFailover(t, 1) })
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		servers := redistest.StartCluster(t, hashTag, 2)
		failOver(t, openWaiting(t, servers.URL(), 1), func() { servers.KillOwner(t) }, func() { servers.AwaitFailover(t, 1) })
	})
}

func failOver(t *testing.T, s *Redis, kill, await func()) {
	t.Helper()
	l := startLoad(t, s, 4)
	l.until(t, 200)
	l.kill(kill)
	l.until(t, 200)
	l.end()
	await()
	if requests, approvals := l.missing(t, s); requests+approvals > 0 {
		t.Errorf("%d requests and %d approvals were acknowledged and are gone", requests, approvals)
	}
	if note, err := s.Check(t.Context()); err != nil || note != "" {
		t.Errorf("Check after the failover = %q, %v", note, err)
	}
	t.Logf("back after %v: %d requests and %d approvals acknowledged and none lost, %d surely not written, %d unsure",
		l.back.Sub(l.cut).Round(10*time.Millisecond), len(l.created), len(l.approved), len(l.refused), l.unsure)
}
