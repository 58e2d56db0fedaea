package slackapp

import (
	"context"
	"errors"
	"time"

	"github.com/slack-go/slack"
)

// errUnreadable says that a thread can't be read: the channel is gone, or the bot is not
// in it.
var errUnreadable = errors.New("the channel can't be read with this token")

// Saying returns digests of what the messages of a thread say now, by their timestamps,
// the one that begins it included. Where Slack asks to wait, it waits.
func (c *Client) Saying(ctx context.Context, channel, ts string) (map[string]string, error) {
	digests := map[string]string{}
	params := &slack.GetConversationRepliesParameters{ChannelID: channel, Timestamp: ts, Limit: lookLimit}
	for {
		msgs, more, cursor, err := c.reads.GetConversationRepliesContext(ctx, params)
		if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(limited.RetryAfter):
				continue
			}
		}
		switch f := fault(err); {
		case err == nil:
		case f.Code == "thread_not_found" || f.Code == "message_not_found":
			return digests, nil
		case f.Code == "channel_not_found" || f.Code == "not_in_channel" || f.Code == "missing_scope":
			return nil, errUnreadable
		default:
			return nil, safe(err)
		}
		for _, m := range msgs {
			if m.SubType != "tombstone" { // in place of a deleted message whose thread lives on
				digests[m.Timestamp] = digestOf(m.Text, m.Blocks)
			}
		}
		if params.Cursor = cursor; !more || cursor == "" {
			return digests, nil
		}
	}
}
