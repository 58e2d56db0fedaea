package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// Press lets person press the button whose text starts with label, on the
// message with that ts as it stands now. A confirm dialog is answered with yes.
// Press returns an error if there is no such message or button, or if person
// cannot see it. What became of the request to the bot is in Delivery.
func (s *Sandbox) Press(ctx context.Context, person, messageTS, label string) (Delivery, error) {
	s.mu.Lock()
	p, err := s.world.person(person)
	if err != nil {
		s.mu.Unlock()
		return Delivery{}, err
	}
	source, err := s.world.source(p, messageTS)
	if err != nil {
		s.mu.Unlock()
		return Delivery{}, err
	}
	for _, b := range buttons(source.blocks) {
		if strings.HasPrefix(b.Text, label) {
			block, element := element(source.blocks, b.ActionID)
			body := s.pressBody(p, source, pressed{
				actionID: b.ActionID, value: b.Value, block: block, element: element,
			})
			s.mu.Unlock()
			return s.deliver(ctx, "/slack/interactivity", body).Delivery, nil
		}
	}
	s.mu.Unlock()
	return Delivery{}, fmt.Errorf("message %s has no button %q", messageTS, label)
}

// PressSeen is Press on a message as it was seen earlier, by somebody whose screen
// has not been brought up to date.
func (s *Sandbox) PressSeen(ctx context.Context, person string, seen Message, label string) (Delivery, error) {
	var blocks []any
	if err := json.Unmarshal(seen.Blocks, &blocks); err != nil {
		return Delivery{}, fmt.Errorf("blocks of the message that was seen: %w", err)
	}
	s.mu.Lock()
	p, c, err := s.world.present(person, seen.Channel)
	if err != nil {
		s.mu.Unlock()
		return Delivery{}, err
	}
	source := pressSource{channel: c, ts: seen.TS, threadTS: seen.ThreadTS, blocks: blocks, message: s.world.message(c.id, seen.TS)}
	for _, b := range seen.Buttons {
		if strings.HasPrefix(b.Text, label) {
			block, element := element(blocks, b.ActionID)
			body := s.pressBody(p, source, pressed{actionID: b.ActionID, value: b.Value, block: block, element: element})
			s.mu.Unlock()
			return s.deliver(ctx, "/slack/interactivity", body).Delivery, nil
		}
	}
	s.mu.Unlock()
	return Delivery{}, fmt.Errorf("the message that was seen has no button %q", label)
}

// PressValue sends a press that the message as it stands need not offer: of a
// button that is gone since, or with a value that never was. It returns an error
// only for a person or channel that does not exist.
func (s *Sandbox) PressValue(ctx context.Context, person, channel, messageTS, actionID, value string) (Delivery, error) {
	return s.pressValue(ctx, person, channel, messageTS, pressed{actionID: actionID, value: value})
}

func (s *Sandbox) pressValue(ctx context.Context, person, channel, messageTS string, press pressed) (Delivery, error) {
	s.mu.Lock()
	p, c, err := s.world.present(person, channel)
	if err != nil {
		s.mu.Unlock()
		return Delivery{}, err
	}
	source := pressSource{channel: c, ts: messageTS}
	if m := s.world.message(c.id, messageTS); m != nil {
		source = pressSource{channel: c, ts: m.ts, threadTS: m.threadTS, blocks: m.blocks, message: m}
	}
	press.block, press.element = element(source.blocks, press.actionID)
	body := s.pressBody(p, source, press)
	s.mu.Unlock()
	return s.deliver(ctx, "/slack/interactivity", body).Delivery, nil
}

// pressSource is what a pressed button stands on: a message or an ephemeral.
type pressSource struct {
	channel      *channel
	ts, threadTS string
	blocks       []any
	message      *message   // nil for ephemerals and for messages that are gone
	ephemeral    *ephemeral // nil for messages
}

type pressed struct {
	actionID, value string
	block, element  map[string]any // nil if the message does not have the button
	twist           func(map[string]any)
}

// source finds the message with that ts that p can see.
func (w *world) source(p *person, ts string) (pressSource, error) {
	for _, m := range w.messages {
		if c := w.channel(m.channel); m.ts == ts && !m.tombstone && c.has(p.slack.id) {
			return pressSource{channel: c, ts: ts, threadTS: m.threadTS, blocks: m.blocks, message: m}, nil
		}
	}
	for _, e := range w.ephemerals {
		if e.ts == ts && e.to == p {
			return pressSource{channel: w.channel(e.channel), ts: ts, threadTS: e.threadTS, blocks: e.blocks, ephemeral: e}, nil
		}
	}
	return pressSource{}, fmt.Errorf("%s sees no message %s", p.name, ts)
}

// pressBody is the form of a block_actions delivery. The caller holds mu.
func (s *Sandbox) pressBody(p *person, source pressSource, press pressed) string {
	container := map[string]any{
		"type": "message", "message_ts": source.ts, "channel_id": source.channel.id,
		"is_ephemeral": source.ephemeral != nil,
	}
	if source.threadTS != "" {
		container["thread_ts"] = source.threadTS
	}
	blockID := randomHex(3)
	text := map[string]any{"type": "plain_text", "text": "Confirm", "emoji": true}
	action := map[string]any{
		"type": "button", "action_id": press.actionID, "value": press.value, "action_ts": s.world.nextTS(s.now()),
	}
	if press.block != nil {
		blockID = str(press.block, "block_id")
		text, _ = press.element["text"].(map[string]any)
		for _, key := range []string{"style", "confirm", "url"} {
			if value, ok := press.element[key]; ok {
				action[key] = value
			}
		}
	}
	if press.value == "" {
		delete(action, "value")
	}
	action["block_id"], action["text"] = blockID, text

	payload := map[string]any{
		"type":       "block_actions",
		"user":       map[string]any{"id": p.slack.id, "username": p.name, "name": p.name, "team_id": p.slack.team},
		"api_app_id": appID,
		"token":      s.creds.verificationToken,
		"container":  container,
		"trigger_id": s.triggerID(),
		"team":       map[string]any{"id": teamID, "domain": teamDomain},
		"enterprise": nil, "is_enterprise_install": false,
		"channel":      map[string]any{"id": source.channel.id, "name": payloadChannelName(source.channel)},
		"state":        map[string]any{"values": map[string]any{}},
		"response_url": s.newResponseURL("actions", p, source.channel, &source),
		"actions":      []any{action},
	}
	if source.message != nil {
		payload["message"] = s.messageObject(source.message, false)
	}
	if press.twist != nil {
		press.twist(payload)
	}
	raw, err := json.Marshal(payload)
	if err != nil {
		panic(err) // cannot happen: strings, booleans and decoded JSON only
	}
	return form("payload", string(raw))
}
