package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// workspace is Slack: one channel, and private messages.
type workspace struct {
	s        *simulation
	messages []*chatMessage
	private  []whisper
	lastTS   int64 // microseconds
	archived bool
	locked   bool // nobody can write into threads
	sweeps   bool // a mutation: the result that is written last is the only one to stay
}

// chatMessage is one message in the channel.
type chatMessage struct {
	ts, thread string
	text       string
	blocks     string
	request    string // from the metadata
	part       string
	event      string
}

// whisper is a private message: ephemeral or direct.
type whisper struct {
	to, text string
	direct   bool
}

const theChannel = "C1"

func (k *workspace) service() service {
	return service{
		carry:  k.call,
		later:  k.reserve,
		effect: func(q query) bool { return strings.HasPrefix(q.path, "/api/chat.") },
		refuse: func(query) (answered, bool) {
			switch k.s.rng.IntN(4) {
			case 0:
				return answered{status: http.StatusBadGateway, body: "<html>"}, false
			case 1:
				return refusal("internal_error"), false
			case 2:
				return refusal("service_unavailable"), false
			}
			return refusal("fatal_error"), false
		},
		limit: func(_ query, seconds int) answered {
			return answered{status: http.StatusTooManyRequests, header: map[string]string{"Retry-After": strconv.Itoa(seconds)}}
		},
	}
}

// reserve is what carries q out later. Some posts then appear with the time at which
// Slack took them: above those that came after.
func (k *workspace) reserve(q query) func() {
	if q.path != "/api/chat.postMessage" || k.s.rng.IntN(4) > 0 {
		return func() { k.call(q) }
	}
	form, err := url.ParseQuery(q.body)
	if err != nil || form.Get("channel") != theChannel {
		return func() { k.call(q) }
	}
	ts := k.stamp()
	k.s.faults["applied late, with an early timestamp"]++
	return func() {
		if !k.archived {
			k.post(form, ts)
		}
	}
}

func refusal(code string) answered {
	return answered{status: http.StatusOK, body: `{"ok":false,"error":` + strconv.Quote(code) + `}`}
}

func accepted(more string) answered {
	return answered{status: http.StatusOK, body: `{"ok":true` + more + `}`}
}

func (k *workspace) call(q query) answered {
	form, err := url.ParseQuery(q.body)
	if err != nil {
		return refusal("invalid_form_data")
	}
	method := strings.TrimPrefix(q.path, "/api/")
	channel := form.Get("channel")
	here := channel == theChannel
	switch {
	case method == "auth.test":
		return accepted(`,"team_id":"T1","user_id":"UBOT","bot_id":"BBOT"`)
	case method == "conversations.info":
		return accepted(`,"channel":{"id":"C1","is_channel":true}`)
	case method == "chat.postMessage" && !here:
		k.private = append(k.private, whisper{channel, form.Get("text"), true})
		return accepted(`,"channel":"D1","ts":"` + k.stamp() + `"`)
	case !here:
		return refusal("channel_not_found")
	case k.archived && strings.HasPrefix(method, "chat."):
		return refusal("is_archived")
	}
	switch method {
	case "conversations.history":
		return k.list(form, func(m *chatMessage) bool { return m.thread == "" && m.ts >= form.Get("oldest") }, true)
	case "conversations.replies":
		root := form.Get("ts")
		if k.find(root) == nil {
			return refusal("thread_not_found")
		}
		return k.list(form, func(m *chatMessage) bool { return m.thread == root || m.ts == root }, false)
	case "chat.postEphemeral":
		k.private = append(k.private, whisper{form.Get("user"), form.Get("text"), false})
		return accepted(`,"message_ts":"` + k.stamp() + `"`)
	case "chat.postMessage":
		return k.post(form, k.stamp())
	case "chat.update", "chat.delete":
		return k.change(method, form)
	}
	return refusal("unknown_method")
}

// stamp is a new timestamp, later than every one before.
func (k *workspace) stamp() string {
	k.lastTS = max(k.lastTS+1, time.Now().UnixMicro())
	return fmt.Sprintf("%d.%06d", k.lastTS/1e6, k.lastTS%1e6)
}

