package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// A server that dies after it has carried out a write, before its answer: nobody may
// be told that nothing was recorded.
func TestRedisThatDiesAfterAWriteIsNotUnavailable(t *testing.T) {
	redistest.Need(t)
	kinds := map[string]func(w *dyingWire) redis.UniversalClient{
		"single": func(w *dyingWire) redis.UniversalClient {
			opts, err := redis.ParseURL(oneServer().URL(database()))
			if err != nil {
				t.Fatal(err)
			}
			opts.MaxRetries, opts.Dialer, opts.DialerRetries = -1, w.dial, 1
			return redis.NewClient(opts)
		},
		"cluster": func(w *dyingWire) redis.UniversalClient {
			inCluster().Flush(t)
			return redis.NewClusterClient(&redis.ClusterOptions{
				Addrs: []string{inCluster().Owner(t).Addr}, MaxRetries: -1, Dialer: w.dial, DialerRetries: 1,
			})
		},
	}
	for name, open := range kinds {
		t.Run(name, func(t *testing.T) {
			w := &dyingWire{}
			s := NewRedis(open(w), 0, audit.Chain)
			defer s.Close()
			create(t, s, "r1", due(time.Hour))
			w.armed.Store(true)
			_, err := s.Update(t.Context(), "r1", record("step"))
			if !w.dead.Load() {
				t.Fatal("the server did not die: the test proves nothing")
			}
			if err == nil || errors.Is(err, request.ErrUnavailable) {
				t.Errorf("Update = %v, want an error that leaves open whether it was written", err)
			}
			w.dead.Store(false)
			if r := get(t, s, "r1"); r.Version != 2 {
				t.Errorf("version %d: the write did not take place, and the test proves nothing", r.Version)
			}
		})
	}
}

// dyingWire is the way to servers that die when they have carried out the next script
// that swaps: its answer is lost, and nobody answers the door.
type dyingWire struct{ armed, dead atomic.Bool }

func (w *dyingWire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if w.dead.Load() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	return &dyingConn{Conn: conn, wire: w}, err
}

type dyingConn struct {
	net.Conn
	wire *dyingWire
	dies atomic.Bool
}

func (c *dyingConn) Write(b []byte) (int, error) {
	if c.wire.dead.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPIPE)}
	}
	if bytes.Contains(b, []byte(redis.NewScript(swapLua).Hash())) && c.wire.armed.CompareAndSwap(true, false) {
		c.dies.Store(true)
	}
	return c.Conn.Write(b)
}

func (c *dyingConn) Read(b []byte) (int, error) {
	if c.wire.dead.Load() {
		return 0, io.EOF
	}
	n, err := c.Conn.Read(b)
	if c.dies.Load() {
		c.wire.dead.Store(true)
		return 0, io.EOF
	}
	return n, err
}
