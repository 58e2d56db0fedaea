// Package audit gives the record its form: one JSON line per entry, each naming
// the hash of the line before it, so that a changed, dropped, inserted or
// reordered line is found (verify.go). With a key it signs checkpoints
// (checkpoint.go), so that whoever can write to the whole store still cannot
// rewrite what was signed. It copies lines to a file beside the store (file.go)
// and words them for others (ocsf.go).
//
// It must not know which store lines come from, nor decide what is recorded: it is
// handed records, lines and functions.
package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/revoke-session/revoke-session/internal/request"
)

// domain separates these hashes from any other use of SHA-256 on the same bytes.
const domain = "revoke-session audit line v1\n"

// Entry is one line of the record. Field order is the order of the line.
type Entry struct {
	Seq  uint64 `json:"seq"`  // from 1, without gaps
	Prev string `json:"prev"` // hex SHA-256 of the line before; empty for the first
	request.Record
	Checkpoint string `json:"checkpoint,omitempty"` // a signed note over the lines before, see NewChain
}

// Chain is the request.Chain without checkpoints: pure, safe for concurrent use.
func Chain(head request.Head, records []request.Record) ([][]byte, request.Head, error) {
	lines := make([][]byte, 0, len(records)+1)
	for _, rec := range records {
		line, next, err := follow(head, Entry{Record: rec})
		if err != nil {
			return nil, head, err
		}
		lines, head = append(lines, line), next
	}
	return lines, head, nil
}

// follow makes e the line behind head.
func follow(head request.Head, e Entry) ([]byte, request.Head, error) {
	e.Seq, e.Prev = head.Count+1, head.Hash
	line, err := json.Marshal(e)
	if err != nil {
		return nil, head, fmt.Errorf("encoding record %d: %w", e.Seq, err)
	}
	return line, request.Head{Count: e.Seq, Hash: Hash(line)}, nil
}

// Hash is the hash by which the next line names this one. It covers the exact
// bytes, so no canonical form has to be agreed on.
func Hash(line []byte) string {
	h := sha256.New()
	h.Write([]byte(domain))
	h.Write(line)
	return hex.EncodeToString(h.Sum(nil))
}
