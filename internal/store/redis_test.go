package store

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

func TestRedisSweepMendsTheIndex(t *testing.T) {
	s := openRedis(t, redistest.Start(t))
	create(t, s, "r1", due(0))
	if err := s.client.Del(t.Context(), keyDueSet).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context()); n != 1 || err != nil {
		t.Errorf("Sweep = %d, %v; want 1", n, err)
	}
	if r, err := s.Claim(t.Context(), time.Minute); err != nil || r.ID != "r1" {
		t.Errorf("Claim after Sweep = %s, %v; want r1", r.ID, err)
	}
}

func TestRedisDownIsUnavailable(t *testing.T) {
	s := openRedis(t, "redis://127.0.0.1:1/0")
	_, checked := s.Check(t.Context())
	_, claimed := s.Claim(t.Context(), time.Minute)
	if errors.Is(claimed, request.ErrNothingDue) {
		t.Errorf("Claim = %v, and nobody can know that nothing is due", claimed)
	}
	for name, err := range map[string]error{
		"Check":  checked,
		"Claim":  claimed,
		"Create": s.Create(t.Context(), request.Request{ID: "r1"}, due(0)),
	} {
		if !errors.Is(err, request.ErrUnavailable) {
			t.Errorf("%s = %v, want ErrUnavailable", name, err)
		}
	}
}

func TestRedisURLErrorsKeepThePassword(t *testing.T) {
	_, err := OpenRedis("http://:hunter2@contoso.com", 0, audit.Chain)
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("OpenRedis = %v, want an error without the password", err)
	}
}

// One request that cannot be read must not keep the others from being served.
func TestRedisSweepGoesOnPastAnUnreadableRequest(t *testing.T) {
	s := openRedis(t, redistest.Start(t))
	for _, id := range []request.ID{"a", "b", "c"} {
		create(t, s, id, due(0))
	}
	if err := s.client.HSet(t.Context(), keyRow+"b", "request", "{").Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.client.Del(t.Context(), keyDueSet).Err(); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Sweep(t.Context()); n != 2 || err != nil {
		t.Errorf("Sweep = %d, %v; want 2", n, err)
	}
}

// Another replica being faster with the first entry does not hide the second.
func TestRedisClaimGoesOnPastATakenRequest(t *testing.T) {
	s := openRedis(t, redistest.Start(t))
	create(t, s, "first", due(-2*time.Second))
	create(t, s, "second", due(-time.Second))
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			if _, err := s.Claim(t.Context(), time.Minute); err != nil {
				t.Errorf("Claim = %v, want one of the two", err)
			}
		})
	}
	wg.Wait()
}
