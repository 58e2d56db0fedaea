package slackapp

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"

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
	if r.Thread.Gone && !r.CardAlone() {
		return s
	}
	steps := []func(context.Context, request.Request, *request.Shown) error{rp.card, rp.plan, rp.result}
	if r.CardAlone() {
		steps = steps[:1]
	}
	for i, step := range steps {
		if err := step(ctx, r, &s); err != nil {
			p := classify(err)
			rp.log.Warn("the chat is behind", "request", r.ID, "state", r.State, "error", safe(err))
			if p.kind == permanent {
				s.Gone, s.CardGone = p.code, i == 0
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
	if onRecord == "" && r.Card.Doubt && r.SettlePassDue() { // one may have appeared after the end
		found, err := rp.cardsInChannel(ctx, r)
		if err != nil || len(found) == 0 {
			return err
		}
		r.Card.TS = found[0]
	}
	if !cardBehind(r) {
		return nil
	}
	ts, copies, err := rp.findCard(ctx, r)
	if err != nil {
		return err
	}
	msg := card(r)
	shown := request.Card{TS: ts, Face: r.Face(), Shows: r.Shows(), Digest: msg.digest()}
	if ts == "" {
		if shown.TS, err = rp.post(ctx, r, "", partCard, msg); err != nil {
			s.Card.Doubt = classify(err).kind == transient
			return err
		}
		s.Card = shown
		return nil
	}
	err = rp.update(ctx, r, ts, partCard, msg)
	if err != nil && !cannotChange(err) {
		return err
	}
	if err != nil && r.CardAlone() {
		s.CardGone = true
		return nil
	}
	if err != nil { // it stands as it was
		shown.Digest = r.Card.Digest
	}
	s.Card = shown
	if len(copies) > 0 && ts != onRecord {
		s.Copies = true
		return errNotOnRecord
	}
	return rp.deleteCards(ctx, r, copies) // last: the card itself is more than they are
}

// cardBehind reports whether there is anything to do about r's card now.
func cardBehind(r request.Request) bool {
	face := r.Face()
	current := face == r.Card.Face && (face != request.FacePending || r.Card.Shows == r.Shows())
	return face != request.NoFace && (!current || r.SettlePassDue() || r.CardLookDue())
}

// findCard says which message is r's card, "" if there is none yet, and which are copies
// of it: one that appeared late would keep its buttons.
func (rp *Reporter) findCard(ctx context.Context, r request.Request) (ts string, copies []string, err error) {
	ts = r.Card.TS
	if !r.CardMayExist() && (ts == "" || !r.Card.Doubt && !r.CardLookDue() && !r.SettlePassDue()) {
		return ts, nil, nil
	}
	found, err := rp.cardsInChannel(ctx, r)
	if err != nil {
		return "", nil, err
	}
	if ts == "" && len(found) > 0 {
		ts = found[0]
	}
	return ts, slices.DeleteFunc(found, func(one string) bool { return one == ts }), nil
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
