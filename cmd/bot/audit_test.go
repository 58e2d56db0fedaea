package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// runBot runs a command in this process.
func runBot(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

// keyPair is what bot audit key prints.
func keyPair(t *testing.T) (private, public string) {
	t.Helper()
	code, out, errs := runBot(t, "audit", "key")
	lines := strings.Split(out, "\n")
	if code != exitOK || len(lines) < 5 || !strings.HasPrefix(lines[1], "AUDIT_KEY=PRIVATE+KEY+revoke-session+") {
		t.Fatalf("audit key exits %d: %s%s", code, out, errs)
	}
	return strings.TrimPrefix(lines[1], "AUDIT_KEY="), lines[4]
}

func TestAuditKey(t *testing.T) {
	private, public := keyPair(t)
	c, err := configOf("AUDIT_KEY=" + private)
	if err != nil || c.auditSigner == nil {
		t.Errorf("config = %v, signer %v", err, c.auditSigner)
	}
	if c, err := configOf("AUDIT_KEY= "); err != nil || c.auditSigner != nil {
		t.Errorf("config without a key = %v, signer %v", err, c.auditSigner)
	}
	for _, wrong := range []string{"canary", public, private + "canary"} {
		_, err := configOf("AUDIT_KEY=" + wrong)
		if err == nil || strings.Count(err.Error(), "\n  AUDIT_KEY is not a private key made by bot audit key") != 1 || strings.Contains(err.Error(), wrong) {
			t.Errorf("config = %v, want AUDIT_KEY named without its value", err)
		}
	}
}

func TestAuditFileSetting(t *testing.T) {
	if _, err := configOf("AUDIT_FILE=/nowhere/audit.jsonl"); err == nil || !strings.Contains(err.Error(), "AUDIT_FILE names the directory /nowhere") {
		t.Errorf("config = %v", err)
	}
	if c, err := configOf("AUDIT_FILE=" + filepath.Join(t.TempDir(), "audit.jsonl")); err != nil || c.auditFile == "" {
		t.Errorf("config = %v, file %q", err, c.auditFile)
	}
}

// fillStore writes a record of five lines and a checkpoint, an hour apart.
func fillStore(t *testing.T, st request.Store) {
	t.Helper()
	for i, event := range []string{"command", "confirm", "execute", "result", "card"} {
		at := time.Date(2026, 11, 24, i, 0, 0, 0, time.UTC)
		fn := func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
			return r, []request.Record{{Time: at, Request: r.ID, Event: event, Target: "t"}}, nil
		}
		if err := st.Create(t.Context(), request.Request{ID: request.ID(fmt.Sprint("r", i))}, fn); err != nil {
			t.Fatal(err)
		}
	}
}

func signerOf(t *testing.T, private string) audit.Signer {
	t.Helper()
	s, err := audit.ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAuditExportThenVerify(t *testing.T) {
	private, public := keyPair(t)
	chain := audit.NewChain(signerOf(t, private))
	for _, room := range []string{"bolt", "redis"} {
		t.Run(room, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			var st closingStore
			var err error
			if room == "bolt" {
				t.Setenv("REDIS_URL", "")
				t.Setenv("STATE_FILE", "state.db")
				t.Setenv("STATE_DIRECTORY", dir)
				st, err = store.OpenBolt(filepath.Join(dir, "state.db"), chain, time.Now)
			} else {
				redistest.Need(t)
				url := redistest.Start(t)
				t.Setenv("REDIS_URL", url)
				st, err = store.OpenRedis(url, 0, chain)
			}
			if err != nil {
				t.Fatal(err)
			}
			fillStore(t, st)
			if room == "bolt" {
				code, _, errs := runBot(t, "audit", "export")
				if code != exitFailure || !strings.Contains(errs, "set AUDIT_FILE for the bot and use that file, or stop the bot") {
					t.Errorf("export beside a bot exits %d: %s", code, errs)
				}
			}
			if err := st.Close(); err != nil {
				t.Fatal(err)
			}
			exportAndVerify(t, public)
		})
	}
}

func exportAndVerify(t *testing.T, public string) {
	t.Helper()
	tests := []struct {
		args  []string
		lines int
		want  string
	}{
		{nil, 6, "lines: 6, number 1 to 6\n"},
		{[]string{"--since", "2026-11-24T02:00:00Z"}, 4, "part: from number 3 on, not from the beginning"},
		{[]string{"--since", "2026-11-24"}, 6, "lines: 6, number 1 to 6\n"},
		{[]string{"--since", "1ns"}, 0, "lines: none"},
	}
	for i, tt := range tests {
		name := fmt.Sprintf("out%d.jsonl", i)
		code, out, errs := runBot(t, append([]string{"audit", "export", "-o", name}, tt.args...)...)
		if code != exitOK || out != "" {
			t.Fatalf("%v: export exits %d: %s", tt.args, code, errs)
		}
		text, err := os.ReadFile(name)
		if err != nil || bytes.Count(text, []byte("\n")) != tt.lines {
			t.Errorf("%v: %d lines, %v; want %d", tt.args, bytes.Count(text, []byte("\n")), err, tt.lines)
		}
		if code, out, errs = runBot(t, "audit", "verify", name, "--key", public); code != exitOK || !strings.Contains(out, tt.want) {
			t.Errorf("%v: verify exits %d: %s%s; want %q", tt.args, code, out, errs, tt.want)
		}
	}
	if code, _, errs := runBot(t, "audit", "export", "-o", "out0.jsonl"); code != exitSettings || !strings.Contains(errs, "--output names a file that cannot be made") {
		t.Errorf("export over a file exits %d: %s", code, errs)
	}
	code, out, errs := runBot(t, "audit", "export", "--format", "ocsf")
	if code != exitOK || strings.Count(out, `"class_uid":3001`) != 5 {
		t.Errorf("export as OCSF exits %d: %s%s", code, out, errs)
	}
}

