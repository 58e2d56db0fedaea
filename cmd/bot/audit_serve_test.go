package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The bot as it is run for real copies and signs its record, and says where the copy
// and its store are of different minds.
func TestServeCopiesTheRecord(t *testing.T) {
	t.Parallel()
	private, public := keyPair(t)
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	world, p := startIn(t, "secret", "AUDIT_KEY="+private, "AUDIT_FILE="+path)
	play(t, world, "mallory@contoso.com")
	verify := func() (code int, out string) {
		code, out, errs := runBot(t, "audit", "verify", path, "--key", public)
		return code, out + errs
	}
	awaitFile(t, "a signed copy", func() bool {
		code, out := verify()
		return code == exitOK && strings.Contains(out, "checkpoints: 1")
	})
	if strings.Contains(p.out.String(), "not signed") || strings.Contains(readiness(t, p.base), "audit_note") {
		t.Errorf("a warning that does not apply: %s%s", readiness(t, p.base), p.out)
	}
	other := `{"seq":1,"prev":"","time":"2026-11-24T03:00:00Z","request":"r","event":"x","state":"done"}` + "\n"
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, "a fork in the copy", func() bool {
		code, out := verify()
		return code == exitFailure && strings.Contains(out, "the record has forked at number 1") && strings.Contains(out, "checkpoints: 1")
	})
	awaitFile(t, "a note in /readyz", func() bool {
		return strings.Contains(readiness(t, p.base), `"audit_note":"the audit file and the store have forked`)
	})
	checkStop(t, p)
	checkNoSecrets(t, p.out.String(), append(world.Env(), "AUDIT_SECRET="+private))
}

func TestServeWarnsWithoutAKey(t *testing.T) {
	t.Parallel()
	_, p := startIn(t, "secret")
	if n := strings.Count(p.out.String(), "checkpoints of the record are not signed: set AUDIT_KEY"); n != 1 {
		t.Errorf("%d warnings, want 1:\n%s", n, p.out)
	}
	checkStop(t, p)
}

func TestServeSaysThatEmailIsWeaker(t *testing.T) {
	t.Parallel()
	const warning = "people are identified by the e-mail address"
	for identity, want := range map[string]int{"email": 1, "link": 0} {
		_, p := startIn(t, "secret", "IDENTITY="+identity, "PUBLIC_URL=https://bot.contoso.com")
		if n := strings.Count(p.out.String(), warning); n != want {
			t.Errorf("IDENTITY=%s: %d warnings, want %d:\n%s", identity, n, want, p.out)
		}
		checkStop(t, p)
	}
}

// readiness is what /readyz says.
func readiness(t *testing.T, base string) string {
	t.Helper()
	resp, err := http.Get(base + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
