package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

const (
	copyEvery  = time.Second
	copyWithin = 10 * time.Second // for one batch, the store's part of it
	batchLines = 500
)

// File copies the lines of a store to a file, each process to one of its own: only
// lines that the store has promised, synced to the disk batch by batch. Where file and
// store have gone separate ways it says so, in the file, in the log and in Note, and
// goes on from the last line that both have. It blocks nobody: what fails is tried
// again a second later.
type File struct {
	path    string
	records Records
	settled func(context.Context) error
	log     *slog.Logger

	mu   sync.Mutex
	note string

	// Of the goroutine that runs Run.
	last   request.Head // of the file, on the branch that the store is on
	forked bool         // somewhere in the file
	left   os.FileInfo  // the file as we left it; nil if it has to be read first
	failed string       // the last failure that was logged
}

// Records yields the lines of a store from number from on, oldest first.
type Records func(ctx context.Context, from uint64) iter.Seq2[[]byte, error]

// NewFile returns a copier to the file at path. Settled is called between reading lines
// and keeping them, and fails as long as the store could still lose them; nil where
// what can be read is safe.
func NewFile(path string, records Records, settled func(context.Context) error, log *slog.Logger) *File {
	return &File{path: path, records: records, settled: settled, log: log}
}

// Note is what the operator should know, without a reason: that is in the log. Empty is
// nothing. Safe for concurrent use.
func (f *File) Note() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.note
}

// Run copies every second until ctx ends. Call it once.
func (f *File) Run(ctx context.Context) {
	ticker := time.NewTicker(copyEvery)
	defer ticker.Stop()
	for {
		f.pass(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// pass copies until nothing is left, and says how that went.
func (f *File) pass(ctx context.Context) {
	var err error
	for more := true; more && err == nil && ctx.Err() == nil; {
		more, err = f.copy(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	note, why := "", ""
	if f.forked {
		note = "the audit file and the store have forked: see bot audit verify, then move the file away"
	}
	if err != nil {
		note, why = "the audit file is not up to date: see the log", err.Error()
	}
	f.mu.Lock()
	f.note = note
	f.mu.Unlock()
	switch {
	case why == f.failed:
	case err != nil:
		f.log.Error("could not copy the record to AUDIT_FILE; trying again", "error", err)
	default:
		f.log.Info("AUDIT_FILE is up to date again", "number", f.last.Count)
	}
	f.failed = why
}

// copy copies one batch, and reports whether there may be more.
func (f *File) copy(ctx context.Context) (more bool, err error) {
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return false, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	if f.left == nil || !os.SameFile(f.left, info) || f.left.Size() != info.Size() {
		if err := f.resume(file); err != nil {
			return false, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, copyWithin)
	defer cancel()
	lines, agrees, err := f.batch(ctx)
	switch {
	case err != nil:
		return false, err
	case !agrees:
		return false, f.fork(ctx, file)
	case len(lines) == 0:
		return false, nil
	}
	head := request.Head{Count: f.last.Count + uint64(len(lines)), Hash: Hash(lines[len(lines)-1])}
	if kept, err := f.promised(ctx, head); err != nil || !kept {
		return false, err
	}
	if err := f.append(file, lines); err != nil {
		return false, err
	}
	f.last = head
	return len(lines) == batchLines, nil
}

// batch reads what follows the file's last line, and reports whether the store has that
// line as well.
func (f *File) batch(ctx context.Context) (lines [][]byte, agrees bool, err error) {
	agrees = f.last.Count == 0
	prev := f.last.Hash
	for line, err := range f.records(ctx, f.last.Count) {
		if err != nil {
			return nil, false, fmt.Errorf("reading the store: %w", err)
		}
		if !agrees {
			if Hash(line) != f.last.Hash {
				return nil, false, nil
			}
			agrees = true
			continue
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil || e.Prev != prev {
			return nil, false, fmt.Errorf("%w: number %d of the store does not follow the line before it; bot audit export and verify show more", ErrBroken, f.last.Count+1+uint64(len(lines)))
		}
		lines, prev = append(lines, line), Hash(line)
		if len(lines) == batchLines {
			break
		}
	}
	return lines, agrees, nil
}

// promised reports whether the store can no longer lose the lines up to head. What was
// read from a server may have been lost with it by the time that another one answers,
// so it is looked at once more.
func (f *File) promised(ctx context.Context, head request.Head) (bool, error) {
	if f.settled == nil {
		return true, nil
	}
	if err := f.settled(ctx); err != nil {
		return false, fmt.Errorf("the store cannot promise its last lines yet: %w", err)
	}
	hash, err := f.stored(ctx, head.Count)
	return hash == head.Hash, err
}

// stored is the hash of the store's line n, empty if it has none.
func (f *File) stored(ctx context.Context, n uint64) (string, error) {
	for line, err := range f.records(ctx, n) {
		if err != nil {
			return "", fmt.Errorf("reading the store: %w", err)
		}
		return Hash(line), nil
	}
	return "", nil
}
