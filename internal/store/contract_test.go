package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
)

// due makes a request due after d.
func due(d time.Duration) request.UpdateFunc {
	return func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
		r.Due = now.Add(d)
		return r, nil, nil
	}
}

func record(event string) request.UpdateFunc {
	return func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
		return r, []request.Record{{Time: now, Request: r.ID, Event: event}}, nil
	}
}

func create(t *testing.T, s contract, id request.ID, fn request.UpdateFunc) {
	t.Helper()
	if err := s.Create(t.Context(), request.Request{ID: id, State: request.Received}, fn); err != nil {
		t.Fatalf("Create(%s) = %v", id, err)
	}
}

func get(t *testing.T, s contract, id request.ID) request.Request {
	t.Helper()
	r, err := s.Get(t.Context(), id)
	if err != nil {
		t.Fatalf("Get(%s) = %v", id, err)
	}
	return r
}

func count(t *testing.T, s contract) uint64 {
	t.Helper()
	head, err := audit.Against{}.Verify(s.Records(t.Context(), 1))
	if err != nil {
		t.Fatalf("audit chain: %v", err)
	}
	return head.Count
}

func TestCreateThenGet(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		at := time.Date(2026, 11, 24, 3, 0, 0, 123456000, time.UTC)
		want := request.Request{
			ID: "r1", State: request.Pending, Command: request.Command{User: "mallory@contoso.com"}, Expires: at, Due: at,
			Origin:  request.Origin{SlackUser: request.SlackUser{Team: "T1", User: "U1"}, Channel: "C1"},
			Target:  request.Target{ObjectID: "o", UPN: "mallory@contoso.com", ValidFrom: at, Fault: request.Fault{Status: 503}},
			Presses: []request.Press{{Key: "k", Verb: request.Confirm, At: at}},
			Outcome: request.Outcome{Result: request.Failed, RequestIDs: []string{"x"}},
		}
		same := func(r request.Request, _ time.Time) (request.Request, []request.Record, error) { return r, nil, nil }
		if err := s.Create(t.Context(), want, same); err != nil {
			t.Fatal(err)
		}
		got := get(t, s, "r1")
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(request.Request{}, "Version")); diff != "" {
			t.Errorf("Get differs (-want +got):\n%s", diff)
		}
	})
}

func TestCreateRefusesATakenID(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", record("first"))
		err := s.Create(t.Context(), request.Request{ID: "r1", Command: request.Command{User: "other"}}, record("second"))
		if !errors.Is(err, request.ErrExists) {
			t.Errorf("second Create = %v, want ErrExists", err)
		}
		if r := get(t, s, "r1"); r.Command.User != "" {
			t.Errorf("second Create changed the request: user %q", r.Command.User)
		}
		if n := count(t, s); n != 1 {
			t.Errorf("%d records, want 1", n)
		}
	})
}

func TestMissingRequest(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		if _, err := s.Get(t.Context(), "none"); !errors.Is(err, request.ErrNotFound) {
			t.Errorf("Get = %v, want ErrNotFound", err)
		}
		if _, err := s.Update(t.Context(), "none", due(0)); !errors.Is(err, request.ErrNotFound) {
			t.Errorf("Update = %v, want ErrNotFound", err)
		}
	})
}

func TestUpdateErrorChangesNothing(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", due(time.Hour))
		boom := errors.New("boom")
		_, err := s.Update(t.Context(), "r1", func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
			r.Command.User, r.Due = "changed", now
			return r, []request.Record{{Event: "never"}}, boom
		})
		if !errors.Is(err, boom) {
			t.Errorf("Update = %v, want fn's error", err)
		}
		if r := get(t, s, "r1"); r.Command.User != "" {
			t.Errorf("failed Update changed the request: user %q", r.Command.User)
		}
		if _, err := s.Claim(t.Context(), time.Minute); !errors.Is(err, request.ErrNothingDue) {
			t.Errorf("failed Update changed the due index: Claim = %v", err)
		}
		if n := count(t, s); n != 0 {
			t.Errorf("failed Update wrote %d records", n)
		}
	})
}

func TestEndedContextWritesNothing(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Create(ctx, request.Request{ID: "r1"}, due(0)); err == nil {
			t.Error("Create with an ended context succeeded")
		}
		if _, err := s.Get(t.Context(), "r1"); !errors.Is(err, request.ErrNotFound) {
			t.Errorf("Get = %v, want ErrNotFound", err)
		}
	})
}

// Eight approvers race; the swap is the claim, so one wins.
func TestEightApproversRaceOneWins(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", due(time.Hour))
		taken := errors.New("taken")
		var mu sync.Mutex
		wins := 0
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				_, err := s.Update(t.Context(), "r1", func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
					if r.State == request.Approved {
						return r, nil, taken
					}
					r.State, r.Approvers = request.Approved, []request.Caller{{ObjectID: fmt.Sprint("approver", i)}}
					return r, []request.Record{{Time: now, Request: r.ID, Event: "confirm"}}, nil
				})
				switch {
				case err == nil:
					mu.Lock()
					wins++
					mu.Unlock()
				case !errors.Is(err, taken):
					t.Errorf("Update = %v", err)
				}
			})
		}
		wg.Wait()
		if wins != 1 {
			t.Errorf("%d of 8 approvers won, want 1", wins)
		}
		if n := count(t, s); n != 1 {
			t.Errorf("%d records of the claim, want 1", n)
		}
	})
}

