package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/request"
)

// sixty is a record of about sixty lines, a checkpoint at its end.
func sixty(t *testing.T, signer Signer) [][]byte {
	t.Helper()
	var events []string
	for range 10 {
		events = append(events, "command", "confirm", "execute", "postpone+answer not delivered", "result")
	}
	return story(t, NewChain(signer), events...)
}

func end(lines [][]byte) request.Head {
	return request.Head{Count: uint64(len(lines)), Hash: Hash(lines[len(lines)-1])}
}

// mutations change a record so that it says something else. Each returns the number of
// the first line that is not what it was.
var mutations = map[string]func(l [][]byte, rng *rand.Rand) ([][]byte, int){
	"alter": func(l [][]byte, rng *rand.Rand) ([][]byte, int) {
		i := rng.IntN(len(l))
		l[i] = slices.Clone(l[i])
		l[i][rng.IntN(len(l[i]))] ^= byte(1 + rng.IntN(255))
		return l, i + 1
	},
	"drop": func(l [][]byte, rng *rand.Rand) ([][]byte, int) {
		i := rng.IntN(len(l))
		return slices.Delete(l, i, i+1), i + 1
	},
	"duplicate": func(l [][]byte, rng *rand.Rand) ([][]byte, int) {
		i := rng.IntN(len(l))
		return slices.Insert(l, i, l[i]), i + 2
	},
	"swap": func(l [][]byte, rng *rand.Rand) ([][]byte, int) {
		i := rng.IntN(len(l) - 1)
		j := i + 1 + rng.IntN(len(l)-i-1)
		l[i], l[j] = l[j], l[i]
		return l, i + 1
	},
	"insert": func(l [][]byte, rng *rand.Rand) ([][]byte, int) {
		i := rng.IntN(len(l))
		var e Entry
		_ = json.Unmarshal(l[i], &e)
		e.Event, e.Checkpoint = "confirm", "" // it follows the line before it, and nothing follows it
		made, _ := json.Marshal(e)
		return slices.Insert(l, i, made), i + 1
	},
	"truncate the head": func(l [][]byte, rng *rand.Rand) ([][]byte, int) {
		return l[1+rng.IntN(len(l)-1):], 1
	},
	"truncate the tail": func(l [][]byte, rng *rand.Rand) ([][]byte, int) {
		n := rng.IntN(len(l))
		return l[:n], n + 1
	},
}

func TestEveryMutationIsFound(t *testing.T) {
	signer, verifier := keys(t)
	whole := sixty(t, signer)
	head := end(whole)
	var names []string
	for name := range mutations {
		names = append(names, name)
	}
	slices.Sort(names)
	rng := rand.New(rand.NewPCG(1, 2))
	byHead := map[string]int{}
	for n := range 1000 {
		name := names[n%len(names)]
		mutated, first := mutations[name](slices.Clone(whole), rng)
		_, err := Against{Keys: []Verifier{verifier}, Head: head}.Verify(seq(mutated))
		if !errors.Is(err, ErrBroken) {
			t.Fatalf("%d: %s at line %d: Verify = %v, want ErrBroken", n, name, first, err)
		}
		// An altered line is found by the one behind it; all else where it stands.
		if !strings.Contains(err.Error(), fmt.Sprintf("line %d:", first)) && !strings.Contains(err.Error(), fmt.Sprintf("line %d:", first+1)) {
			t.Errorf("%d: %s at line %d: Verify = %v", n, name, first, err)
		}
		if _, err := verify(seq(mutated)); err == nil {
			byHead[name]++
			if name != "truncate the tail" && first < len(whole) { // nothing stands behind the last line
				t.Errorf("%d: %s at line %d is only found with a head", n, name, first)
			}
		}
	}
	if byHead["truncate the tail"] == 0 {
		t.Error("every cut tail was found without a head: the test proves nothing")
	}
	t.Logf("1000 mutations of %d lines found; only by the head: %v", len(whole), byHead)
}

