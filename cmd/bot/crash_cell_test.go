package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// crashCell is one conversation in a world of its own, in which something is struck at
// one moment.
type crashCell struct {
	name     string
	at       crashMoment                     // zero: nothing is struck
	strike   func(*crashLife) (goesOn bool)  // nil kills the process that made the step
	after    func(ctx context.Context) error // runs once it has been struck; nil starts the killed process again
	open     func()                          // runs in the new world, before there is a process
	redisURL string                          // "": the embedded store
	relayed  bool                            // commands to Redis pass relays of ours
	replicas int                             // of the bot
	back     time.Duration                   // when a killed process is started again; negative: never
	long     bool                            // the conversation with What-If and a refusal
	handover time.Duration                   // how soon another has to go on where the one that was struck ended; 0: no matter
	settings []string

	mayRepeat bool // a revocation of which the store has lost that it was begun

	dir     string
	world   *sandbox.Sandbox
	watch   *crashWatch
	members []*crashMember
	redis   []*crashRedisRelay
	front   *httptest.Server // where Slack delivers to
	turn    atomic.Int32     // whose turn a delivery is
	ends    []func()

	failed atomic.Int32 // deliveries that got no 200
	report crashReport
}

// crashReport is what came of a cell.
type crashReport struct {
	struck   bool
	takeover time.Duration // 0: there was nothing to take over
	extra    int           // revocations after the first
	err      error
}

// crashWithin bounds one wait of a person: a lease, and the work of a slow machine.
const crashWithin = 75 * time.Second

// run plays the cell and says what came of it.
func (c *crashCell) run(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	following := make(chan struct{})
	var afterwards error
	err := noPanic(c.begin)
	go func() {
		defer close(following)
		if err == nil {
			afterwards = noPanic(func() error { return c.follow(ctx) })
		}
	}()
	if err == nil {
		err = c.play(ctx, func() error {
			<-following
			return afterwards
		})
	}
	if err != nil {
		c.report.err = fmt.Errorf("%w\n%s", err, c.story())
	}
	cancel()
	<-following
	c.close()
}

// play is the conversation and what must hold after it.
func (c *crashCell) play(ctx context.Context, followed func() error) error {
	c.watch.arm()
	card, err := c.converse(ctx)
	if c.report.struck = c.watch.happens(); c.report.struck && err == nil {
		err = followed()
	}
	if err == nil {
		err = c.rest(ctx, card)
	}
	if c.strike == nil && c.failed.Load() == 0 { // else it was not taken over, but asked anew
		c.report.takeover = c.watch.takeover()
	}
	if c.handover > 0 && err == nil {
		c.report.takeover, err = c.watch.handover(c.handover)
	}
	if err == nil {
		err = c.settle(ctx, card)
	}
	return err
}

// begin opens the world and starts all processes.
func (c *crashCell) begin() error {
	var err error
	if c.dir, err = os.MkdirTemp("", "crash-"); err != nil {
		return err
	}
	c.ends = append(c.ends, func() { _ = os.RemoveAll(c.dir) })
	if c.world, err = sandbox.Start(sandbox.Options{}); err != nil {
		return err
	}
	c.ends = append(c.ends, func() { _ = c.world.Close() })
	if c.open != nil {
		c.open()
	}
	strike := crashKill
	if c.strike != nil {
		strike = c.strike
	}
	c.watch = newCrashWatch(c.at, strike)
	c.front = httptest.NewServer(http.HandlerFunc(c.deliver))
	c.ends = append(c.ends, c.front.Close)
	c.world.SetBot(c.front.URL)
	upstream, err := trusting(c.world.CAPEM())
	if err != nil {
		return err
	}
	upstream.DisableCompression = true
	c.ends = append(c.ends, upstream.CloseIdleConnections)
	for i := range c.replicas {
		if err := c.enlist(fmt.Sprint(i+1), upstream); err != nil {
			return err
		}
	}
	errs := make([]error, len(c.members))
	var wg sync.WaitGroup
	for i, m := range c.members {
		wg.Go(func() { errs[i] = m.start() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// enlist adds a replica with its own ways to everything.
func (c *crashCell) enlist(name string, upstream http.RoundTripper) error {
	m := &crashMember{name: name}
	relay := newCrashRelay(c.watch, m, c.world.Env(), upstream)
	c.ends = append(c.ends, relay.close)
	ca := filepath.Join(c.dir, "ca.pem")
	if err := os.WriteFile(ca, relay.caPEM(), 0o600); err != nil {
		return err
	}
	store, err := c.storeFor(m)
	if err != nil {
		return err
	}
	m.env = append(append(append(c.world.Env(), relay.env(ca)...), store...), c.settings...)
	c.members = append(c.members, m)
	return nil
}

func (c *crashCell) storeFor(m *crashMember) ([]string, error) {
	if c.redisURL == "" || !c.relayed {
		return []string{"STATE_FILE=" + filepath.Join(c.dir, "state.db"), "REDIS_URL=" + c.redisURL}, nil
	}
	u, err := url.Parse(c.redisURL)
	if err != nil {
		return nil, err
	}
	relay, err := newCrashRedisRelay(c.watch, m, u.Host)
	if err != nil {
		return nil, err
	}
	c.redis = append(c.redis, relay)
	c.ends = append(c.ends, relay.close)
	u.Host = relay.listen.Addr().String()
	return []string{"REDIS_URL=" + u.String()}, nil
}

// follow does what is to be done once something has been struck: the dead come back,
// or not.
func (c *crashCell) follow(ctx context.Context) error {
	select {
	case <-c.watch.struck:
	case <-ctx.Done():
		return nil
	}
	if c.after != nil {
		return c.after(ctx)
	}
	if c.strike != nil || c.back < 0 {
		return nil
	}
	if err := crashPass(ctx, c.back); err != nil {
		return err
	}
	for _, m := range c.members {
		if l := m.now(); !l.living() {
			return m.start()
		}
	}
	return nil
}

func (c *crashCell) close() {
	for _, m := range c.members {
		if l := m.now(); l != nil {
			l.kill()
		}
	}
	for i := len(c.ends) - 1; i >= 0; i-- {
		c.ends[i]()
	}
}

// story is all there is to see, for failures.
func (c *crashCell) story() string {
	var b strings.Builder
	if c.watch != nil {
		b.WriteString(c.watch.trace())
	}
	if c.world != nil {
		b.WriteString(chat(c.world.State()))
	}
	for _, m := range c.members {
		for _, l := range m.lives {
			for line := range strings.Lines(l.out.String()) {
				if !strings.Contains(line, `"level":"DEBUG"`) {
					b.WriteString(l.name + " " + line)
				}
			}
		}
	}
	return b.String()
}
