package sandbox

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"time"
)

const (
	responseURLUses = 5
	responseURLLife = 30 * time.Minute
)

// responseURL is the right to answer one command or press.
type responseURL struct {
	kind    string // "commands" or "actions"
	to      *person
	channel *channel
	source  pressSource // of a press
	issued  time.Time
	uses    int
}

// newResponseURL issues the response_url of a delivery. The caller holds mu.
func (s *Sandbox) newResponseURL(kind string, to *person, c *channel, source *pressSource) string {
	path := "/" + kind + "/" + teamID + "/" + "1" + randomHex(6) + "/" + randomHex(12)
	entry := &responseURL{kind: kind, to: to, channel: c, issued: s.now()}
	if source != nil {
		entry.source = *source
	}
	s.world.responseURLs[path] = entry
	return s.slackURL + path
}

type responseBody struct {
	ResponseType    string          `json:"response_type"`
	Text            string          `json:"text"`
	Blocks          json.RawMessage `json:"blocks"`
	ThreadTS        string          `json:"thread_ts"`
	ReplaceOriginal bool            `json:"replace_original"`
	DeleteOriginal  bool            `json:"delete_original"`
	Metadata        json.RawMessage `json:"metadata"`
}

// responseURL answers a post to a response_url. It asks for no token, so it
// must not reveal anything.
func (s *Sandbox) responseURL(w *callWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		writeSlackJSON(w, http.StatusBadRequest, slackError("invalid_payload"))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entry := s.world.responseURLs[r.URL.Path]
	switch {
	case entry == nil, s.now().Sub(entry.issued) > responseURLLife:
		writeSlackJSON(w, http.StatusNotFound, slackError("expired_url"))
		return
	case r.Method != http.MethodPost:
		writeSlackJSON(w, http.StatusMethodNotAllowed, slackError("invalid_method"))
		return
	case entry.uses >= responseURLUses:
		writeSlackJSON(w, http.StatusNotFound, slackError("used_url"))
		return
	}
	if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
		writeSlackJSON(w, http.StatusBadRequest, slackError("invalid_payload"))
		return
	}
	if refusal := s.respond(entry, raw); refusal != nil {
		code, _ := refusal["error"].(string)
		status := http.StatusBadRequest
		if code == "message_not_found" {
			status = http.StatusNotFound
		}
		writeSlackJSON(w, status, refusal)
		return
	}
	entry.uses++
	s.touch()
	if entry.kind == "commands" {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok"))
		return
	}
	writeSlackJSON(w, http.StatusOK, map[string]any{"ok": true})
}

// respond carries out one post. It returns Slack's refusal, or nil.
func (s *Sandbox) respond(entry *responseURL, raw []byte) map[string]any {
	var body responseBody
	if json.Unmarshal(raw, &body) != nil {
		return slackError("invalid_payload")
	}
	if body.DeleteOriginal {
		if body.Text != "" || body.Blocks != nil || body.ThreadTS != "" || body.ReplaceOriginal {
			return slackError("invalid_payload")
		}
		return s.deleteSource(entry)
	}
	args := url.Values{"text": {body.Text}, "blocks": {string(body.Blocks)}, "metadata": {string(body.Metadata)}}
	message, refusal := parseContent(slackCall{args: args})
	switch {
	case refusal != nil:
		return refusal
	case !message.textGiven && message.blocks == nil:
		return slackError("no_text")
	case body.ReplaceOriginal && entry.kind == "actions":
		return s.replaceSource(entry, message)
	case body.ResponseType == "in_channel":
		return s.respondInChannel(entry, body.ThreadTS, message)
	case body.ResponseType == "" || body.ResponseType == "ephemeral":
		s.whisper(entry.to, entry.channel.id, body.ThreadTS, message, "response_url")
		return nil
	default:
		return slackError("invalid_payload")
	}
}

func (s *Sandbox) respondInChannel(entry *responseURL, threadTS string, body content) map[string]any {
	thread, refusal := s.thread(entry.channel, threadTS)
	if refusal != nil {
		return refusal
	}
	s.world.post(&message{
		channel: entry.channel.id, threadTS: thread, author: botUserID,
		text: body.text, blocks: body.blocks, metadata: body.metadata,
	}, s.now())
	return nil
}

func (s *Sandbox) replaceSource(entry *responseURL, body content) map[string]any {
	if e := entry.source.ephemeral; e != nil {
		e.text, e.blocks = body.text, body.blocks
		return nil
	}
	m := s.world.message(entry.channel.id, entry.source.ts)
	if m == nil {
		return slackError("message_not_found")
	}
	m.text, m.blocks = body.text, body.blocks
	return nil
}

func (s *Sandbox) deleteSource(entry *responseURL) map[string]any {
	if e := entry.source.ephemeral; e != nil {
		for i, other := range s.world.ephemerals {
			if other == e {
				s.world.ephemerals = append(s.world.ephemerals[:i], s.world.ephemerals[i+1:]...)
				return nil
			}
		}
	}
	m := s.world.message(entry.channel.id, entry.source.ts)
	if m == nil || entry.kind != "actions" {
		return slackError("message_not_found")
	}
	s.world.remove(m)
	return nil
}
