package redistest

import (
	"io"
	"net"
	"sync"
)

// Link is the way from a replica to its master. A stopped replica is not far behind:
// what was sent to it waits in the kernel and is read even after the master has died.
// What a held link has not passed on is lost with it, as on a slow network.
type Link struct {
	addr     string
	upstream string

	mu    sync.Mutex
	moved sync.Cond // held or cut has changed
	held  bool
	cut   bool
	conns []net.Conn
}

func newLink(t T, upstream string) *Link {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		t.Fatalf("opening a link: %v", err)
	}
	k := &Link{addr: l.Addr().String(), upstream: upstream}
	k.moved.L = &k.mu
	t.Cleanup(func() {
		_ = l.Close()
		k.Cut()
	})
	go func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			k.serve(down)
		}
	}()
	return k
}

func (k *Link) serve(down net.Conn) {
	up, err := net.Dial("tcp", k.upstream) //nolint:noctx // loopback
	if err != nil {
		_ = down.Close()
		return
	}
	k.mu.Lock()
	k.conns = append(k.conns, down, up)
	if k.cut {
		k.closeAll()
	}
	k.mu.Unlock()
	go func() {
		_, _ = io.Copy(up, down) // ends with the connections
		_ = up.Close()
	}()
	go func() {
		defer down.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := up.Read(buf)
			if err != nil || !k.pass() {
				return
			}
			if _, err := down.Write(buf[:n]); err != nil {
				return
			}
		}
	}()
}

// pass waits while the link is held, and reports whether it still stands.
func (k *Link) pass() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.held && !k.cut {
		k.moved.Wait()
	}
	return !k.cut
}

// Hold keeps back what the master sends from now on.
func (k *Link) Hold() { k.set(true, false) }

// Release passes on what was held back.
func (k *Link) Release() { k.set(false, false) }

// Cut ends the link for good. What was held back never arrives.
func (k *Link) Cut() { k.set(true, true) }

func (k *Link) set(held, cut bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.held, k.cut = held, k.cut || cut
	if k.cut {
		k.closeAll()
	}
	k.moved.Broadcast()
}

func (k *Link) closeAll() {
	for _, c := range k.conns {
		_ = c.Close()
	}
	k.conns = nil
}
