package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The vector of Slack's documentation on verifying requests.
func TestSignatureVector(t *testing.T) {
	const body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	const want = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
	if got := signature("8f742231b10e8888abcd99yyyzzz85a5", "1531420618", body); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestCommandText(t *testing.T) {
	tests := []struct{ typed, want string }{
		{"mallory@contoso.com", "<mailto:mallory@contoso.com|mallory@contoso.com>"},
		{"  mallory@contoso.com  now ", "<mailto:mallory@contoso.com|mallory@contoso.com>  now"},
		{"o'brien+x@sub.contoso.com", "<mailto:o'brien+x@sub.contoso.com|o'brien+x@sub.contoso.com>"},
		{"a & <b>", "a &amp; &lt;b&gt;"},
		{"<mailto:bob@contoso.com|x>", "&lt;mailto:<mailto:bob@contoso.com|bob@contoso.com>|x&gt;"},
		{"@mallory", "<@U0MALLORY042|mallory>"},
		{"@nobody", "@nobody"},
		{"#incident-042 #sec-private", "<#C0INCIDENT|incident-042> <#C0PRIVATE|>"},
		{"https://contoso.com/a", "<https://contoso.com/a>"},
		{"help", "help"},
		{"", ""},
	}
	f := start(t)
	b := f.bot(nil)
	for _, test := range tests {
		if _, err := f.Say(t.Context(), "alice", incidentChannel, "/revoke-session "+test.typed); err != nil {
			t.Fatal(err)
		}
		if got := b.last(t).form(t).Get("text"); got != test.want {
			t.Errorf("text of %q: got %q, want %q", test.typed, got, test.want)
		}
	}
	if _, err := f.SayFormatted(t.Context(), "alice", incidentChannel, "/revoke-session <mailto:a@contoso.com|b@contoso.com>"); err != nil {
		t.Fatal(err)
	}
	if got, want := b.last(t).form(t).Get("text"), "<mailto:a@contoso.com|b@contoso.com>"; got != want {
		t.Errorf("formatted text: got %q, want %q", got, want)
	}
}

func TestCommandDelivery(t *testing.T) {
	f := start(t)
	b := f.bot(nil)
	for channel, name := range map[string]string{incidentChannel: "incident-042", privateChannel: "privategroup", "D0BOB042": "directmessage"} {
		if _, err := f.Say(t.Context(), "bob", channel, "/revoke-session mallory@contoso.com"); err != nil {
			t.Fatal(err)
		}
		got := b.last(t)
		fields := got.form(t)
		want := map[string][]string{
			"token": {f.creds.verificationToken}, "team_id": {teamID}, "team_domain": {teamDomain}, "channel_id": {channel},
			"channel_name": {name}, "user_id": {"U0BOB042"}, "user_name": {"bob"}, "command": {command},
			"text": {"<mailto:mallory@contoso.com|mallory@contoso.com>"}, "api_app_id": {appID},
			"is_enterprise_install": {"false"}, "response_url": fields["response_url"], "trigger_id": fields["trigger_id"],
		}
		if diff := cmp.Diff(want, map[string][]string(fields)); diff != "" {
			t.Errorf("form (-want +got):\n%s", diff)
		}
		if !strings.HasPrefix(fields.Get("response_url"), f.slackURL+"/commands/"+teamID+"/") {
			t.Errorf("response_url: got %q", fields.Get("response_url"))
		}
		timestamp := got.header.Get("X-Slack-Request-Timestamp")
		if want := signature(f.env["SLACK_SIGNING_SECRET"], timestamp, got.body); got.header.Get("X-Slack-Signature") != want {
			t.Errorf("signature: got %q, want %q", got.header.Get("X-Slack-Signature"), want)
		}
		if got.path != "/slack/commands" || got.header.Get("Content-Type") != "application/x-www-form-urlencoded" {
			t.Errorf("got path %s and type %s", got.path, got.header.Get("Content-Type"))
		}
	}
}

func TestSayRefusals(t *testing.T) {
	f := start(t)
	f.bot(nil)
	for _, test := range []struct{ person, channel, text string }{
		{"oscar", incidentChannel, "/revoke-session mallory@contoso.com"},
		{"mallory", privateChannel, "/revoke-session bob@contoso.com"},
		{"alice", "C0NOWHERE", "/revoke-session mallory@contoso.com"},
		{"carol", incidentChannel, "/revoke-session mallory@contoso.com"},
		{"alice", incidentChannel, "/revoke-sessions mallory@contoso.com"},
		{"alice", incidentChannel, "  "},
	} {
		if d, err := f.Say(t.Context(), test.person, test.channel, test.text); err == nil {
			t.Errorf("%s said %q in %s: got %+v, want an error", test.person, test.text, test.channel, d)
		}
	}
}

func TestCommandAnswers(t *testing.T) {
	blocks, _ := json.Marshal(map[string]any{"text": "fallback", "blocks": json.RawMessage(card)})
	tests := []struct {
		name, contentType, body string
		status                  int
		ephemeral, channel      string
		via                     string
	}{
		{"empty", "", "", 200, "", "", ""},
		{"plain text", "text/plain", "hi", 200, "hi", "", "command"},
		{"JSON", "application/json; charset=utf-8", `{"text":"hi"}`, 200, "hi", "", "command"},
		{"JSON in channel", "application/json", `{"text":"hi","response_type":"in_channel"}`, 200, "", "hi", ""},
		{"JSON with blocks", "application/json", string(blocks), 200, "fallback", "", "command"},
		{"JSON without its type", "text/plain", `{"text":"hi"}`, 200, `{"text":"hi"}`, "", "command"},
		{"broken JSON", "application/json", `{`, 200, `/revoke-session failed with the error "invalid_command_response"`, "", "slack"},
		{"500", "text/plain", "oops", 500, `/revoke-session failed with the error "http_service_error"`, "", "slack"},
		{"401", "text/plain", "oops", 401, `/revoke-session failed with the error "http_client_error"`, "", "slack"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := start(t)
			f.bot(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", test.contentType)
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.body)
			})
			d, err := f.Say(t.Context(), "alice", incidentChannel, "/revoke-session mallory@contoso.com")
			if err != nil || d.Err != nil || d.Status != test.status || d.Body != test.body {
				t.Fatalf("got %+v, %v", d, err)
			}
			var ephemeral, via, channel string
			state := f.State()
			if len(state.Ephemerals) > 0 {
				ephemeral, via = state.Ephemerals[0].Text, state.Ephemerals[0].Via
			}
			if len(state.Messages) > 0 {
				channel = state.Messages[0].Text
			}
			if ephemeral != test.ephemeral || channel != test.channel || via != test.via {
				t.Errorf("got ephemeral %q via %q, channel %q", ephemeral, via, channel)
			}
		})
	}
}

