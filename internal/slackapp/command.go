package slackapp

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/revoke-session/revoke-session/internal/request"
)

// CommandName is the slash command.
const CommandName = "/revoke-session"

const cmdletName = "Revoke-SPOUserSession"

// Longest values. Entra's sign-in names have at most 113 characters.
const (
	maxLine   = 2000
	maxUser   = 113
	maxReason = 300
)

// usage is a command text that cannot become a request; Answer says why and what
// to type instead.
type usage struct{ Answer string }

func (u *usage) Error() string { return "usage" }

// wrong is a usage in PowerShell's words, with the way out.
func wrong(wayOut, format string, args ...any) error {
	return &usage{esc(fmt.Sprintf(format, args...)) + "\nNothing was done. " + wayOut}
}

const (
	example   = "`" + CommandName + " user@contoso.com`"
	typeThis  = "Type: " + example
	seeHelp   = "`" + CommandName + " help` lists the parameters."
	quoteThis = "A reason of several words needs quotes: `-Reason \"…\"`."
)

// typed is a command line that was understood.
type typed struct {
	request.Command
	ignored []string // parameters without meaning in a chat
}

// parseCommand reads the text of a command. docs/command.md has the grammar, and
// testdata/commands.txt what becomes of each kind of line.
func parseCommand(text string) (typed, error) {
	if err := checkLength(text, maxLine); err != nil {
		return typed{}, err
	}
	items, err := scan(text)
	if err != nil {
		return typed{}, wrong("Close the quote, with a space or the end of the command behind it.", "%v", err)
	}
	if len(items) > 0 && !items[0].param && strings.EqualFold(items[0].word.text, cmdletName) {
		items = items[1:] // pasted as it was for PowerShell
	}
	if wantsHelp(items) {
		return typed{}, &usage{usageText()}
	}
	if kind, ok := kindOf(items[0]); ok {
		return parseOther(kind, items[1:])
	}
	b := binding{values: map[string]word{}, on: map[string]bool{}}
	if err := b.bind(items); err != nil {
		return typed{}, err
	}
	return b.command()
}

// kindOf reads a first word that asks for something else than a revocation: no
// sign-in name looks like that.
func kindOf(first item) (request.Kind, bool) {
	kind := request.Kind(strings.ToLower(first.word.text))
	return kind, !first.param && first.word.link == noLink && (kind == request.Freeze || kind == request.Link || kind == request.Unlink)
}

// parseOther reads what stands behind such a word: a reason, for the record.
func parseOther(kind request.Kind, rest []item) (typed, error) {
	b := binding{values: map[string]word{}, on: map[string]bool{}}
	if err := b.bind(rest); err != nil {
		return typed{}, err
	}
	for _, p := range parameters {
		if _, given := b.values[p.name]; given && !p.noMeaning && (p.name != "Reason" || kind != request.Freeze) {
			return typed{}, wrong("Type: `"+CommandName+" "+string(kind)+"`", "A parameter cannot be found that matches parameter name '%s' of %s.", p.name, string(kind))
		}
	}
	c := typed{Command: request.Command{Kind: kind}, ignored: b.ignored}
	c.Reason = strings.Join(strings.Fields(b.values["Reason"].text), " ")
	return c, checkLength(c.Reason, maxReason)
}

func wantsHelp(items []item) bool {
	if len(items) == 0 {
		return true
	}
	words := []string{"help", "h", "?", "/?"}
	if len(items) == 1 && !items[0].param && slices.Contains(words, strings.ToLower(items[0].word.text)) {
		return true
	}
	return slices.ContainsFunc(items, func(i item) bool {
		return i.param && slices.Contains(words, strings.ToLower(i.name))
	})
}

