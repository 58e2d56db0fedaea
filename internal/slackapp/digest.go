package slackapp

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"github.com/slack-go/slack"
)

// digest names what a message says: its text and every text in its blocks, in order,
// and nothing that Slack adds to them. No source shows that Slack returns texts exactly
// as they were sent; where verbatim is set there is nothing for it to change.
func (m message) digest() string { return digestOf(m.text, slack.Blocks{BlockSet: m.blocks}) }

func digestOf(text string, blocks slack.Blocks) string {
	h := sha256.New()
	write := func(s string) {
		h.Write([]byte(s))
		h.Write([]byte{0})
	}
	write(clip(text, maxText))
	blob, err := json.Marshal(blocks.BlockSet)
	var decoded any
	if err == nil {
		err = json.Unmarshal(blob, &decoded)
	}
	if err != nil { // of blocks that no encoder takes
		write(err.Error())
	}
	walk(decoded, write)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// walk visits every text in v, in an order that does not depend on how it was encoded.
func walk(v any, visit func(string)) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if s, ok := v[key].(string); ok && (key == "text" || key == "url" || key == "value" || key == "action_id") {
				visit(s)
				continue
			}
			walk(v[key], visit)
		}
	}
}
