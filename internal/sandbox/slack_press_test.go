package sandbox

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPressPayload(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	ts := f.post("channel", incidentChannel, "text", "fallback", "blocks", card, "metadata", meta)
	if d, err := f.Press(t.Context(), "oscar", ts, "Confirm"); err != nil || d.Status != 200 {
		t.Fatalf("got %+v, %v", d, err)
	}
	got := b.last(t)
	payload := got.payload(t)
	message, _ := payload["message"].(map[string]any)
	actions, _ := payload["actions"].([]any)
	if message["ts"] != ts || message["text"] != "fallback" || message["blocks"] == nil || message["metadata"] != nil {
		t.Errorf("message: got %v", message)
	}
	if len(actions) != 1 {
		t.Fatalf("actions: got %v", actions)
	}
	action, _ := actions[0].(map[string]any)
	if !validTS(answer(action).text("action_ts")) {
		t.Errorf("action_ts: got %v", action["action_ts"])
	}
	delete(action, "action_ts")
	if answer(action).text("confirm", "title", "text") != "Sure?" {
		t.Errorf("confirm: got %v", action["confirm"])
	}
	delete(action, "confirm")
	want := answer{
		"type": "block_actions", "api_app_id": appID, "token": f.creds.verificationToken,
		"user":       map[string]any{"id": "U0OSCAR042", "username": "oscar", "name": "oscar", "team_id": partnerTeamID},
		"team":       map[string]any{"id": teamID, "domain": teamDomain},
		"enterprise": nil, "is_enterprise_install": false,
		"channel":      map[string]any{"id": incidentChannel, "name": "incident-042"},
		"container":    map[string]any{"type": "message", "message_ts": ts, "channel_id": incidentChannel, "is_ephemeral": false},
		"state":        map[string]any{"values": map[string]any{}},
		"trigger_id":   payload["trigger_id"],
		"response_url": payload["response_url"],
		"message":      payload["message"],
		"actions": []any{map[string]any{
			"type": "button", "action_id": "confirm", "block_id": "verbs", "value": "r1", "style": "danger",
			"text": map[string]any{"type": "plain_text", "text": "Confirm now", "emoji": true},
		}},
	}
	if diff := cmp.Diff(want, payload); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
	if got.path != "/slack/interactivity" || len(got.form(t)) != 1 {
		t.Errorf("got path %s, form %v", got.path, got.form(t))
	}
}

func TestPressOfWhatIsNotThere(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	ts := f.post("channel", privateChannel, "text", "fallback", "blocks", card)
	for _, test := range []struct{ person, ts, label string }{
		{"alice", ts, "What-If"},
		{"alice", "1000000000.000000", "Confirm"},
		{"mallory", ts, "Confirm"}, // is not in the private channel
		{"carol", ts, "Confirm"},
	} {
		if d, err := f.Press(t.Context(), test.person, test.ts, test.label); err == nil {
			t.Errorf("%s pressed %s: got %+v, want an error", test.person, test.label, d)
		}
	}
	f.api("chat.update", "channel", privateChannel, "ts", ts, "text", "done")
	if _, err := f.Press(t.Context(), "bob", ts, "Confirm"); err == nil {
		t.Error("the updated message has no buttons: want an error")
	}
	if d, err := f.PressValue(t.Context(), "bob", privateChannel, ts, "confirm", "made-up"); err != nil || d.Status != 200 {
		t.Fatalf("got %+v, %v", d, err)
	}
	actions, _ := b.last(t).payload(t)["actions"].([]any)
	if got := answer(actions[0].(map[string]any)); got.text("value") != "made-up" || got.text("action_id") != "confirm" {
		t.Errorf("got %v", got)
	}
	if _, err := f.PressValue(t.Context(), "bob", privateChannel, "1000000000.000000", "confirm", "x"); err != nil {
		t.Fatal(err)
	}
	if got := b.last(t).payload(t); got["message"] != nil || got.text("container", "message_ts") != "1000000000.000000" {
		t.Errorf("press on a message that is gone: got %v", got)
	}
}

func TestPressInThread(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	parent := f.post("channel", privateChannel, "text", "parent")
	ts := f.post("channel", privateChannel, "text", "x", "blocks", card, "thread_ts", parent)
	if _, err := f.Press(t.Context(), "alice", ts, "Cancel"); err != nil {
		t.Fatal(err)
	}
	got := b.last(t).payload(t)
	if got.text("container", "thread_ts") != parent || got.text("message", "thread_ts") != parent || got.text("channel", "name") != "privategroup" {
		t.Errorf("got %v", got)
	}
}