func TestAuditVerify(t *testing.T) {
	private, public := keyPair(t)
	_, stranger := keyPair(t)
	dir := t.TempDir()
	t.Chdir(dir)
	st := store.NewMemory(audit.NewChain(signerOf(t, private)), time.Now)
	fillStore(t, st)
	var lines []string
	for line, err := range st.Records(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	write := func(name string, lines ...string) {
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("whole", lines...)
	write("cut", lines[:3]...)
	write("altered", lines[0], strings.Replace(lines[1], "confirm", "deny", 1), lines[2], lines[3])
	fork, err := json.Marshal(map[string]audit.Fork{"fork": {Number: 6, File: audit.Hash([]byte(lines[5])), At: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}})
	if err != nil {
		t.Fatal(err)
	}
	write("forked", append(lines, string(fork))...)
	write("empty")
	head := func(n int) string { return fmt.Sprintf("%d:%s", n, audit.Hash([]byte(lines[n-1]))) }
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"whole"}, exitOK, "signatures: not looked at, for want of --key"},
		{[]string{"whole", "--key", public}, exitOK, "checkpoints: 1, the last is number 5 of 2026-11-24 03:00:00 UTC\nsignatures: all right; 1 lines stand behind the last"},
		{[]string{"whole", "--key", public, "--key", stranger, "--head", head(5)}, exitOK, "head: " + head(6)},
		{[]string{"whole", "--key", stranger}, exitFailure, "line 5: the checkpoint is signed by an unknown key"},
		{[]string{"whole", "--head", "4" + head(5)[1:]}, exitFailure, "line 4: is not the one that the given head names"},
		{[]string{"cut"}, exitOK, "lines: 3, number 1 to 3"},
		{[]string{"cut", "--head", head(5)}, exitFailure, "line 4: is missing"},
		{[]string{"altered"}, exitFailure, "bot: audit chain is broken: line 3: does not follow the line before it"},
		{[]string{"forked", "--key", public}, exitFailure, "fork: at number 6, noticed 2026-11-24 09:00:00 UTC: the store lost number 6 to 6, and went on with nothing"},
		{[]string{"empty"}, exitOK, "lines: none"},
		{[]string{"missing"}, exitSettings, "FILE cannot be read"},
		{[]string{"whole", "--key", private}, exitSettings, "--key is not a verifier key"},
		{[]string{"whole", "--head", "5:abc"}, exitSettings, "--head must be"},
		{nil, exitSettings, "expected"},
	}
	for _, tt := range tests {
		code, out, errs := runBot(t, append([]string{"audit", "verify"}, tt.args...)...)
		if code != tt.code || !strings.Contains(out+errs, tt.want) || strings.Contains(out+errs, private) {
			t.Errorf("%v exits %d: %s%s\nwant %d and %q", tt.args, code, out, errs, tt.code, tt.want)
		}
	}
}

func TestParseSince(t *testing.T) {
	now := time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)
	tests := map[string]time.Time{
		"": {}, "72h": now.Add(-72 * time.Hour), "2026-11-01": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
		"2026-11-01T02:00:00+02:00": time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
	for text, want := range tests {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("parseSince(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"-1h", "yesterday", "1"} {
		if _, err := parseSince(text, now); !isSettingsError(err) {
			t.Errorf("parseSince(%q) = %v, want a settings error", text, err)
		}
	}
}

func isSettingsError(err error) bool {
	_, ok := errors.AsType[*settingsError](err)
	return ok
}

func TestAuditExportNeedsTheStoreOnly(t *testing.T) {
	t.Setenv("REDIS_URL", "http://canary")
	if code, _, errs := runBot(t, "audit", "export"); code != exitSettings || !strings.Contains(errs, "REDIS_URL must be redis://") || strings.Contains(errs, "SLACK") || strings.Contains(errs, "canary") {
		t.Errorf("export exits %d: %s", code, errs)
	}
	t.Setenv("REDIS_URL", "")
	if code, _, errs := runBot(t, "audit", "export", "--redis-url", "redis://:canary@x:1"); code != exitSettings || !strings.Contains(errs, "REDIS_URL must come from the environment") {
		t.Errorf("export exits %d: %s", code, errs)
	}
	t.Chdir(t.TempDir())
	if code, _, errs := runBot(t, "audit", "export"); code != exitFailure || !strings.Contains(errs, "no such file") {
		t.Errorf("export of nothing exits %d: %s", code, errs)
	}
}

// awaitFile waits until the copy of the record has passed a test.
func awaitFile(t *testing.T, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}
