package audit

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

func lines(t *testing.T, n int) ([][]byte, request.Head) {
	t.Helper()
	var all [][]byte
	var head request.Head
	for i := range n {
		rec := request.Record{
			Time: time.Date(2026, 11, 24, 3, 0, i, 0, time.UTC), Request: request.ID(fmt.Sprint("r", i%3)),
			Event: "confirm", Decision: "allowed", State: request.Approved,
		}
		more, next, err := Chain(head, []request.Record{rec, rec})
		if err != nil {
			t.Fatal(err)
		}
		all, head = append(all, more...), next
	}
	return all, head
}

func seq(lines [][]byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

func TestVerifyFollowsTheChain(t *testing.T) {
	all, want := lines(t, 5)
	got, err := verify(seq(all))
	if err != nil || got.Head != want || got.Count != 10 || got.From != 1 || got.Uncovered != 10 || got.Last != nil {
		t.Errorf("Verify = %+v, %v; want %v", got, err, want)
	}
}

func TestVerifyFindsTampering(t *testing.T) {
	tests := []struct {
		name   string
		change func([][]byte) [][]byte
		want   string
	}{
		{"altered", func(l [][]byte) [][]byte {
			l[3] = bytes.Replace(l[3], []byte("allowed"), []byte("refused"), 1)
			return l
		}, "line 5"}, // found where the next line no longer follows
		{"dropped", func(l [][]byte) [][]byte { return slices.Delete(l, 4, 5) }, "line 5: has number 6"},
		{"inserted", func(l [][]byte) [][]byte { return slices.Insert(l, 2, l[2]) }, "line 4"},
		{"reordered", func(l [][]byte) [][]byte { l[1], l[2] = l[2], l[1]; return l }, "line 2: has number 3"},
		{"not JSON", func(l [][]byte) [][]byte { l[0] = []byte("{"); return l }, "line 1: not a record"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all, _ := lines(t, 5)
			_, err := verify(seq(tt.change(all)))
			if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Verify = %v, want ErrBroken naming %q", err, tt.want)
			}
		})
	}
}

func TestVerifyPassesOnReadErrors(t *testing.T) {
	boom := errors.New("boom")
	_, err := verify(func(yield func([]byte, error) bool) { yield(nil, boom) })
	if !errors.Is(err, boom) || errors.Is(err, ErrBroken) {
		t.Errorf("Verify = %v, want the read error alone", err)
	}
}

// verify walks a whole record.
func verify(lines iter.Seq2[[]byte, error], keys ...Verifier) (Report, error) {
	return Against{Keys: keys}.Verify(lines)
}
