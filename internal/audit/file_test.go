package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

// shelf is a store's record that a test can change.
type shelf struct {
	mu    sync.Mutex
	lines [][]byte
	err   error
}

func (s *shelf) set(lines [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = slices.Clone(lines)
}

func (s *shelf) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *shelf) records(_ context.Context, from uint64) iter.Seq2[[]byte, error] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return func(yield func([]byte, error) bool) { yield(nil, s.err) }
	}
	return seq(s.lines[min(max(from, 1)-1, uint64(len(s.lines))):])
}

// copying is a File that copies a shelf.
type copying struct {
	*File
	shelf *shelf
	logs  journal
	stop  func()
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func newCopying(path string, lines [][]byte, settled func(context.Context) error) *copying {
	c := &copying{shelf: &shelf{lines: lines}}
	c.File = NewFile(path, c.shelf.records, settled, slog.New(slog.NewTextHandler(&c.logs, nil)))
	return c
}

// start runs it in the bubble.
func (c *copying) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { c.Run(ctx) })
	c.stop = func() { cancel(); done.Wait() }
	t.Cleanup(c.stop)
	synctest.Wait()
}

// later lets a second pass, and what happens in it.
func later() {
	time.Sleep(copyEvery)
	synctest.Wait()
}

func has(t *testing.T, path string, want [][]byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(joined(want)), string(got)); diff != "" {
		t.Errorf("the file differs (-want +got):\n%s", diff)
	}
}

func joined(lines [][]byte) []byte {
	if len(lines) == 0 {
		return nil
	}
	return append(bytes.Join(lines, []byte("\n")), '\n')
}

func verifyFile(t *testing.T, path string) (Report, error) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return verify(Lines(bytes.NewReader(text)))
}

func TestFileFollowsTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		all := story(t, Chain, strings.Split(strings.Repeat("command ", 1200), " ")...) // more than two batches
		c := newCopying(path, all[:5], nil)
		c.start(t)
		has(t, path, all[:5])
		c.shelf.set(all)
		later()
		has(t, path, all)
		if c.Note() != "" || c.logs.String() != "" {
			t.Errorf("note %q, log %s", c.Note(), &c.logs)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("mode %v, %v", info.Mode(), err)
		}
	})
}

// A file is taken up where it ends, whatever a crash left of its last line, and a new
// one is begun where it was moved away.
func TestFileIsTakenUp(t *testing.T) {
	all := story(t, Chain, "command", "confirm", "execute", "result")
	tests := []struct {
		name   string
		before []byte
		log    string
	}{
		{"nothing", nil, ""},
		{"whole lines", joined(all[:2]), ""},
		{"a torn line", append(joined(all[:2]), all[2][:20]...), "cut a torn last line"},
		{"a line without its end", append(joined(all[:2]), all[2]...), "cut a torn last line"},
		{"only a torn line", all[0][:20], "cut a torn last line"},
		{"all lines", joined(all), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "audit.jsonl")
				if err := os.WriteFile(path, tt.before, 0o600); err != nil {
					t.Fatal(err)
				}
				c := newCopying(path, all, nil)
				c.start(t)
				has(t, path, all)
				if c.Note() != "" || !strings.Contains(c.logs.String(), tt.log) || tt.log == "" && c.logs.String() != "" {
					t.Errorf("note %q, log %s", c.Note(), &c.logs)
				}
				if err := os.Rename(path, path+".1"); err != nil {
					t.Fatal(err)
				}
				later()
				has(t, path, all)
			})
		})
	}
}

// forkOf is the fork line of a file.
func forkOf(t *testing.T, path string) Fork {
	t.Helper()
	got, err := verifyFile(t, path)
	if !errors.Is(err, ErrForked) || len(got.Forks) != 1 {
		t.Fatalf("Verify = %+v, %v; want one fork", got, err)
	}
	return got.Forks[0]
}

func TestForksAreSaidAndNotMended(t *testing.T) {
	ours := story(t, Chain, "command", "confirm", "execute", "result", "card")
	theirs, _, err := Chain(request.Head{Count: 2, Hash: Hash(ours[1])}, []request.Record{{Event: "cancel"}, {Event: "expire"}, {Event: "expire"}})
	if err != nil {
		t.Fatal(err)
	}
	theirs = append(slices.Clone(ours[:2]), theirs...)
	tests := []struct {
		name   string
		store  [][]byte
		number uint64
		hash   string
	}{
		{"another branch", theirs, 3, Hash(theirs[2])},
		{"another branch, shorter", theirs[:4], 3, Hash(theirs[2])},
		{"fewer lines", ours[:2], 3, ""},
		{"none", nil, 1, ""},
		{"another record", story(t, Chain, "expire", "expire"), 1, Hash(story(t, Chain, "expire")[0])},
	}
	for _, running := range []bool{true, false} {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					path := filepath.Join(t.TempDir(), "audit.jsonl")
					c := newCopying(path, ours, nil)
					c.start(t)
					if !running {
						c.stop()
						c = newCopying(path, ours, nil)
						c.shelf.set(tt.store)
						c.start(t)
					}
					c.shelf.set(tt.store)
					later()
					later()
					got := forkOf(t, path)
					want := Fork{Number: tt.number, File: Hash(ours[tt.number-1]), Store: tt.hash, Line: 6, End: end(ours)}
					got.At = time.Time{}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("fork (-want +got):\n%s", diff)
					}
					if !strings.Contains(c.logs.String(), "level=ERROR") || !strings.Contains(c.Note(), "forked") {
						t.Errorf("note %q, log %s", c.Note(), &c.logs)
					}
					whole(t, path, ours, tt.store, tt.number)
				})
			})
		}
	}
}

