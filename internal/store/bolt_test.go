package store

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
)

func openBolt(t *testing.T, path string) *Bolt {
	t.Helper()
	b, err := OpenBolt(path, audit.Chain, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestBoltSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	b := openBolt(t, path)
	create(t, b, "r1", due(0))
	if _, err := b.Update(t.Context(), "r1", record("step")); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	again := openBolt(t, path)
	if n := count(t, again); n != 1 {
		t.Errorf("%d records after the restart, want 1", n)
	}
	if r, err := again.Claim(t.Context(), time.Minute); err != nil || r.ID != "r1" {
		t.Errorf("Claim after the restart = %s, %v; want r1", r.ID, err)
	}
}

func TestBoltRefusesASecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	openBolt(t, path)
	_, err := OpenBolt(path, audit.Chain, time.Now)
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second OpenBolt = %v, want the reason", err)
	}
}

func TestBoltRefusesAnUnknownFormat(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	b := openBolt(t, path)
	err := b.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketMeta).Put(keyFormat, []byte("99")) })
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	if _, err := OpenBolt(path, audit.Chain, time.Now); err == nil || !strings.Contains(err.Error(), "format 99") {
		t.Errorf("OpenBolt = %v, want the format named", err)
	}
}

func TestBoltClosedIsUnavailable(t *testing.T) {
	b := openBolt(t, filepath.Join(t.TempDir(), "state.db"))
	_ = b.Close()
	if _, err := b.Check(t.Context()); !errors.Is(err, request.ErrUnavailable) {
		t.Errorf("Check after Close = %v, want ErrUnavailable", err)
	}
}

func TestBoltSweepMendsTheIndex(t *testing.T) {
	b := openBolt(t, filepath.Join(t.TempDir(), "state.db"))
	create(t, b, "r1", due(0))
	err := b.db.Update(func(tx *bolt.Tx) error {
		key, _ := tx.Bucket(bucketDue).Cursor().First()
		return tx.Bucket(bucketDue).Delete(key)
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := b.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("Sweep = %d, %v; want 1", n, err)
	}
	if _, err := b.Claim(t.Context(), time.Minute); err != nil {
		t.Errorf("Claim after Sweep = %v", err)
	}
}

// One request that cannot be read must not keep the others from being served.
func TestBoltUnreadableRequestDoesNotBlock(t *testing.T) {
	b := openBolt(t, filepath.Join(t.TempDir(), "state.db"))
	create(t, b, "bad", due(-time.Hour))
	create(t, b, "good", due(0))
	err := b.db.Update(func(tx *bolt.Tx) error { return tx.Bucket(bucketRequests).Put([]byte("bad"), []byte("{")) })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Claim(t.Context(), time.Minute); err == nil || errors.Is(err, request.ErrNothingDue) {
		t.Errorf("first Claim = %v, want it to name the unreadable request", err)
	}
	if r, err := b.Claim(t.Context(), time.Minute); err != nil || r.ID != "good" {
		t.Errorf("second Claim = %s, %v; want good", r.ID, err)
	}
}

// The file's lock proves that the process before us is gone, so its leases need
// not be waited out.
func TestBoltGivesBackLeasesOfADeadProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	b := openBolt(t, path)
	create(t, b, "r1", due(0))
	first, err := b.Claim(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Close()
	again := openBolt(t, path)
	second, err := again.Claim(t.Context(), time.Hour)
	if err != nil || second.Lease.Fence == first.Lease.Fence {
		t.Errorf("Claim = %v, want a new claim", err)
	}
}

// A write that takes longer than its caller can wait is not said to have failed.
func TestBoltSlowWriteIsUnsure(t *testing.T) {
	b := openBolt(t, filepath.Join(t.TempDir(), "state.db"))
	create(t, b, "r1", due(0))
	busy, err := b.db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err = b.Update(ctx, "r1", record("late"))
	if !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, request.ErrUnavailable) {
		t.Errorf("Update = %v, want the deadline and no promise that nothing was written", err)
	}
	if err := busy.Rollback(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); count(t, b) != 1; {
		if time.Now().After(deadline) {
			t.Fatal("the write never took place")
		}
	}
}
