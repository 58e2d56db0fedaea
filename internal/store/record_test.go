package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// A request says where the record ended with its last step that has records.
func TestHeadIsTheEndOfTheStepsRecords(t *testing.T) {
	three := func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
		rec := request.Record{Time: now, Request: r.ID, Event: "three"}
		return r, []request.Record{rec, rec, rec}, nil
	}
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", three)
		headIsLastLine(t, s, "r1", 3)
		create(t, s, "r2", record("between"))
		headIsLastLine(t, s, "r2", 4)
		got, err := s.Update(t.Context(), "r1", due(0))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context(), time.Minute); err != nil {
			t.Fatal(err)
		}
		if kept := get(t, s, "r1"); kept.Head != got.Head || got.Head.Count != 3 {
			t.Errorf("head %+v, then %+v; a step without records must leave it at 3", got.Head, kept.Head)
		}
		got, err = s.Update(t.Context(), "r1", three)
		if err != nil {
			t.Fatal(err)
		}
		if kept := get(t, s, "r1"); kept.Head != got.Head {
			t.Errorf("Update returned head %+v and kept %+v", got.Head, kept.Head)
		}
		headIsLastLine(t, s, "r1", 7)
	})
}

func headIsLastLine(t *testing.T, s contract, id request.ID, n uint64) {
	t.Helper()
	all := lines(t, s)
	if want := (request.Head{Count: n, Hash: audit.Hash(all[len(all)-1])}); get(t, s, id).Head != want {
		t.Errorf("%s has head %+v, want %+v", id, get(t, s, id).Head, want)
	}
}

func TestRecordsBeginWhereAsked(t *testing.T) {
	const n = 7
	each(t, func(t *testing.T, s contract) {
		for line, err := range s.Records(t.Context(), 0) {
			t.Errorf("an empty store has a line: %s, %v", line, err)
		}
		for i := range n {
			create(t, s, request.ID(fmt.Sprint("r", i)), record("create"))
		}
		all := lines(t, s)
		for _, from := range []uint64{0, 1, 2, n, n + 1, 1000, math.MaxUint64} {
			var got [][]byte
			for line, err := range s.Records(t.Context(), from) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, line)
			}
			want := all[min(max(from, 1)-1, n):]
			if len(got) != len(want) || len(got) > 0 && !bytes.Equal(got[0], want[0]) {
				t.Errorf("%d lines from %d on, want %d", len(got), from, len(want))
			}
		}
		for _, err := range s.Records(t.Context(), 2) {
			if err != nil {
				t.Error(err)
			}
			break // a reader may stop at any line
		}
	})
}

// Eight writers race for the chain; whatever was computed anew, each request names the
// line that is its own.
func TestHeadOfConcurrentRequests(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if err := s.Create(t.Context(), request.Request{ID: request.ID(fmt.Sprint("r", i))}, record("create")); err != nil {
					t.Errorf("Create: %v", err)
				}
			})
		}
		wg.Wait()
		all := lines(t, s)
		for i := range 8 {
			id := request.ID(fmt.Sprint("r", i))
			head := get(t, s, id).Head
			if head.Count == 0 || head.Count > 8 {
				t.Fatalf("%s has head %+v", id, head)
			}
			line := all[head.Count-1]
			if audit.Hash(line) != head.Hash || !bytes.Contains(line, []byte(`"request":"`+id+`"`)) {
				t.Errorf("%s has head %+v, which is %s", id, head, line)
			}
		}
	})
}

func TestReadBoltReadsWhatNobodyHasOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	b := openBolt(t, path)
	create(t, b, "r1", record("create"))
	if _, err := ReadBolt(path); !errors.Is(err, ErrInUse) {
		t.Errorf("ReadBolt beside a bot = %v, want ErrInUse", err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ReadBolt(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := (audit.Against{}).Verify(r.Records(t.Context(), 1)); err != nil || got.Count != 1 {
		t.Errorf("read %+v, %v; want one line", got, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("reading changed the file: %v", err)
	}
}

func TestReadBoltMakesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.db")
	if _, err := ReadBolt(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("ReadBolt = %v, want ErrNotExist", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file exists: %v", err)
	}
}

func TestSettledAsksTheReplicas(t *testing.T) {
	t.Parallel()
	servers := redistest.StartReplicated(t, 1)
	careful, alone := openWaiting(t, servers.Master.URL(0), 1), openRedis(t, servers.Master.URL(0))
	if err := careful.Settled(t.Context()); err != nil {
		t.Errorf("Settled = %v", err)
	}
	servers.Links[0].Hold()
	if err := alone.Settled(t.Context()); err != nil {
		t.Errorf("Settled without REDIS_WAIT_REPLICAS = %v", err)
	}
	if err := careful.Settled(t.Context()); !errors.Is(err, request.ErrNotReplicated) {
		t.Errorf("Settled = %v, want ErrNotReplicated", err)
	}
}
