package slackapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

const secret = "signing secret"

// inbox notes what was stored, or fails.
type inbox struct {
	mu    sync.Mutex
	notes []string
	err   error
}

func (b *inbox) note(format string, args ...any) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
	return b.err
}

func (b *inbox) Ask(_ context.Context, id request.ID, c request.Command, by request.Origin) error {
	return b.note("ask %v %s by %s in %s", id != "", c.User, by.User, by.Channel)
}

func (b *inbox) Press(_ context.Context, id request.ID, p request.Press) error {
	return b.note("%s %s by %s", p.Verb, id, p.By.User)
}

func (b *inbox) Left(_ context.Context, u request.SlackUser) error {
	return b.note("left %s of %s", u.User, u.Team)
}

// deliverTo posts a body to a handler whose Slack says that its workspace is T1,
// and whose response_urls are answered by hooks.
func deliverTo(t *testing.T, b *inbox, path, body string, header http.Header, hooks http.HandlerFunc) *httptest.ResponseRecorder {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/api/auth.test", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"ok":true,"team_id":"T1","user_id":"UBOT","bot_id":"B1"}`)
	})
	if hooks != nil {
		mux.HandleFunc("/hook", hooks)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	c, err := NewClient("xoxb-test", srv.URL+"/api/", http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.whoAmI(t.Context()); err != nil {
		t.Fatal(err)
	}
	body = strings.ReplaceAll(body, "HOOK", url.QueryEscape(srv.URL+"/hook"))
	if header == nil {
		header = sign(secret, body, time.Now())
	}
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header = header
	w := httptest.NewRecorder()
	NewHandler(secret, c, b, NewResponseURLs(), slog.New(slog.DiscardHandler)).ServeHTTP(w, r)
	return w
}

const (
	commandBody = "team_id=T1&user_id=U1&channel_id=C1&command=%2Frevoke-session&text=mallory%40contoso.com&response_url=HOOK"
	otherTeam   = "team_id=T2&user_id=U1&channel_id=C1&command=%2Frevoke-session&text=mallory%40contoso.com&response_url=HOOK"
)

func pressBody() string { return "payload=" + url.QueryEscape(pressPayload) }

func TestDeliveries(t *testing.T) {
	tests := []struct {
		name, path, body string
		status           int
		stored           []string
		answer           string
	}{
		{"command", "/slack/commands", commandBody, 200, []string{"ask true mallory@contoso.com by U1 in C1"}, "Recorded."},
		{"usage", "/slack/commands", strings.Replace(commandBody, "mallory%40contoso.com", "", 1), 200, nil, "signs a Microsoft 365 user out"},
		{"other command", "/slack/commands", strings.Replace(commandBody, "revoke-session", "other", 1), 200, nil, "I only know"},
		{"unknown workspace", "/slack/commands", otherTeam, 200, nil, "not set up for your workspace"},
		{"no user", "/slack/commands", "team_id=T1", 400, nil, "not a slash command"},
		{"press", "/slack/interactivity", pressBody(), 200, []string{"confirm r1 by U1"}, ""},
		{"press from an unknown workspace", "/slack/interactivity", strings.Replace(pressBody(), "%22id%22%3A%22T1%22%2C%22domain", "%22id%22%3A%22T2%22%2C%22domain", 1), 200, nil, ""},
		{"the way to a sign-in", "/slack/interactivity", strings.Replace(pressBody(), "%22confirm%22", "%22sign-in%22", 1), 200, nil, ""},
		{"no payload", "/slack/interactivity", "x=y", 400, nil, "payload"},
		// slack-go before 0.35 read this one too: signed body, attacker's payload.
		{"payload in the address", "/slack/interactivity?" + pressBody(), "x=y", 400, nil, "payload"},
		{"another interaction", "/slack/interactivity", "payload=" + url.QueryEscape(`{"type":"view_submission"}`), 200, nil, ""},
		{"url_verification", "/slack/events", `{"type":"url_verification","challenge":"c-1"}`, 200, nil, "c-1"},
		{"event", "/slack/events", `{"type":"event_callback"}`, 200, nil, ""},
		{"user left", "/slack/events", `{"type":"event_callback","team_id":"T1","event":{"type":"user_change","user":{"id":"U1","deleted":true}}}`, 200, []string{"left U1 of T1"}, ""},
		{"user changed", "/slack/events", `{"type":"event_callback","team_id":"T1","event":{"type":"user_change","user":{"id":"U1"}}}`, 200, nil, ""},
		{"no event", "/slack/events", `x`, 400, nil, "not an event"},
		{"other path", "/slack/other", `x`, 404, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := &inbox{}
			w := deliverTo(t, b, tt.path, tt.body, nil, func(http.ResponseWriter, *http.Request) {})
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.answer) {
				t.Errorf("%d %s; want %d with %q", w.Code, w.Body, tt.status, tt.answer)
			}
			if diff := cmp.Diff(tt.stored, b.notes); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnsignedDeliveriesAreRefused(t *testing.T) {
	bodies := map[string]string{"/slack/commands": commandBody, "/slack/interactivity": pressBody(), "/slack/events": `{"type":"url_verification","challenge":"c"}`}
	for path, body := range bodies {
		for name, header := range map[string]http.Header{
			"none": {}, "wrong secret": sign("other", body, time.Now()), "old": sign(secret, body, time.Now().Add(-6*time.Minute)),
			"early": sign(secret, body, time.Now().Add(6*time.Minute)), "other body": sign(secret, body+"x", time.Now()),
		} {
			t.Run(path+"/"+name, func(t *testing.T) {
				b := &inbox{}
				w := deliverTo(t, b, path, body, header, nil)
				if w.Code != http.StatusUnauthorized || len(b.notes) != 0 || strings.Contains(w.Body.String(), `"c"`) {
					t.Errorf("%d %s, stored %v; want 401 and nothing stored", w.Code, w.Body, b.notes)
				}
			})
		}
	}
}

func TestLargeBodiesAreRefusedUnread(t *testing.T) {
	b := &inbox{}
	w := deliverTo(t, b, "/slack/commands", commandBody+"&x="+strings.Repeat("x", maxBody), nil, nil)
	if w.Code != http.StatusRequestEntityTooLarge || len(b.notes) != 0 {
		t.Errorf("%d, stored %v; want 413 and nothing stored", w.Code, b.notes)
	}
}

// If nothing could be stored Slack must not have its 200, and the person is told
// at once: in the answer, and where Slack does not show that, by response_url.
func TestStoreDownIsSaidAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		path, body, want string
		err              error
	}{
		"command":         {"/slack/commands", commandBody, "Nothing was recorded", fmt.Errorf("x: %w", request.ErrUnavailable)},
		"command, unsure": {"/slack/commands", commandBody, "may not have been recorded", errors.New("timeout")},
		"press": {"/slack/interactivity", "payload=" + url.QueryEscape(pressPayload), "Nothing was recorded",
			fmt.Errorf("x: %w", request.ErrUnavailable)},
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan string, 1)
			body := strings.Replace(tt.body, url.QueryEscape("https://hooks.slack.com/actions/T1/1/x"), "HOOK", 1)
			w := deliverTo(t, &inbox{err: tt.err}, tt.path, body, nil, func(_ http.ResponseWriter, r *http.Request) {
				var buf strings.Builder
				_ = r.Write(&buf)
				told <- buf.String()
			})
			if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), tt.want) {
				t.Errorf("%d %s; want 503 with %q", w.Code, w.Body, tt.want)
			}
			select {
			case got := <-told:
				if !strings.Contains(got, tt.want) {
					t.Errorf("response_url was told %s", got)
				}
			case <-time.After(10 * time.Second):
				t.Error("response_url was not told")
			}
		})
	}
}

