package slackapp

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

const (
	maxBody = 1 << 20
	// storeWithin bounds the one store write before the answer; Slack gives up
	// after three seconds.
	storeWithin = 2 * time.Second
)

// Inbox is where commands and presses are put before Slack has its answer.
// Its errors are request.ErrUnavailable if certainly nothing was recorded, any
// other if that is not known.
type Inbox interface {
	Ask(ctx context.Context, id request.ID, c request.Command, by request.Origin) error
	Press(ctx context.Context, id request.ID, press request.Press) error
	// Left says that a user seems to have left the workspace.
	Left(ctx context.Context, u request.SlackUser) error
}

// Handler receives Slack's deliveries: verify, store, answer. What follows is
// the worker's. It calls neither Slack nor Microsoft before it answers.
type Handler struct {
	secret string
	slack  *Client
	inbox  Inbox
	urls   *ResponseURLs
	now    func() time.Time
	log    *slog.Logger
}

// NewHandler serves POST /slack/commands, /slack/interactivity and /slack/events.
func NewHandler(secret string, c *Client, inbox Inbox, urls *ResponseURLs, log *slog.Logger) http.Handler {
	h := &Handler{secret: secret, slack: c, inbox: inbox, urls: urls, now: time.Now, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /slack/commands", h.signed(h.command))
	mux.HandleFunc("POST /slack/interactivity", h.signed(h.interactivity))
	mux.HandleFunc("POST /slack/events", h.signed(h.events))
	return mux
}

// delivery is a body whose signature was verified.
type delivery struct {
	body []byte
	key  string // the same for a byte-for-byte replay, different for all else
}

// signed reads the raw body and verifies it before anything looks into it.
func (h *Handler) signed(next func(http.ResponseWriter, *http.Request, delivery)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			status := http.StatusBadRequest
			if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
				status = http.StatusRequestEntityTooLarge
			}
			http.Error(w, "the body could not be read or is over 1 MiB", status)
			return
		}
		signature, err := verify(h.secret, r.Header, body, h.now())
		if err != nil {
			h.log.Warn("refused a delivery", "path", r.URL.Path, "error", err)
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		next(w, r, delivery{body: body, key: deliveryKey(signature)})
	}
}

// deliveryKey derives an id from a signature, which covers timestamp and body:
// a replay gets the id of the original, and whoever has not seen the delivery
// cannot guess it.
func deliveryKey(signature []byte) string {
	sum := sha256.Sum256(append([]byte("revoke-session delivery v1\n"), signature...))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:15]))
}

func (h *Handler) command(w http.ResponseWriter, r *http.Request, d delivery) {
	form, err := url.ParseQuery(string(d.body))
	if err != nil || form.Get("user_id") == "" || form.Get("channel_id") == "" {
		http.Error(w, "not a slash command", http.StatusBadRequest)
		return
	}
	if form.Get("command") != CommandName {
		answer(w, http.StatusOK, "I only know "+CommandName+". Nothing was done.")
		return
	}
	if h.foreign(form.Get("team_id"), form.Get("enterprise_id")) {
		h.log.Warn("refused a command from an unknown workspace", "team", form.Get("team_id"))
		answer(w, http.StatusOK, foreignText)
		return
	}
	cmd, err := parseCommand(form.Get("text"))
	if problem, ok := errors.AsType[*usage](err); ok {
		answer(w, http.StatusOK, problem.Answer)
		return
	}
	by := request.Origin{
		SlackUser: request.SlackUser{
			Enterprise: form.Get("enterprise_id"), Team: form.Get("team_id"), User: form.Get("user_id"),
		},
		Channel: form.Get("channel_id"),
	}
	h.urls.put(d.key, form.Get("response_url"))
	ctx, cancel := context.WithTimeout(r.Context(), storeWithin)
	defer cancel()
	if err := h.inbox.Ask(ctx, request.ID(d.key), cmd.Command, by); err != nil {
		h.notRecorded(ctx, w, d.key, err)
		return
	}
	h.log.Info("command recorded", "request", d.key, "slack_user", by.User, "channel", by.Channel)
	answer(w, http.StatusOK, recordedText(cmd.Command)+ignoredText(cmd.ignored))
}

