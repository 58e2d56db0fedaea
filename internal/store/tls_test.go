package store

import (
	"crypto/x509"
	"errors"
	"testing"

	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// TestServeOverTLS has those whose certificate is trusted.
func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	redistest.Need(t)
	secure := redistest.NewSecure(t)
	for name, start := range map[string]func(t redistest.T) string{
		"server": secure.Server, "sentinel": secure.Sentinel,
		"cluster": func(t redistest.T) string { return secure.Cluster(t, hashTag) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, err := openClient(start(t))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = client.Close() }()
			err = client.Ping(t.Context()).Err()
			if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok && name != "sentinel" { // whose reason go-redis keeps to itself
				t.Errorf("%v, want an unknown authority", err)
			}
			if err == nil {
				t.Error("a certificate of nobody's was trusted")
			}
		})
	}
}
