package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/sandbox"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// TestMain lets the test binary be the program, for tests that run it as a
// process: with the race detector, as everything else.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_BOT") != "" {
		main()
	}
	os.Exit(m.Run())
}

func botCommand(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append([]string{"RUN_AS_BOT=1"}, env...)
	return cmd
}

// process is a running `bot serve`.
type process struct {
	cmd  *exec.Cmd
	base string
	out  *syncBuffer
}

func startProcess(t *testing.T, env ...string) *process {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	_ = l.Close()
	env = append([]string{"LISTEN_ADDR=" + addr, "LOG_LEVEL=debug"}, env...)
	p := &process{cmd: botCommand(t, env, "serve"), base: "http://" + addr, out: &syncBuffer{}}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	if err := awaitReadiness(p.base, http.StatusOK); err != nil {
		t.Fatalf("%v\n%s", err, p.out)
	}
	return p
}

// startIn starts `bot serve` in a world whose bot signs in by a kind of credential.
func startIn(t *testing.T, credential string, settings ...string) (*sandbox.Sandbox, *process) {
	t.Helper()
	world, err := sandbox.Start(sandbox.Options{Credential: credential})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = world.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, world.CAPEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append(world.Env(), "SSL_CERT_FILE="+ca, "STATE_DIRECTORY="+t.TempDir())
	p := startProcess(t, append(env, settings...)...)
	world.SetBot(p.base)
	return world, p
}

// awaitReadiness asks /readyz until it answers with a status: its answers may be
// a moment old.
func awaitReadiness(base string, want int) error {
	deadline := time.Now().Add(patience)
	for {
		resp, err := http.Get(base + "/readyz")
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == want {
				return nil
			}
			err = fmt.Errorf("it answers %s", resp.Status)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("/readyz never answered %d: %w", want, err)
		}
	}
}

// One whole revocation by the program as it is run for real, told where its
// services are by environment variables only, once over each store.
func TestServeFromCommandToResult(t *testing.T) {
	stores := map[string]func(t *testing.T) string{
		"embedded": func(t *testing.T) string { return "STATE_DIRECTORY=" + t.TempDir() },
		"redis":    func(t *testing.T) string { return "REDIS_URL=" + redistest.Start(t) },
	}
	for name, setting := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			world, p := startIn(t, "secret", setting(t))
			play(t, world, "mallory@contoso.com")
			checkStop(t, p)
			checkNoSecrets(t, p.out.String(), world.Env())
		})
	}
}

// play is one whole revocation.
func play(t *testing.T, world *sandbox.Sandbox, upn string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	before := world.State().Revoked[upn]
	if d, err := world.Say(ctx, "alice", incident, "/revoke-session "+upn); err != nil || d.Status != http.StatusOK {
		t.Fatalf("command: %+v, %v", d, err)
	}
	ts := awaitCard(t, world)
	if d, err := world.Press(ctx, "bob", ts, "Confirm"); err != nil || d.Status != http.StatusOK {
		t.Fatalf("press: %+v, %v", d, err)
	}
	state, err := world.Await(ctx, func(s sandbox.State) bool { return results(s, ts) == 1 })
	if err != nil {
		t.Fatalf("no result: %v\n%s", err, chat(state))
	}
	if n := state.Revoked[upn] - before; n != 1 {
		t.Errorf("revoked %d times, want 1", n)
	}
}

// awaitCard waits for a card with its buttons and returns its timestamp.
func awaitCard(t *testing.T, world *sandbox.Sandbox) (ts string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := world.Await(ctx, func(s sandbox.State) bool {
		for _, m := range s.Messages {
			if len(m.Buttons) == 3 {
				ts = m.TS
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

func results(s sandbox.State, card string) int {
	n := 0
	for _, m := range s.Messages {
		if m.ThreadTS == card && m.TS != card && sentences.MatchString(m.Plain) {
			n++
		}
	}
	return n
}

// checkStop asks the process to stop and wants it to do so in order.
func checkStop(t *testing.T, p *process) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("stopping: %v\n%s", err, p.out)
	}
}

// checkNoSecrets looks for every secret, every token and every address of a
// person in a log at its most talkative.
func checkNoSecrets(t *testing.T, log string, env []string) {
	t.Helper()
	forbidden := []string{"Bearer ", "xoxb-", "eyJ", "@contoso.com", "/commands/T", "/actions/T"}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		if strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN") {
			forbidden = append(forbidden, value)
		}
	}
	for _, secret := range forbidden {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret[:min(len(secret), 8)])
		}
	}
	if !strings.Contains(log, "request moved on") {
		t.Error("the log has nothing to look into")
	}
}

