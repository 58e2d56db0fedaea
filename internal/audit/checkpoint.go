package audit

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/revoke-session/revoke-session/internal/request"
)

const (
	// origin is the first line of each checkpoint. The lines after it are those of
	// https://c2sp.org/tlog-checkpoint, but for the hash: it is a chain's, not a tree's.
	origin = "revoke-session audit"
	// keyName stands in keys and beside signatures.
	keyName = "revoke-session"

	eventCheckpoint = "checkpoint"
)

// checkpointed are the events behind which a checkpoint is made: those that somebody
// could later want to deny.
var checkpointed = []string{"result", "freeze", "thaw", "link", "unlink"}

// Signer makes the signatures of checkpoints. Those that ParseSigner returns are
// deterministic and safe for concurrent use.
type Signer = note.Signer

// Verifier knows one signer's signatures.
type Verifier = note.Verifier

// Errors of keys. Neither they nor what wraps them quotes a key.
var (
	ErrSignerKey   = errors.New("is not a private key made by bot audit key; those begin with PRIVATE+KEY+")
	ErrVerifierKey = errors.New("is not a verifier key made by bot audit key; those look like revoke-session+1234abcd+AbCd")
)

// NewKey makes a key pair from the system's randomness: private for ParseSigner,
// public for ParseVerifier.
func NewKey() (private, public string, err error) {
	private, public, err = note.GenerateKey(rand.Reader, keyName)
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	return private, public, nil
}

// ParseSigner reads a private key. It returns ErrSignerKey if it is none.
func ParseSigner(private string) (Signer, error) {
	s, err := note.NewSigner(strings.TrimSpace(private))
	if err != nil {
		return nil, ErrSignerKey
	}
	return s, nil
}

// ParseVerifier reads a public key. It returns ErrVerifierKey if it is none.
func ParseVerifier(public string) (Verifier, error) {
	v, err := note.NewVerifier(strings.TrimSpace(public))
	if err != nil {
		return nil, ErrVerifierKey
	}
	return v, nil
}

// NewChain returns the request.Chain whose checkpoints are signed by signer: behind
// each batch with an event of checkpointed stands one more line, a signed note over
// the number and the hash of the line before it. It is as pure as signer is, and safe
// for concurrent use. Without a signer it is Chain.
func NewChain(signer Signer) request.Chain {
	if signer == nil {
		return Chain
	}
	return func(head request.Head, records []request.Record) ([][]byte, request.Head, error) {
		lines, next, err := Chain(head, records)
		if err != nil || !slices.ContainsFunc(records, deniable) {
			return lines, next, err
		}
		last := records[len(records)-1]
		text, err := sign(signer, next, last.Time)
		if err != nil {
			return nil, head, err
		}
		line, next, err := follow(next, Entry{
			Record:     request.Record{Time: last.Time, Request: last.Request, Event: eventCheckpoint, State: last.State},
			Checkpoint: text,
		})
		if err != nil {
			return nil, head, err
		}
		return append(lines, line), next, nil
	}
}

func deniable(rec request.Record) bool { return slices.Contains(checkpointed, rec.Event) }

func sign(signer Signer, head request.Head, at time.Time) (string, error) {
	text, err := checkpointText(head, at)
	if err != nil {
		return "", err
	}
	signed, err := note.Sign(&note.Note{Text: text}, signer)
	if err != nil {
		return "", fmt.Errorf("signing the checkpoint behind line %d: %w", head.Count, err)
	}
	return string(signed), nil
}

func checkpointText(head request.Head, at time.Time) (string, error) {
	sum, err := hex.DecodeString(head.Hash)
	if err != nil {
		return "", fmt.Errorf("the hash of line %d is not hexadecimal: %w", head.Count, err)
	}
	return fmt.Sprintf("%s\n%d\n%s\n%s\n", origin, head.Count,
		base64.StdEncoding.EncodeToString(sum), at.UTC().Format(time.RFC3339Nano)), nil
}

// Why a checkpoint is not one.
var (
	errNoNote    = errors.New("a checkpoint without a signed note")
	errMismatch  = errors.New("the checkpoint does not match the lines before it")
	errSignature = errors.New("the checkpoint's signature is wrong")
	errUnknown   = errors.New("the checkpoint is signed by an unknown key")
)

// checkCheckpoint compares e with the line before it and, where keys are given, looks
// at its signature.
func checkCheckpoint(e Entry, keys []Verifier) error {
	opened, err := note.Open([]byte(e.Checkpoint), note.VerifierList(keys...))
	unsigned, unknown := errors.AsType[*note.UnverifiedNoteError](err)
	_, forged := errors.AsType[*note.InvalidSignatureError](err)
	switch {
	case unknown:
		opened = unsigned.Note
	case forged:
		return errSignature
	case err != nil || e.Event != eventCheckpoint:
		return errNoNote
	}
	want, err := checkpointText(request.Head{Count: e.Seq - 1, Hash: e.Prev}, e.Time)
	if err != nil || !strings.HasPrefix(opened.Text, want) { // more lines may follow: a later version's
		return errMismatch
	}
	if unknown && len(keys) > 0 {
		return errUnknown
	}
	return nil
}
