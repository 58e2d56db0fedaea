package slackapp

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/revoke-session/revoke-session/internal/request"
)

// channel is a Slack in which copies of one card stand. It keeps what is deleted.
type channel struct {
	copies []string
	mu     sync.Mutex
	gone   []string
}

func (c *channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch strings.TrimPrefix(r.URL.Path, "/api/") {
	case "conversations.history":
		var messages []map[string]any
		for _, ts := range slices.Backward(c.copies) { // newest first
			messages = append(messages, map[string]any{"type": "message", "ts": ts, "user": "UBOT", "bot_id": "B1", "metadata": metadata("r1", partCard)})
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "messages": messages})
	case "conversations.replies":
		fmt.Fprint(w, `{"ok":true,"messages":[]}`)
	case "auth.test":
		fmt.Fprint(w, `{"ok":true,"team_id":"T1","user_id":"UBOT","bot_id":"B1"}`)
	case "chat.delete":
		c.gone = append(c.gone, r.FormValue("ts"))
		c.copies = slices.DeleteFunc(c.copies, func(ts string) bool { return ts == r.FormValue("ts") })
		fmt.Fprint(w, `{"ok":true}`)
	default:
		fmt.Fprintf(w, `{"ok":true,"channel":"C1","ts":%q}`, r.FormValue("ts"))
	}
}

// Nothing is deleted before it is on record which copy is the card: a press on another
// copy tells as much meanwhile, and in the end none would be left.
func TestCopiesStandUntilTheCardIsOnRecord(t *testing.T) {
	slackHas := &channel{copies: []string{"1.1", "2.2"}}
	server := httptest.NewServer(slackHas)
	defer server.Close()
	client, err := NewClient("xoxb-1", server.URL+"/api/", http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	rp := NewReporter(client, NewResponseURLs(), nil, request.SideBySide, slog.New(slog.DiscardHandler))
	r := sample(request.Pending)
	r.Card, r.Failures = request.Card{}, 1

	shown := rp.Report(t.Context(), r)
	if shown.Card.TS != "1.1" || !shown.Copies || !shown.Failed || len(slackHas.gone) > 0 {
		t.Fatalf("first: %+v, deleted %v; want the oldest named, and nothing deleted", shown, slackHas.gone)
	}
	r.Card.TS = "2.2" // which somebody pressed, before that was written
	r.Card.Doubt, r.Card.Face = true, ""
	shown = rp.Report(t.Context(), r)
	if shown.Card.TS != "2.2" || shown.Copies || shown.Failed || !slices.Equal(slackHas.gone, []string{"1.1"}) {
		t.Errorf("then: %+v, deleted %v; want the other copy deleted", shown, slackHas.gone)
	}
}
