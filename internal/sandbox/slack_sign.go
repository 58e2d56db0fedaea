package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// sign sets the headers by which the bot knows that body comes from Slack.
func sign(header http.Header, secret string, now time.Time, body string) {
	timestamp := strconv.FormatInt(now.Unix(), 10)
	header.Set("X-Slack-Request-Timestamp", timestamp)
	header.Set("X-Slack-Signature", signature(secret, timestamp, body))
}

func signature(secret, timestamp, body string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + timestamp + ":" + body))
	return "v0=" + hex.EncodeToString(mac.Sum(nil))
}

// form encodes pairs in the order given; Slack's own order is not alphabetical.
func form(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(pairs[i]) + "=" + url.QueryEscape(pairs[i+1]))
	}
	return b.String()
}

var (
	mailAddress = regexp.MustCompile(`(^|[\s(,;:])([A-Za-z0-9][A-Za-z0-9._%+'-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,})`)
	webAddress  = regexp.MustCompile(`(^|[\s(])(https?://[^\s<>|]+)`)
	mention     = regexp.MustCompile(`(^|\s)@([a-z]+)\b`)
	roomName    = regexp.MustCompile(`(^|\s)#([a-z0-9-]+)\b`)
)

// escapeCommand is the text of a command with should_escape on: entities first,
// then the links that the composer makes of what was typed.
func (w *world) escapeCommand(text string) string {
	text = escape(text)
	text = mailAddress.ReplaceAllString(text, "$1<mailto:$2|$2>")
	text = webAddress.ReplaceAllString(text, "$1<$2>")
	text = mention.ReplaceAllStringFunc(text, func(match string) string {
		at := strings.IndexByte(match, '@')
		p, err := w.person(match[at+1:])
		if err != nil || p.slack.id == "" {
			return match
		}
		return match[:at] + "<@" + p.slack.id + "|" + p.name + ">"
	})
	return roomName.ReplaceAllStringFunc(text, func(match string) string {
		hash := strings.IndexByte(match, '#')
		for _, c := range w.channels {
			switch {
			case c.name != match[hash+1:] || c.direct:
			case c.private:
				return match[:hash] + "<#" + c.id + "|>"
			default:
				return match[:hash] + "<#" + c.id + "|" + c.name + ">"
			}
		}
		return match
	})
}
