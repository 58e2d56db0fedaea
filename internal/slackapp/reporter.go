package slackapp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// repliesAtOnce bounds how many private answers of one request are under way.
const repliesAtOnce = 8

// Reporter brings the chat to what requests say. Every call looks at what is
// there and does what is missing, so it can be repeated after anything. It
// implements request.Reporter and is safe for concurrent use.
type Reporter struct {
	slack    *Client
	urls     *ResponseURLs
	tickets  Tickets
	together request.Together
	log      *slog.Logger
}

// NewReporter returns a Reporter that answers privately through urls first, leads to
// sign-ins by tickets (nil: there are none), and does several things of one report by
// together.
func NewReporter(c *Client, urls *ResponseURLs, tickets Tickets, together request.Together, log *slog.Logger) *Reporter {
	return &Reporter{slack: c, urls: urls, tickets: tickets, together: together, log: log}
}

// Report implements request.Reporter.
func (rp *Reporter) Report(ctx context.Context, r request.Request) request.Shown {
	public, private := request.Shown{Failed: true}, request.Shown{Failed: true}
	rp.together(
		rp.guarded(r, func() { private = rp.replies(ctx, r) }),
		rp.guarded(r, func() { public = rp.public(ctx, r) }),
	)
	public.Replied = private.Replied
	public.Failed = public.Failed || private.Failed
	public.RetryAfter = max(public.RetryAfter, private.RetryAfter)
	return public
}

// guarded keeps a panic over one request, in decoding what Slack answers for
// instance, from ending the process; what it was to show counts as not shown.
func (rp *Reporter) guarded(r request.Request, fn func()) func() {
	return func() {
		defer func() {
			if p := recover(); p != nil {
				rp.log.Error("panic while reporting", "request", r.ID, "panic", p, "stack", string(debug.Stack()))
			}
		}()
		fn()
	}
}

func (rp *Reporter) replies(ctx context.Context, r request.Request) request.Shown {
	var shown request.Shown
	var mu sync.Mutex
	var all []func()
	slots := make(chan struct{}, repliesAtOnce)
	for _, a := range r.Replies {
		all = append(all, rp.guarded(r, func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			settled, after := rp.reply(ctx, r, a)
			mu.Lock()
			defer mu.Unlock()
			if settled {
				shown.Replied = append(shown.Replied, a.Key)
			}
			shown.RetryAfter = max(shown.RetryAfter, after)
		}))
	}
	rp.together(all...)
	shown.Failed = len(shown.Replied) < len(r.Replies)
	return shown
}

// public brings card and thread up to date, in that order: a thread needs its card. It
// stops at the first thing that does not work; but a card that is on record and cannot
// be brought up to date for now does not keep the result from the thread.
func (rp *Reporter) public(ctx context.Context, r request.Request) request.Shown {
	var s request.Shown
	if r.Thread.Gone {
		return s
	}
	steps := []func(context.Context, request.Request, *request.Shown) error{rp.card, rp.plan, rp.result}
	for i, step := range steps {
		if err := step(ctx, r, &s); err != nil {
			p := classify(err)
			rp.log.Warn("the chat is behind", "request", r.ID, "state", r.State, "error", safe(err))
			if p.kind == permanent {
				s.Gone = p.code
				return s
			}
			s.Failed, s.RetryAfter = true, max(s.RetryAfter, p.retryAfter)
			if onRecord := i == 0 && r.Card.TS != "" && s.Card.TS == ""; onRecord && p.retryAfter == 0 {
				continue
			}
			return s
		}
		if s.Card.TS != "" {
			r.Card = s.Card
		}
	}
	return s
}

// errNotOnRecord keeps copies of a card from being deleted before it is on record which
// of them is the card: who pressed a button of another meanwhile has told so as well,
// and then each would be deleted as a copy of the other.
var errNotOnRecord = errors.New("which copy is the card is not on record yet")

