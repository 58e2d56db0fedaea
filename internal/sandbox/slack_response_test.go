package sandbox

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// respondTo posts to the response_url of the last delivery.
func respondTo(t *testing.T, b *bot, body string) (int, string) {
	t.Helper()
	last := b.last(t)
	target := last.form(t).Get("response_url")
	if target == "" {
		target = last.payload(t).text("response_url")
	}
	response, err := http.Post(target, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if strings.HasPrefix(response.Header.Get("Content-Type"), "text/plain") {
		return response.StatusCode, ""
	}
	return response.StatusCode, decode(t, response.Body).text("error")
}

func TestResponseURLOfCommand(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	say := func() {
		t.Helper()
		if _, err := f.Say(t.Context(), "alice", notMemberChannel, "/revoke-session mallory@contoso.com"); err != nil {
			t.Fatal(err)
		}
	}
	say()
	for i := range 5 {
		if status, code := respondTo(t, b, `{"text":"private","replace_original":true}`); status != 200 {
			t.Fatalf("use %d: got %d %s", i+1, status, code)
		}
	}
	if status, code := respondTo(t, b, `{"text":"x"}`); status != 404 || code != "used_url" {
		t.Errorf("sixth use: got %d %s, want 404 used_url", status, code)
	}
	if got := f.State().Ephemerals; len(got) != 5 || got[0].To != "alice" || got[0].Via != "response_url" {
		t.Errorf("a command's response_url cannot replace: got %+v", got)
	}

	say()
	if status, _ := respondTo(t, b, `{"text":"public","response_type":"in_channel"}`); status != 200 {
		t.Errorf("in_channel passes although the bot is no member: got %d", status)
	}
	if got := f.State().Messages; len(got) != 1 || got[0].Channel != notMemberChannel {
		t.Errorf("got %+v", got)
	}
	for body, want := range map[string]string{
		`{}`:                               "no_text",
		`{`:                                "invalid_payload",
		`{"text":"x","response_type":"a"}`: "invalid_payload",
		`{"delete_original":true}`:         "message_not_found",
		`{"text":"x","blocks":[{"type":"alert"}]}`: "invalid_blocks",
	} {
		if status, code := respondTo(t, b, body); status < 400 || code != want {
			t.Errorf("%s: got %d %s, want %s", body, status, code, want)
		}
	}

	f.mu.Lock()
	f.now = func() time.Time { return time.Now().Add(responseURLLife + time.Second) }
	f.mu.Unlock()
	if status, code := respondTo(t, b, `{"text":"x"}`); status != 404 || code != "expired_url" {
		t.Errorf("after 30 minutes: got %d %s, want 404 expired_url", status, code)
	}
}

func TestResponseURLOfPress(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	ts := f.post("channel", incidentChannel, "text", "old", "blocks", card)
	if _, err := f.Press(t.Context(), "heidi", ts, "Confirm"); err != nil {
		t.Fatal(err)
	}
	respondTo(t, b, `{"text":"not you","response_type":"ephemeral","replace_original":false}`)
	if got := f.State(); len(got.Ephemerals) != 1 || got.Ephemerals[0].To != "heidi" || len(got.Messages[0].Buttons) != 2 {
		t.Errorf("private answer: got %+v", got)
	}
	respondTo(t, b, `{"text":"in thread","response_type":"in_channel","replace_original":false,"thread_ts":"`+ts+`"}`)
	respondTo(t, b, `{"text":"new","replace_original":true}`)
	got := f.State().Messages
	if len(got) != 2 || got[0].Text != "new" || got[0].Blocks != nil || got[1].ThreadTS != ts {
		t.Errorf("got %+v", got)
	}
	if status, code := respondTo(t, b, `{"delete_original":true,"text":"x"}`); code != "invalid_payload" {
		t.Errorf("delete_original has to stand alone: got %d %s", status, code)
	}
	if status, _ := respondTo(t, b, `{"delete_original":true}`); status != 200 {
		t.Errorf("delete_original: got %d", status)
	}
	if got := f.State().Messages; len(got) != 1 {
		t.Errorf("got %+v, want the reply alone", got)
	}
}

func TestEphemeralButtons(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	a := f.api("chat.postEphemeral", "channel", incidentChannel, "user", "U0BOB042", "text", "x", "blocks", card)
	ts := a.text("message_ts")
	if _, err := f.Press(t.Context(), "alice", ts, "Confirm"); err == nil {
		t.Error("alice does not see bob's ephemeral: want an error")
	}
	if _, err := f.Press(t.Context(), "bob", ts, "Confirm"); err != nil {
		t.Fatal(err)
	}
	payload := b.last(t).payload(t)
	if container, _ := payload["container"].(map[string]any); container["is_ephemeral"] != true || payload["message"] != nil {
		t.Errorf("got %v", payload)
	}
	respondTo(t, b, `{"text":"gone","replace_original":true}`)
	if got := f.State().Ephemerals[0]; got.Text != "gone" || got.Via != "chat.postEphemeral" {
		t.Errorf("got %+v", got)
	}
	if got := f.api("chat.update", "channel", incidentChannel, "ts", ts, "text", "x").text("error"); got != "message_not_found" {
		t.Errorf("chat.update of an ephemeral: got %q", got)
	}
}
