package sandbox

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseBlocks(t *testing.T) {
	x := func(n int) string { return strings.Repeat("ü", n) }
	list := func(n int, format string) string {
		items := make([]string, n)
		for i := range items {
			items[i] = strings.ReplaceAll(format, "#", fmt.Sprint(i))
		}
		return strings.Join(items, ",")
	}
	plain := func(s string) string { return `{"type":"plain_text","text":"` + s + `"}` }
	button := func(more string) string {
		return `[{"type":"actions","elements":[{"type":"button","text":` + plain("ok") + more + `}]}]`
	}
	confirm := func(title, text, yes, no string) string {
		return button(`,"confirm":{"title":` + plain(title) + `,"text":` + plain(text) + `,"confirm":` + plain(yes) + `,"deny":` + plain(no) + `}`)
	}
	const numbered = `{"type":"button","action_id":"a#","text":{"type":"plain_text","text":"ok"}}`
	const field = `{"type":"mrkdwn","text":"f"}`
	tests := []struct {
		name, blocks string
		problem      string // "" if Slack takes the blocks
	}{
		{"card", card, ""},
		{"50 blocks", "[" + list(50, `{"type":"divider"}`) + "]", ""},
		{"51 blocks", "[" + list(51, `{"type":"divider"}`) + "]", "no more than 50 items"},
		{"header 150", `[{"type":"header","text":` + plain(x(150)) + `}]`, ""},
		{"header 151", `[{"type":"header","text":` + plain(x(151)) + `}]`, "/blocks/0/text/text"},
		{"header mrkdwn", `[{"type":"header","text":{"type":"mrkdwn","text":"x"}}]`, "must be one of: plain_text"},
		{"section 3000", `[{"type":"section","text":` + plain(x(3000)) + `}]`, ""},
		{"section 3001", `[{"type":"section","text":` + plain(x(3001)) + `}]`, "less than 3001 characters"},
		{"section of nothing", `[{"type":"section"}]`, "text or fields"},
		{"section empty", `[{"type":"section","text":` + plain("") + `}]`, "more than 0 characters"},
		{"10 fields", `[{"type":"section","fields":[` + list(10, field) + `]}]`, ""},
		{"11 fields", `[{"type":"section","fields":[` + list(11, field) + `]}]`, "no more than 10 items"},
		{"field 2001", `[{"type":"section","fields":[` + plain(x(2001)) + `]}]`, "less than 2001 characters"},
		{"context 11", `[{"type":"context","elements":[` + list(11, field) + `]}]`, "no more than 10 items"},
		{"actions 25", `[{"type":"actions","elements":[` + list(25, numbered) + `]}]`, ""},
		{"actions 26", `[{"type":"actions","elements":[` + list(26, numbered) + `]}]`, "no more than 25 items"},
		{"actions empty", `[{"type":"actions","elements":[]}]`, "no less than 1 items"},
		{"twice the action_id", `[{"type":"actions","elements":[` + list(2, strings.ReplaceAll(numbered, "#", "")) + `]}]`, "action_id already exists"},
		{"twice the block_id", `[` + list(2, `{"type":"divider","block_id":"b"}`) + `]`, "block_id already exists"},
		{"block_id 256", `[{"type":"divider","block_id":"` + x(256) + `"}]`, "less than 256 characters"},
		{"button 76", `[{"type":"actions","elements":[{"type":"button","text":` + plain(x(76)) + `}]}]`, "less than 76 characters"},
		{"button mrkdwn", `[{"type":"actions","elements":[{"type":"button","text":` + field + `}]}]`, "must be one of: plain_text"},
		{"value 2000", button(`,"value":"` + x(2000) + `"`), ""},
		{"value 2001", button(`,"value":"` + x(2001) + `"`), "less than 2001 characters"},
		{"style default", button(`,"style":"default"`), "primary, danger"},
		{"style primary", button(`,"style":"primary"`), ""},
		{"confirm", confirm(x(100), x(300), x(30), x(30)), ""},
		{"confirm title", confirm(x(101), "t", "y", "n"), "confirm/title/text"},
		{"confirm text", confirm("t", x(301), "y", "n"), "confirm/text/text"},
		{"confirm yes", confirm("t", "t", x(31), "n"), "confirm/confirm/text"},
		{"confirm no", confirm("t", "t", "y", x(31)), "confirm/deny/text"},
		{"confirm incomplete", button(`,"confirm":{"title":` + plain("t") + `}`), "confirm/deny"},
		{"emoji in mrkdwn", `[{"type":"section","text":{"type":"mrkdwn","text":"x","emoji":true}}]`, "invalid additional property: emoji"},
		{"verbatim in plain_text", `[{"type":"section","text":{"type":"plain_text","text":"x","verbatim":true}}]`, "invalid additional property: verbatim"},
		{"alert", `[{"type":"alert","text":` + plain("x") + `}]`, "unsupported type: alert"},
		{"unknown property", `[{"type":"divider","color":"red"}]`, "invalid additional property: color"},
		{"select", `[{"type":"actions","elements":[{"type":"static_select"}]}]`, "unsupported type: static_select"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, problems, err := parseBlocks(test.blocks)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.Join(problems, "\n")
			if test.problem == "" && got != "" || !strings.Contains(got, test.problem) {
				t.Errorf("got %q, want %q", got, test.problem)
			}
		})
	}
	for _, raw := range []string{"", "{}", `["x"]`, "[", `[] []`} {
		if _, _, err := parseBlocks(raw); !errors.Is(err, errBlocksFormat) {
			t.Errorf("parseBlocks(%q): got %v, want %v", raw, err, errBlocksFormat)
		}
	}
}

func TestInvalidBlocksSayWhere(t *testing.T) {
	f := start(t)
	got := f.api("chat.postMessage", "channel", incidentChannel, "text", "x", "blocks", `[{"type":"alert"}]`)
	metadata, _ := got["response_metadata"].(map[string]any)
	messages, _ := metadata["messages"].([]any)
	if got.text("error") != "invalid_blocks" || len(messages) != 1 {
		t.Errorf("got %v, want invalid_blocks with one message", got)
	}
	if n := len(f.State().Messages); n != 0 {
		t.Errorf("%d messages were posted all the same", n)
	}
}
