package slackapp

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/revoke-session/revoke-session/internal/request"
)

// action holds the few fields read of an interaction payload. slack-go's own
// type refuses a whole payload over one unknown element in the message it quotes;
// nothing of that message decides here
// (docs.slack.dev/reference/interaction-payloads/block_actions-payload).
type action struct {
	Type string `json:"type"`
	Team *struct {
		ID string `json:"id"`
	} `json:"team"` // null in an organization-wide install
	Enterprise *struct {
		ID string `json:"id"`
	} `json:"enterprise"`
	User struct {
		ID     string `json:"id"`
		TeamID string `json:"team_id"`
	} `json:"user"`
	Container struct {
		MessageTS string `json:"message_ts"`
		ChannelID string `json:"channel_id"`
	} `json:"container"`
	ResponseURL string `json:"response_url"`
	Actions     []struct {
		ActionID string `json:"action_id"`
		BlockID  string `json:"block_id"`
		Value    string `json:"value"`
	} `json:"actions"`
}

var errPayload = errors.New("payload is not an interaction")

// parseAction decodes a payload. The error says nothing of its content.
func parseAction(payload string) (action, error) {
	var a action
	if err := json.Unmarshal([]byte(payload), &a); err != nil || a.Type == "" {
		return action{}, errPayload
	}
	if a.isPress() && (a.User.ID == "" || len(a.Actions) == 0) {
		return action{}, errPayload
	}
	return a, nil
}

func (a action) isPress() bool { return a.Type == "block_actions" }

func (a action) team() string {
	if a.Team != nil {
		return a.Team.ID
	}
	return ""
}

func (a action) enterprise() string {
	if a.Enterprise != nil {
		return a.Enterprise.ID
	}
	return ""
}

// press is the button press of a, under a key that a replay of it shares. The
// button's value is an opaque request id; everything else is looked up.
func (a action) press(key, team string) (request.ID, request.Press) {
	first := a.Actions[0]
	return request.ID(first.Value), request.Press{
		Key:  key,
		Verb: request.Verb(first.ActionID),
		By: request.Origin{
			SlackUser: request.SlackUser{Enterprise: a.enterprise(), Team: team, User: a.User.ID},
			Channel:   a.Container.ChannelID,
			Home:      a.User.TeamID,
		},
		MessageTS: a.Container.MessageTS,
		Plan:      planOf(first.BlockID),
	}
}

// The block of the buttons is named after the plan that its card shows, so that a
// press tells what the person had before their eyes, however old their screen was.
// A new name with each change is also what Slack asks for
// (docs.slack.dev/reference/block-kit/blocks/actions-block, "block_id").
const planBlock = "plan:"

func blockOf(p request.Plan) string { return planBlock + p.Code() }

// planOf is the code of a plan, or nothing for a block of another name.
func planOf(blockID string) string {
	code, ok := strings.CutPrefix(blockID, planBlock)
	if !ok {
		return ""
	}
	return code
}
