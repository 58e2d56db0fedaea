package slackapp

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

// The examples of testdata/commands.txt and docs/command.md: a command's text
// behind "> ", then what it is read as behind "= ", or each line of the answer
// behind "! ". \uXXXX stands for a character that can't be seen.
func TestCommandExamples(t *testing.T) {
	files := map[string]int{filepath.Join("testdata", "commands.txt"): 150, filepath.Join("..", "..", "docs", "command.md"): 20}
	for file, least := range files {
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var now bytes.Buffer
		examples := 0
		for line := range strings.Lines(string(was)) {
			line = strings.TrimSuffix(line, "\n")
			if strings.HasPrefix(line, "= ") || strings.HasPrefix(line, "! ") {
				continue
			}
			now.WriteString(line + "\n")
			if text, ok := strings.CutPrefix(line, ">"); ok {
				examples++
				now.WriteString(readAs(unescaped(text)))
			}
		}
		if examples < least {
			t.Errorf("%s has %d examples, want at least %d", file, examples, least)
		}
		if *update {
			if err := os.WriteFile(file, now.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if diff := cmp.Diff(string(was), now.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
}

var escapes = regexp.MustCompile(`\\u[0-9a-f]{4}|x{9,}|X{9,}`)

// unescaped reads \uXXXX, and xxxxxxxxx or XXXXXXXXX as many or very many of them.
func unescaped(s string) string {
	return escapes.ReplaceAllStringFunc(s, func(e string) string {
		switch e[0] {
		case 'x':
			return strings.Repeat("x", 310)
		case 'X':
			return strings.Repeat("X", 2100)
		}
		n, err := strconv.ParseUint(e[2:], 16, 32)
		if err != nil {
			panic(err)
		}
		return string(rune(n))
	})
}

// readAs is what a command's text is read as, in lines of an example.
func readAs(text string) string {
	c, err := parseCommand(text)
	if u, ok := errors.AsType[*usage](err); ok {
		if u.Answer == usageText() {
			return "! (usage)\n"
		}
		return "! " + strings.ReplaceAll(u.Answer, "\n", "\n! ") + "\n"
	}
	var b strings.Builder
	b.WriteString("= ")
	if c.Kind != request.Revoke {
		fmt.Fprintf(&b, "the command %s", c.Kind)
	} else if c.Mention != "" {
		fmt.Fprintf(&b, "the account of Slack user %s", c.Mention)
	} else {
		b.WriteString(c.User)
	}
	if c.WhatIf {
		b.WriteString(", what-if")
	}
	if c.Unconfirmed {
		b.WriteString(", unconfirmed")
	}
	if c.Verbose {
		b.WriteString(", verbose")
	}
	if c.Reason != "" {
		fmt.Fprintf(&b, ", reason: %s", c.Reason)
	}
	if text := ignoredText(c.ignored); text != "" {
		b.WriteString(";" + text)
	}
	return b.String() + "\n"
}

// Whatever is typed, the parse either gives a name whose characters were all
// typed, in their order, or an answer that cannot mention, link, or flood.
func FuzzParseCommand(f *testing.F) {
	examples, err := os.ReadFile(filepath.Join("testdata", "commands.txt"))
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(examples)) {
		if text, ok := strings.CutPrefix(line, "> "); ok {
			f.Add(unescaped(strings.TrimSuffix(text, "\n")))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCommand(text)
		if err == nil && c.Kind != request.Revoke {
			if c.User != "" || c.Mention != "" || !typedInOrder(strings.ToLower(text), string(c.Kind)) {
				t.Errorf("parseCommand(%q) = %+v, which was not typed like that", text, c)
			}
			return
		}
		if err == nil {
			isName := upn.MatchString(c.User) || objectID.MatchString(c.User)
			if c.Mention == "" && (!isName || !typedInOrder(text, c.User) || len(c.User) > maxUser) {
				t.Errorf("parseCommand(%q) = %q, which was not typed like that", text, c.User)
			}
			if c.Mention != "" && (c.User != "" || !strings.Contains(strings.Map(plainRune, text), "<@"+c.Mention)) {
				t.Errorf("parseCommand(%q) means Slack user %q and %q", text, c.Mention, c.User)
			}
			if c.WhatIf && c.Unconfirmed || c.Unconfirmed && !switchedOff.MatchString(strings.Map(plainRune, text)) {
				t.Errorf("parseCommand(%q) runs unconfirmed", text)
			}
			if utf8.RuneCountInString(c.Reason) > maxReason {
				t.Errorf("parseCommand(%q) has a reason of %d bytes", text, len(c.Reason))
			}
			return
		}
		u, ok := errors.AsType[*usage](err)
		if !ok || u.Answer == "" {
			t.Fatalf("parseCommand(%q) = %v, want an answer", text, err)
		}
		if strings.ContainsAny(u.Answer, "<") || !utf8.ValidString(u.Answer) || len(u.Answer) > 3000 {
			t.Errorf("parseCommand(%q) answers %q", text, u.Answer)
		}
	})
}

// switchedOff is what has to stand in a text that asks to run unconfirmed.
var switchedOff = regexp.MustCompile(`(?i)[-‐‑‒–—―−]c[^ :=]*[:=] *["'\x60]?(\$?false|0)`)

// typedInOrder reports whether name's characters all stand in text, in order.
func typedInOrder(text, name string) bool {
	plain := unescape(strings.Map(plainRune, text))
	for _, r := range name {
		i := strings.IndexRune(plain, r)
		if i < 0 {
			return false
		}
		plain = plain[i+utf8.RuneLen(r):]
	}
	return true
}
