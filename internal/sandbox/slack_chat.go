package sandbox

import (
	"encoding/json"
	"unicode/utf8"
)

const (
	maxText       = 40000 // longer texts are cut
	maxUpdateText = 4000  // chat.update refuses longer ones
	maxMetadata   = 16384
)

// content is what a message is to say. present tells an absent argument from
// an empty one, which chat.update treats differently.
type content struct {
	text                                  string
	blocks                                []any
	metadata                              json.RawMessage
	textGiven, blocksGiven, metadataGiven bool
}

// parseContent reads text, blocks and metadata of a call. refusal is Slack's
// answer if one of them is wrong.
func parseContent(call slackCall) (c content, refusal map[string]any) {
	c.text = call.args.Get("text")
	c.textGiven = c.text != ""
	if raw := call.args.Get("blocks"); raw != "" {
		blocks, problems, err := parseBlocks(raw)
		if err != nil {
			return c, slackError("invalid_blocks_format")
		}
		if len(problems) > 0 {
			answer := slackError("invalid_blocks")
			answer["errors"] = problems
			answer["response_metadata"] = map[string]any{"messages": problems}
			return c, answer
		}
		c.blocksGiven = true
		if len(blocks) > 0 {
			c.blocks = blocks
		}
	}
	if raw := call.args.Get("metadata"); raw != "" {
		metadata, code := parseMetadata(raw)
		if code != "" {
			return c, slackError(code)
		}
		c.metadata, c.metadataGiven = metadata, true
	}
	if runes := []rune(c.text); len(runes) > maxText {
		c.text = string(runes[:maxText])
	}
	return c, nil
}

// parseMetadata returns nil metadata for {}, which removes it.
func parseMetadata(raw string) (json.RawMessage, string) {
	if len(raw) > maxMetadata {
		return nil, "metadata_too_large"
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(raw), &fields) != nil {
		return nil, "invalid_metadata_format"
	}
	if len(fields) == 0 {
		return nil, ""
	}
	var eventType string
	var payload map[string]any
	if json.Unmarshal(fields["event_type"], &eventType) != nil || eventType == "" ||
		json.Unmarshal(fields["event_payload"], &payload) != nil || payload == nil {
		return nil, "invalid_metadata_schema"
	}
	return json.RawMessage(raw), ""
}

// destination finds where a message may go. A person's id means the direct
// conversation with them.
func (s *Sandbox) destination(id string) (*channel, map[string]any) {
	if p := s.world.bySlackID(id); p != nil {
		id = p.slack.dm
	}
	c := s.world.channel(id)
	switch {
	case c == nil || (c.private && !c.botMember):
		return nil, slackError("channel_not_found")
	case !c.botMember:
		return nil, slackError("not_in_channel")
	case c.archived:
		return nil, slackError("is_archived")
	}
	return c, nil
}

func (s *Sandbox) chatPostMessage(call slackCall) map[string]any {
	c, refusal := s.destination(call.args.Get("channel"))
	if refusal != nil {
		return refusal
	}
	body, refusal := parseContent(call)
	if refusal != nil {
		return refusal
	}
	if !body.textGiven && body.blocks == nil {
		return slackError("no_text")
	}
	thread, refusal := s.thread(c, call.args.Get("thread_ts"))
	if refusal != nil {
		return refusal
	}
	m := &message{
		threadTS: thread, channel: c.id, author: botUserID,
		text: body.text, blocks: body.blocks, metadata: body.metadata,
	}
	s.world.post(m, s.now())
	return map[string]any{"ok": true, "channel": c.id, "ts": m.ts, "message": s.messageObject(m, true)}
}