func TestHeadOfAResult(t *testing.T) {
	signer, _ := keys(t)
	all := sixty(t, signer)
	given := request.Head{Count: 28, Hash: Hash(all[27])}
	tests := []struct {
		name  string
		lines [][]byte
		part  bool
		want  string
	}{
		{"within", all, false, ""},
		{"at the end", all[:28], false, ""},
		{"cut off before", all[:27], false, "line 28: is missing: the record ends with line 27"},
		{"nothing left", nil, false, "line 1: is missing"},
		{"another line", story(t, Chain, strings.Split(strings.Repeat("command ", 40), " ")...), false, "line 28: is not the one that the given head names"},
		{"a part with it", all[20:], true, ""},
		{"a part behind it", all[30:], true, "this part begins behind it"},
		{"no part", all[20:], false, "line 1: has number 21"},
	}
	for _, tt := range tests {
		_, err := Against{Head: given, Part: tt.part}.Verify(seq(tt.lines))
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: Verify = %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestPartSaysWhereItBegins(t *testing.T) {
	signer, verifier := keys(t)
	got, err := Against{Keys: []Verifier{verifier}, Part: true}.Verify(seq(sixty(t, signer)[20:]))
	if err != nil || got.From != 21 || got.Count != 70 || got.Checkpoints != 8 {
		t.Errorf("Verify = %+v, %v; want 21 to 70", got, err)
	}
}

// rechain computes everything anew behind line n, as somebody can who writes to the
// store: again makes the checkpoints, and nil leaves them as they were.
func rechain(t *testing.T, lines [][]byte, n int, again func(e Entry) string) [][]byte {
	t.Helper()
	forged := slices.Clone(lines)
	forged[n-1] = bytes.Replace(forged[n-1], []byte("target"), []byte("nobody"), 1)
	for i := n; i < len(forged); i++ {
		var e Entry
		if err := json.Unmarshal(forged[i], &e); err != nil {
			t.Fatal(err)
		}
		e.Prev = Hash(forged[i-1])
		if e.Checkpoint != "" && again != nil {
			e.Checkpoint = again(e)
		}
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		forged[i] = line
	}
	return forged
}

func TestForgeryOfTheWholeChain(t *testing.T) {
	signer, verifier := keys(t)
	stranger, _ := keys(t)
	all := sixty(t, signer)
	resign := func(e Entry) string {
		text, err := sign(stranger, request.Head{Count: e.Seq - 1, Hash: e.Prev}, e.Time)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	keepSignature := func(e Entry) string { // the text says what it should, under the old signature
		text, err := checkpointText(request.Head{Count: e.Seq - 1, Hash: e.Prev}, e.Time)
		if err != nil {
			t.Fatal(err)
		}
		_, signature, _ := strings.Cut(e.Checkpoint, "\n\n")
		return text + "\n" + signature
	}
	cut := rechain(t, all, 65, nil)[:69] // its checkpoint is line 70
	tests := []struct {
		name          string
		lines         [][]byte
		bare, withKey string
	}{
		{"checkpoints left", rechain(t, all, 3, nil), "line 7: the checkpoint does not match", "line 7: the checkpoint does not match"},
		{"text forged", rechain(t, all, 3, keepSignature), "", "line 7: the checkpoint's signature is wrong"},
		{"signed by a stranger", rechain(t, all, 3, resign), "", "line 7: the checkpoint is signed by an unknown key"},
		{"checkpoint left out", cut, "", "number 69 needs a checkpoint and none follows"},
		{"none ever", story(t, Chain, "command", "result"), "", "number 2 needs a checkpoint and none follows"},
		{"without a note", rechain(t, all, 3, func(Entry) string { return "" }), "line 7: a checkpoint without a signed note", "line 7: a checkpoint without a signed note"},
	}
	for _, tt := range tests {
		if _, err := verify(seq(tt.lines)); tt.bare == "" && err != nil || tt.bare != "" && (err == nil || !strings.Contains(err.Error(), tt.bare)) {
			t.Errorf("%s: without a key: Verify = %v, want %q", tt.name, err, tt.bare)
		}
		_, err := verify(seq(tt.lines), verifier)
		if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), tt.withKey) {
			t.Errorf("%s: Verify = %v, want %q", tt.name, err, tt.withKey)
		}
	}
	if _, err := verify(seq(all), verifier, verifier); err != nil {
		t.Errorf("the record itself, its key given twice: %v", err)
	}
}

// A record before the first key, and under a second, is whole.
func TestKeysCanChange(t *testing.T) {
	first, one := keys(t)
	second, two := keys(t)
	all := story(t, Chain, "command", "result")
	head := end(all)
	for _, s := range []Signer{first, second} {
		more, next, err := NewChain(s)(head, []request.Record{{Time: began, Request: "r", Event: "result"}})
		if err != nil {
			t.Fatal(err)
		}
		all, head = append(all, more...), next
	}
	if got, err := verify(seq(all), one, two); err != nil || got.Checkpoints != 2 {
		t.Errorf("Verify = %+v, %v", got, err)
	}
	if _, err := verify(seq(all), one); err == nil || !strings.Contains(err.Error(), "line 6: the checkpoint is signed by an unknown key") {
		t.Errorf("Verify with the first key alone = %v", err)
	}
}

func TestUnknownFieldsAreFine(t *testing.T) {
	one := []byte(`{"seq":1,"prev":"","time":"2026-11-24T03:00:00Z","request":"r","event":"x","state":"done","later":{"a":1}}`)
	two := fmt.Appendf(nil, `{"seq":2,"prev":%q,"novel":true}`, Hash(one))
	if _, err := verify(seq([][]byte{one, two})); err != nil {
		t.Errorf("Verify = %v", err)
	}
}
