package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/note"

	"github.com/revoke-session/revoke-session/internal/request"
)

func keys(t *testing.T) (Signer, Verifier) {
	t.Helper()
	private, public, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s, err := ParseSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	v, err := ParseVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

var began = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// story is a record of the events, one batch each; "a+b" is one batch of two.
func story(t *testing.T, chain request.Chain, events ...string) [][]byte {
	t.Helper()
	var all [][]byte
	var head request.Head
	for i, batch := range events {
		var recs []request.Record
		for event := range strings.SplitSeq(batch, "+") {
			recs = append(recs, request.Record{
				Time: began.Add(time.Duration(i) * time.Second), Request: request.ID(fmt.Sprint("r", i%3)),
				Event: event, Decision: "allowed", State: request.Approved, Target: fmt.Sprint("target", i),
			})
		}
		more, next, err := chain(head, recs)
		if err != nil {
			t.Fatal(err)
		}
		all, head = append(all, more...), next
	}
	return all
}

func entries(t *testing.T, lines [][]byte) []Entry {
	t.Helper()
	all := make([]Entry, len(lines))
	for i, l := range lines {
		if err := json.Unmarshal(l, &all[i]); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func TestCheckpointsStandBehindWhatCouldBeDenied(t *testing.T) {
	signer, verifier := keys(t)
	all := story(t, NewChain(signer), "command", "confirm", "result", "link", "channel gone", "freeze+confirm", "answer not delivered")
	var have []string
	for _, e := range entries(t, all) {
		have = append(have, e.Event)
	}
	want := []string{"command", "confirm", "result", "checkpoint", "link", "checkpoint", "channel gone", "freeze", "confirm", "checkpoint", "answer not delivered"}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	got, err := verify(seq(all), verifier)
	if err != nil || got.Checkpoints != 3 || got.Uncovered != 1 || got.Last == nil || got.Last.Number != 10 || !got.Last.Time.Equal(began.Add(5*time.Second)) {
		t.Errorf("Verify = %+v, %v; want 3 checkpoints, the last at 10", got, err)
	}
}

func TestCheckpointIsASignedNote(t *testing.T) {
	signer, verifier := keys(t)
	all := story(t, NewChain(signer), "command", "result")
	opened, err := note.Open([]byte(entries(t, all)[2].Checkpoint), note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	want, err := checkpointText(request.Head{Count: 2, Hash: Hash(all[1])}, began.Add(time.Second))
	if err != nil || opened.Text != want || !strings.HasPrefix(want, "revoke-session audit\n2\n") || !strings.HasSuffix(want, "=\n2026-11-24T03:00:01Z\n") {
		t.Errorf("the note says %q, want %q", opened.Text, want)
	}
}

func TestChainIsDeterministic(t *testing.T) {
	signer, _ := keys(t)
	first, second := story(t, NewChain(signer), "command", "result"), story(t, NewChain(signer), "command", "result")
	if diff := cmp.Diff(first, second); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
	if diff := cmp.Diff(story(t, Chain, "command", "result"), story(t, NewChain(nil), "command", "result")); diff != "" {
		t.Errorf("a chain without a signer is not Chain:\n%s", diff)
	}
}

func TestWrongKeysAreNotQuoted(t *testing.T) {
	private, public, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "canary", public, private + "canary", strings.Replace(private, "revoke-session", "canary", 1)} {
		if _, err := ParseSigner(text); !errors.Is(err, ErrSignerKey) || strings.Contains(err.Error(), "canary") {
			t.Errorf("ParseSigner = %v, want ErrSignerKey alone", err)
		}
	}
	if _, err := ParseVerifier(private); !errors.Is(err, ErrVerifierKey) {
		t.Errorf("ParseVerifier of a private key = %v, want ErrVerifierKey", err)
	}
	if _, err := ParseSigner(" " + private + "\n"); err != nil {
		t.Errorf("ParseSigner with space around it = %v", err)
	}
}
