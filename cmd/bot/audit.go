package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store"
)

type auditCommand struct {
	Verify    auditVerifyCommand    `cmd:"" help:"Verify a copy of the record, without a network. Exit code 1: it is broken, or has forked."`
	Export    auditExportCommand    `cmd:"" help:"Write the record from the store that REDIS_URL or STATE_FILE names."`
	Reconcile auditReconcileCommand `cmd:"" help:"Compare a copy of the record with the chat: cards and results that were deleted or edited are named. Exit code 1: there are some."`
	Key       auditKeyCommand       `cmd:"" help:"Make a key that signs checkpoints of the record, and the one that verifies them."`
}

type auditKeyCommand struct{}

// Run is kong's entry.
func (auditKeyCommand) Run(stdout io.Writer) error {
	private, public, err := audit.NewKey()
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "Secret, for the bot:\nAUDIT_KEY=%s\n\nFor auditors, bot audit verify --key:\n%s\n", private, public)
	return nil
}

type auditVerifyCommand struct {
	File string   `arg:"" help:"File of lines: an AUDIT_FILE, or what bot audit export wrote; - is standard input."`
	Key  []string `help:"Verifier key of bot audit key, to check the signatures of checkpoints; again for a second key." placeholder:"VERIFIER" sep:"none"`
	Head string   `help:"Number and hash of a line that has to be there, as the result in Slack names it." placeholder:"NUMBER:HASH"`
}

// Run is kong's entry.
func (v *auditVerifyCommand) Run(stdout io.Writer) error {
	against, err := v.against()
	if err != nil {
		return err
	}
	in, err := openLines(v.File)
	if err != nil {
		return err
	}
	defer in.Close()
	report, err := against.Verify(audit.Lines(in))
	describe(stdout, report, len(against.Keys))
	return err
}

// openLines opens the file of an argument; - is standard input.
func openLines(name string) (io.ReadCloser, error) {
	if name == "-" {
		return os.Stdin, nil
	}
	f, err := os.Open(name) //nolint:gosec // the operator's choice
	if err != nil {
		return nil, wrongArguments("FILE cannot be read: %v", err)
	}
	return f, nil
}

// against collects what the lines are verified against.
func (v *auditVerifyCommand) against() (audit.Against, error) {
	a := audit.Against{Part: true}
	for _, text := range v.Key {
		key, err := audit.ParseVerifier(text)
		if err != nil {
			return a, wrongArguments("--key %v", err)
		}
		a.Keys = append(a.Keys, key)
	}
	if v.Head == "" {
		return a, nil
	}
	number, hash, _ := strings.Cut(v.Head, ":")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || n == 0 || len(hash) != 64 || strings.Trim(hash, "0123456789abcdef") != "" {
		return a, wrongArguments("--head must be a line's number and its whole hash, as in 12:%s", strings.Repeat("0f", 32))
	}
	a.Head = request.Head{Count: n, Hash: hash}
	return a, nil
}

// wrongArguments is for what kong does not find wrong by itself.
func wrongArguments(format string, args ...any) error {
	return &settingsError{[]string{fmt.Sprintf(format, args...)}}
}

