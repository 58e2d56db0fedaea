package sandbox

import (
	"context"
	"net/url"
)

// SayTwisted is Say for a command that Slack does not send like this, or only to an
// app that is installed elsewhere, too: twist changes its fields before they are
// signed. People of other organizations may be among the senders. The answer is shown
// to person, whatever the fields say.
func (s *Sandbox) SayTwisted(ctx context.Context, person, channel, text string, twist func(url.Values)) (Delivery, error) {
	return s.say(ctx, person, channel, text, true, twist)
}

// PressTwisted is PressValue with a payload that twist changes before it is signed.
func (s *Sandbox) PressTwisted(ctx context.Context, person, channel, messageTS, actionID, value string, twist func(payload map[string]any)) (Delivery, error) {
	return s.pressValue(ctx, person, channel, messageTS, pressed{actionID: actionID, value: value, twist: twist})
}

func twisted(body string, twist func(url.Values)) string {
	fields, err := url.ParseQuery(body)
	if err != nil {
		panic(err) // cannot happen: the sandbox has encoded it
	}
	twist(fields)
	return fields.Encode()
}

// ObjectID is that of the account that person signs in to at Entra; "" if there is none.
func (s *Sandbox) ObjectID(person string) string {
	id, err := s.accountOf(person)
	if err != nil {
		return ""
	}
	return id
}
