package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Deactivate deactivates person's Slack account and tells the bot: a user_change
// event, signed, to /slack/events. It returns an error for somebody without an
// account in the workspace, and if the bot may not read users. Slack sends an event again that was not answered with
// 200 (at once, after a minute, after five); the sandbox leaves that to Replay.
// https://docs.slack.dev/reference/events/user_change
func (s *Sandbox) Deactivate(ctx context.Context, person string) (Delivery, error) {
	return s.changeUser(ctx, person, true)
}

// Reactivate undoes Deactivate, and tells the bot in the same way.
func (s *Sandbox) Reactivate(ctx context.Context, person string) (Delivery, error) {
	return s.changeUser(ctx, person, false)
}

func (s *Sandbox) changeUser(ctx context.Context, name string, deleted bool) (Delivery, error) {
	s.mu.Lock()
	p, err := s.world.person(name)
	if err == nil && (p.slack.id == "" || p.slack.stranger) {
		err = fmt.Errorf("%s has no account in the workspace", name)
	}
	if err != nil {
		s.mu.Unlock()
		return Delivery{}, err
	}
	now := s.now().Unix()
	p.slack.deleted, p.slack.updated = deleted, now
	s.touch()
	if !slices.Contains(s.world.scopes, "users:read") {
		s.mu.Unlock()
		return Delivery{}, errors.New("the bot is not told: user_change needs users:read")
	}
	body := s.eventBody(map[string]any{
		"type": "user_change", "cache_ts": now, "event_ts": s.world.nextTS(s.now()),
		"user": userObject(p, slices.Contains(s.world.scopes, "users:read.email")),
	})
	s.mu.Unlock()
	return s.deliverAs(ctx, "application/json", "/slack/events", body).Delivery, nil
}

// eventBody is the outer event. The caller holds mu.
// https://docs.slack.dev/apis/events-api#callback-field
func (s *Sandbox) eventBody(event map[string]any) string {
	raw, err := json.Marshal(map[string]any{
		"token": s.creds.verificationToken, "team_id": teamID, "context_team_id": teamID, "context_enterprise_id": nil,
		"api_app_id": appID, "event": event, "type": "event_callback", "event_id": "Ev0" + strings.ToUpper(randomHex(5)),
		"event_time": s.now().Unix(), "is_ext_shared_channel": false,
		"authorizations": []any{map[string]any{
			"enterprise_id": nil, "team_id": teamID, "user_id": botUserID, "is_bot": true, "is_enterprise_install": false,
		}},
	})
	if err != nil {
		panic(err) // cannot happen: strings, numbers and booleans only
	}
	return string(raw)
}

// VerifyEvents does what Slack does when the URL for events is entered: it sends
// a challenge, which the bot has to answer with. It returns an error if it does
// not.
// https://docs.slack.dev/reference/events/url_verification
func (s *Sandbox) VerifyEvents(ctx context.Context) error {
	challenge := randomHex(26)
	raw, err := json.Marshal(map[string]string{"token": s.creds.verificationToken, "challenge": challenge, "type": "url_verification"})
	if err != nil {
		return err
	}
	d := s.deliverAs(ctx, "application/json", "/slack/events", string(raw))
	var answer struct {
		Challenge string `json:"challenge"`
	}
	_ = json.Unmarshal([]byte(d.Body), &answer) // the answer may be plain text, too
	switch {
	case d.Err != nil:
		return d.Err
	case d.Status != http.StatusOK || (answer.Challenge != challenge && d.Body != challenge):
		return fmt.Errorf("the challenge was not answered: status %d", d.Status)
	}
	return nil
}
