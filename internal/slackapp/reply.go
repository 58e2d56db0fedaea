package slackapp

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// responseURLFor is how long Slack accepts posts to a response_url.
const responseURLFor = 30 * time.Minute

// ResponseURLs remembers where deliveries can be answered. A response_url lets
// its holder post without a token, so it is kept in this process only, never
// stored or logged; after a restart other ways of answering serve. Safe for
// concurrent use.
type ResponseURLs struct {
	mu   sync.Mutex
	urls map[string]responseURL
}

type responseURL struct {
	url   string
	until time.Time
}

// NewResponseURLs returns an empty memory.
func NewResponseURLs() *ResponseURLs { return &ResponseURLs{urls: map[string]responseURL{}} }

func (m *ResponseURLs) put(key, u string) {
	if u == "" {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	for k, v := range m.urls {
		if now.After(v.until) {
			delete(m.urls, k)
		}
	}
	m.urls[key] = responseURL{url: u, until: now.Add(responseURLFor)}
}

func (m *ResponseURLs) get(key string) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.urls[key]
	if time.Now().After(v.until) {
		return ""
	}
	return v.url
}

var errNoResponseURL = errors.New("no usable response_url")

// respond posts a private answer to a response_url.
func (c *Client) respond(ctx context.Context, to string, m message) error {
	if !c.trusts(to) {
		return errNoResponseURL
	}
	msg := &slack.WebhookMessage{Text: m.text, ResponseType: slack.ResponseTypeEphemeral, ReplaceOriginal: false}
	if m.blocks != nil {
		msg.Blocks = &slack.Blocks{BlockSet: m.blocks}
	}
	return safe(slack.PostWebhookCustomHTTPContext(ctx, to, c.plain, msg))
}

// trusts reports whether a response_url leads to Slack: to its hooks hosts, or,
// where the Web API was pointed elsewhere, to that same host.
func (c *Client) trusts(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil || u.User != nil {
		return false
	}
	if host := c.base.Hostname(); host != "slack.com" && !strings.HasSuffix(host, ".slack.com") && host != "slack-gov.com" {
		return u.Hostname() == host
	}
	return u.Scheme == "https" && (u.Host == "hooks.slack.com" || u.Host == "hooks.slack-gov.com")
}

// Tickets makes the address of the page on which somebody uses a ticket.
type Tickets func(request.Ticket) string

// answerTo is the private answer, with the button to a sign-in where it asks for one.
func (rp *Reporter) answerTo(r request.Request, a request.Reply) message {
	m := message{text: replyText(r, a)}
	word := ""
	switch {
	case a.Reason == request.StepUpNeeded:
		word = "Sign in to confirm"
	case a.Reason == request.NotVerified && a.Standing == request.NotLinked:
		word = "Link your Microsoft account"
	}
	if word == "" || rp.tickets == nil {
		return m
	}
	button := slack.NewButtonBlockElement(signInAction, "", label(word))
	button.URL, button.Style = rp.tickets(r.Ticket(a)), slack.StylePrimary
	m.blocks = []slack.Block{markdown(m.text), slack.NewActionBlock("", button)}
	return m
}

// wayTo leads to a card, where Slack says how. Words have to do otherwise.
func (rp *Reporter) wayTo(ctx context.Context, card request.OpenCard) string {
	if card.TS == "" {
		return ""
	}
	link, err := rp.slack.reads.GetPermalinkContext(ctx, &slack.PermalinkParameters{Channel: card.Channel, Ts: card.TS})
	if err != nil {
		return ""
	}
	return " <" + esc(link) + "|Open the card>"
}

// signInAction names the button that leads to the bot's own pages. Slack delivers its
// press as well, which means nothing.
const signInAction = "sign-in"

// reply gives one person one private answer, by the first way that works:
// response_url (works in any channel), an ephemeral message, a direct message.
// It reports whether the answer is settled, which it also is when no way can
// ever work.
func (rp *Reporter) reply(ctx context.Context, r request.Request, a request.Reply) (settled bool, retryAfter time.Duration) {
	msg := rp.answerTo(r, a)
	if a.Reason == request.AskedBefore {
		msg.text += rp.wayTo(ctx, r.OpenCard)
	}
	log := rp.log.With("request", r.ID, "slack_user", a.To.User, "reason", a.Reason)
	byMessage := a.Reason == request.ResultByMessage
	if !byMessage {
		if rp.slack.respond(ctx, rp.urls.get(a.Key), msg) == nil {
			return true, 0
		}
		_, err := rp.slack.writes.PostEphemeralContext(ctx, a.To.Channel, a.To.User, msg.ephemeral()...)
		if err == nil {
			return true, 0
		}
		if p := classify(err); p.kind != permanent {
			return false, p.retryAfter
		}
	}
	_, _, err := rp.slack.writes.PostMessageContext(ctx, a.To.User, msg.options()...)
	if err == nil {
		return true, 0
	}
	p := classify(err)
	if p.kind == permanent {
		log.Error("a private answer could not be delivered in any way", "error", safe(err))
		return true, 0
	}
	log.Warn("a private answer is late", "error", safe(err))
	return false, p.retryAfter
}
