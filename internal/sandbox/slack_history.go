package sandbox

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"
)

// messageObject is a message as the API and payloads show it. Metadata is shown
// only to those who ask for it.
func (s *Sandbox) messageObject(m *message, withMetadata bool) map[string]any {
	object := map[string]any{"type": "message", "user": m.author, "text": m.text, "ts": m.ts, "team": teamID}
	if m.tombstone {
		object["subtype"], object["user"], object["hidden"] = "tombstone", "USLACKBOT", true
	}
	if m.author == botUserID && !m.tombstone {
		object["bot_id"], object["app_id"] = botID, appID
		object["bot_profile"] = map[string]any{
			"id": botID, "deleted": false, "name": botName, "updated": 1700000000, "app_id": appID, "team_id": teamID,
		}
	}
	if m.blocks != nil {
		object["blocks"] = m.blocks
	}
	if m.editedTS != "" {
		object["edited"] = map[string]any{"user": m.author, "ts": m.editedTS}
	}
	if withMetadata && m.metadata != nil {
		object["metadata"] = m.metadata
	}
	if m.threadTS != "" {
		object["thread_ts"] = m.threadTS
		if parent := s.parent(m); parent != nil {
			object["parent_user_id"] = parent.author
		}
		return object
	}
	if replies := s.world.replies(m.channel, m.ts); len(replies) > 0 {
		var authors []string
		for _, r := range replies {
			if !slices.Contains(authors, r.author) {
				authors = append(authors, r.author)
			}
		}
		object["thread_ts"], object["reply_count"], object["reply_users_count"] = m.ts, len(replies), len(authors)
		object["reply_users"], object["latest_reply"] = authors, replies[len(replies)-1].ts
		object["is_locked"], object["subscribed"] = false, false
	}
	return object
}

func (s *Sandbox) parent(m *message) *message {
	for _, other := range s.world.messages {
		if other.channel == m.channel && other.ts == m.threadTS {
			return other
		}
	}
	return nil
}

// conversationsHistory shows the newest messages first and no replies.
func (s *Sandbox) conversationsHistory(call slackCall) map[string]any {
	c, refusal := s.readable(call)
	if refusal != nil {
		return refusal
	}
	var top []*message
	for _, m := range slices.Backward(s.world.messages) {
		if m.channel == c.id && m.threadTS == "" && within(call, m.ts) {
			top = append(top, m)
		}
	}
	return s.page(call, nil, top, 100)
}

// conversationsReplies shows a thread from its parent down. The parent is part
// of every first page, whatever span is asked for.
func (s *Sandbox) conversationsReplies(call slackCall) map[string]any {
	c, refusal := s.readable(call)
	if refusal != nil {
		return refusal
	}
	var root *message
	for _, m := range s.world.messages {
		if m.channel == c.id && m.ts == call.args.Get("ts") {
			root = m
		}
	}
	if root == nil {
		return slackError("thread_not_found")
	}
	var replies []*message
	for _, m := range s.world.replies(c.id, root.ts) {
		if within(call, m.ts) {
			replies = append(replies, m)
		}
	}
	return s.page(call, root, replies, 1000)
}

func (s *Sandbox) readable(call slackCall) (*channel, map[string]any) {
	c, refusal := s.visible(call, "history")
	if refusal != nil {
		return nil, refusal
	}
	if !c.botMember {
		return nil, slackError("not_in_channel")
	}
	for _, name := range []string{"ts", "oldest", "latest"} {
		if value := call.args.Get(name); value != "" {
			if _, err := strconv.ParseFloat(value, 64); err != nil {
				return nil, slackError("invalid_ts_" + strings.Replace(name, "ts", "timestamp", 1))
			}
		}
	}
	return c, nil
}

// within reports whether ts lies between oldest and latest. The ends are
// outside unless inclusive is given.
func within(call slackCall, ts string) bool {
	inclusive := call.flag("inclusive", false)
	if oldest := call.args.Get("oldest"); oldest != "" && oldest != "0" {
		if order := compareTS(ts, oldest); order < 0 || (order == 0 && !inclusive) {
			return false
		}
	}
	if latest := call.args.Get("latest"); latest != "" {
		if order := compareTS(ts, latest); order > 0 || (order == 0 && !inclusive) {
			return false
		}
	}
	return true
}

// compareTS orders timestamps whose seconds may be given without a fraction.
func compareTS(a, b string) int {
	pad := func(ts string) string {
		seconds, fraction, _ := strings.Cut(ts, ".")
		return strings.Repeat("0", max(0, 10-len(seconds))) + seconds + "." + (fraction + "000000")[:6]
	}
	return strings.Compare(pad(a), pad(b))
}

// page cuts messages to the limit asked for. first stands before the first page
// and counts towards its limit.
func (s *Sandbox) page(call slackCall, first *message, messages []*message, defaultLimit int) map[string]any {
	limit := defaultLimit
	if value := call.args.Get("limit"); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > 1000 {
			return slackError("invalid_limit")
		}
		limit = n
	}
	if first != nil {
		messages = append([]*message{first}, messages...)
	}
	start := 0
	if cursor := call.args.Get("cursor"); cursor != "" {
		decoded, err := base64.StdEncoding.DecodeString(cursor)
		next, ok := strings.CutPrefix(string(decoded), "next_ts:")
		if err != nil || !ok {
			return slackError("invalid_cursor")
		}
		start = slices.IndexFunc(messages, func(m *message) bool { return m.ts == next })
		if start < 0 {
			return slackError("invalid_cursor")
		}
	}
	end := min(start+limit, len(messages))
	list := []any{}
	for _, m := range messages[start:end] {
		list = append(list, s.messageObject(m, call.flag("include_all_metadata", false)))
	}
	answer := map[string]any{"ok": true, "messages": list, "has_more": end < len(messages)}
	if end < len(messages) {
		cursor := base64.StdEncoding.EncodeToString([]byte("next_ts:" + messages[end].ts))
		answer["response_metadata"] = map[string]any{"next_cursor": cursor}
	}
	return answer
}

// chatGetPermalink needs no scope. Whether the bot has to be in the channel no
// source says; it has to be able to see it.
// https://docs.slack.dev/reference/methods/chat.getPermalink
func (s *Sandbox) chatGetPermalink(call slackCall) map[string]any {
	c := s.world.channel(call.args.Get("channel"))
	if c == nil || (c.private && !c.botMember) {
		return slackError("channel_not_found")
	}
	m := s.world.message(c.id, call.args.Get("message_ts"))
	if m == nil {
		return slackError("message_not_found")
	}
	link := "https://" + teamDomain + ".slack.com/archives/" + c.id + "/p" + strings.ReplaceAll(m.ts, ".", "")
	if m.threadTS != "" {
		link += "?thread_ts=" + m.threadTS + "&cid=" + c.id
	}
	return map[string]any{"ok": true, "channel": c.id, "permalink": link}
}
