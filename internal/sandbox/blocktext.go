package sandbox

import (
	"encoding/json"
	"regexp"
	"strings"
)

// rawBlocks is blocks as JSON, nil for none.
func rawBlocks(blocks []any) json.RawMessage {
	if len(blocks) == 0 {
		return nil
	}
	raw, err := json.Marshal(blocks)
	if err != nil {
		return nil // cannot happen: blocks were decoded from JSON
	}
	return raw
}

// buttons lists the buttons of blocks from the top down.
func buttons(blocks []any) []Button {
	var out []Button
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		elements, _ := block["elements"].([]any)
		if accessory, ok := block["accessory"]; ok {
			elements = []any{accessory}
		}
		for _, e := range elements {
			if element, _ := e.(map[string]any); element["type"] == "button" {
				out = append(out, button(block, element))
			}
		}
	}
	return out
}

func button(block, element map[string]any) Button {
	b := Button{
		ActionID: str(element, "action_id"), BlockID: str(block, "block_id"), Value: str(element, "value"),
		Text: objectText(element["text"]), Style: str(element, "style"), URL: str(element, "url"),
	}
	if d, ok := element["confirm"].(map[string]any); ok {
		b.Confirm = &ConfirmDialog{
			Title: objectText(d["title"]), Text: objectText(d["text"]), Confirm: objectText(d["confirm"]),
			Deny: objectText(d["deny"]), Style: str(d, "style"),
		}
	}
	return b
}

// element finds the button with that action id and the block it stands in.
func element(blocks []any, actionID string) (block, button map[string]any) {
	for _, b := range blocks {
		block, _ := b.(map[string]any)
		elements, _ := block["elements"].([]any)
		if accessory, ok := block["accessory"]; ok {
			elements = []any{accessory}
		}
		for _, e := range elements {
			if element, _ := e.(map[string]any); element["type"] == "button" && element["action_id"] == actionID {
				return block, element
			}
		}
	}
	return nil, nil
}

// plainText is everything a reader sees, one line for each piece of text, with
// entities unescaped and references written out.
func plainText(text string, blocks []any) string {
	var lines []string
	if text != "" {
		lines = append(lines, readable(text))
	}
	collectText(blocks, &lines)
	return strings.Join(lines, "\n")
}

// collectText walks blocks in reading order. Confirm dialogs are not part of
// what is seen before a press.
func collectText(v any, lines *[]string) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			collectText(item, lines)
		}
	case map[string]any:
		switch v["type"] {
		case "plain_text":
			*lines = append(*lines, str(v, "text"))
			return
		case "mrkdwn", "markdown":
			*lines = append(*lines, readable(str(v, "text")))
			return
		}
		for _, key := range []string{"text", "fields", "elements", "accessory", "title", "alt_text"} {
			if s, ok := v[key].(string); ok {
				*lines = append(*lines, s)
			} else {
				collectText(v[key], lines)
			}
		}
	}
}

var reference = regexp.MustCompile(`<([^<>|]*)(?:\|([^<>]*))?>`)

// readable turns references such as <mailto:a|b> into what is displayed and
// entities into characters, in this order, as Slack does.
func readable(mrkdwn string) string {
	shown := reference.ReplaceAllStringFunc(mrkdwn, func(ref string) string {
		part := reference.FindStringSubmatch(ref)
		switch {
		case strings.HasPrefix(part[1], "@"), strings.HasPrefix(part[1], "#"):
			return part[1]
		case part[2] != "":
			return part[2]
		default:
			return strings.TrimPrefix(part[1], "mailto:")
		}
	})
	return unescape(shown)
}

// unescape undoes escape: each entity is turned back once.
func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}

func str(m map[string]any, key string) string {
	s, _ := m[key].(string)
	return s
}

func objectText(v any) string {
	m, _ := v.(map[string]any)
	return str(m, "text")
}