// whole checks that the file has both branches, byte by byte.
func whole(t *testing.T, path string, ours, theirs [][]byte, number uint64) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	want := string(joined(ours)) + string(lines[len(ours)]) + string(joined(theirs[min(number-1, uint64(len(theirs))):]))
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("the file differs (-want +got):\n%s", diff)
	}
}

// A process that starts behind a fork goes on, and still says so.
func TestForkIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		ours := story(t, Chain, "command", "confirm", "execute")
		c := newCopying(path, ours, nil)
		c.start(t)
		c.shelf.set(ours[:1])
		later()
		c.stop()
		again := newCopying(path, ours[:1], nil)
		again.start(t)
		theirs, _, err := Chain(request.Head{Count: 1, Hash: Hash(ours[0])}, []request.Record{{Event: "cancel"}})
		if err != nil {
			t.Fatal(err)
		}
		again.shelf.set([][]byte{ours[0], theirs[0]})
		later()
		got, err := verifyFile(t, path)
		if !errors.Is(err, ErrForked) || len(got.Forks) != 1 || got.Count != 2 || got.Hash != Hash(theirs[0]) {
			t.Errorf("Verify = %+v, %v", got, err)
		}
		if !strings.Contains(again.Note(), "forked") {
			t.Errorf("note %q", again.Note())
		}
	})
}

// A fork is no place to hide a change: both branches are verified.
func TestBothBranchesAreVerified(t *testing.T) {
	ours := story(t, Chain, "command", "confirm", "execute", "result")
	line, err := json.Marshal(map[string]Fork{"fork": {Number: 2, File: Hash(ours[1])}})
	if err != nil {
		t.Fatal(err)
	}
	good := append(slices.Clone(ours), line, ours[1])
	if _, err := verify(seq(good)); !errors.Is(err, ErrForked) || !strings.Contains(err.Error(), "at number 2, said in line 5") {
		t.Fatalf("Verify = %v, want the fork", err)
	}
	for i, want := range map[int]string{1: "line 3: does not follow", 4: "line 5: a fork at a line that is not here", 5: "line 6: does not follow"} {
		bad := slices.Clone(good)
		bad[i] = bytes.Replace(bad[i], []byte(`:2,`), []byte(`:2 ,`), 1)
		if i == 4 {
			bad[i] = bytes.Replace(line, []byte(`:2,`), []byte(`:3,`), 1)
		}
		if i == 5 {
			bad[i] = ours[2]
			bad[i] = bytes.Replace(ours[2], []byte(`"seq":3`), []byte(`"seq":2`), 1)
		}
		if _, err := verify(seq(bad)); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), want) {
			t.Errorf("line %d: Verify = %v, want %q", i+1, err, want)
		}
	}
}

// What the store could still lose is not kept.
func TestOnlyPromisedLinesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		all := story(t, Chain, "command", "confirm", "execute")
		var c *copying
		var promises, loses atomic.Bool
		c = newCopying(path, all, func(context.Context) error {
			if loses.Swap(false) { // another server answers now, and it does not have the last line
				c.shelf.set(all[:2])
			}
			if promises.Load() {
				return nil
			}
			return errors.New("not yet")
		})
		c.start(t)
		has(t, path, nil)
		if !strings.Contains(c.Note(), "not up to date") || strings.Contains(c.Note(), "not yet") {
			t.Errorf("note %q, want no reason", c.Note())
		}
		promises.Store(true)
		loses.Store(true)
		later()
		has(t, path, nil)
		later()
		has(t, path, all[:2])
		if c.Note() != "" || strings.Count(c.logs.String(), "level=ERROR") != 1 || strings.Count(c.logs.String(), "up to date again") != 1 {
			t.Errorf("note %q, log %s", c.Note(), &c.logs)
		}
	})
}

func TestFailuresAreRetried(t *testing.T) {
	all := story(t, Chain, "command", "confirm")
	broken := [][]byte{all[0], bytes.Replace(all[1], []byte(`"prev":"`), []byte(`"prev":"0`), 1)}
	tests := []struct {
		name       string
		spoil, fix func(c *copying)
		want       string
	}{
		{"the disk", func(c *copying) { _ = os.Mkdir(c.path, 0o700) }, func(c *copying) { _ = os.Remove(c.path) }, "is a directory"},
		{"the store", func(c *copying) { c.shelf.fail(errors.New("boom")) }, func(c *copying) { c.shelf.fail(nil) }, "reading the store: boom"},
		{"the store's chain", func(c *copying) { c.shelf.set(broken) }, func(c *copying) { c.shelf.set(all) }, "number 2 of the store does not follow"},
		{"the file", func(c *copying) { _ = os.WriteFile(c.path, []byte("x\n"), 0o600) }, func(c *copying) { _ = os.Remove(c.path) }, "move it away"},
		{"two processes on one file", func(c *copying) { _ = os.WriteFile(c.path, joined([][]byte{all[0], all[0]}), 0o600) }, func(c *copying) { _ = os.Remove(c.path) }, "line 2: has number 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCopying(filepath.Join(t.TempDir(), "audit.jsonl"), all, nil)
				tt.spoil(c)
				c.start(t)
				later()
				if !strings.Contains(c.logs.String(), tt.want) || strings.Count(c.logs.String(), "level=ERROR") != 1 || !strings.Contains(c.Note(), "not up to date") {
					t.Errorf("note %q, log %s; want %q once", c.Note(), &c.logs, tt.want)
				}
				tt.fix(c)
				later()
				has(t, c.path, all)
				if c.Note() != "" {
					t.Errorf("note %q", c.Note())
				}
			})
		})
	}
}
