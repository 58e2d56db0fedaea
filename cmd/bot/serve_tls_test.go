package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/revoke-session/revoke-session/internal/sandbox"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// One whole revocation over Redis behind TLS, with a user and a password.
func TestServeOverTLS(t *testing.T) {
	redistest.Need(t)
	secure := redistest.NewSecure(t)
	for name, start := range map[string]func(t redistest.T) string{
		"server": secure.Server, "sentinel": secure.Sentinel,
		"cluster": func(t redistest.T) string { return secure.Cluster(t, "revoke-session") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := start(t)
			world, err := sandbox.Start(sandbox.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = world.Close() })
			trusted := filepath.Join(t.TempDir(), "ca.pem")
			if err := os.WriteFile(trusted, bytes.Join([][]byte{world.CAPEM(), secure.CAPEM}, nil), 0o600); err != nil {
				t.Fatal(err)
			}
			p := startProcess(t, append(world.Env(), "SSL_CERT_FILE="+trusted, "REDIS_URL="+address)...)
			world.SetBot(p.base)
			play(t, world, "mallory@contoso.com")
			checkStop(t, p)
			checkNoSecrets(t, p.out.String(), append(world.Env(), "REDIS_TOKEN=p@ss:word/1", "REDIS_ESCAPED_TOKEN=p%40ss%3Aword%2F1"))
		})
	}
}