// card posts the card, or updates it when its face has changed.
func (rp *Reporter) card(ctx context.Context, r request.Request, s *request.Shown) error {
	onRecord := r.Card.TS
	if r.Card.TS == "" && r.Card.Doubt && r.SettlePassDue() { // one may have appeared after the end
		found, err := rp.cardsInChannel(ctx, r)
		if err != nil || len(found) == 0 {
			return err
		}
		r.Card.TS = found[0]
	}
	face := r.Face()
	current := face == r.Card.Face && (face != request.FacePending || r.Card.Shows == r.Shows())
	if face == request.NoFace || current && !r.SettlePassDue() && !r.CardLookDue() {
		return nil
	}
	ts := r.Card.TS
	var copies []string // which go last: the card itself is more than they are
	if r.CardMayExist() {
		found, err := rp.cardsInChannel(ctx, r)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			ts, copies = found[0], found[1:]
		}
	}
	msg := card(r)
	if ts == "" {
		posted, err := rp.post(ctx, r, "", partCard, msg)
		if err != nil {
			s.Card.Doubt = classify(err).kind == transient
			return err
		}
		s.Card = request.Card{TS: posted, Face: face, Shows: r.Shows(), Digest: msg.digest()}
		return nil
	}
	look := r.Card.Doubt || r.CardLookDue() || r.SettlePassDue()
	if look && r.Card.TS != "" { // a copy that appeared late would keep its buttons
		found, err := rp.cardsInChannel(ctx, r)
		if err != nil {
			return err
		}
		copies = slices.DeleteFunc(found, func(copied string) bool { return copied == ts })
	}
	err := rp.update(ctx, r, ts, partCard, msg)
	if err != nil && !cannotChange(err) {
		return err
	}
	s.Card = request.Card{TS: ts, Face: face, Shows: r.Shows(), Digest: msg.digest()}
	if err != nil { // it stands as it was
		s.Card.Digest = r.Card.Digest
	}
	if len(copies) > 0 && ts != onRecord {
		s.Copies = true
		return errNotOnRecord
	}
	return rp.deleteCards(ctx, r, copies)
}

// post posts a message of r, in its thread if there is one, and returns its
// timestamp. It is never repeated blindly: see thread.go.
func (rp *Reporter) post(ctx context.Context, r request.Request, thread, part string, m message) (string, error) {
	opts := append(m.options(), slack.MsgOptionMetadata(metadata(r.ID, part)))
	if thread != "" {
		opts = append(opts, slack.MsgOptionTS(thread))
	}
	_, ts, err := rp.slack.writes.PostMessageContext(ctx, r.Origin.Channel, opts...)
	return ts, err
}

func (rp *Reporter) update(ctx context.Context, r request.Request, ts, part string, m message) error {
	opts := append(m.options(), slack.MsgOptionMetadata(metadata(r.ID, part)))
	_, _, _, err := rp.slack.writes.UpdateMessageContext(ctx, r.Origin.Channel, ts, opts...)
	return err
}

// Parts of a request in the chat, as its messages' metadata names them.
const (
	metadataType = "revoke_session"
	partCard     = "card"
	partResult   = "result"
)

// partPlan is of its plan's own, since a request's plan can change.
func partPlan(r request.Request) string { return "plan " + r.Plan.Code() }

// metadata marks a message as ours. Every app and member of the workspace can
// read it: an opaque id and nothing else.
func metadata(id request.ID, part string) slack.SlackMetadata {
	return slack.SlackMetadata{EventType: metadataType, EventPayload: map[string]any{"request": string(id), "part": part}}
}

type kind int

const (
	transient kind = iota // try again; the call may or may not have had its effect
	permanent             // will never work here
)

type problem struct {
	kind       kind
	code       string
	retryAfter time.Duration
}

// permanentCodes are the documented errors of chat.* that trying again does not
// mend (docs.slack.dev/reference/methods/chat.postMessage).
var permanentCodes = []string{
	"channel_not_found", "not_in_channel", "is_archived", "is_inactive", "user_not_in_channel", "user_not_found",
	"restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel",
	"restricted_action_thread_locked", "restricted_action_non_threadable_channel", "cannot_reply_to_message",
	"message_not_found", "thread_not_found", "no_permission", "team_access_not_granted", "ekm_access_denied",
	"messages_tab_disabled", "cannot_dm_bot", "user_disabled", "invalid_blocks", "invalid_blocks_format", "msg_too_long",
	"msg_blocks_too_long", "no_text", "metadata_too_large", "invalid_arguments", "missing_scope",
}

func classify(err error) problem {
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return problem{kind: transient, code: "ratelimited", retryAfter: min(limited.RetryAfter, time.Minute)}
	}
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok && slices.Contains(permanentCodes, e.Err) {
		return problem{kind: permanent, code: e.Err}
	}
	return problem{kind: transient}
}

// cannotChange reports whether a message exists no more, or will not change.
func cannotChange(err error) bool {
	e, ok := errors.AsType[slack.SlackErrorResponse](err)
	return ok && slices.Contains([]string{"message_not_found", "cant_update_message", "edit_window_closed"}, e.Err)
}

// cannotDelete reports whether a message of ours will never be deleted.
func cannotDelete(err error) bool {
	e, ok := errors.AsType[slack.SlackErrorResponse](err)
	return ok && slices.Contains([]string{"cant_delete_message", "compliance_exports_prevent_deletion"}, e.Err)
}

// cannotLook reports whether messages cannot be looked up at all, for want of a
// scope or of the method itself.
func cannotLook(err error) bool {
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return slices.Contains([]string{"missing_scope", "unknown_method", "not_allowed_token_type", "method_deprecated"}, e.Err)
	}
	e, ok := errors.AsType[slack.StatusCodeError](err)
	return ok && e.Code == http.StatusNotFound
}
