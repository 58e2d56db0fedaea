package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/sandbox"
	"github.com/revoke-session/revoke-session/internal/slackapp"
)

// What was deleted or edited in the chat is named; what was not is not.
func TestAuditReconcile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	world, p := startIn(t, "secret", "AUDIT_FILE="+path)
	var shown []request.Record
	for range 4 {
		play(t, world, "mallory@contoso.com")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := world.Say(ctx, "alice", incident, "/revoke-session heidi@contoso.com"); err != nil {
		t.Fatal(err)
	}
	if _, err := world.Press(ctx, "bob", awaitCard(t, world), "Cancel"); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, "the chat on record", func() bool {
		shown = shownIn(t, path)
		return len(shown) == 5
	})
	checkStop(t, p)
	if out, err := reconcileFile(ctx, world, path, ""); err != nil || !strings.Contains(out, "5 requests compared, 0 differences; 0 results") {
		t.Fatalf("untouched: %v\n%s", err, out)
	}
	if out, err := reconcileFile(ctx, world, path, "xoxb-revoked"); err == nil || !strings.Contains(err.Error(), "invalid_auth") || out != "" {
		t.Errorf("with a token that Slack refuses: %v\n%s", err, out)
	}

	asBot(t, world, "chat.delete", url.Values{"channel": {incident}, "ts": {shown[0].Final.Card}})
	asBot(t, world, "chat.delete", url.Values{"channel": {incident}, "ts": {shown[1].Final.Result}})
	asBot(t, world, "chat.update", url.Values{"channel": {incident}, "ts": {shown[2].Final.Result}, "text": {"We successfully signed out mallory@contoso.com from all devices."}})
	asBot(t, world, "chat.update", url.Values{"channel": {incident}, "ts": {shown[4].Final.Card}, "text": {shownText(world, shown[4].Final.Card)}, "blocks": {`[{"type":"section","text":{"type":"mrkdwn","text":"Confirmed by nobody"}}]`}})
	out, err := reconcileFile(ctx, world, path, "")
	if err == nil {
		t.Errorf("four changes are no error")
	}
	for i, want := range []string{"the card (%) has been deleted", "the result (%) has been deleted", "the result (%) has been edited", "", "the card (%) has been edited"} {
		ts := shown[i].Final.Result
		if strings.Contains(want, "card") {
			ts = shown[i].Final.Card
		}
		if want != "" && !strings.Contains(out, strings.Replace(want, "%", ts, 1)) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	if !strings.Contains(out, "5 requests compared, 4 differences") || strings.Contains(out, string(shown[3].Request)) {
		t.Errorf("it says\n%s", out)
	}
}

// A record that is no chain proves nothing about the chat.
func TestAuditReconcileVerifiesFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.WriteFile(path, []byte(`{"seq":2,"prev":"ff"}`+"\n"+`{"seq":4,"prev":"ff"}`+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SLACK_BOT_TOKEN", "xoxb-1")
	code, _, errs := runBot(t, "audit", "reconcile", path)
	if code != exitFailure || !strings.Contains(errs, "verifying the record first") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

// reconcileFile does it with a token, or the bot's.
func reconcileFile(ctx context.Context, world *sandbox.Sandbox, path, token string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	env := environment(world)
	slack, err := slackapp.NewClient(cmp.Or(token, env["SLACK_BOT_TOKEN"]), env["SLACK_API_URL"], http.DefaultTransport)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = reconcile(ctx, slack, audit.Lines(bytes.NewReader(text)), &out)
	return out.String(), err
}

func environment(world *sandbox.Sandbox) map[string]string {
	env := map[string]string{}
	for _, kv := range world.Env() {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	return env
}

// asBot calls Slack as whoever holds the bot's token.
func asBot(t *testing.T, world *sandbox.Sandbox, method string, form url.Values) {
	t.Helper()
	env := environment(world)
	form.Set("token", env["SLACK_BOT_TOKEN"])
	resp, err := http.PostForm(env["SLACK_API_URL"]+method, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		OK    bool   `json:"ok"`
		Error string `json:"error"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || !answer.OK {
		t.Fatalf("%s: %v %s", method, err, answer.Error)
	}
}

func shownText(world *sandbox.Sandbox, ts string) string {
	for _, m := range world.State().Messages {
		if m.TS == ts {
			return m.Text
		}
	}
	return ""
}

// shownIn are the lines of a file that say how the chat stands.
func shownIn(t *testing.T, path string) []request.Record {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []request.Record
	for line := range bytes.Lines(text) {
		var e audit.Entry
		if err := json.Unmarshal(line, &e); err == nil && e.Event == "shown" {
			all = append(all, e.Record)
		}
	}
	return all
}
