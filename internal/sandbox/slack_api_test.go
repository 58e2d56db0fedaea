package sandbox

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestAPIRefusals(t *testing.T) {
	f := start(t)
	parent := f.post("channel", incidentChannel, "text", "card")
	reply := f.post("channel", incidentChannel, "text", "reply", "thread_ts", parent)
	if _, err := f.Say(t.Context(), "alice", incidentChannel, "hello"); err != nil {
		t.Fatal(err)
	}
	foreign := f.State().Messages[2].TS
	long := strings.Repeat("x", maxUpdateText+1)

	tests := []struct {
		name, method string
		args         []string
		want         string
	}{
		{"unknown method", "chat.fly", nil, "unknown_method"},
		{"no text", "chat.postMessage", []string{"channel", incidentChannel}, "no_text"},
		{"bot is no member", "chat.postMessage", []string{"channel", notMemberChannel, "text", "x"}, "not_in_channel"},
		{"private channel without the bot", "chat.postMessage", []string{"channel", hiddenChannel, "text", "x"}, "channel_not_found"},
		{"channel name for an id", "chat.postMessage", []string{"channel", "#incident-042", "text", "x"}, "channel_not_found"},
		{"stranger has no direct conversation", "chat.postMessage", []string{"channel", "U0OSCAR042", "text", "x"}, "channel_not_found"},
		{"reply to a reply", "chat.postMessage", []string{"channel", incidentChannel, "text", "x", "thread_ts", reply}, "cannot_reply_to_message"},
		{"number for a ts", "chat.postMessage", []string{"channel", incidentChannel, "text", "x", "thread_ts", "17"}, "invalid_thread_ts"},
		{"blocks are no JSON", "chat.postMessage", []string{"channel", incidentChannel, "blocks", "{"}, "invalid_blocks_format"},
		{"metadata without payload", "chat.postMessage", []string{"channel", incidentChannel, "text", "x", "metadata", `{"event_type":"a"}`}, "invalid_metadata_schema"},
		{"metadata is no JSON", "chat.postMessage", []string{"channel", incidentChannel, "text", "x", "metadata", `a`}, "invalid_metadata_format"},
		{"update of nothing", "chat.update", []string{"channel", incidentChannel, "ts", "1000000000.000000", "text", "x"}, "message_not_found"},
		{"update by person", "chat.update", []string{"channel", "U0ALICE042", "ts", parent, "text", "x"}, "channel_not_found"},
		{"update of another's message", "chat.update", []string{"channel", incidentChannel, "ts", foreign, "text", "x"}, "cant_update_message"},
		{"update too long", "chat.update", []string{"channel", incidentChannel, "ts", parent, "text", long}, "msg_too_long"},
		{"update without content", "chat.update", []string{"channel", incidentChannel, "ts", parent}, "no_text"},
		{"delete of another's message", "chat.delete", []string{"channel", incidentChannel, "ts", foreign}, "cant_delete_message"},
		{"ephemeral to somebody elsewhere", "chat.postEphemeral", []string{"channel", privateChannel, "user", "U0MALLORY042", "text", "x"}, "user_not_in_channel"},
		{"ephemeral where the bot is not", "chat.postEphemeral", []string{"channel", notMemberChannel, "user", "U0ALICE042", "text", "x"}, "not_in_channel"},
		{"unknown person", "users.info", []string{"user", "U0NOBODY"}, "user_not_found"},
		{"info of a private channel without the bot", "conversations.info", []string{"channel", hiddenChannel}, "channel_not_found"},
		{"history without membership", "conversations.history", []string{"channel", notMemberChannel}, "not_in_channel"},
		{"history of a direct conversation", "conversations.history", []string{"channel", "D0ALICE042"}, "missing_scope"},
		{"replies to nothing", "conversations.replies", []string{"channel", incidentChannel, "ts", "1000000000.000000"}, "thread_not_found"},
		{"limit out of range", "conversations.replies", []string{"channel", incidentChannel, "ts", parent, "limit", "0"}, "invalid_limit"},
		{"made-up cursor", "conversations.replies", []string{"channel", incidentChannel, "ts", parent, "cursor", "abc"}, "invalid_cursor"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f.t = t
			got := f.api(test.method, test.args...)
			if got["ok"] != false || got.text("error") != test.want {
				t.Errorf("%s: got %v, want error %q", test.method, got, test.want)
			}
			calls := f.State().Calls
			if last := calls[len(calls)-1]; last.Error != test.want || last.Status != http.StatusOK {
				t.Errorf("recorded call: got %+v, want status 200 and error %q", last, test.want)
			}
		})
	}
}