// command checks the bound values.
func (b *binding) command() (typed, error) {
	user, ok := b.values["User"]
	if !ok {
		return typed{}, wrong(typeThis, "Cannot process command because of one or more missing mandatory parameters: User.")
	}
	if b.on["Debug"] {
		return typed{}, wrong("What it would show is in the bot's log at LOG_LEVEL=debug, under the client-request-ids that `-Verbose` puts into the thread.", "-Debug is refused in a channel.")
	}
	for _, name := range []string{"User", "Reason"} {
		if v, given := b.values[name]; given && strings.Trim(clean(v.text), " `") == "" {
			return typed{}, wrong("Give it a value, or leave it out.", "Cannot bind argument to parameter '%s' because it is an empty string.", name)
		}
	}
	c := typed{ignored: b.ignored}
	if err := readUser(user, &c.Command); err != nil {
		return typed{}, err
	}
	c.Reason = strings.Join(strings.Fields(b.values["Reason"].text), " ")
	if err := checkLength(c.Reason, maxReason); err != nil {
		return typed{}, err
	}
	_, confirmGiven := b.values["Confirm"]
	c.WhatIf, c.Verbose = b.on["WhatIf"], b.on["Verbose"]
	c.Unconfirmed = confirmGiven && !b.on["Confirm"] && !c.WhatIf
	return c, nil
}

func checkLength(value string, most int) error {
	if n := utf8.RuneCountInString(value); n > most {
		return wrong("Make it shorter.", "The character length of the %d argument is too long. Shorten the character length of the argument so it is fewer than or equal to \"%d\" characters, and then try the command again.", n, most)
	}
	return nil
}

var (
	objectID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	// upn takes what could be a sign-in name; whether it is one is Entra's to say.
	upn = regexp.MustCompile(`^[A-Za-z0-9'._!#$%&*+=^{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
)

// readUser takes a sign-in name, an object id or a mention exactly as it is, or
// refuses it: a name that was mended could be somebody else's.
func readUser(w word, c *request.Command) error {
	const plainly = "Type the sign-in name as plain text: " + example
	switch w.link {
	case personLink:
		c.Mention = w.user
		return nil
	case falseLink:
		return wrong(plainly, "The address and its label differ, so I can't tell whom you mean.")
	case otherLink:
		return wrong(plainly, "I need a sign-in name, an object id or a mention of one person, not a channel, a group or a link.")
	case noLink, goodLink:
	}
	if err := checkLength(w.text, maxUser); err != nil {
		return err
	}
	if objectID.MatchString(w.text) || upn.MatchString(w.text) {
		c.User = w.text
		return nil
	}
	for _, r := range w.text {
		if r > unicode.MaxASCII {
			return wrong("No sign-in name has that character; it may only look like a plain one. "+plainly,
				"%s It has the character '%s' (%U).", notFoundSentence(w.text), shown(string(r)), r)
		}
	}
	wayOut := "That is not the form of a sign-in name (`user@contoso.com`) or an object id."
	if strings.ContainsAny(w.text, ",;") {
		wayOut = "I take one user per command."
	}
	return wrong(wayOut, "%s", notFoundSentence(w.text))
}

// shown is a piece of what was typed, as an answer quotes it.
func shown(s string) string { return clip(strings.ReplaceAll(clean(s), "`", "'"), 80) }

func usageText() string {
	return "*" + CommandName + "* signs a Microsoft 365 user out of browser, desktop and mobile apps on all devices. It is the chat form of `" + cmdletName + "`.\n" +
		"• " + example + " – by sign-in name; `-User` may stand before it\n" +
		"• `" + CommandName + " 8f1f0a52-3c5e-4c43-9c0e-2f6d7a6b1c11` – by object id\n" +
		"• `" + CommandName + " @mallory` – whose Slack profile leads to the account\n" +
		"• `" + CommandName + " user@contoso.com -WhatIf` – shows what would happen, to you alone, and runs nothing\n" +
		"• `" + CommandName + " user@contoso.com -Reason \"INC-42: token theft\"` – puts the reason on the card\n" +
		"• `" + CommandName + " user@contoso.com -Verbose` – puts each step into the thread\n" +
		"• `" + CommandName + " freeze` – nothing is run any more, until the operator of this bot thaws it\n" +
		"• `" + CommandName + " link`, `" + CommandName + " unlink` – your Entra account, where this bot asks for a sign-in\n" +
		"You need to be a Global Administrator. A second Global Administrator confirms with the button on the card; `-Confirm:$false` does without only where the operator of this bot allows it."
}

// clip shortens s to at most n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// ignoredText names the parameters that were left out of account.
func ignoredText(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return " " + names[0] + " has no meaning in a chat and was ignored."
	}
	return " " + strings.Join(names, ", ") + " have no meaning in a chat and were ignored."
}
