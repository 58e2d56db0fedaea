package slackapp

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// lookLimit is how many messages one look-up asks for: at most so many are recommended
// (docs.slack.dev/apis/web-api/pagination). An app that may have fewer gets fewer.
const lookLimit = 200

// plan puts the plan into the thread once it is wanted.
func (rp *Reporter) plan(ctx context.Context, r request.Request, s *request.Shown) error {
	if !r.Thread.PlanWanted || r.Thread.PlanTS != "" && !r.SettlePassDue() || r.Card.TS == "" {
		return nil
	}
	found, err := rp.inThread(ctx, r, partPlan(r))
	if err != nil {
		return err
	}
	if len(found) > 0 {
		s.PlanTS = found[0]
		return rp.delete(ctx, r, found[1:])
	}
	if r.Thread.PlanTS != "" { // deleted, or not to be looked up
		return nil
	}
	s.PlanTS, err = rp.post(ctx, r, r.Card.TS, partPlan(r), planMessage(r))
	return err
}

// result brings the one result message of the thread to the outcome. Slack has
// no idempotency key, so a post whose answer was lost may or may not stand, and
// may yet appear. Therefore: look first; the oldest message of this kind is the
// one; it is brought to the final text, which never changes again; the other
// copies are deleted after that; and the whole is repeated later (settling).
func (rp *Reporter) result(ctx context.Context, r request.Request, s *request.Shown) error {
	if !r.Authorized() || r.Card.TS == "" || r.Thread.ResultDone && !r.SettlePassDue() {
		return nil
	}
	found := []string{r.Thread.ResultTS}
	if r.Thread.ResultTS == "" || r.SettlePassDue() {
		seen, err := rp.inThread(ctx, r, partResult)
		if err != nil {
			return err
		}
		if len(seen) == 0 && r.Thread.ResultTS == "" {
			ts, err := rp.post(ctx, r, r.Card.TS, partResult, placeholder(r))
			if err != nil {
				return err
			}
			seen = []string{ts}
		}
		if len(seen) > 0 { // else they cannot be looked up: keep to what is known
			found = seen
		}
	}
	s.ResultTS = found[0]
	if !r.HasOutcome() {
		return nil
	}
	msg := resultMessage(r)
	for i, ts := range found {
		err := rp.update(ctx, r, ts, partResult, msg)
		if err == nil {
			s.ResultTS, s.ResultDone, s.ResultDigest = ts, true, msg.digest()
			return rp.delete(ctx, r, slices.Delete(slices.Clone(found), i, i+1))
		}
		if !cannotChange(err) {
			return err
		}
	}
	// All are deleted or closed for edits: the result gets a message of its own.
	ts, err := rp.post(ctx, r, r.Card.TS, partResult, msg)
	if err != nil {
		return err
	}
	s.ResultTS, s.ResultDone, s.ResultDigest = ts, true, msg.digest()
	return rp.delete(ctx, r, found)
}

// delete removes superfluous copies. What Slack does not take at the moment is an
// error, so that it is tried again: a copy of a card has buttons. One that can't be
// deleted stays.
func (rp *Reporter) delete(ctx context.Context, r request.Request, copies []string) error {
	for _, ts := range copies {
		_, _, err := rp.slack.writes.DeleteMessageContext(ctx, r.Origin.Channel, ts)
		switch {
		case err == nil, cannotChange(err):
		case classify(err).kind == transient && !cannotDelete(err):
			return err
		default:
			rp.log.Warn("a superfluous copy stays", "request", r.ID, "error", safe(err))
		}
	}
	return nil
}

// deleteCards deletes copies of the card, each after what stands under it: a thread
// outlives the message that it hangs on.
func (rp *Reporter) deleteCards(ctx context.Context, r request.Request, copies []string) error {
	for _, ts := range copies {
		under := r
		under.Card.TS = ts
		for _, part := range []string{partResult, partPlan(r)} {
			found, err := rp.inThread(ctx, under, part)
			if err != nil && classify(err).kind == transient { // else it is gone already
				return err
			}
			if err := rp.delete(ctx, r, found); err != nil {
				return err
			}
		}
	}
	return rp.delete(ctx, r, copies)
}

// inThread lists the timestamps of our messages of one part under the card,
// oldest first; none where messages cannot be looked up at all.
func (rp *Reporter) inThread(ctx context.Context, r request.Request, part string) ([]string, error) {
	params := &slack.GetConversationRepliesParameters{
		ChannelID: r.Origin.Channel, Timestamp: r.Card.TS, Limit: lookLimit, IncludeAllMetadata: true,
	}
	return rp.ours(ctx, r.ID, part, func() ([]slack.Message, bool, error) {
		msgs, more, cursor, err := rp.slack.reads.GetConversationRepliesContext(ctx, params)
		params.Cursor = cursor
		return msgs, more && cursor != "", err
	})
}

// cardsInChannel does the same for cards of r in the channel.
func (rp *Reporter) cardsInChannel(ctx context.Context, r request.Request) ([]string, error) {
	params := &slack.GetConversationHistoryParameters{
		ChannelID: r.Origin.Channel, Limit: lookLimit, IncludeAllMetadata: true, Inclusive: true,
		Oldest: strconv.FormatInt(r.Received.Add(-time.Minute).Unix(), 10) + ".000000",
	}
	return rp.ours(ctx, r.ID, partCard, func() ([]slack.Message, bool, error) {
		page, err := rp.slack.reads.GetConversationHistoryContext(ctx, params)
		if err != nil {
			return nil, false, err
		}
		params.Cursor = page.ResponseMetaData.NextCursor
		return page.Messages, page.HasMore && params.Cursor != "", nil
	})
}

// ours reads pages of messages and keeps those that the bot itself posted for
// this part of a request; anybody can write metadata that looks like it.
func (rp *Reporter) ours(ctx context.Context, id request.ID, part string, page func() ([]slack.Message, bool, error)) ([]string, error) {
	self, err := rp.slack.whoAmI(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for more := true; more; {
		var msgs []slack.Message
		if msgs, more, err = page(); cannotLook(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		for _, m := range msgs {
			mine := m.BotID != "" && m.BotID == self.Bot || m.User != "" && m.User == self.User
			p := m.Metadata.EventPayload
			if mine && m.Metadata.EventType == metadataType && p["request"] == string(id) && p["part"] == part {
				all = append(all, m.Timestamp)
			}
		}
	}
	slices.Sort(all) // timestamps have one length
	return slices.Compact(all), nil
}
