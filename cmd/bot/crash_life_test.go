package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// crashLife is one process, from its start to its end.
type crashLife struct {
	name  string
	cmd   *exec.Cmd
	out   *syncBuffer
	base  string
	ended chan struct{}
	ready bool // guarded by its member's lock
}

// kill ends the process as the kernel does, and returns when it is gone.
func (l *crashLife) kill() {
	_ = l.cmd.Process.Kill() // it may have ended before
	<-l.ended
}

// stop asks the process to end, and returns when it has.
func (l *crashLife) stop(within time.Duration) error {
	_ = l.cmd.Process.Signal(syscall.SIGTERM) // it may have ended before
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-l.ended:
	case <-timer.C:
		l.kill()
		return fmt.Errorf("process %s did not stop within %v", l.name, within)
	}
	return nil
}

func (l *crashLife) living() bool {
	select {
	case <-l.ended:
		return false
	default:
		return true
	}
}

// crashMember is a replica: a place in which one process after the other lives.
type crashMember struct {
	name string
	env  []string

	mu    sync.Mutex
	lives []*crashLife
}

// now is the process that lives there, or lived there last.
func (m *crashMember) now() *crashLife {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.lives) == 0 {
		return nil
	}
	return m.lives[len(m.lives)-1]
}

// usable is the process if it lives and can take deliveries.
func (m *crashMember) usable() *crashLife {
	l := m.now()
	if l == nil || !l.living() {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !l.ready {
		return nil
	}
	return l
}

// crashStarts bounds how many processes start at the same time: that is what costs most,
// and what a machine should not stall all conversations with.
var crashStarts = make(chan struct{}, 4)

// start starts a process and returns when it is ready.
func (m *crashMember) start() error {
	crashStarts <- struct{}{}
	defer func() { <-crashStarts }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	m.mu.Lock()
	l := &crashLife{
		name: fmt.Sprintf("%s%c", m.name, 'a'+len(m.lives)), cmd: exec.Command(self, "serve"), out: &syncBuffer{}, ended: make(chan struct{}),
	}
	l.cmd.Env = append([]string{"RUN_AS_BOT=1", "LISTEN_ADDR=127.0.0.1:0", "LOG_LEVEL=debug"}, m.env...)
	l.cmd.Stdout, l.cmd.Stderr = l.out, l.out
	if err := l.cmd.Start(); err != nil {
		m.mu.Unlock()
		return err
	}
	m.lives = append(m.lives, l)
	m.mu.Unlock()
	go func() {
		_ = l.cmd.Wait()
		close(l.ended)
	}()
	if err := l.awaitReady(); err != nil {
		return fmt.Errorf("process %s: %w\n%s", l.name, err, l.out)
	}
	m.mu.Lock()
	l.ready = true
	m.mu.Unlock()
	return nil
}

// awaitReady finds out where the process listens, and waits for its readiness.
func (l *crashLife) awaitReady() error {
	return crashAwait(patience, func() error {
		if !l.living() {
			return fmt.Errorf("%w: it has ended", errCrashOver)
		}
		if l.base == "" {
			l.base = listensAt(l.out.String())
		}
		if l.base == "" {
			return errors.New("it does not listen")
		}
		resp, err := http.Get(l.base + "/readyz")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("/readyz says %s", resp.Status)
		}
		return nil
	})
}

// listensAt reads the address from the log: the kernel has chosen the port.
func listensAt(log string) string {
	for line := range strings.Lines(log) {
		var entry struct{ Msg, Addr string }
		if strings.Contains(line, `"listening"`) && json.Unmarshal([]byte(line), &entry) == nil && entry.Addr != "" {
			return "http://" + entry.Addr
		}
	}
	return ""
}

// errCrashOver ends waiting: it will not become better.
var errCrashOver = errors.New("in vain")

// crashAwait looks again and again until there is no error, or time is up.
func crashAwait(within time.Duration, look func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(within)
	for {
		err := look()
		if err == nil || errors.Is(err, errCrashOver) {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v: %w", within, err)
		}
		<-tick.C
	}
}

// crashPass lets time pass.
func crashPass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// noPanic is for what calls helpers that end a test with Fatalf.
func noPanic(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return fn()
}
