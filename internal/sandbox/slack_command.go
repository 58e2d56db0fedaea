package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/url"
	"strings"
)

// Say lets person type text into channel, which is an id. A text that starts
// with a slash is delivered to the bot as Slack delivers a command with
// should_escape on; any other text becomes a message of that person. Say returns
// an error if Slack itself would refuse: no such person, channel or command, or
// somebody of another organization using a command. What became of the request
// to the bot, be it a timeout, is in Delivery.
func (s *Sandbox) Say(ctx context.Context, person, channel, text string) (Delivery, error) {
	return s.say(ctx, person, channel, text, true, nil)
}

// SayFormatted is Say for text as Slack sends it after the composer formatted
// it: nothing is escaped. It is how a pasted link reaches the bot whose label is
// not its address, such as <mailto:mallory@contoso.com|bob@contoso.com>.
func (s *Sandbox) SayFormatted(ctx context.Context, person, channel, text string) (Delivery, error) {
	return s.say(ctx, person, channel, text, false, nil)
}

func (s *Sandbox) say(ctx context.Context, name, channelID, text string, escaped bool, twist func(url.Values)) (Delivery, error) {
	s.mu.Lock()
	p, c, err := s.world.present(name, channelID)
	if err != nil {
		s.mu.Unlock()
		return Delivery{}, err
	}
	text = strings.TrimSpace(text)
	verb, rest, _ := strings.Cut(text, " ")
	rest = strings.TrimSpace(rest)
	switch {
	case text == "":
		err = errors.New("there is nothing to send")
	case !strings.HasPrefix(text, "/"):
		s.world.post(&message{channel: c.id, author: p.slack.id, text: escape(text)}, s.now())
		s.touch()
		s.mu.Unlock()
		return Delivery{}, nil
	case verb != command:
		err = fmt.Errorf("%s is not a valid command. In Slack, all messages that start with the \"/\" symbol are interpreted as commands", verb)
	case p.slack.stranger && twist == nil:
		err = fmt.Errorf("%s is of another organization: Slack Connect does not let people use the commands of apps that are not theirs", name)
	case c.archived:
		err = fmt.Errorf("%s is archived", c.id)
	}
	if err != nil {
		s.mu.Unlock()
		return Delivery{}, err
	}
	if escaped {
		rest = s.world.escapeCommand(rest)
	}
	reply := s.newResponseURL("commands", p, c, nil)
	body := form(
		"token", s.creds.verificationToken, "team_id", teamID, "team_domain", teamDomain,
		"channel_id", c.id, "channel_name", payloadChannelName(c), "user_id", p.slack.id, "user_name", p.name,
		"command", command, "text", rest, "api_app_id", appID, "is_enterprise_install", "false",
		"response_url", reply, "trigger_id", s.triggerID(),
	)
	if twist != nil {
		body = twisted(body, twist)
	}
	s.mu.Unlock()

	d := s.deliver(ctx, "/slack/commands", body)
	s.showCommandAnswer(p, c, d)
	return d.Delivery, nil
}

// present finds a person and a conversation they are in.
func (w *world) present(name, channelID string) (*person, *channel, error) {
	p, err := w.person(name)
	if err != nil {
		return nil, nil, err
	}
	c := w.channel(channelID)
	if c == nil || !c.has(p.slack.id) {
		return nil, nil, fmt.Errorf("%s is in no channel %s", name, channelID)
	}
	return p, c, nil
}

// payloadChannelName is the name payloads give: that of a private channel and
// of a direct conversation is not told.
func payloadChannelName(c *channel) string {
	switch {
	case c.direct:
		return "directmessage"
	case c.private:
		return "privategroup"
	default:
		return c.name
	}
}

// triggerID makes a trigger of the form of Slack's. The caller holds mu.
func (s *Sandbox) triggerID() string {
	return fmt.Sprintf("%d.1000000000042.%s", s.now().UnixNano()/1000, randomHex(16))
}

// showCommandAnswer shows what Slack shows after a command: the bot's answer,
// or Slack's own complaint to the person who sent it.
func (s *Sandbox) showCommandAnswer(p *person, c *channel, d answered) {
	s.mu.Lock()
	defer s.mu.Unlock()
	complain := func(code string) {
		s.whisper(p, c.id, "", content{text: fmt.Sprintf("%s failed with the error \"%s\"", command, code)}, "slack")
	}
	switch {
	case d.timedOut:
		complain("operation_timeout")
		return
	case d.Err != nil:
		complain("dispatch_failed")
		return
	case d.Status >= 500:
		complain("http_service_error")
		return
	case d.Status != 200:
		complain("http_client_error")
		return
	case strings.TrimSpace(d.Body) == "":
		return
	}
	body, inChannel, err := parseCommandAnswer(d)
	switch {
	case err != nil:
		complain("invalid_command_response")
	case body.text == "" && body.blocks == nil:
	case inChannel:
		s.world.post(&message{channel: c.id, author: botUserID, text: body.text, blocks: body.blocks}, s.now())
		s.touch()
	default:
		s.whisper(p, c.id, "", body, "command")
	}
}

func parseCommandAnswer(d answered) (body content, inChannel bool, err error) {
	if mediaType, _, _ := mime.ParseMediaType(d.contentType); mediaType != "application/json" {
		return content{text: d.Body}, false, nil
	}
	var answer struct {
		ResponseType string          `json:"response_type"`
		Text         string          `json:"text"`
		Blocks       json.RawMessage `json:"blocks"`
	}
	if err := json.Unmarshal([]byte(d.Body), &answer); err != nil {
		return content{}, false, err
	}
	body.text = answer.Text
	if len(answer.Blocks) > 0 {
		blocks, problems, err := parseBlocks(string(answer.Blocks))
		if err != nil || len(problems) > 0 {
			return content{}, false, errors.Join(err, errors.New(strings.Join(problems, "; ")))
		}
		body.blocks = blocks
	}
	return body, answer.ResponseType == "in_channel", nil
}
