package slackapp

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// CommandName is the slash command.
const CommandName = "/revoke-session"

// maxUser bounds what is taken for a sign-in name; Entra allows 113 characters.
const maxUser = 256

var (
	objectID = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)
	// upn takes what could be a sign-in name; whether it is one is Entra's to say.
	upn     = regexp.MustCompile(`^[A-Za-z0-9'._!#$%&*+/=?^{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$`)
	escaped = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// usage is a command text that cannot become a request; Answer says why and what
// to type instead.
type usage struct{ Answer string }

func (u *usage) Error() string { return "usage" }

// parseCommand reads the text of a command: one sign-in name or object id. Slack
// sends an address as typed or as <mailto:address|label>, and & < > as entities
// (docs.slack.dev/interactivity/implementing-slash-commands, "should_escape").
func parseCommand(text string) (string, error) {
	fields := strings.Fields(text)
	if len(fields) == 0 || len(fields) == 1 && strings.EqualFold(fields[0], "help") {
		return "", &usage{usageText()}
	}
	if len(fields) > 1 {
		return "", &usage{"I take exactly one sign-in name and nothing else. Nothing was done.\n" + usageText()}
	}
	user, ok := unlink(fields[0])
	switch {
	case !ok:
		return "", &usage{"The address and its label differ, so I can't tell whom you mean. Nothing was done. Type the sign-in name as plain text: " + example}
	case strings.HasPrefix(user, "<"):
		return "", &usage{"I need the sign-in name, not a mention or a link. Nothing was done. Type: " + example}
	case len(user) <= maxUser && utf8.ValidString(user) && (objectID.MatchString(user) || upn.MatchString(user)):
		return user, nil
	}
	return "", &usage{esc(notFoundSentence(user)) + "\nThat is not the form of a sign-in name (`user@contoso.com`) or an object id. Nothing was done."}
}

// unlink takes a token out of Slack's link form. It reports false for a label
// that shows another address than the link holds.
func unlink(token string) (string, bool) {
	inner, ok := strings.CutPrefix(token, "<mailto:")
	if !ok || !strings.HasSuffix(inner, ">") {
		return escaped.Replace(token), true
	}
	address, label, labeled := strings.Cut(strings.TrimSuffix(inner, ">"), "|")
	if labeled && !strings.EqualFold(address, label) {
		return "", false
	}
	return escaped.Replace(address), true
}

const example = "`" + CommandName + " user@contoso.com`"

func usageText() string {
	return "*" + CommandName + "* signs a Microsoft 365 user out of browser, desktop and mobile apps on all devices.\n" +
		"• " + example + " – by sign-in name\n" +
		"• `" + CommandName + " 8f1f0a52-3c5e-4c43-9c0e-2f6d7a6b1c11` – by object id\n" +
		"You need to be a Global Administrator. A second Global Administrator confirms with the button on the card; *What-If* shows what would happen and runs nothing."
}

// clip shortens s to at most n characters.
func clip(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}
