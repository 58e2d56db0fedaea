package store

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// forget says when a request may be forgotten, and when it is due.
func forget(at, due time.Time) request.UpdateFunc {
	return func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
		r.Forget, r.Due = at, due
		return r, []request.Record{{Request: r.ID, Event: "forget"}}, nil
	}
}

// An open request never vanishes, whatever it says of being forgotten: neither one
// that is due some day nor one that somebody works on.
func TestAnOpenRequestIsNeverForgotten(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		long := time.Now().Add(-time.Hour)
		create(t, s, "claimed", due(0))
		claimed, err := s.Claim(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		create(t, s, "due", forget(long, time.Now().Add(time.Hour)))
		if _, err := s.Update(t.Context(), "claimed", forget(long, time.Time{})); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("Sweep = %d, %v", n, err)
		}
		get(t, s, "due")
		if r := get(t, s, "claimed"); r.Lease.Fence != claimed.Lease.Fence {
			t.Errorf("lease %+v, want it as claimed", r.Lease)
		}
		release := func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
			r.Lease = request.Lease{}
			return r, nil, nil
		}
		if _, err := s.Update(t.Context(), "claimed", release); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("Sweep = %d, %v", n, err)
		}
		if _, err := s.Get(t.Context(), "claimed"); !errors.Is(err, request.ErrNotFound) {
			t.Errorf("Get of a finished request whose time has come = %v, want ErrNotFound", err)
		}
		if n := count(t, s); n != 2 {
			t.Errorf("%d records, want 2: what happened is not forgotten", n)
		}
	})
}

// Redis forgets by itself: the row has an end after a swap with Forget, and none
// after one without.
func TestRedisForgetsByItself(t *testing.T) {
	redistest.Need(t)
	s := emptied(t, openRedis(t, oneServer().URL(database())))
	ttl := func() time.Duration {
		t.Helper()
		d, err := s.client.PTTL(t.Context(), keyRow+"r1").Result()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	const forever = time.Duration(-1) // Redis's word for a key without an end
	day := time.Now().Add(24 * time.Hour)
	create(t, s, "r1", forget(day, time.Time{}))
	if d := ttl(); d < 23*time.Hour || d > 24*time.Hour {
		t.Errorf("after Create with Forget the row ends in %v, want 24h", d)
	}
	for _, step := range []struct {
		name string
		fn   request.UpdateFunc
		ends bool
	}{
		{"without Forget", forget(time.Time{}, time.Time{}), false},
		{"with Forget", forget(day, time.Time{}), true},
		{"with Forget and due", forget(day, day), false},
		{"with Forget again", forget(day, time.Time{}), true},
		{"due, without Forget", forget(time.Time{}, time.Now()), false},
	} {
		if _, err := s.Update(t.Context(), "r1", step.fn); err != nil {
			t.Fatal(err)
		}
		if d := ttl(); step.ends != (d > 0) || !step.ends && d != forever {
			t.Errorf("after a swap %s the row ends in %v", step.name, d)
		}
	}
	if _, err := s.Claim(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if d := ttl(); d != forever {
		t.Errorf("a claimed row ends in %v", d)
	}
}

// The other two drop a request in Sweep, and not before its time.
func TestSweepForgets(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	b, err := OpenBolt(filepath.Join(t.TempDir(), "state.db"), audit.Chain, clock)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for name, s := range map[string]contract{"memory": NewMemory(audit.Chain, clock), "bolt": b} {
		now = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
		at := now.Add(time.Hour)
		create(t, s, "r1", forget(at, time.Time{}))
		create(t, s, "open", forget(at, at.Add(time.Hour)))
		for _, step := range []struct {
			pass  time.Duration
			swept bool
			want  error
		}{
			{0, true, nil},
			{time.Hour - time.Nanosecond, true, nil},
			{time.Nanosecond, false, nil},
			{0, true, request.ErrNotFound},
		} {
			now = now.Add(step.pass)
			if step.swept {
				if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
					t.Errorf("%s: Sweep = %d, %v", name, n, err)
				}
			}
			if _, err := s.Get(t.Context(), "r1"); !errors.Is(err, step.want) {
				t.Errorf("%s: Get %v before its time, swept %t: %v, want %v", name, at.Sub(now), step.swept, err, step.want)
			}
		}
		now = now.Add(24 * time.Hour)
		if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("%s: Sweep = %d, %v", name, n, err)
		}
		get(t, s, "open")
		create(t, s, "r1", record("again")) // the id is free
	}
}
