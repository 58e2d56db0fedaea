package slackapp

import (
	"regexp"
	"strings"
)

// longestMarkup bounds how far a piece of markup is looked for.
const longestMarkup = 500

var (
	entities = map[string]rune{"&amp;": '&', "&lt;": '<', "&gt;": '>'}
	markup   = regexp.MustCompile(`^<(@[UW][A-Z0-9]+|#[A-Z0-9]+|![^<>|]+|(?:mailto|https?|tel):[^<>|]+)(\|[^<>]*)?>`)
)

// piece reads one character or one piece of Slack's markup.
func (s *scanner) piece(w *wordBuilder) {
	rest := s.in[s.at:]
	switch rest[0] {
	case '&':
		for entity, r := range entities {
			if len(rest) >= len(entity) && string(rest[:len(entity)]) == entity {
				w.text.WriteRune(r)
				s.at += len(entity)
				return
			}
		}
	case '<':
		if m := markup.FindStringSubmatch(string(rest[:min(len(rest), longestMarkup)])); m != nil {
			s.at += len([]rune(m[0]))
			w.link(m[1], strings.TrimPrefix(m[2], "|"), m[2] != "")
			return
		}
	}
	w.text.WriteRune(rest[0])
	s.at++
}

// wordBuilder puts a word together from pieces.
type wordBuilder struct {
	text  strings.Builder
	user  string
	links []linkKind
	whole int // length of the text after a link that began it
}

func (w *wordBuilder) link(target, label string, labeled bool) {
	kind, text := otherLink, target
	switch {
	case strings.ContainsRune("@#!", rune(target[0])):
		if target[0] == '@' {
			kind, w.user = personLink, target[1:]
		}
		if label != "" {
			text = target[:1] + strings.TrimLeft(label, "#@!")
		}
	default:
		kind, text = address(target, label, labeled)
	}
	if w.text.Len() == 0 {
		w.whole = len(text)
	}
	w.links = append(w.links, kind)
	w.text.WriteString(unescape(text))
}

// address reads a link that Slack made of an address as it was typed, or of what
// was pasted with a label of its own.
func address(target, label string, labeled bool) (linkKind, string) {
	shown, mail := strings.CutPrefix(target, "mailto:")
	switch {
	case !labeled && mail:
		return goodLink, shown
	case !labeled:
		return otherLink, target
	case mail && strings.EqualFold(shown, label):
		return goodLink, shown
	case !mail && strings.EqualFold(strings.TrimRight(target, "/"), "http://"+label): // a bare domain, as typed
		return goodLink, label
	case target == label:
		return otherLink, target
	}
	return falseLink, target
}

func unescape(s string) string {
	return strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(s)
}

func (w *wordBuilder) word() word {
	out := word{text: w.text.String(), user: w.user}
	for _, kind := range w.links {
		if kind == personLink && (len(w.links) > 1 || w.whole != len(out.text)) {
			kind = otherLink
		}
		out.link = max(out.link, kind)
	}
	return out
}