func TestTokenIsTakenFromFormOrHeaderOnly(t *testing.T) {
	f := start(t)
	token := f.env["SLACK_BOT_TOKEN"]
	jsonBody := `{"channel":"` + incidentChannel + `","text":"hi","token":"` + token + `"}`
	tests := []struct {
		name, query, bearer, contentType, body string
		want                                   string
	}{
		{"form", "", "", "application/x-www-form-urlencoded", "token=" + token + "&channel=" + incidentChannel + "&text=hi", ""},
		{"header and JSON", "", token, "application/json; charset=utf-8", jsonBody, ""},
		{"JSON body", "", "", "application/json", jsonBody, "not_authed"},
		{"query", "?token=" + token, "", "application/x-www-form-urlencoded", "channel=" + incidentChannel + "&text=hi", "not_authed"},
		{"wrong", "", "xoxb-1", "application/json", jsonBody, "invalid_auth"},
		{"nothing", "", "", "application/x-www-form-urlencoded", "text=hi", "not_authed"},
		{"plain text", "", token, "text/plain", "text=hi", "invalid_post_type"},
		{"broken JSON", "", token, "application/json", "{", "invalid_json"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			request, err := http.NewRequest(http.MethodPost, f.env["SLACK_API_URL"]+"chat.postMessage"+test.query, strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("Content-Type", test.contentType)
			if test.bearer != "" {
				request.Header.Set("Authorization", "Bearer "+test.bearer)
			}
			response, err := http.DefaultClient.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if got := decode(t, response.Body); got.text("error") != test.want {
				t.Errorf("got %v, want error %q", got, test.want)
			}
		})
	}
}

func TestScopes(t *testing.T) {
	f := start(t)
	f.SetScopes("users:read", "channels:read")
	if got := f.api("chat.postMessage", "channel", incidentChannel, "text", "x"); got.text("error") != "missing_scope" || got.text("needed") != "chat:write" || got.text("provided") != "users:read,channels:read" {
		t.Errorf("without chat:write: got %v", got)
	}
	if got := f.api("conversations.info", "channel", privateChannel); got.text("needed") != "groups:read" {
		t.Errorf("private channel without groups:read: got %v", got)
	}
	if got := f.api("conversations.info", "channel", incidentChannel); got["ok"] != true {
		t.Errorf("public channel with channels:read: got %v", got)
	}
	user := f.api("users.info", "user", "U0ALICE042")
	if user["ok"] != true || user.text("user", "profile", "email") != "" {
		t.Errorf("users:read without users:read.email must hide the address: got %v", user)
	}
}

func TestUsersAndChannels(t *testing.T) {
	f := start(t)
	type facts struct {
		Team, Email                      string
		Restricted, Stranger, Bot, Known any
	}
	want := map[string]facts{
		"U0ALICE042": {teamID, "alice@contoso.com", false, nil, false, true},
		"U0GRACE042": {teamID, "grace@fabrikam.com", true, nil, false, true},
		"U0OSCAR042": {partnerTeamID, "", false, true, false, nil},
		botUserID:    {teamID, "", false, nil, true, false},
	}
	got := map[string]facts{}
	for id := range want {
		a := f.api("users.info", "user", id)
		user, _ := a["user"].(map[string]any)
		got[id] = facts{
			a.text("user", "team_id"), a.text("user", "profile", "email"), user["is_restricted"], user["is_stranger"],
			user["is_bot"], user["is_email_confirmed"],
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("users.info (-want +got):\n%s", diff)
	}
	for id, member := range map[string]bool{incidentChannel: true, sharedChannel: true, notMemberChannel: false} {
		c, _ := f.api("conversations.info", "channel", id)["channel"].(map[string]any)
		if c["is_member"] != member || c["is_ext_shared"] != (id == sharedChannel) {
			t.Errorf("conversations.info %s: got is_member %v, is_ext_shared %v", id, c["is_member"], c["is_ext_shared"])
		}
	}
}

func TestTimestampsAreUniqueAndOrdered(t *testing.T) {
	f := start(t)
	var stamps []string
	for range 20 {
		stamps = append(stamps, f.post("channel", incidentChannel, "text", "x"))
	}
	for _, ts := range stamps {
		if !validTS(ts) {
			t.Errorf("ts %q has not the form of Slack's", ts)
		}
	}
	if !slices.IsSorted(stamps) || len(slices.Compact(slices.Clone(stamps))) != len(stamps) {
		t.Errorf("timestamps are not strictly increasing: %v", stamps)
	}
}
