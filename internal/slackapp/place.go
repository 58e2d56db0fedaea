package slackapp

import (
	"context"
	"strings"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Place implements request.Reporter.
func (rp *Reporter) Place(ctx context.Context, at request.Origin) (request.Place, request.Fault) {
	if strings.HasPrefix(at.Channel, "D") { // asking would need a scope that serves nothing else
		return request.Direct, request.Fault{}
	}
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	ch, err := read(ctx, func() (*slack.Channel, error) {
		return rp.slack.reads.GetConversationInfoContext(ctx, &slack.GetConversationInfoInput{ChannelID: at.Channel})
	})
	if err != nil {
		f := fault(err)
		if f.Code == "channel_not_found" || f.Code == "missing_scope" { // a private channel without the bot, a group conversation
			return request.Unreadable, f
		}
		return request.PlaceUnknown, f
	}
	switch {
	case ch.IsIM:
		return request.Direct, request.Fault{}
	case ch.IsExtShared || ch.IsPendingExtShared:
		return request.Shared, request.Fault{}
	}
	return request.Ours, request.Fault{}
}
