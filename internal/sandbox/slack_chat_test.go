package sandbox

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const meta = `{"event_type":"request","event_payload":{"id":"r1"}}`

func TestUpdateKeepsWhatIsNotGiven(t *testing.T) {
	type look struct {
		Text                string
		Buttons             int
		Metadata, HasBlocks bool
		Edited              bool
	}
	tests := []struct {
		name string
		args []string
		want look
	}{
		{"text alone removes the blocks", []string{"text", "new"}, look{Text: "new", Metadata: true, Edited: true}},
		{"text and blocks", []string{"text", "new", "blocks", card}, look{"new", 2, true, true, false}},
		{"empty blocks", []string{"text", "new", "blocks", "[]"}, look{Text: "new", Metadata: true, Edited: true}},
		{"metadata alone", []string{"metadata", `{"event_type":"b","event_payload":{}}`}, look{"old", 2, true, true, false}},
		{"empty metadata", []string{"metadata", "{}"}, look{"old", 2, false, true, false}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := start(t)
			ts := f.post("channel", incidentChannel, "text", "old", "blocks", card, "metadata", meta)
			if a := f.api("chat.update", append([]string{"channel", incidentChannel, "ts", ts}, test.args...)...); a["ok"] != true {
				t.Fatal(a)
			}
			m := f.State().Messages[0]
			got := look{m.Text, len(m.Buttons), m.Metadata != nil, m.Blocks != nil, m.Edited}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessageAsSeen(t *testing.T) {
	f := start(t)
	f.post("channel", "U0ALICE042", "text", "a &lt;b&gt; &amp;amp; <mailto:x@contoso.com|x@contoso.com>", "blocks", card)
	got := f.State().Messages[0]
	want := Message{
		TS: got.TS, Channel: "D0ALICE042", User: botUserID, Text: "a &lt;b&gt; &amp;amp; <mailto:x@contoso.com|x@contoso.com>",
		Blocks: got.Blocks,
		Buttons: []Button{
			{ActionID: "confirm", BlockID: "verbs", Value: "r1", Text: "Confirm now", Style: "danger", Confirm: &ConfirmDialog{Title: "Sure?", Text: "All devices.", Confirm: "Yes", Deny: "No"}},
			{ActionID: "cancel", BlockID: "verbs", Value: "r1", Text: "Cancel"},
		},
		Plain: "a <b> &amp; x@contoso.com\nEnd the sessions of *mallory*?\nConfirm now\nCancel",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLongTextIsCut(t *testing.T) {
	f := start(t)
	f.post("channel", incidentChannel, "text", strings.Repeat("ä", maxText+5))
	if got := len([]rune(f.State().Messages[0].Text)); got != maxText {
		t.Errorf("got %d characters, want %d", got, maxText)
	}
}

func TestThreadOfDeletedParent(t *testing.T) {
	f := start(t)
	parent := f.post("channel", incidentChannel, "text", "parent")
	f.post("channel", incidentChannel, "text", "reply", "thread_ts", parent)
	lonely := f.post("channel", incidentChannel, "text", "lonely")
	f.api("chat.delete", "channel", incidentChannel, "ts", parent)
	f.api("chat.delete", "channel", incidentChannel, "ts", lonely)

	replies := f.api("conversations.replies", "channel", incidentChannel, "ts", parent)
	list, _ := replies["messages"].([]any)
	if len(list) != 2 || list[0].(map[string]any)["subtype"] != "tombstone" {
		t.Errorf("a deleted parent leaves its replies under a tombstone: got %v", replies)
	}
	if state := f.State(); len(state.Messages) != 1 || state.Messages[0].ThreadTS != parent {
		t.Errorf("got %+v, want the reply alone", state.Messages)
	}
	if got := f.api("chat.update", "channel", incidentChannel, "ts", parent, "text", "x").text("error"); got != "message_not_found" {
		t.Errorf("update of a deleted parent: got %q", got)
	}
	a := f.api("chat.postMessage", "channel", incidentChannel, "text", "late", "thread_ts", lonely)
	if a["ok"] != true || a.text("message", "thread_ts") != "" {
		t.Errorf("a reply to a parent that is gone stands in the channel: got %v", a)
	}
}

func TestRepliesPagingAndMetadata(t *testing.T) {
	f := start(t)
	parent := f.post("channel", incidentChannel, "text", "0")
	var stamps []string
	for _, text := range []string{"1", "2", "3", "4"} {
		stamps = append(stamps, f.post("channel", incidentChannel, "text", text, "thread_ts", parent, "metadata", meta))
	}
	texts := func(a answer) (out []string) {
		list, _ := a["messages"].([]any)
		for _, m := range list {
			out = append(out, m.(map[string]any)["text"].(string))
		}
		return out
	}
	tests := []struct {
		name string
		args []string
		want []string
		more bool
	}{
		{"all", nil, []string{"0", "1", "2", "3", "4"}, false},
		{"limit", []string{"limit", "2"}, []string{"0", "1"}, true},
		{"oldest is outside", []string{"oldest", stamps[1]}, []string{"0", "3", "4"}, false},
		{"oldest inclusive", []string{"oldest", stamps[1], "inclusive", "1"}, []string{"0", "2", "3", "4"}, false},
		{"latest is outside", []string{"latest", stamps[1]}, []string{"0", "1"}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a := f.api("conversations.replies", append([]string{"channel", incidentChannel, "ts", parent}, test.args...)...)
			if diff := cmp.Diff(test.want, texts(a)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if a["has_more"] != test.more {
				t.Errorf("has_more: got %v, want %v", a["has_more"], test.more)
			}
		})
	}
	var walked []string
	for cursor := ""; ; {
		a := f.api("conversations.replies", "channel", incidentChannel, "ts", parent, "limit", "2", "cursor", cursor)
		walked = append(walked, texts(a)...)
		if cursor = a.text("response_metadata", "next_cursor"); cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"0", "1", "2", "3", "4"}, walked); diff != "" {
		t.Errorf("walk by cursor (-want +got):\n%s", diff)
	}
	for flag, want := range map[string]bool{"": false, "true": true} {
		a := f.api("conversations.replies", "channel", incidentChannel, "ts", parent, "include_all_metadata", flag)
		if _, got := a["messages"].([]any)[1].(map[string]any)["metadata"]; got != want {
			t.Errorf("metadata with include_all_metadata=%q: got %v, want %v", flag, got, want)
		}
	}
	history := f.api("conversations.history", "channel", incidentChannel)
	if diff := cmp.Diff([]string{"0"}, texts(history)); diff != "" {
		t.Errorf("history shows no replies (-want +got):\n%s", diff)
	}
}