// describe says what was verified, up to the first broken line if there is one.
func describe(out io.Writer, r audit.Report, keys int) {
	if r.Count < r.From {
		fmt.Fprintln(out, "lines: none")
		return
	}
	fmt.Fprintf(out, "lines: %d, number %d to %d\n", r.Count-r.From+1, r.From, r.Count)
	if r.From > 1 {
		fmt.Fprintf(out, "part: from number %d on, not from the beginning of the record\n", r.From)
	}
	fmt.Fprintf(out, "head: %d:%s\n", r.Count, r.Hash)
	last := "none"
	if r.Last != nil {
		last = fmt.Sprintf("%d, the last is number %d of %s", r.Checkpoints, r.Last.Number, r.Last.Time.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	fmt.Fprintf(out, "checkpoints: %s\n", last)
	switch {
	case keys == 0:
		fmt.Fprintln(out, "signatures: not looked at, for want of --key: whoever could write to the whole store could have rewritten it")
	case r.Uncovered == 0:
		fmt.Fprintln(out, "signatures: all right; no line stands behind the last")
	default:
		fmt.Fprintf(out, "signatures: all right; %d lines stand behind the last, not covered by any\n", r.Uncovered)
	}
	for _, f := range r.Forks {
		fmt.Fprintf(out, "fork: at number %d, noticed %s: the store lost number %d to %d, and went on with %s\n", f.Number,
			f.At.UTC().Format("2006-01-02 15:04:05 MST"), f.Number, f.End.Count, cmp.Or(f.Store, "nothing"))
	}
}

// auditExportCommand has of bot serve's settings those that name the store.
type auditExportCommand struct {
	Since  string `help:"Begin with the first line that is not older: a time (2026-11-24T03:00:00Z, or 2026-11-24) or a duration (72h)."`
	Format string `enum:"jsonl,ocsf" default:"jsonl" help:"jsonl: the lines as they are, for bot audit verify. ocsf: events of OCSF 1.8.0."`
	Output string `short:"o" help:"File to make. Unset: standard output."`

	RedisURL       string `env:"REDIS_URL" help:"As for bot serve. Environment only." secret:""`
	StateFile      string `env:"STATE_FILE" default:"revoke-session.db" help:"As for bot serve."`
	StateDirectory string `env:"STATE_DIRECTORY" help:"As for bot serve."`
}

// Run is kong's entry.
func (e *auditExportCommand) Run(ctx context.Context, parsed *kong.Context, stdout io.Writer) (err error) {
	if err := refuseSecretFlags(parsed); err != nil {
		return err
	}
	since, err := parseSince(e.Since, time.Now())
	if err != nil {
		return err
	}
	st, err := e.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	lines := st.Records(ctx, 1)
	if e.Output == "" {
		return e.export(lines, since, stdout)
	}
	file, err := os.OpenFile(e.Output, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return wrongArguments("--output names a file that cannot be made: %v", err)
	}
	return errors.Join(e.export(lines, since, file), file.Close())
}

// parseSince reads a point in time, or a duration back from now. Empty is the beginning.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, wrongArguments("--since must be a time such as 2026-11-24T03:00:00Z or 2026-11-24, or a duration such as 72h")
}

type recordStore interface {
	io.Closer
	Records(ctx context.Context, from uint64) iter.Seq2[[]byte, error]
}

// open opens the store to read from it, and needs nothing else to be set.
func (e *auditExportCommand) open() (recordStore, error) {
	s := settings{RedisURL: e.RedisURL, StateFile: e.StateFile, StateDirectory: e.StateDirectory}
	var c config
	var k check
	s.state(&c, &k)
	if k.problems != nil {
		return nil, &settingsError{k.problems}
	}
	if c.redisURL != "" {
		st, err := store.OpenRedis(c.redisURL, 0, audit.Chain)
		if err != nil {
			return nil, fmt.Errorf("REDIS_URL: %w", err)
		}
		return st, nil
	}
	st, err := store.ReadBolt(c.stateFile)
	if errors.Is(err, store.ErrInUse) {
		return nil, fmt.Errorf("STATE_FILE: %w: set AUDIT_FILE for the bot and use that file, or stop the bot", err)
	}
	if err != nil {
		return nil, fmt.Errorf("STATE_FILE: %w", err)
	}
	return st, nil
}

// export writes lines from the first that is not older than since on; all that follow
// it, so that they are still a chain.
func (e *auditExportCommand) export(lines iter.Seq2[[]byte, error], since time.Time, out io.Writer) error {
	w := bufio.NewWriter(out)
	begun := since.IsZero()
	for line, err := range lines {
		if err != nil {
			return errors.Join(err, w.Flush())
		}
		if !begun {
			var entry audit.Entry
			if err := json.Unmarshal(line, &entry); err == nil && entry.Time.Before(since) {
				continue
			}
			begun = true
		}
		if e.Format == "ocsf" {
			if line, err = audit.OCSF(line, version()); err != nil {
				return errors.Join(fmt.Errorf("the store's record is broken, see bot audit verify: %w", err), w.Flush())
			}
			if line == nil {
				continue
			}
		}
		_, _ = w.Write(append(line, '\n')) // Flush has the error
	}
	return w.Flush()
}
