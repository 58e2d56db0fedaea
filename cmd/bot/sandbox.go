package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

type sandboxCommand struct {
	Page    string `default:"127.0.0.1:8090" help:"Address of the page."`
	Revoker string `enum:"graph,sharepoint,both" default:"graph" help:"Who ends the sessions: graph, sharepoint or both."`
	// Identity and StepUp are bot serve's.
	Identity string `enum:"email,link" default:"email" help:"How people are identified: email, or link to sign in once."`
	StepUp   string `enum:"never,privileged,always" default:"never" help:"Whether Confirm asks for a fresh sign-in; needs --identity=link."`
}

// Run is kong's entry: the production bot against stand-ins in this process.
func (s *sandboxCommand) Run(ctx context.Context, stdout io.Writer, logs logTo) (err error) {
	log := slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	credential := "secret"
	if s.Revoker != "graph" { // SharePoint takes no token obtained with a secret
		credential = "certificate"
	}
	world, err := sandbox.Start(sandbox.Options{Page: s.Page, Credential: credential, Log: log})
	if err != nil {
		return fmt.Errorf("starting the sandbox: %w", err)
	}
	defer func() { err = errors.Join(err, world.Close()) }()
	dir, err := os.MkdirTemp("", "revoke-session-sandbox-")
	if err != nil {
		return fmt.Errorf("making a place for the state file: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	public := "http://" + l.Addr().String()
	world.RegisterRedirect(public + "/link/callback")
	var set settings
	set.assign(append(world.Env(), "STATE_FILE="+filepath.Join(dir, "state.db"), "REVOKER="+s.Revoker,
		"IDENTITY="+s.Identity, "STEP_UP="+s.StepUp, "PUBLIC_URL="+public))
	c, err := set.config()
	if err != nil {
		return err
	}
	transport, err := trusting(world.CAPEM())
	if err != nil {
		return err
	}
	st, err := openStore(c)
	if err != nil {
		return err
	}
	b, err := newBot(c, st, transport, log)
	if err != nil {
		return err
	}
	world.SetBot(public)
	fmt.Fprintf(stdout, "Sandbox: %s\n", world.PageURL())
	if s.Identity == "link" {
		fmt.Fprintln(stdout, "Signing in leads to a stand-in for Microsoft's page, whose certificate your browser will not know.")
	}
	fmt.Fprintln(stdout, "Try: as alice send /revoke-session mallory@contoso.com, become bob, press Confirm. Ctrl-C ends it; nothing is kept.")
	return b.serve(ctx, l)
}

// trusting is the production transport that also trusts a CA.
func trusting(pem []byte) (*http.Transport, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the sandbox's certificate is not PEM")
	}
	t := newTransport()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return t, nil
}
