package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/authz"
	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/revoker"
	"github.com/revoke-session/revoke-session/internal/signin"
	"github.com/revoke-session/revoke-session/internal/slackapp"
	"github.com/revoke-session/revoke-session/internal/store"
)

// newBot wires the rooms together around a store, which it closes if it fails. It
// does no I/O but to read a credential's file.
func newBot(c config, st closingStore, transport http.RoundTripper, log *slog.Logger) (*bot, error) {
	slack, err := slackapp.NewClient(c.slackToken, c.slackURL, transport)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	credential, err := newCredential(c, transport, log)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	reads := entra.NewAPI(entra.GraphService(c.graph), credential, transport, entra.Reads, log)
	urls := slackapp.NewResponseURLs()
	var tickets *signin.Tickets
	var ticketURL slackapp.Tickets
	if c.links {
		if tickets, err = signin.NewTickets(c.publicURL, cmp.Or(c.linkKey, c.slackSecret)); err != nil {
			return nil, errors.Join(err, st.Close())
		}
		ticketURL = tickets.URL
	}
	service := request.NewService(
		st,
		authz.New(slack.Vouch, reads, authz.Options{Protected: c.protected, Links: c.linksIn(st), RolesMatter: c.rolesMatter()}),
		newRevoker(c, credential, reads, transport, log),
		slackapp.NewReporter(slack, urls, ticketURL, request.SideBySide, log),
		c.policy(),
		request.SideBySide,
		log,
	)
	b := &bot{log: log, slack: slack, service: service, store: st, copier: newCopier(c, st, log)}
	mux := http.NewServeMux()
	mux.Handle("/slack/", slackapp.NewHandler(c.slackSecret, slack, service, urls, log))
	if c.links {
		mux.Handle("/link/", signin.New(signin.Options{
			Authority: c.authority, Tenant: c.tenant, ClientID: c.clientID, Context: c.stepUpContext,
			Transport: transport, Redeem: credential.Redeem, Name: slack.Name, Log: log,
		}, tickets, service))
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", b.ready)
	b.handler = mux
	return b, nil
}

// policy is what the settings decide about requests.
func (c config) policy() request.Policy {
	return request.Policy{
		TTL: c.ttl, Channels: c.channels, Disabled: c.disabled, AllowUnconfirmed: c.allowUnconfirmed, Retention: c.retention,
		Approvals: c.approvals, ApprovalsPrivileged: c.approvalsPrivileged, StepUp: c.stepUp, Hourly: c.hourly,
		Frozen: c.frozen, Links: c.links,
	}
}

// rolesMatter reports whether a setting makes something depend on a target's roles.
func (c config) rolesMatter() bool {
	return c.approvalsPrivileged > c.approvals || c.stepUp == request.StepUpPrivileged
}

// linksIn reads people's links; nil where they are identified by e-mail.
func (c config) linksIn(st request.Store) authz.Links {
	if !c.links {
		return nil
	}
	return func(ctx context.Context, who request.SlackUser) (string, error) { return request.LinkOf(ctx, st, who) }
}

// newRevoker makes the revoker that the settings chose.
func newRevoker(c config, credential *entra.Credential, reads *entra.API, transport http.RoundTripper, log *slog.Logger) request.Revoker {
	effects := func(s entra.Service) *entra.API {
		return entra.NewAPI(s, credential, transport, entra.Effects, log)
	}
	byGraph := revoker.NewGraph(effects(entra.GraphService(c.graph)), reads, c.tenant, entra.Backoff)
	if c.revoker == "graph" {
		return byGraph
	}
	bySharePoint := revoker.NewSharePoint(effects(entra.SharePointService(c.sharePoint)), reads, c.tenant, entra.Backoff)
	if c.revoker == "sharepoint" {
		return bySharePoint
	}
	return revoker.NewBoth(bySharePoint, byGraph)
}

// newCopier makes the copier of the record, nil without AUDIT_FILE. What a Redis still
// owes its replicas is not copied yet.
func newCopier(c config, st closingStore, log *slog.Logger) *audit.File {
	if c.auditFile == "" {
		return nil
	}
	var settled func(context.Context) error
	if r, ok := st.(*store.Redis); ok && c.waitReplicas > 0 {
		settled = r.Settled
	}
	return audit.NewFile(c.auditFile, st.Records, settled, log)
}

// closingStore is one that was opened to be changed, recordStore to be read.
type closingStore interface {
	request.Store
	recordStore
}

func openStore(c config) (closingStore, error) {
	chain := audit.NewChain(c.auditSigner)
	if c.redisURL == "" {
		st, err := store.OpenBolt(c.stateFile, chain, time.Now)
		if err != nil {
			return nil, fmt.Errorf("STATE_FILE: %w", err)
		}
		return st, nil
	}
	st, err := store.OpenRedis(c.redisURL, c.waitReplicas, chain)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	return st, nil
}

// newTransport is the one pool of connections. Idle ones are kept for longer
// than a card usually waits, so that a confirmed revocation finds a warm one.
func newTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone() //nolint:forcetypeassert // net/http documents its type
	t.IdleConnTimeout = 20 * time.Minute
	t.MaxIdleConnsPerHost = 32
	return t
}
