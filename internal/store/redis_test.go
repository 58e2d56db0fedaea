package store

import (
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

func openRedis(t *testing.T, url string) *Redis {
	t.Helper()
	s, err := OpenRedis(url, 0, audit.Chain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

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
	for name, err := range map[string]error{
		"Check":  checked,
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

// A reply that is lost after the script ran must not turn our own success into
// a conflict, nor apply the step twice.
func TestRedisLostReplyIsNotAConflict(t *testing.T) {
	direct := openRedis(t, redistest.Start(t))
	create(t, direct, "r1", due(time.Hour))
	u, err := url.Parse("redis://" + direct.client.(*redis.Client).Options().Addr)
	if err != nil {
		t.Fatal(err)
	}
	proxy := newLossyProxy(t, u.Host)
	s := openRedis(t, "redis://"+proxy.addr+"/0")
	if _, err := s.Update(t.Context(), "r1", record("warm up")); err != nil {
		t.Fatal(err)
	}
	runs := 0
	_, err = s.Update(t.Context(), "r1", func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
		runs++
		proxy.loseNext.Store(true) // the reply to the swap that follows
		r.Command.User = "changed"
		return r, []request.Record{{Time: now, Event: "step"}}, nil
	})
	if err != nil {
		t.Fatalf("Update = %v", err)
	}
	if !proxy.lost.Load() {
		t.Fatal("no reply was lost: the test proves nothing")
	}
	if n := count(t, direct); runs != 1 || n != 2 {
		t.Errorf("fn ran %d times and %d records stand, want 1 and 2", runs, n)
	}
}

type lossyProxy struct {
	addr           string
	loseNext, lost atomic.Bool
}

// newLossyProxy forwards to upstream and cuts a connection instead of passing on
// the next reply when told so.
func newLossyProxy(t *testing.T, upstream string) *lossyProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	p := &lossyProxy{addr: l.Addr().String()}
	go func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", upstream)
			if err != nil {
				_ = down.Close()
				continue
			}
			go func() { _, _ = io.Copy(up, down) }()
			go func() {
				defer down.Close()
				defer up.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := up.Read(buf)
					if err != nil {
						return
					}
					if p.loseNext.CompareAndSwap(true, false) {
						p.lost.Store(true)
						return
					}
					if _, err := down.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return p
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
