package store

import (
	"io"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// A reply that is lost after the script ran must not turn our own success into
// a conflict, nor apply the step twice, also when somebody else wrote in between.
func TestRedisLostReplyIsNotAConflict(t *testing.T) {
	for name, between := range map[string]int{"alone": 0, "another writer": 1, "some writers": 7} {
		t.Run(name, func(t *testing.T) {
			server := redistest.StartServer(t)
			direct := openRedis(t, server.URL(0))
			create(t, direct, "r1", due(0))
			proxy := newLossyProxy(t, server.Addr)
			s := openRedis(t, "redis://"+proxy.addr+"/0")
			if _, err := s.Update(t.Context(), "r1", record("warm up")); err != nil {
				t.Fatal(err)
			}
			proxy.onLoss = func() {
				for i := range between {
					if _, err := direct.Claim(t.Context(), -time.Hour); i == 0 && err != nil { // a claim is a writer too
						t.Errorf("Claim = %v", err)
					}
					if _, err := direct.Update(t.Context(), "r1", record("other")); err != nil {
						t.Errorf("other Update = %v", err)
					}
				}
			}
			runs := 0
			next, err := s.Update(t.Context(), "r1", func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
				if runs++; runs == 1 {
					proxy.loseNext.Store(true) // the reply to the swap that follows
				}
				r.Attempts++
				return r, []request.Record{{Time: now, Event: "step"}}, nil
			})
			if err != nil || next.Version != 3 {
				t.Fatalf("Update = version %d, %v; want 3", next.Version, err)
			}
			if !proxy.lost.Load() {
				t.Fatal("no reply was lost: the test proves nothing")
			}
			if n := count(t, direct); runs != 1 || n != uint64(2+between) {
				t.Errorf("fn ran %d times and %d records stand, want 1 and %d", runs, n, 2+between)
			}
			if r := get(t, direct, "r1"); r.Attempts != 1 {
				t.Errorf("the step was applied %d times", r.Attempts)
			}
		})
	}
}

// Create has a second try as well, and finds its own request.
func TestRedisLostReplyToCreate(t *testing.T) {
	server := redistest.StartServer(t)
	direct := openRedis(t, server.URL(0))
	proxy := newLossyProxy(t, server.Addr)
	s := openRedis(t, "redis://"+proxy.addr+"/0")
	create(t, s, "warm up", due(time.Hour))
	create(t, s, "r1", func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
		proxy.loseNext.Store(true)
		return record("create")(r, now)
	})
	if n := count(t, direct); !proxy.lost.Load() || n != 1 {
		t.Errorf("lost %t, and %d records stand, want 1", proxy.lost.Load(), n)
	}
}

// lossyProxy cuts a connection instead of passing on the next reply when told so.
type lossyProxy struct {
	addr           string
	loseNext, lost atomic.Bool
	losses, oneIn  atomic.Int64
	onLoss         func() // before the connection is cut; nil is nothing
}

// newLossyProxy forwards to upstream.
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
			go p.back(down, up)
		}
	}()
	return p
}

func (p *lossyProxy) back(down, up net.Conn) {
	defer down.Close()
	defer up.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := up.Read(buf)
		if err != nil {
			return
		}
		if p.loses() {
			p.lost.Store(true)
			p.losses.Add(1)
			if p.onLoss != nil {
				p.onLoss()
			}
			return
		}
		if _, err := down.Write(buf[:n]); err != nil {
			return
		}
	}
}

// loses says so when told to, and by chance once in oneIn.
func (p *lossyProxy) loses() bool {
	n := p.oneIn.Load()
	return p.loseNext.CompareAndSwap(true, false) || n > 0 && rand.Int64N(n) == 0
}
