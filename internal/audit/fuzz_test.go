package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// Whatever stands in a file, it is whole, broken or forked, and its report is of lines
// that are there.
func FuzzVerify(f *testing.F) {
	whole := []byte(`{"seq":1,"prev":"","event":"result"}`)
	next, err := json.Marshal(Entry{Seq: 2, Prev: Hash(whole)})
	if err != nil {
		f.Fatal(err)
	}
	fork, err := json.Marshal(map[string]Fork{"fork": {Number: 2, File: Hash(next)}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(joined([][]byte{whole, next, fork, next}))
	f.Add([]byte(`{"fork":{"number":1}}`))
	f.Add([]byte(`{"seq":18446744073709551615,"prev":"x"}` + "\n" + `{"fork":{"number":18446744073709551615}}`))
	f.Add([]byte(`{"seq":1,"event":"checkpoint","checkpoint":"revoke-session audit\n0\n\n\n\n— a b\n"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, part := range []bool{false, true} {
			got, err := Against{Part: part}.Verify(Lines(bytes.NewReader(text)))
			if err != nil && !errors.Is(err, ErrBroken) && !errors.Is(err, ErrForked) {
				t.Errorf("Verify = %v", err)
			}
			if n := uint64(bytes.Count(text, []byte("\n")) + 1); got.Uncovered > n || uint64(got.Checkpoints) > n {
				t.Errorf("report %+v of at most %d lines", got, n)
			}
		}
	})
}