func (h *Handler) interactivity(w http.ResponseWriter, r *http.Request, d delivery) {
	form, err := url.ParseQuery(string(d.body))
	if err != nil {
		http.Error(w, "not a form", http.StatusBadRequest)
		return
	}
	a, err := parseAction(form.Get("payload"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if !a.isPress() || a.Actions[0].ActionID == signInAction { // they must be acknowledged all the same
		h.log.Info("ignored an interaction", "type", a.Type)
		return
	}
	h.urls.put(d.key, a.ResponseURL)
	if h.foreign(a.team(), a.enterprise()) {
		h.log.Warn("refused a press from an unknown workspace", "team", a.team())
		go h.tell(context.WithoutCancel(r.Context()), d.key, foreignText)
		return
	}
	team := a.team()
	if team == "" {
		team = h.slack.known().Team
	}
	id, press := a.press(d.key, team)
	ctx, cancel := context.WithTimeout(r.Context(), storeWithin)
	defer cancel()
	if err := h.inbox.Press(ctx, id, press); err != nil {
		h.notRecorded(ctx, w, d.key, err)
		return
	}
	h.log.Info("press recorded", "request", id, "verb", press.Verb, "slack_user", press.By.User)
}

// events answers Slack's check of the address, and passes on that somebody left
// (docs.slack.dev/reference/events/user_change). Slack delivers an event again that is
// not acknowledged.
func (h *Handler) events(w http.ResponseWriter, r *http.Request, d delivery) {
	var e struct {
		Type       string `json:"type"`
		Challenge  string `json:"challenge"`
		Team       string `json:"team_id"`
		Enterprise string `json:"enterprise_id"`
		Event      struct {
			Type string `json:"type"`
			User struct {
				ID      string `json:"id"`
				Deleted bool   `json:"deleted"`
			} `json:"user"`
		} `json:"event"`
	}
	if err := json.Unmarshal(d.body, &e); err != nil || e.Type == "" {
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	if e.Type == "url_verification" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, e.Challenge)
		return
	}
	if e.Event.Type != "user_change" || !e.Event.User.Deleted {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), storeWithin)
	defer cancel()
	gone := request.SlackUser{Enterprise: e.Enterprise, Team: e.Team, User: e.Event.User.ID}
	if err := h.inbox.Left(ctx, gone); err != nil {
		h.log.Error("could not record that a user left", "slack_user", gone.User, "error", err)
		http.Error(w, "try again", http.StatusServiceUnavailable)
	}
}

// foreign reports whether a delivery comes from another workspace than the
// bot's. Until Slack has said which that is, the worker's own checks decide.
func (h *Handler) foreign(team, enterprise string) bool {
	self := h.slack.known()
	if self.Team == "" || team == self.Team {
		return false
	}
	return self.Enterprise == "" || enterprise != self.Enterprise
}

// notRecorded tells the person at once. The status is not 200, because that is
// our promise that nothing can be lost; Slack then shows an error of its own and
// not our body, so the words go to the response_url as well.
func (h *Handler) notRecorded(ctx context.Context, w http.ResponseWriter, key string, err error) {
	text := unsureText
	switch {
	case errors.Is(err, request.ErrUnavailable):
		text = notRecordedText
	case errors.Is(err, request.ErrTooMany):
		text = tooManyText
	case errors.Is(err, request.ErrNotReplicated):
		text = notReplicatedText
	}
	h.log.Error("could not record a delivery", "delivery", key, "error", err)
	go h.tell(context.WithoutCancel(ctx), key, text)
	answer(w, http.StatusServiceUnavailable, text)
}

func (h *Handler) tell(ctx context.Context, key, text string) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if err := h.slack.respond(ctx, h.urls.get(key), message{text: text}); err != nil {
		h.log.Warn("could not answer through response_url", "delivery", key, "error", err)
	}
}

// answer writes a private answer to a slash command.
func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"response_type": "ephemeral", "text": text})
}
