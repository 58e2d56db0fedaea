package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// startWithin bounds the start of a server, and of what servers agree on.
const startWithin = 15 * time.Second

// Server is one redis-server process.
type Server struct {
	Addr string // host:port
	Dir  string // where it keeps its files

	secure string // host:port for TLS, if it has one
	cmd    *exec.Cmd
	ended  chan struct{}
	client *redis.Client
}

// launch starts a redis-server that ends with the test, and does not wait for it.
func launch(t T, args ...string) *Server {
	t.Helper()
	bin := Need(t)
	port := freePort(t)
	dir := t.TempDir()
	return run(t, bin, port, dir, append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", dir, "--logfile", filepath.Join(dir, "log"),
		"--save", "", "--databases", "256", "--appendonly", "yes", "--maxmemory-policy", "noeviction",
		// What waits for a better moment in production need not wait here.
		"--repl-diskless-sync", "no", "--repl-ping-replica-period", "1",
	}, args...))
}

func run(t T, bin string, port int, dir string, args []string) *Server {
	t.Helper()
	s := &Server{
		Addr:  net.JoinHostPort("127.0.0.1", strconv.Itoa(port)),
		cmd:   exec.Command(bin, args...), //nolint:noctx,gosec // ends with the test; the arguments are ours
		ended: make(chan struct{}), Dir: dir,
	}
	s.client = redis.NewClient(&redis.Options{
		Addr: s.Addr, MaxRetries: -1, DialerRetries: 1, PoolSize: 4, ContextTimeoutEnabled: true,
	})
	// A group of its own: what it forks to rewrite its file has to end with it, or it
	// goes on writing into a directory that the test is removing.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatalf("starting redis-server: %v", err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.ended)
	}()
	t.Cleanup(func() {
		_ = s.client.Close()
		s.Kill()
	})
	return s
}

// ready waits until the server answers.
func (s *Server) ready(t T) {
	t.Helper()
	await(t, "redis-server at "+s.Addr, startWithin, func() bool {
		select {
		case <-s.ended:
			text, _ := os.ReadFile(filepath.Join(s.Dir, "log")) // if there is none, that is all there is to say
			t.Fatalf("redis-server at %s has ended: %s", s.Addr, text)
		default:
		}
		_, err := s.Do("PING")
		return err == nil
	})
}

// URL is the address of one of its databases.
func (s *Server) URL(db int) string { return fmt.Sprintf("redis://%s/%d", s.Addr, db) }

// Do sends one command past the store under test and returns its answer.
func (s *Server) Do(args ...any) (any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return s.client.Do(ctx, args...).Result()
}

// Must is Do for commands that have to succeed.
func (s *Server) Must(t T, args ...any) string {
	t.Helper()
	answer, err := s.Do(args...)
	if err != nil {
		t.Fatalf("%v at %s: %v", args[0], s.Addr, err)
	}
	return fmt.Sprint(answer)
}

// says reports whether the answer to a command has a text in it.
func (s *Server) says(text string, args ...any) bool {
	answer, err := s.Do(args...)
	return err == nil && strings.Contains(fmt.Sprint(answer), text)
}

// Pause stops the process where it stands (SIGSTOP): its connections stay open and
// nothing answers. It returns when it has stopped.
func (s *Server) Pause(t T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatalf("stopping redis-server: %v", err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(s.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("redis-server did not stop: %v", err)
	}
}

// Continue lets a paused process go on.
func (s *Server) Continue(t T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatalf("continuing redis-server: %v", err)
	}
}

// Kill ends the process at once (SIGKILL), also a paused one.
func (s *Server) Kill() {
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // it may have ended before
	<-s.ended
	for deadline := time.Now().Add(time.Second); time.Now().Before(deadline); {
		if syscall.Kill(-s.cmd.Process.Pid, 0) != nil { // its children have ended too
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// freePort returns a port below 55536, so that the port 10000 above it, on which
// the nodes of a Cluster talk, is one too.
func freePort(t T) int {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
		if err != nil {
			t.Fatalf("finding a free port: %v", err)
		}
		port := l.Addr().(*net.TCPAddr).Port                                                   //nolint:forcetypeassert // a TCP listener has a TCP address
		bus, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+10000))) //nolint:noctx // returns at once
		_ = l.Close()
		if err == nil {
			_ = bus.Close()
			return port
		}
	}
	t.Fatalf("no free port")
	return 0
}
