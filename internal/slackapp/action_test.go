package slackapp

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

// A press as Slack sends it, with an element that slack-go does not know in the
// message it quotes.
const pressPayload = `{"type":"block_actions","team":{"id":"T1","domain":"contoso"},"enterprise":null,
"user":{"id":"U1","username":"bob","name":"bob","team_id":"T1"},"api_app_id":"A1","token":"x",
"container":{"type":"message","message_ts":"1.2","channel_id":"C1","is_ephemeral":false},
"channel":{"id":"C1","name":"incident"},
"message":{"type":"message","blocks":[{"type":"actions","elements":[{"type":"zzz_unknown"}]},{"type":"zzz_unknown"}]},
"trigger_id":"t","response_url":"https://hooks.slack.com/actions/T1/1/x","state":{"values":{}},
"actions":[{"type":"button","block_id":"request","action_id":"confirm","value":"r1","style":"danger","action_ts":"3.4",
"text":{"type":"plain_text","text":"Cancel"}}]}`

func TestParseAction(t *testing.T) {
	a, err := parseAction(pressPayload)
	if err != nil {
		t.Fatal(err)
	}
	id, got := a.press("k", a.team())
	want := request.Press{
		Key: "k", Verb: request.Confirm, MessageTS: "1.2",
		By: request.Origin{SlackUser: request.SlackUser{Team: "T1", User: "U1"}, Channel: "C1", Home: "T1"},
	}
	if diff := cmp.Diff(want, got); diff != "" || id != "r1" {
		t.Errorf("press of %s (-want +got):\n%s", id, diff)
	}
}

func TestParseActionRefuses(t *testing.T) {
	for _, payload := range []string{
		``, `null`, `[]`, `{}`, `{"type":"block_actions"}`, `{"type":"block_actions","user":{"id":"U1"},"actions":[]}`,
		`{"type":"block_actions","actions":[{"action_id":"confirm"}]}`, `{"type":1}`,
	} {
		if a, err := parseAction(payload); err == nil {
			t.Errorf("parseAction(%s) = %+v, want an error", payload, a)
		}
	}
}

func TestOrganizationWideInstallHasNoTeam(t *testing.T) {
	a, err := parseAction(`{"type":"block_actions","team":null,"enterprise":{"id":"E1"},"user":{"id":"U1"},"actions":[{"action_id":"confirm","value":"r1"}]}`)
	if err != nil || a.team() != "" || a.enterprise() != "E1" {
		t.Errorf("parseAction = %+v, %v", a, err)
	}
}

func FuzzParseAction(f *testing.F) {
	f.Add(pressPayload)
	f.Add(`{"type":"view_submission"}`)
	f.Add(`{"type":"block_actions","team":null,"user":{"id":"U"},"actions":[{}]}`)
	f.Add(`{"type":"block_actions","user":{"id":"U"},"actions":[null]}`)
	f.Fuzz(func(t *testing.T, payload string) {
		a, err := parseAction(payload)
		if err != nil || !a.isPress() {
			return
		}
		if !json.Valid([]byte(payload)) {
			t.Errorf("accepted what is not JSON: %q", payload)
		}
		if _, p := a.press("k", a.team()); p.By.User == "" {
			t.Errorf("a press by nobody from %q", payload)
		}
	})
}