func (k *workspace) post(form url.Values, ts string) answered {
	if thread := form.Get("thread_ts"); thread != "" && k.find(thread) == nil {
		return refusal("thread_not_found")
	} else if thread != "" && k.locked {
		return refusal("restricted_action_thread_locked")
	}
	m := &chatMessage{ts: ts, thread: form.Get("thread_ts")}
	m.say(form)
	k.messages = append(k.messages, m)
	slices.SortFunc(k.messages, func(a, b *chatMessage) int { return strings.Compare(a.ts, b.ts) })
	k.s.tracef("    in the channel: %s %s %s: %.60q", m.ts, m.request, m.part, m.text)
	return accepted(`,"channel":"C1","ts":"` + ts + `"`)
}

func (k *workspace) change(method string, form url.Values) answered {
	m := k.find(form.Get("ts"))
	if m == nil {
		return refusal("message_not_found")
	}
	if method == "chat.delete" {
		k.messages = slices.DeleteFunc(k.messages, func(o *chatMessage) bool { return o == m })
		k.s.tracef("    in the channel: %s %s %s is deleted", m.ts, m.request, m.part)
		return accepted(`,"channel":"C1","ts":"` + m.ts + `"`)
	}
	m.say(form)
	if k.sweeps && m.part == "result" {
		k.messages = slices.DeleteFunc(k.messages, func(o *chatMessage) bool { return o != m && o.part == m.part && o.request == m.request })
	}
	k.s.tracef("    in the channel: %s %s %s now: %.60q", m.ts, m.request, m.part, m.text)
	return accepted(`,"channel":"C1","ts":"` + m.ts + `","text":"x"`)
}

func (m *chatMessage) say(form url.Values) {
	var meta struct {
		Event   string            `json:"event_type"`
		Payload map[string]string `json:"event_payload"`
	}
	_ = json.Unmarshal([]byte(form.Get("metadata")), &meta)
	m.text, m.blocks = form.Get("text"), form.Get("blocks")
	m.event, m.request, m.part = meta.Event, meta.Payload["request"], meta.Payload["part"]
}

func (k *workspace) find(ts string) *chatMessage {
	for _, m := range k.messages {
		if m.ts == ts {
			return m
		}
	}
	return nil
}

// list answers with one page; newest first, as a history is, or oldest first.
func (k *workspace) list(form url.Values, match func(m *chatMessage) bool, newest bool) answered {
	var all []*chatMessage
	for _, m := range k.messages {
		if match(m) {
			all = append(all, m)
		}
	}
	if newest {
		slices.Reverse(all)
	}
	from, _ := strconv.Atoi(form.Get("cursor"))
	limit, _ := strconv.Atoi(form.Get("limit"))
	all = all[min(from, len(all)):]
	more := len(all) > limit
	all = all[:min(limit, len(all))]
	var b strings.Builder
	for i, m := range all {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"message","ts":%q,"user":"UBOT","bot_id":"BBOT","metadata":{"event_type":%q,"event_payload":{"request":%q,"part":%q}}}`,
			m.ts, m.event, m.request, m.part)
	}
	next := ""
	if more {
		next = fmt.Sprintf(`,"response_metadata":{"next_cursor":"%d"}`, from+limit)
	}
	return accepted(`,"messages":[` + b.String() + `],"has_more":` + strconv.FormatBool(more) + next)
}

// button is one button of a card, as a person sees it.
type button struct{ verb, value, plan string }

func (m *chatMessage) buttons() []button {
	var blocks []struct {
		Type     string `json:"type"`
		BlockID  string `json:"block_id"`
		Elements []struct {
			ActionID string `json:"action_id"`
			Value    string `json:"value"`
		} `json:"elements"`
	}
	if !strings.Contains(m.blocks, `"actions"`) {
		return nil
	}
	// Other blocks have elements of other forms.
	var raw []json.RawMessage
	_ = json.Unmarshal([]byte(m.blocks), &raw)
	var all []button
	for _, one := range raw {
		blocks = blocks[:0]
		if !strings.Contains(string(one), `"actions"`) || json.Unmarshal([]byte("["+string(one)+"]"), &blocks) != nil {
			continue
		}
		for _, e := range blocks[0].Elements {
			all = append(all, button{e.ActionID, e.Value, strings.TrimPrefix(blocks[0].BlockID, "plan:")})
		}
	}
	return all
}
