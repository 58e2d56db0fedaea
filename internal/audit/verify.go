package audit

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Errors of verification.
var (
	// ErrBroken is wrapped with the first line that does not fit, and why.
	ErrBroken = errors.New("audit chain is broken")
	// ErrForked says that a copy of the record stands by itself, on both sides of each
	// fork, but that its store went another way: it lost lines, or was changed.
	ErrForked = errors.New("the record has forked")
)

// Against is what lines are held against beside each other.
type Against struct {
	// Keys are whose signatures count. With any, every checkpoint needs one, and behind
	// each event of checkpointed there has to be a checkpoint. Without, signatures are
	// not looked at: whoever can write all lines can rewrite all lines.
	Keys []Verifier
	// Head is a line that must be there, as the result in Slack names it; zero is none.
	// It is the only way to notice that the end was cut off.
	Head request.Head
	// Part accepts lines that begin in the middle of a record.
	Part bool
}

// Checkpoint is where a checkpoint stands and when it was made. It covers the lines
// before it.
type Checkpoint struct {
	Number uint64
	Time   time.Time
}

// Report says what was verified: of the lines up to the first broken one if there is one.
type Report struct {
	request.Head             // number and hash of the last line
	From         uint64      // number of the first line; more than 1: a part
	Checkpoints  int         // on the way to Head
	Last         *Checkpoint // of them; nil if there is none
	Uncovered    uint64      // lines behind it, or all: no signature covers them
	Forks        []Fork
}

// Fork is where a copy of the record and its store went separate ways, as File notes it.
type Fork struct {
	At     time.Time `json:"at"`     // when it was noticed
	Number uint64    `json:"number"` // of the first line that differs
	File   string    `json:"file"`   // its hash in the copy
	Store  string    `json:"store"`  // its hash in the store; empty if it had no such line

	Line int          `json:"-"` // of the copy, at which this stands
	End  request.Head `json:"-"` // the last line of what the store does not have
}

// Verify walks lines and reports what they are. The error is ErrBroken, wrapped with the
// first line that does not fit and why, ErrForked if all fit and there was a fork, or the
// reader's own. It keeps 64 bytes of each line.
func (a Against) Verify(lines iter.Seq2[[]byte, error]) (Report, error) {
	w := newWalk(a)
	for line, err := range lines {
		if err != nil {
			return w.report(), fmt.Errorf("reading line %d: %w", w.line+1, err)
		}
		if err := w.next(line); err != nil {
			return w.report(), cmp.Or(w.wrongHead(), err)
		}
	}
	return w.report(), w.end()
}

// walk goes from line to line.
type walk struct {
	against     Against
	line        int          // read so far, forks included
	before      request.Head // of the first line
	head        request.Head
	hashes      []string // of the lines behind before
	checkpoints []Checkpoint
	bare        uint64 // the first event since the last checkpoint that asks for one
	forks       []Fork
	wrong       int // line at which Against.Head has another hash
	right       bool
}

func newWalk(a Against) *walk {
	w := &walk{against: a}
	var keys []Verifier
	for _, k := range a.Keys { // one given twice would be ambiguous
		if !slices.ContainsFunc(keys, func(o Verifier) bool { return o.Name() == k.Name() && o.KeyHash() == k.KeyHash() }) {
			keys = append(keys, k)
		}
	}
	w.against.Keys = keys
	return w
}

func (w *walk) broken(format string, args ...any) error {
	return fmt.Errorf("%w: line %d: %w", ErrBroken, w.line, fmt.Errorf(format, args...))
}

func (w *walk) next(line []byte) error {
	w.line++
	var l struct {
		Entry
		Fork *Fork `json:"fork"`
	}
	if err := json.Unmarshal(line, &l); err != nil {
		return w.broken("not a record: %w", err)
	}
	if l.Fork != nil {
		return w.fork(*l.Fork)
	}
	return w.entry(l.Entry, Hash(line))
}

func (w *walk) entry(e Entry, hash string) error {
	if w.line == 1 && w.against.Part && e.Seq > 1 {
		w.before = request.Head{Count: e.Seq - 1, Hash: e.Prev}
		w.head = w.before
	}
	switch {
	case e.Seq != w.head.Count+1:
		return w.broken("has number %d, and %d has to follow", e.Seq, w.head.Count+1)
	case e.Prev != w.head.Hash:
		return w.broken("does not follow the line before it: one of the two was changed")
	}
	if e.Event == eventCheckpoint || e.Checkpoint != "" {
		if err := checkCheckpoint(e, w.against.Keys); err != nil {
			return w.broken("%w", err)
		}
		w.checkpoints, w.bare = append(w.checkpoints, Checkpoint{e.Seq, e.Time}), 0
	} else if w.bare == 0 && deniable(e.Record) {
		w.bare = e.Seq
	}
	w.head = request.Head{Count: e.Seq, Hash: hash}
	w.hashes = append(w.hashes, hash)
	if e.Seq == w.against.Head.Count {
		w.right, w.wrong = hash == w.against.Head.Hash, w.line
	}
	return nil
}

// fork goes back to the last line that copy and store have in common.
func (w *walk) fork(f Fork) error {
	if f.Number <= w.before.Count || f.Number > w.head.Count || w.hash(f.Number) != f.File {
		return w.broken("a fork at a line that is not here")
	}
	f.Line, f.End = w.line, w.head
	w.forks = append(w.forks, f)
	w.hashes = w.hashes[:f.Number-1-w.before.Count]
	w.head = request.Head{Count: f.Number - 1, Hash: w.hash(f.Number - 1)}
	w.checkpoints = slices.DeleteFunc(w.checkpoints, func(c Checkpoint) bool { return c.Number >= f.Number })
	if w.bare >= f.Number {
		w.bare = 0
	}
	if w.against.Head.Count >= f.Number {
		w.right, w.wrong = false, 0
	}
	return nil
}

// hash is that of line n, which is not before the first.
func (w *walk) hash(n uint64) string {
	if n == w.before.Count {
		return w.before.Hash
	}
	return w.hashes[n-w.before.Count-1]
}

func (w *walk) wrongHead() error {
	if w.wrong == 0 || w.right {
		return nil
	}
	return fmt.Errorf("%w: line %d: is not the one that the given head names", ErrBroken, w.wrong)
}

// end judges what can only be judged at the end.
func (w *walk) end() error {
	if err := w.wrongHead(); err != nil {
		return err
	}
	given := w.against.Head.Count
	switch {
	case given > w.head.Count:
		return fmt.Errorf("%w: line %d: is missing: the record ends with line %d, and the given head names line %d", ErrBroken, w.line+1, w.head.Count, given)
	case given > 0 && !w.right:
		return fmt.Errorf("%w: the given head names line %d, and this part begins behind it", ErrBroken, given)
	case len(w.against.Keys) > 0 && w.bare != 0:
		return fmt.Errorf("%w: number %d needs a checkpoint and none follows: it was cut out, or written without AUDIT_KEY", ErrBroken, w.bare)
	case len(w.forks) > 0:
		f := w.forks[0]
		return fmt.Errorf("%w at number %d, said in line %d: the store does not have what stands before that, from there to number %d", ErrForked, f.Number, f.Line, f.End.Count)
	}
	return nil
}

func (w *walk) report() Report {
	r := Report{Head: w.head, From: w.before.Count + 1, Checkpoints: len(w.checkpoints), Uncovered: uint64(len(w.hashes)), Forks: w.forks}
	if n := len(w.checkpoints); n > 0 {
		r.Last = &w.checkpoints[n-1]
		r.Uncovered = w.head.Count - r.Last.Number
	}
	return r
}
