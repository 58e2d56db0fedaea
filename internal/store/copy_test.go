package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
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

// With a key, the head of a step is the checkpoint behind it, in every room.
func TestHeadIsTheCheckpoint(t *testing.T) {
	t.Parallel()
	redistest.Need(t)
	private, public, err := audit.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := audit.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := audit.ParseVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	chain := audit.NewChain(signer)
	b, err := OpenBolt(filepath.Join(t.TempDir(), "state.db"), chain, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	r, err := OpenRedis(oneServer().URL(database()), 0, chain)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for name, s := range map[string]contract{"memory": NewMemory(chain, time.Now), "bolt": b, "redis": emptied(t, r)} {
		create(t, s, "r1", record("command"))
		headIsLastLine(t, s, "r1", 1)
		create(t, s, "r2", record("result"))
		headIsLastLine(t, s, "r2", 3)
		got, err := audit.Against{Keys: []audit.Verifier{verifier}}.Verify(s.Records(t.Context(), 1))
		if err != nil || got.Checkpoints != 1 || got.Uncovered != 0 || got.Head != get(t, s, "r2").Head {
			t.Errorf("%s: Verify = %+v, %v", name, got, err)
		}
	}
}

// server is a Redis that changes when another one is promoted.
type server struct{ now atomic.Pointer[Redis] }

func (s *server) records(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	return s.now.Load().Records(ctx, from)
}

func (s *server) settled(ctx context.Context) error { return s.now.Load().Settled(ctx) }

// reports waits until the file verifies, or does not, as asked.
func reports(t *testing.T, path string, want error, count uint64) (got audit.Report) {
	t.Helper()
	await(t, fmt.Sprintf("a file of %d lines: %v", count, want), func() bool {
		text, _ := os.ReadFile(path) // it may not be there yet
		var err error
		got, err = audit.Against{}.Verify(audit.Lines(bytes.NewReader(text)))
		return errors.Is(err, want) && got.Count == count
	})
	return got
}

func await(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	timeout := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatalf("never: %s", what)
		}
	}
}

// reach waits until the replica has all that was written.
func reach(t *testing.T, servers *redistest.Replicated) {
	t.Helper()
	if err := openWaiting(t, servers.Master.URL(0), 1).Settled(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A replica that was behind is promoted. What a store without WAIT had acknowledged is
// in the file and gone from the store: a fork. With WAIT it was not in the file.
func TestCopyOfAStoreThatLosesWrites(t *testing.T) {
	t.Parallel()
	for _, wait := range []int{0, 1} {
		t.Run(fmt.Sprintf("wait for %d", wait), func(t *testing.T) {
			t.Parallel()
			servers := redistest.StartReplicated(t, 1)
			var s server
			s.now.Store(openWaiting(t, servers.Master.URL(0), wait))
			create(t, s.now.Load(), "r1", record("kept"))
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			file := audit.NewFile(path, s.records, s.settled, slog.New(slog.DiscardHandler))
			ctx, cancel := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { file.Run(ctx) })
			defer running.Wait()
			defer cancel()
			reports(t, path, nil, 1)
			reach(t, servers)
			servers.Links[0].Hold()
			err := s.now.Load().Create(t.Context(), request.Request{ID: "r2"}, record("lost"))
			if wait == 0 && err != nil || wait == 1 && !errors.Is(err, request.ErrNotReplicated) {
				t.Fatalf("Create = %v", err)
			}
			if wait == 0 {
				reports(t, path, nil, 2)
			} else {
				await(t, "a line that is not promised", func() bool { return file.Note() != "" })
				reports(t, path, nil, 1)
			}
			servers.Master.Kill()
			servers.Links[0].Cut()
			s.now.Store(openRedis(t, servers.Promote(t, 0).URL(0)))
			create(t, s.now.Load(), "r3", record("new"))
			want := audit.ErrForked
			if wait == 1 {
				want = nil
			}
			if got := reports(t, path, want, 2); want != nil && (len(got.Forks) != 1 || got.Forks[0].Number != 2) {
				t.Errorf("forks %+v, want one at 2", got.Forks)
			}
		})
	}
}