func TestBotThatDoesNotAnswer(t *testing.T) {
	f := start(t)
	say := func(ctx context.Context, complaint string) {
		t.Helper()
		d, err := f.Say(ctx, "alice", incidentChannel, "/revoke-session mallory@contoso.com")
		if err != nil || d.Err == nil || d.Status != 0 {
			t.Errorf("got %+v, %v, want Delivery.Err", d, err)
		}
		all := f.State().Ephemerals
		if got := all[len(all)-1]; got.Via != "slack" || !strings.Contains(got.Text, complaint) {
			t.Errorf("got %+v, want Slack's %q", got, complaint)
		}
	}
	say(t.Context(), "dispatch_failed") // nobody was told where the bot is

	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	f.SetBot(gone.URL)
	say(t.Context(), "dispatch_failed")

	f.bot(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	say(soon, "operation_timeout")
}

func TestReplayIsTheSameRequest(t *testing.T) {
	f := start(t)
	if _, err := f.Replay(t.Context()); err == nil {
		t.Error("nothing to replay yet: want an error")
	}
	b := f.bot(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hi") })
	if _, err := f.Say(t.Context(), "alice", incidentChannel, "/revoke-session mallory@contoso.com"); err != nil {
		t.Fatal(err)
	}
	first := b.last(t)
	if d, err := f.Replay(t.Context()); err != nil || d.Status != 200 {
		t.Fatalf("got %+v, %v", d, err)
	}
	second := b.last(t)
	if diff := cmp.Diff([]any{first.path, first.body, first.header}, []any{second.path, second.body, second.header}); diff != "" {
		t.Errorf("replay differs (-first +second):\n%s", diff)
	}
	if n := len(f.State().Ephemerals); n != 1 {
		t.Errorf("the answer to a replay is shown to nobody: got %d ephemerals, want 1", n)
	}
}