func TestServeNamesEveryMissingSettingAndExits2(t *testing.T) {
	cmd := botCommand(t, []string{"REQUEST_TTL=never"}, "serve")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err := cmd.Run()
	if code := cmd.ProcessState.ExitCode(); code != 2 {
		t.Errorf("exit code %d (%v), want 2", code, err)
	}
	for _, name := range []string{
		"SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "REQUEST_TTL",
	} {
		if !strings.Contains(stderr.String(), name) {
			t.Errorf("%s is not named in:\n%s", name, &stderr)
		}
	}
}

func TestSecretsOnTheCommandLineAreRefused(t *testing.T) {
	var stderr bytes.Buffer
	code := run(t.Context(), []string{"serve", "--azure-client-secret=canary"}, io.Discard, &stderr)
	if code != 2 || !strings.Contains(stderr.String(), "AZURE_CLIENT_SECRET must come from the environment") || strings.Contains(stderr.String(), "canary") {
		t.Errorf("exit %d:\n%s", code, &stderr)
	}
}

// With its store gone the bot says so: no 200, an answer to the person, not
// ready; and it works again when the store is back.
func TestStoreDown(t *testing.T) {
	gate := newGate(t, strings.TrimPrefix(strings.TrimSuffix(redistest.Start(t), "/0"), "redis://"))
	world, p := startIn(t, "secret", "REDIS_URL=redis://"+gate.addr+"/0")
	gate.close()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	d, err := world.Say(ctx, "alice", incident, "/revoke-session mallory@contoso.com")
	if err != nil || d.Status == http.StatusOK {
		t.Errorf("command with the store down: %+v, %v; want no 200", d, err)
	}
	_, err = world.Await(ctx, func(s sandbox.State) bool {
		for _, e := range s.Ephemerals {
			if e.To == "alice" && strings.Contains(e.Plain, "Nothing was recorded") {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Errorf("alice was not told: %v", err)
	}
	if err := awaitReadiness(p.base, http.StatusServiceUnavailable); err != nil {
		t.Error(err)
	}
	gate.open(t)
	play(t, world, "mallory@contoso.com")
}

// gate is a TCP way to a server that can be closed and opened.
type gate struct {
	addr, upstream string
	mu             sync.Mutex
	listener       net.Listener
	conns          []net.Conn
}

func newGate(t *testing.T, upstream string) *gate {
	t.Helper()
	g := &gate{upstream: upstream, addr: "127.0.0.1:0"}
	g.open(t)
	t.Cleanup(g.close)
	return g
}

func (g *gate) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", g.addr)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.listener, g.addr = l, l.Addr().String()
	g.mu.Unlock()
	go func() {
		for {
			down, err := l.Accept()
			if err != nil {
				return
			}
			up, err := net.Dial("tcp", g.upstream)
			if err != nil {
				_ = down.Close()
				continue
			}
			g.mu.Lock()
			g.conns = append(g.conns, down, up)
			g.mu.Unlock()
			go func() { _, _ = io.Copy(up, down) }()
			go func() { _, _ = io.Copy(down, up) }()
		}
	}()
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.listener.Close()
	for _, c := range g.conns {
		_ = c.Close()
	}
	g.conns = nil
}

// Whatever goes wrong, each line of the log is JSON: go-redis has a logger of its own.
func TestServeLogsJSONWithoutItsRedis(t *testing.T) {
	t.Parallel()
	gone := redistest.StartServer(t)
	_, p := startIn(t, "secret", "REDIS_URL="+gone.URL(0))
	gone.Kill()
	if err := awaitReadiness(p.base, http.StatusServiceUnavailable); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, "what go-redis says", func() bool { return strings.Contains(p.out.String(), `"msg":"go-redis"`) })
	checkStop(t, p)
	for line := range strings.Lines(p.out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
}
