package sandbox

import (
	"encoding/json"
	"slices"
)

// rendered is what a text with blocks looks like, kept until either is replaced: a
// state is made after every change, and most of it has not changed.
type rendered struct {
	text    string
	first   *any // of the blocks; they are replaced and never changed
	n       int
	done    bool
	raw     json.RawMessage
	plain   string
	buttons []Button
}

// of renders, and returns copies.
func (r *rendered) of(text string, blocks []any) (raw json.RawMessage, all []Button, plain string) {
	var first *any
	if len(blocks) > 0 {
		first = &blocks[0]
	}
	if !r.done || r.text != text || r.first != first || r.n != len(blocks) {
		*r = rendered{
			text: text, first: first, n: len(blocks), done: true,
			raw: rawBlocks(blocks), plain: plainText(text, blocks), buttons: buttons(blocks),
		}
	}
	all = slices.Clone(r.buttons)
	for i, b := range all {
		if b.Confirm != nil {
			dialog := *b.Confirm
			all[i].Confirm = &dialog
		}
	}
	return slices.Clone(r.raw), all, r.plain
}
