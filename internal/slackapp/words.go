package slackapp

import (
	"strings"
	"unicode"
)

// word is one value of a command line, with quotes and Slack's markup taken off.
type word struct {
	text string
	link linkKind
	user string // Slack user id of a mention
}

// linkKind says what of Slack's markup a word holds.
type linkKind int

const (
	noLink     linkKind = iota
	goodLink            // an address that stands as it is shown
	personLink          // the word is one mention of a person and nothing else
	otherLink           // a channel, a group, a link, or a mention with something around it
	falseLink           // a label shows another address than the link holds
)

// item is one word of a command line or, if it began with a dash, a parameter.
type item struct {
	param    bool
	name     string // of the parameter, without dashes
	colon    bool   // a : or = stands behind the name
	attached bool   // and a value behind that
	word     word
}

// unterminated is the error of a quote that is never closed.
type unterminated struct{ quote rune }

func (u unterminated) Error() string {
	return "The string is missing the terminator: " + string(u.quote) + "."
}

// scan takes a command's text apart the way PowerShell does, as far as a chat
// lets it. Keyboards and composers replace quotes, dashes and spaces by
// typographic ones and slip in invisible characters; Slack turns addresses,
// mentions and & < > into its own markup
// (docs.slack.dev/interactivity/implementing-slash-commands, "should_escape").
func scan(text string) ([]item, error) {
	s := &scanner{in: []rune(strings.Map(plainRune, text))}
	var all []item
	ended := false // a -- has ended the parameters
	for s.skipSpace(); !s.end(); s.skipSpace() {
		dashes := s.dashes()
		switch {
		case dashes > 0 && s.space(dashes) && (dashes > 1 || s.longDash()) && !ended:
			ended = true
			s.at += dashes
		case dashes > 0 && !ended && s.nameAt(dashes):
			i, err := s.parameter(dashes)
			if err != nil {
				return nil, err
			}
			all = append(all, i)
		default:
			w, err := s.value()
			if err != nil {
				return nil, err
			}
			all = append(all, item{word: w})
		}
	}
	return all, nil
}

// plainRune is a rune without typography. Quotes and spaces have one plain form
// each; what is invisible is dropped, as it can be no part of a sign-in name.
func plainRune(r rune) rune {
	switch {
	case strings.ContainsRune("‘’‚‛", r):
		return '\''
	case strings.ContainsRune("“”„‟", r):
		return '"'
	case unicode.IsSpace(r), r == 0:
		return ' '
	case unicode.In(r, unicode.Cf, unicode.Co), unicode.IsControl(r):
		return -1
	}
	return r
}

type scanner struct {
	in []rune
	at int
}

func (s *scanner) end() bool { return s.at >= len(s.in) }

// space reports whether the rune n further on is a space or behind the end.
func (s *scanner) space(n int) bool { return s.at+n >= len(s.in) || s.in[s.at+n] == ' ' }

func (s *scanner) skipSpace() {
	for !s.end() && s.in[s.at] == ' ' {
		s.at++
	}
}

func isDash(r rune) bool { return strings.ContainsRune("-‐‑‒–—―−", r) }

// dashes counts the dashes here. A typographic dash stands for one or two.
func (s *scanner) dashes() int {
	n := 0
	for s.at+n < len(s.in) && n < 2 && isDash(s.in[s.at+n]) {
		n++
	}
	return n
}

func (s *scanner) longDash() bool { return s.in[s.at] != '-' }

// nameAt reports whether a parameter's name begins n runes further on.
func (s *scanner) nameAt(n int) bool {
	if s.at+n >= len(s.in) {
		return false
	}
	r := s.in[s.at+n]
	return unicode.IsLetter(r) || r == '_' || r == '?'
}

func (s *scanner) parameter(dashes int) (item, error) {
	s.at += dashes
	name := s.at
	for !s.end() && !strings.ContainsRune(" :=", s.in[s.at]) {
		s.at++
	}
	i := item{param: true, name: string(s.in[name:s.at])}
	if s.space(0) {
		return i, nil
	}
	s.at++ // the : or =
	i.colon = true
	if s.skipSpace(); s.end() {
		return i, nil
	}
	if d := s.dashes(); s.in[s.at-1] == ' ' && d > 0 && s.nameAt(d) {
		return i, nil // the next parameter: a stray colon must not swallow it
	}
	var err error
	i.attached = true
	i.word, err = s.value()
	return i, err
}

// value reads a word, which a quote at its beginning may wrap.
func (s *scanner) value() (word, error) {
	if q := s.in[s.at]; q == '\'' || q == '"' || q == '`' {
		return s.quoted(q)
	}
	var w wordBuilder
	for !s.space(0) {
		s.piece(&w)
	}
	return w.word(), nil
}

// quoted reads up to the closing quote: one with a space or the end behind it. So
// an apostrophe needs no doubling, which PowerShell would ask for and which is
// taken as well.
func (s *scanner) quoted(q rune) (word, error) {
	var w wordBuilder
	s.at++
	for !s.end() {
		switch {
		case s.in[s.at] != q:
			s.piece(&w)
		case s.at+1 < len(s.in) && s.in[s.at+1] == q:
			w.text.WriteRune(q)
			s.at += 2
		case s.space(1):
			s.at++
			return w.word(), nil
		default:
			w.text.WriteRune(q)
			s.at++
		}
	}
	return word{}, unterminated{q}
}
