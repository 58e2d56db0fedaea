package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// resume reads how far the file goes, and cuts off what a crash left of its last line.
func (f *File) resume(file *os.File) error {
	f.left, f.forked = nil, false
	w, torn, err := f.read()
	if err != nil {
		return err
	}
	if torn > 0 {
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if err := file.Truncate(info.Size() - torn); err != nil {
			return fmt.Errorf("cutting off a torn last line: %w", err)
		}
		f.log.Warn("cut a torn last line off AUDIT_FILE", "bytes", torn, "number", w.head.Count+1)
	}
	f.last, f.forked = w.head, len(w.forks) > 0
	return f.leave(file)
}

// read walks the file, and counts the bytes behind its last whole line.
func (f *File) read() (w *walk, torn int64, err error) {
	file, err := os.Open(f.path)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	w = newWalk(Against{Part: true})
	for line, err := range wholeLines(file) {
		if errors.Is(err, errTorn) {
			return w, int64(len(line)), nil
		}
		if err == nil {
			err = w.next(line)
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s cannot be continued: look at it with bot audit verify, and move it away; a new one begins with the first line: %w", f.path, err)
		}
	}
	return w, 0, nil
}

// append adds lines and syncs them.
func (f *File) append(file *os.File, lines [][]byte) error {
	f.left = nil // until all of it is on the disk
	if _, err := file.Write(append(bytes.Join(lines, []byte("\n")), '\n')); err != nil {
		return err
	}
	return f.leave(file)
}

func (f *File) leave(file *os.File) error {
	f.left = nil
	if err := file.Sync(); err != nil {
		return err
	}
	info, err := file.Stat()
	if err == nil {
		f.left = info
	}
	return err
}

// fork says in the file from which line on the store has another one, or none, and goes
// back to the line before it.
func (f *File) fork(ctx context.Context, file *os.File) error {
	w, _, err := f.read()
	if err != nil {
		return err
	}
	number, err := f.parting(ctx, w)
	if err != nil || number > w.head.Count { // the same again: the store has changed meanwhile
		return err
	}
	if number == w.before.Count+1 && number > 1 {
		return fmt.Errorf("%s begins with number %d and has no line in common with the store: look at it with bot audit verify, and move it away", f.path, number)
	}
	store, err := f.stored(ctx, number)
	if err != nil {
		return err
	}
	fork := Fork{At: time.Now().UTC(), Number: number, File: w.hash(number), Store: store}
	line, err := json.Marshal(map[string]Fork{"fork": fork})
	if err != nil {
		return fmt.Errorf("encoding a fork: %w", err)
	}
	if err := f.append(file, [][]byte{line}); err != nil {
		return err
	}
	f.last, f.forked = request.Head{Count: number - 1, Hash: w.hash(number - 1)}, true
	f.log.Error("AUDIT_FILE and the store have forked: the store lost lines that it had promised, or was changed",
		"number", number, "file", fork.File, "store", fork.Store, "lost", w.head.Count-number+1)
	return nil
}

// parting is the number of the first of w's lines that the store does not have: as each
// line names the one before it, all before that are the same.
func (f *File) parting(ctx context.Context, w *walk) (uint64, error) {
	low, high := w.before.Count+1, w.head.Count+1
	for low < high {
		mid := low + (high-low)/2
		hash, err := f.stored(ctx, mid)
		if err != nil {
			return 0, err
		}
		if hash == w.hash(mid) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low, nil
}

var errTorn = errors.New("the last line has no end")

// wholeLines yields the lines of r, and what is left behind the last end of a line
// together with errTorn.
func wholeLines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for in := bufio.NewReader(r); ; {
			line, err := in.ReadBytes('\n')
			switch {
			case err == nil:
				if !yield(line[:len(line)-1], nil) {
					return
				}
				continue
			case !errors.Is(err, io.EOF):
				yield(nil, err)
			case len(line) > 0:
				yield(line, errTorn)
			}
			return
		}
	}
}

// Lines yields the lines of r, with or without an end of the last.
func Lines(r io.Reader) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for line, err := range wholeLines(r) {
			if errors.Is(err, errTorn) {
				err = nil
			}
			if !yield(line, err) {
				return
			}
		}
	}
}