// Writers of different requests share one audit chain; none is lost.
func TestRecordsOfConcurrentRequestsChain(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		const requests, steps = 6, 5
		var wg sync.WaitGroup
		for i := range requests {
			id := request.ID(fmt.Sprint("r", i))
			wg.Go(func() {
				if err := s.Create(t.Context(), request.Request{ID: id}, record("create")); err != nil {
					t.Errorf("Create: %v", err)
				}
				for range steps {
					if _, err := s.Update(t.Context(), id, record("step")); err != nil {
						t.Errorf("Update: %v", err)
					}
				}
			})
		}
		wg.Wait()
		if n := count(t, s); n != requests*(steps+1) {
			t.Errorf("%d records, want %d", n, requests*(steps+1))
		}
	})
}

func TestClaimTakesTheLongestDueOnce(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "future", due(time.Hour))
		create(t, s, "never", record("x"))
		create(t, s, "second", due(-time.Second))
		create(t, s, "first", due(-time.Minute))
		var got []request.ID
		fences := map[string]bool{}
		for range 2 {
			r, err := s.Claim(t.Context(), time.Minute)
			if err != nil {
				t.Fatalf("Claim = %v", err)
			}
			got = append(got, r.ID)
			fences[r.Lease.Fence] = true
			if r.Lease.Fence == "" || !r.Lease.Until.Equal(r.Lease.At.Add(time.Minute)) {
				t.Errorf("lease %+v, want a fence and one minute", r.Lease)
			}
			if kept := get(t, s, r.ID); kept.Lease.Fence != r.Lease.Fence {
				t.Errorf("stored fence %q, claimed %q", kept.Lease.Fence, r.Lease.Fence)
			}
		}
		if diff := cmp.Diff([]request.ID{"first", "second"}, got); diff != "" {
			t.Errorf("claimed (-want +got):\n%s", diff)
		}
		if len(fences) != 2 {
			t.Error("two claims share a fence")
		}
		if r, err := s.Claim(t.Context(), time.Minute); !errors.Is(err, request.ErrNothingDue) {
			t.Errorf("third Claim = %s, %v; want ErrNothingDue", r.ID, err)
		}
	})
}

func TestLeaseEndsAndIsTakenOver(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", due(0))
		first, err := s.Claim(t.Context(), 20*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		second := first
		for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
			if second, err = s.Claim(t.Context(), time.Minute); err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("nobody could take over: %v", err)
		}
		if second.Lease.At.Before(first.Lease.Until) {
			t.Errorf("taken over at %v, before the lease ended at %v", second.Lease.At, first.Lease.Until)
		}
		if first.Lease.Fence == second.Lease.Fence {
			t.Error("the fence did not change hands")
		}
	})
}

// A press that comes while somebody works must not end the lease, and must be
// due as soon as the lease is given back.
func TestUpdateDuringALeaseKeepsIt(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", due(0))
		claimed, err := s.Claim(t.Context(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Update(t.Context(), "r1", due(0)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context(), time.Minute); !errors.Is(err, request.ErrNothingDue) {
			t.Errorf("Claim of a leased request = %v, want ErrNothingDue", err)
		}
		_, err = s.Update(t.Context(), "r1", func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
			if r.Lease.Fence != claimed.Lease.Fence {
				t.Errorf("fence %q, want %q", r.Lease.Fence, claimed.Lease.Fence)
			}
			r.Lease = request.Lease{}
			return r, nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context(), time.Minute); err != nil {
			t.Errorf("Claim after the lease was given back = %v", err)
		}
	})
}

// Workers race for one due request: one gets it.
func TestClaimRace(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", due(0))
		var mu sync.Mutex
		wins := 0
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				_, err := s.Claim(t.Context(), time.Minute)
				if err == nil {
					mu.Lock()
					wins++
					mu.Unlock()
				} else if !errors.Is(err, request.ErrNothingDue) {
					t.Errorf("Claim = %v", err)
				}
			})
		}
		wg.Wait()
		if wins != 1 {
			t.Errorf("%d workers claimed it, want 1", wins)
		}
	})
}

func TestZeroDueLeavesTheIndex(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", due(0))
		_, err := s.Update(t.Context(), "r1", func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
			r.Due = time.Time{}
			return r, nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Claim(t.Context(), time.Minute); !errors.Is(err, request.ErrNothingDue) {
			t.Errorf("Claim = %v, want ErrNothingDue", err)
		}
	})
}

func TestSweepOfAWholeIndexFindsNothing(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		create(t, s, "r1", due(0))
		create(t, s, "r2", record("never due"))
		if n, err := s.Sweep(t.Context()); n != 0 || err != nil {
			t.Errorf("Sweep = %d, %v; want 0", n, err)
		}
	})
}

func TestCheck(t *testing.T) {
	each(t, func(t *testing.T, s contract) {
		if note, err := s.Check(t.Context()); err != nil || note != "" {
			t.Errorf("Check = %q, %v", note, err)
		}
	})
}
