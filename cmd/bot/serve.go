package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/alecthomas/kong"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/slackapp"
	"github.com/revoke-session/revoke-session/internal/store"
)

const (
	stopWithin  = 5 * time.Second // for HTTP requests under way; a step of the worker has its own limit
	probeWithin = 3 * time.Second
	probeAgain  = 250 * time.Millisecond // how old an answer of /readyz may be
)

type serveCommand struct {
	settings
}

// Run is kong's entry.
func (s *serveCommand) Run(ctx context.Context, parsed *kong.Context, logs logTo) error {
	if err := refuseSecretFlags(parsed); err != nil {
		return err
	}
	c, err := s.config()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(logs, &slog.HandlerOptions{Level: c.level}))
	if c.auditSigner == nil {
		log.Warn("checkpoints of the record are not signed: set AUDIT_KEY to a key of bot audit key")
	}
	if !c.links {
		log.Warn("people are identified by the e-mail address of their Slack profile: whoever can change it could pass for an administrator; with IDENTITY=link they sign in to Entra")
	}
	if c.links && c.linkKey == "" {
		log.Warn("what passes through browsers is sealed by the Slack signing secret alone, which whoever administers the Slack app can read: set LINK_KEY")
	}
	store.LogRedis(log)
	st, err := openStore(c)
	if err != nil {
		return err
	}
	b, err := newBot(c, st, newTransport(), log)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.listen)
	if err != nil {
		return errors.Join(fmt.Errorf("LISTEN_ADDR: %w", err), b.close())
	}
	return b.serve(ctx, l)
}

// bot is the wired program.
type bot struct {
	log     *slog.Logger
	slack   *slackapp.Client
	service *request.Service
	handler http.Handler
	store   io.Closer
	copier  *audit.File // nil without AUDIT_FILE
	probe   probe
}

// probe keeps the last answer of /readyz for a moment, since anybody can ask and
// the question costs a durable write and a call to Slack.
type probe struct {
	mu     sync.Mutex
	at     time.Time
	checks map[string]string
	status int
}

// serve answers on l and works on requests until ctx ends, then finishes what is
// under way and closes everything.
func (b *bot) serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler: b.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 15 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(b.log.Handler(), slog.LevelWarn),
	}
	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var work sync.WaitGroup
	work.Go(func() { b.service.Run(working) })
	work.Go(func() { b.meetSlack(working) })
	work.Go(func() { b.meetStore(working) })
	if b.copier != nil {
		work.Go(func() { b.copier.Run(working) })
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	b.log.Info("listening", "addr", l.Addr().String())

	var errs []error
	select {
	case <-ctx.Done():
	case err := <-failed:
		errs = append(errs, fmt.Errorf("serving HTTP: %w", err))
	}
	// New deliveries are refused first, so that the worker stops only after the last
	// accepted one is in the store.
	stopping, done := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer done()
	if err := server.Shutdown(stopping); err != nil {
		// Handlers have ended long before this; what is left are connections on
		// which nothing was ever sent.
		b.log.Warn("closing connections that did not end by themselves", "error", err)
		errs = append(errs, server.Close())
	}
	stopWork()
	work.Wait()
	return errors.Join(append(errs, b.close())...)
}

func (b *bot) close() error {
	if err := b.store.Close(); err != nil {
		return fmt.Errorf("closing store: %w", err)
	}
	return nil
}

// meetSlack learns which workspace the token is for, as soon as Slack answers.
func (b *bot) meetSlack(ctx context.Context) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		probe, cancel := context.WithTimeout(ctx, probeWithin)
		self, err := b.slack.Check(probe)
		cancel()
		if err == nil {
			b.log.Info("Slack knows the bot", "team", self.Team, "bot_user", self.User)
			return
		}
		if ctx.Err() != nil {
			return
		}
		b.log.Error("Slack does not know the bot; check SLACK_BOT_TOKEN", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// meetStore tells the operator at start what is wrong with the store, or could be
// better.
func (b *bot) meetStore(ctx context.Context) {
	probe, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	switch note, err := b.service.Check(probe); {
	case err != nil && ctx.Err() == nil:
		b.log.Error("the store is not usable", "error", err)
	case note != "":
		b.log.Warn("the store could be safer", "note", note)
	}
}

// ready tells whether a command could be recorded and answered now.
func (b *bot) ready(w http.ResponseWriter, r *http.Request) {
	b.probe.mu.Lock()
	if time.Since(b.probe.at) > probeAgain {
		b.probe.status, b.probe.checks = b.check(context.WithoutCancel(r.Context()))
		b.probe.at = time.Now()
	}
	status, checks := b.probe.status, b.probe.checks
	b.probe.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(checks)
}

func (b *bot) check(ctx context.Context) (int, map[string]string) {
	ctx, cancel := context.WithTimeout(ctx, probeWithin)
	defer cancel()
	var note string
	var storeErr, slackErr error
	var wg sync.WaitGroup
	wg.Go(func() { note, storeErr = b.service.Check(ctx) })
	wg.Go(func() { _, slackErr = b.slack.Check(ctx) })
	wg.Wait()
	status, checks := http.StatusOK, map[string]string{"store": "ok", "slack": "ok"}
	for name, err := range map[string]error{"store": storeErr, "slack": slackErr} {
		if err != nil { // the reason goes to the log: this page is for anybody who can reach it
			status, checks[name] = http.StatusServiceUnavailable, "not usable"
			b.log.Warn("not ready", "check", name, "error", err)
		}
	}
	if note != "" {
		checks["store_note"] = note
	}
	if b.copier != nil && b.copier.Note() != "" {
		checks["audit_note"] = b.copier.Note()
	}
	return status, checks
}