// Slack shows no body to whoever pressed a button, so the words go another way.
func TestPressFromAnUnknownWorkspaceIsAnswered(t *testing.T) {
	told := make(chan struct{}, 1)
	body := strings.Replace(pressBody(), "%22id%22%3A%22T1%22%2C%22domain", "%22id%22%3A%22T2%22%2C%22domain", 1)
	body = strings.Replace(body, url.QueryEscape("https://hooks.slack.com/actions/T1/1/x"), "HOOK", 1)
	b := &inbox{}
	deliverTo(t, b, "/slack/interactivity", body, nil, func(http.ResponseWriter, *http.Request) { told <- struct{}{} })
	select {
	case <-told:
	case <-time.After(10 * time.Second):
		t.Error("nobody was told")
	}
	if len(b.notes) != 0 {
		t.Errorf("stored %v", b.notes)
	}
}

func TestDeliveryKey(t *testing.T) {
	a, b := deliveryKey([]byte("a")), deliveryKey([]byte("b"))
	if a == b || a != deliveryKey([]byte("a")) || len(a) != 24 {
		t.Errorf("keys %q and %q", a, b)
	}
}

func TestTrusts(t *testing.T) {
	public, _ := NewClient("x", "https://slack.com/api/", nil)
	gov, _ := NewClient("x", "https://slack-gov.com/api/", nil)
	local, _ := NewClient("x", "http://127.0.0.1:9000/api/", nil)
	tests := []struct {
		c    *Client
		url  string
		want bool
	}{
		{public, "https://hooks.slack.com/commands/T/1/x", true},
		{gov, "https://hooks.slack-gov.com/commands/T/1/x", true},
		{public, "http://hooks.slack.com/commands/T/1/x", false},
		{public, "https://hooks.slack.com.fabrikam.com/x", false},
		{public, "https://hooks.slack.com:444/x", false},
		{public, "https://user@hooks.slack.com/x", false},
		{public, "http://127.0.0.1/x", false},
		{public, "", false},
		{local, "http://127.0.0.1:9001/x", true},
		{local, "https://hooks.slack.com/x", false},
	}
	for _, tt := range tests {
		if got := tt.c.trusts(tt.url); got != tt.want {
			t.Errorf("trusts(%q) = %v, want %v", tt.url, got, tt.want)
		}
	}
}
