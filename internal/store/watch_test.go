package store

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// sent is a command as Redis received it.
type sent struct {
	from string // host:port of the connection
	name string // in lower case
	args []string
}

// watch collects what a server receives from now on (MONITOR), until the function it
// returns is called. What scripts do is left out.
func watch(t *testing.T, server *redistest.Server) func() []sent {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(conn)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() || lines.Text() != "+OK" {
		t.Fatalf("MONITOR = %q, %v", lines.Text(), lines.Err())
	}
	const last = "enough seen"
	var all []sent
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines.Scan() {
			c, ok := parseSent(lines.Text())
			if !ok {
				continue
			}
			if c.name == "echo" && len(c.args) == 1 && c.args[0] == last {
				return
			}
			all = append(all, c)
		}
		t.Errorf("MONITOR ended: %v", lines.Err())
	})
	return func() []sent {
		server.Must(t, "ECHO", last)
		reading.Wait()
		return all
	}
}

// parseSent reads +time [db address] "command" "argument"...
func parseSent(line string) (sent, bool) {
	_, rest, _ := strings.Cut(line, "[")
	where, what, ok := strings.Cut(rest, `] "`)
	_, from, _ := strings.Cut(where, " ")
	if !ok || from == "lua" {
		return sent{}, false
	}
	words := strings.Split(strings.TrimSuffix(what, `"`), `" "`)
	return sent{from: from, name: strings.ToLower(words[0]), args: words[1:]}, true
}

// together runs n functions at the same time and waits for them.
func together(n int, fn func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { fn(i) })
	}
	wg.Wait()
}
