package sandbox

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDeactivate(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	if d, err := f.Deactivate(t.Context(), "heidi"); err != nil || d.Status != 200 {
		t.Fatalf("got %+v, %v", d, err)
	}
	last := b.last(t)
	stamp := last.header.Get("X-Slack-Request-Timestamp")
	if last.path != "/slack/events" || last.header.Get("Content-Type") != "application/json" ||
		last.header.Get("X-Slack-Signature") != signature(f.env["SLACK_SIGNING_SECRET"], stamp, last.body) {
		t.Errorf("got %+v", last)
	}
	outer := decode(t, strings.NewReader(last.body))
	if outer.text("type") != "event_callback" || outer.text("team_id") != teamID || outer.text("api_app_id") != appID || !strings.HasPrefix(outer.text("event_id"), "Ev") {
		t.Errorf("got %v", outer)
	}
	inner, _ := outer["event"].(map[string]any)
	user, _ := inner["user"].(map[string]any)
	if inner["type"] != "user_change" || user["id"] != "U0HEIDI042" || user["deleted"] != true || inner["event_ts"] == "" {
		t.Errorf("got %v", inner)
	}
	info, _ := f.api("users.info", "user", "U0HEIDI042")["user"].(map[string]any)
	if diff := cmp.Diff(user, info); diff != "" {
		t.Errorf("the event and users.info differ:\n%s", diff)
	}

	if _, err := f.Replay(t.Context()); err != nil || b.last(t).body != last.body {
		t.Errorf("replay: %v", err)
	}
	if _, err := f.Reactivate(t.Context(), "heidi"); err != nil || !strings.Contains(b.last(t).body, `"deleted":false`) {
		t.Errorf("reactivated: %v, %s", err, b.last(t).body)
	}
	if id := decode(t, strings.NewReader(b.last(t).body)).text("event_id"); id == outer.text("event_id") {
		t.Errorf("two events are called %s", id)
	}
	f.SetScopes("users:read")
	if _, err := f.Deactivate(t.Context(), "heidi"); err != nil || strings.Contains(b.last(t).body, "heidi@contoso.com") {
		t.Errorf("without users:read.email: %v, %s", err, b.last(t).body)
	}
	f.SetScopes("commands")
	for _, person := range []string{"heidi", "oscar", "nobody"} {
		if _, err := f.Deactivate(t.Context(), person); err == nil {
			t.Errorf("%s: want an error", person)
		}
	}
}

func TestVerifyEvents(t *testing.T) {
	f := start(t)
	echo := func(w http.ResponseWriter, _ *http.Request) {}
	b := f.bot(echo)
	if err := f.VerifyEvents(t.Context()); err == nil {
		t.Error("no answer: want an error")
	}
	b.answer = func(w http.ResponseWriter, _ *http.Request) {
		var event struct {
			Challenge string `json:"challenge"`
		}
		if err := json.Unmarshal([]byte(b.last(t).body), &event); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(event)
	}
	if err := f.VerifyEvents(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestPermalink(t *testing.T) {
	f := start(t)
	ts := f.post("channel", incidentChannel, "text", "card")
	reply := f.post("channel", incidentChannel, "text", "reply", "thread_ts", ts)
	f.SetScopes()
	digits := func(ts string) string { return strings.ReplaceAll(ts, ".", "") }
	base := "https://contoso.slack.com/archives/" + incidentChannel + "/p"
	for ts, want := range map[string]string{ts: base + digits(ts), reply: base + digits(reply) + "?thread_ts=" + ts + "&cid=" + incidentChannel} {
		if a := f.api("chat.getPermalink", "channel", incidentChannel, "message_ts", ts); a["ok"] != true || a.text("permalink") != want || a.text("channel") != incidentChannel {
			t.Errorf("got %v, want %s", a, want)
		}
	}
	for _, test := range []struct{ channel, ts, want string }{
		{incidentChannel, "1700000000.000001", "message_not_found"}, {incidentChannel, "", "message_not_found"},
		{sharedChannel, ts, "message_not_found"}, {hiddenChannel, ts, "channel_not_found"}, {"", ts, "channel_not_found"},
	} {
		if a := f.api("chat.getPermalink", "channel", test.channel, "message_ts", test.ts); a.text("error") != test.want {
			t.Errorf("%s %s: got %v, want %s", test.channel, test.ts, a, test.want)
		}
	}
}

func TestLinkButtons(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	blocks := func(url string) string {
		return `[{"type":"actions","block_id":"who","elements":[{"type":"button","action_id":"sign_in","url":"` + url + `","text":{"type":"plain_text","text":"Sign in"}}]}]`
	}
	const link = "https://bot.contoso.com/link/start?t=1"
	if a := f.api("chat.postEphemeral", "channel", incidentChannel, "user", "U0BOB042", "text", "Who are you?", "blocks", blocks(link)); a["ok"] != true {
		t.Fatalf("got %v", a)
	}
	if _, err := f.Say(t.Context(), "bob", incidentChannel, "/revoke-session mallory@contoso.com"); err != nil {
		t.Fatal(err)
	}
	if status, code := respondTo(t, b, `{"text":"Who are you?","blocks":`+blocks(link)+`}`); status != 200 {
		t.Fatalf("got %d %s", status, code)
	}
	shown := f.State().Ephemerals
	if len(shown) != 2 {
		t.Fatalf("got %+v", shown)
	}
	for _, e := range shown {
		want := []Button{{ActionID: "sign_in", BlockID: "who", Text: "Sign in", URL: link}}
		if diff := cmp.Diff(want, e.Buttons); diff != "" || e.To != "bob" {
			t.Errorf("%s (-want +got):\n%s", e.Via, diff)
		}
		if _, err := f.Press(t.Context(), "alice", e.TS, "Sign in"); err == nil {
			t.Error("alice presses what only bob sees: want an error")
		}
		if d, err := f.Press(t.Context(), "bob", e.TS, "Sign in"); err != nil || d.Status != 200 {
			t.Errorf("got %+v, %v", d, err)
		}
		payload := b.last(t).payload(t)
		container, _ := payload["container"].(map[string]any)
		if payload.text("user", "id") != "U0BOB042" || container["is_ephemeral"] != true || container["message_ts"] != e.TS {
			t.Errorf("got %v", payload)
		}
	}
	for _, bad := range []string{"", "/link/start", "javascript:alert(1)", "ftp://contoso.com/x", "https://"} {
		if a := f.api("chat.postEphemeral", "channel", incidentChannel, "user", "U0BOB042", "text", "x", "blocks", blocks(bad)); a.text("error") != "invalid_blocks" {
			t.Errorf("%q: got %v", bad, a)
		}
		if status, code := respondTo(t, b, `{"text":"x","blocks":`+blocks(bad)+`}`); status != 400 || code != "invalid_blocks" {
			t.Errorf("%q: got %d %s", bad, status, code)
		}
	}
}