// thread finds the thread that a new message with this thread_ts joins. Slack
// gives no error when the parent is gone: the message then stands in the
// channel by itself, and only the missing thread_ts of the answer tells.
func (s *Sandbox) thread(c *channel, threadTS string) (string, map[string]any) {
	if threadTS == "" {
		return "", nil
	}
	if !validTS(threadTS) {
		return "", slackError("invalid_thread_ts")
	}
	for _, m := range s.world.messages {
		if m.channel == c.id && m.ts == threadTS {
			if m.threadTS != "" {
				return "", slackError("cannot_reply_to_message")
			}
			if m.locked {
				return "", slackError("restricted_action_thread_locked")
			}
			return threadTS, nil
		}
	}
	return "", nil
}

func validTS(ts string) bool {
	if len(ts) != 17 || ts[10] != '.' {
		return false
	}
	for i, r := range ts {
		if i != 10 && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}

// chatUpdate changes what is given and keeps the rest, with Slack's one
// exception: text without blocks removes the blocks.
func (s *Sandbox) chatUpdate(call slackCall) map[string]any {
	m, refusal := s.own(call, "cant_update_message")
	if refusal != nil {
		return refusal
	}
	if utf8.RuneCountInString(call.args.Get("text")) > maxUpdateText {
		return slackError("msg_too_long")
	}
	body, refusal := parseContent(call)
	if refusal != nil {
		return refusal
	}
	if !body.textGiven && !body.blocksGiven && !body.metadataGiven {
		return slackError("no_text")
	}
	if body.textGiven || body.blocksGiven {
		if !body.textGiven && body.blocks == nil {
			return slackError("no_text")
		}
		m.text, m.blocks = body.text, body.blocks
		m.editedTS = ""
		if m.blocks == nil {
			m.editedTS = s.world.nextTS(s.now())
		}
	}
	if body.metadataGiven {
		m.metadata = body.metadata
	}
	return map[string]any{
		"ok": true, "channel": m.channel, "ts": m.ts, "text": m.text, "message": s.messageObject(m, true),
	}
}

func (s *Sandbox) chatDelete(call slackCall) map[string]any {
	m, refusal := s.own(call, "cant_delete_message")
	if refusal != nil {
		return refusal
	}
	s.world.remove(m)
	return map[string]any{"ok": true, "channel": m.channel, "ts": m.ts}
}

// own finds the message a call names, which must be the bot's own. Unlike
// chat.postMessage it takes no person's id for a channel.
func (s *Sandbox) own(call slackCall, foreign string) (*message, map[string]any) {
	c := s.world.channel(call.args.Get("channel"))
	if c == nil || (c.private && !c.botMember) {
		return nil, slackError("channel_not_found")
	}
	m := s.world.message(c.id, call.args.Get("ts"))
	switch {
	case m == nil:
		return nil, slackError("message_not_found")
	case m.author != botUserID:
		return nil, slackError(foreign)
	case c.archived:
		return nil, slackError("is_archived")
	}
	return m, nil
}

func (s *Sandbox) chatPostEphemeral(call slackCall) map[string]any {
	c, refusal := s.destination(call.args.Get("channel"))
	if refusal != nil {
		return refusal
	}
	p := s.world.bySlackID(call.args.Get("user"))
	if p == nil || !c.has(p.slack.id) {
		return slackError("user_not_in_channel")
	}
	body, refusal := parseContent(call)
	if refusal != nil {
		return refusal
	}
	if !body.textGiven && body.blocks == nil {
		return slackError("no_text")
	}
	e := s.whisper(p, c.id, call.args.Get("thread_ts"), body, "chat.postEphemeral")
	return map[string]any{"ok": true, "message_ts": e.ts}
}

// whisper shows p a message that nobody else sees. The caller holds mu.
func (s *Sandbox) whisper(p *person, channelID, threadTS string, body content, via string) *ephemeral {
	e := &ephemeral{
		ts: s.world.nextTS(s.now()), threadTS: threadTS, channel: channelID, to: p,
		author: botUserID, text: body.text, blocks: body.blocks, via: via,
	}
	if via == "slack" {
		e.author = "USLACKBOT"
	}
	s.world.ephemerals = append(s.world.ephemerals, e)
	s.touch()
	return e
}
