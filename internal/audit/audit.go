// Package audit gives the record its form: one JSON line per entry, each naming
// the hash of the line before it, so that a changed, dropped, inserted or
// reordered line is found. A bare chain does not show that its end was cut off,
// nor that somebody with write access to the whole store rewrote all of it.
//
// It knows the domain's records and nothing of where lines are stored or sent.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/revoke-session/revoke-session/internal/request"
)

// domain separates these hashes from any other use of SHA-256 on the same bytes.
const domain = "revoke-session audit line v1\n"

// Entry is one line of the record. Field order is the order of the line.
type Entry struct {
	Seq  uint64 `json:"seq"`  // from 1, without gaps
	Prev string `json:"prev"` // hex SHA-256 of the line before; empty for the first
	request.Record
}

// Chain is the request.Chain of this package: pure, safe for concurrent use.
func Chain(head request.Head, records []request.Record) ([][]byte, request.Head, error) {
	lines := make([][]byte, 0, len(records))
	for _, rec := range records {
		line, err := json.Marshal(Entry{Seq: head.Count + 1, Prev: head.Hash, Record: rec})
		if err != nil {
			return nil, head, fmt.Errorf("encoding record %d: %w", head.Count+1, err)
		}
		lines = append(lines, line)
		head = request.Head{Count: head.Count + 1, Hash: Hash(line)}
	}
	return lines, head, nil
}

// Hash is the hash by which the next line names this one. It covers the exact
// bytes, so no canonical form has to be agreed on.
func Hash(line []byte) string {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(line)
	return hex.EncodeToString(h.Sum(nil))
}

// ErrBroken is returned by Verify, wrapped with the first line that does not fit.
var ErrBroken = errors.New("audit chain is broken")

// Verify walks lines from the first and returns the head they lead to. The
// error is ErrBroken, wrapped with the line's number and what is wrong, or the
// reader's own.
func Verify(lines iter.Seq2[[]byte, error]) (request.Head, error) {
	var head request.Head
	for line, err := range lines {
		if err != nil {
			return head, fmt.Errorf("reading line %d: %w", head.Count+1, err)
		}
		var e Entry
		if err := json.Unmarshal(line, &e); err != nil {
			return head, fmt.Errorf("%w: line %d: not a record: %w", ErrBroken, head.Count+1, err)
		}
		if e.Seq != head.Count+1 {
			return head, fmt.Errorf("%w: line %d: has number %d", ErrBroken, head.Count+1, e.Seq)
		}
		if e.Prev != head.Hash {
			return head, fmt.Errorf("%w: line %d: does not follow the line before it", ErrBroken, head.Count+1)
		}
		head = request.Head{Count: e.Seq, Hash: Hash(line)}
	}
	return head, nil
}
