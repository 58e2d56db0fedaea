package slackapp

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// lookLimit is how many messages one look-up asks for: our threads are short, and
// 15 is allowed to every kind of app.
const lookLimit = 15

// plan puts the plan into the thread once it is wanted.
func (rp *Reporter) plan(ctx context.Context, r request.Request, s *request.Shown) error {
	if !r.Thread.PlanWanted || r.Thread.PlanTS != "" || r.Card.TS == "" {
		return nil
	}
	ts, err := rp.slot(ctx, r, partPlan, planMessage(r))
	s.PlanTS = ts
	return err
}

// result brings the one result message of the thread to the outcome. Slack has
// no idempotency key, so a post whose answer was lost may or may not stand, and
// may yet appear. Therefore: look first; the oldest message of this kind is the
// one; it is brought to the final text, which never changes again; newer copies
// are deleted; and the whole is repeated later (settling).
func (rp *Reporter) result(ctx context.Context, r request.Request, s *request.Shown) error {
	if !r.Confirmed() || r.Card.TS == "" {
		return nil
	}
	if r.Thread.ResultDone && !r.SettlePassDue() {
		return nil
	}
	ts := r.Thread.ResultTS
	if ts == "" || r.SettlePassDue() {
		found, err := rp.slot(ctx, r, partResult, placeholder(r))
		if err != nil {
			return err
		}
		ts = found
		s.ResultTS = ts
	}
	if !r.HasOutcome() {
		return nil
	}
	err := rp.update(ctx, r, ts, partResult, resultMessage(r))
	if err != nil && cannotChange(err) { // somebody deleted it, or the workspace forbids edits
		ts, err = rp.post(ctx, r, r.Card.TS, partResult, resultMessage(r))
	}
	if err != nil {
		return err
	}
	s.ResultTS, s.ResultDone = ts, true
	return nil
}

// slot returns the oldest message of a part in the thread, posting m if there is
// none, and deletes newer copies.
func (rp *Reporter) slot(ctx context.Context, r request.Request, part string, m message) (string, error) {
	found, err := rp.inThread(ctx, r, part)
	if err != nil && !cannotLook(err) {
		return "", err
	}
	if len(found) == 0 {
		if r.Thread.ResultTS != "" && part == partResult { // cannot look, or deleted by hand: keep to what we know
			return r.Thread.ResultTS, nil
		}
		return rp.post(ctx, r, r.Card.TS, part, m)
	}
	var errs []error
	for _, newer := range found[1:] {
		_, _, err := rp.slack.writes.DeleteMessageContext(ctx, r.Origin.Channel, newer)
		if err != nil && !cannotChange(err) {
			errs = append(errs, err)
		}
	}
	return found[0], errors.Join(errs...)
}

// inThread lists the timestamps of our messages of one part under the card,
// oldest first.
func (rp *Reporter) inThread(ctx context.Context, r request.Request, part string) ([]string, error) {
	var all []string
	params := &slack.GetConversationRepliesParameters{
		ChannelID: r.Origin.Channel, Timestamp: r.Card.TS, Limit: lookLimit, IncludeAllMetadata: true,
	}
	for {
		msgs, more, cursor, err := rp.slack.reads.GetConversationRepliesContext(ctx, params)
		if err != nil {
			return nil, err
		}
		all = append(all, rp.ours(msgs, r.ID, part)...)
		if !more || cursor == "" {
			break
		}
		params.Cursor = cursor
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// findCard looks for a card of r that was posted without our learning of it.
func (rp *Reporter) findCard(ctx context.Context, r request.Request) (string, error) {
	history, err := rp.slack.reads.GetConversationHistoryContext(ctx, &slack.GetConversationHistoryParameters{
		ChannelID: r.Origin.Channel, Limit: lookLimit, IncludeAllMetadata: true, Inclusive: true,
		Oldest: strconv.FormatInt(r.Received.Unix()-60, 10) + ".000000",
	})
	if err != nil {
		if cannotLook(err) {
			return "", nil
		}
		return "", err
	}
	found := rp.ours(history.Messages, r.ID, partCard)
	if len(found) == 0 {
		return "", nil
	}
	return slices.Min(found), nil
}

// ours keeps the messages that the bot itself posted for this part of a request;
// anybody can write metadata that looks like it.
func (rp *Reporter) ours(msgs []slack.Message, id request.ID, part string) []string {
	self := rp.slack.Known()
	var all []string
	for _, m := range msgs {
		mine := m.BotID != "" && m.BotID == self.Bot || m.User != "" && m.User == self.User
		if !mine || m.Metadata.EventType != metadataType {
			continue
		}
		p := m.Metadata.EventPayload
		if p["request"] == string(id) && p["part"] == part && strings.Contains(m.Timestamp, ".") {
			all = append(all, m.Timestamp)
		}
	}
	return all
}
