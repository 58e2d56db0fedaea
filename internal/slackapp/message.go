package slackapp

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// maxText is what chat.update takes as text.
const maxText = 4000

// message is one Slack message: text is what notifications and screen readers
// have, and says by itself what the blocks say.
type message struct {
	text   string
	blocks []slack.Block
}

func (m message) options() []slack.MsgOption {
	return append(plainOptions(m.text), slack.MsgOptionBlocks(m.blocks...))
}

func plainOptions(text string) []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(clip(text, maxText), false), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

// card is the message with the buttons: a function of its request, so that it
// can be brought up to date from any state at any time.
func card(r request.Request) message {
	upn := signInName(r)
	switch r.Face() {
	case request.FacePending:
		return message{
			text: fmt.Sprintf("%s asks to sign %s (%s, object id %s, %s) out of browser, desktop and mobile apps on all devices; a second Global Administrator can confirm until %s.",
				mention(r.Requester), esc(upn), code(r.Target.Name), code(r.Target.ObjectID), accountType(r.Target), clock(r.Expires)),
			blocks: []slack.Block{
				header("Sign out everywhere: " + upn),
				facts(r, field("Can be confirmed until", localTime(r.Expires))),
				markdown("Ends the account's sessions in browser, desktop and mobile apps on all devices; it has to sign in again everywhere. " +
					"Access tokens already issued can go on working for an hour or more."),
				note(fmt.Sprintf("*Next:* a second Global Administrator presses *Confirm*. %s can't confirm their own request.", mention(r.Requester))),
				buttons(r),
			},
		}
	case request.FaceRunning:
		return closedCard(r, "Signing out: "+upn, fmt.Sprintf("Confirmed by %s. Signing %s out now.", mention(r.Approver), esc(upn)))
	case request.FaceDone:
		result := resultSentence(r)
		return message{
			text: fmt.Sprintf("Asked by %s, confirmed by %s: %s", mention(r.Requester), mention(r.Approver), esc(result)),
			blocks: []slack.Block{
				header(title(r.Outcome.Result) + upn), plain(result), facts(r), note("Evidence and details are in the thread."),
			},
		}
	case request.FaceCanceled:
		return closedCard(r, "Canceled: "+upn, fmt.Sprintf("Canceled by %s. Nothing was run for %s.", mention(r.Closer), esc(upn)))
	case request.FaceExpired:
		return closedCard(r, "Expired: "+upn, fmt.Sprintf("Nobody confirmed in time, so nothing was run for %s. To ask again, send the command again.", esc(upn)))
	case request.FaceRefused:
		return closedCard(r, "Refused: "+upn, fmt.Sprintf("Nothing was run for %s.", esc(upn)))
	case request.NoFace:
	}
	return message{text: "Nothing to show."}
}

// closedCard is a card without buttons.
func closedCard(r request.Request, head, status string) message {
	return message{text: status, blocks: []slack.Block{header(head), markdown(status), facts(r)}}
}

// signInName is the target's, as it stands in sentences. Entra's have at most 113
// characters.
func signInName(r request.Request) string { return clip(clean(r.Target.UPN), 120) }

// facts says who asks and who is meant, as the directory has it.
func facts(r request.Request, more ...*slack.TextBlockObject) slack.Block {
	fields := append([]*slack.TextBlockObject{
		field("Asked by", person(r.Requester)),
		field("Account", code(r.Target.Name)),
		field("Sign-in name", code(r.Target.UPN)),
		field("Object id", code(r.Target.ObjectID)),
		field("Account type", accountType(r.Target)),
	}, more...)
	if r.Confirmed() {
		fields = append(fields, field("Confirmed by", person(r.Approver)))
	}
	return slack.NewSectionBlock(nil, fields, nil)
}

func accountType(t request.Target) string {
	if t.Enabled {
		return "member, enabled"
	}
	return "member, disabled (sign-in blocked)"
}

func buttons(r request.Request) slack.Block {
	value := string(r.ID)
	upn := signInName(r)
	confirm := slack.NewButtonBlockElement(string(request.Confirm), value, label("Confirm"))
	confirm.Style = slack.StyleDanger
	confirm.AccessibilityLabel = clip("Confirm signing out "+upn, 75)
	confirm.Confirm = slack.NewConfirmationBlockObject(label("Sign out everywhere?"),
		label(fmt.Sprintf("%s (object id %s) will be signed out on all devices. You confirm this as a second Global Administrator, under your name.",
			upn, r.Target.ObjectID)),
		label("Sign out"), label("Go back"))
	confirm.Confirm.Style = slack.StyleDanger
	cancel := slack.NewButtonBlockElement(string(request.Cancel), value, label("Cancel"))
	cancel.AccessibilityLabel = clip("Cancel signing out "+upn, 75)
	whatIf := slack.NewButtonBlockElement(string(request.WhatIf), value, label("What-If"))
	whatIf.AccessibilityLabel = clip("Show what signing out "+upn+" would do", 75)
	return slack.NewActionBlock("request", confirm, cancel, whatIf)
}

// planMessage is what What-If puts into the thread, in PowerShell's words first.
func planMessage(r request.Request) message {
	what := fmt.Sprintf("What if: Performing the operation \"Revoke-SPOUserSession\" on target \"%s\".", signInName(r))
	calls := make([]string, len(r.Plan.Calls))
	for i, c := range r.Plan.Calls {
		calls[i] = fmt.Sprintf("%d. %s – %s", i+1, code(c.Method+" "+c.URL), esc(c.Why))
	}
	rest := make([]string, len(r.Plan.DoesNotEnd))
	for i, d := range r.Plan.DoesNotEnd {
		rest[i] = esc(d)
	}
	callList := "*Calls that Confirm would make*\n" + strings.Join(calls, "\n")
	restList := "*What it will not stop*\n" + bullets(rest)
	return message{
		text: esc(what) + "\n" + callList + "\n" + restList + "\nNothing was run.",
		blocks: []slack.Block{
			plain(what), markdown(callList), markdown(restList), note("Nothing was run. The card above still waits."),
		},
	}
}

// placeholder holds the result's place in the thread while the effect is under
// way. It mentions both people, since an edit notifies nobody.
func placeholder(r request.Request) message {
	text := fmt.Sprintf("%s %s: confirmed. Signing %s out; the result replaces this message.",
		mention(r.Requester), mention(r.Approver), esc(signInName(r)))
	return message{text: text, blocks: []slack.Block{markdown(text)}}
}

// resultMessage is the final text of the result's place. It never changes again.
func resultMessage(r request.Request) message {
	evidence := bullets(evidenceLines(r))
	return message{
		text: esc(resultSentence(r)) + "\n" + evidence,
		blocks: []slack.Block{
			plain(resultSentence(r)),
			markdown(evidence),
			note(fmt.Sprintf("Asked by %s, confirmed by %s. Request %s.", mention(r.Requester), mention(r.Approver), code(string(r.ID)))),
		},
	}
}

func bullets(lines []string) string { return "• " + strings.Join(lines, "\n• ") }

func header(text string) slack.Block {
	return slack.NewHeaderBlock(label(clip(text, 150)))
}

// label is text in which nothing is read as markup.
func label(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

func plain(text string) slack.Block {
	return slack.NewSectionBlock(label(clip(text, 3000)), nil, nil)
}

// mrkdwn is text of ours with escaped values in it; verbatim keeps Slack from
// turning words into links and mentions.
func mrkdwn(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

func markdown(text string) slack.Block {
	return slack.NewSectionBlock(mrkdwn(clip(text, 3000)), nil, nil)
}

func note(text string) slack.Block {
	return slack.NewContextBlock("", mrkdwn(clip(text, 2000)))
}

func field(name, value string) *slack.TextBlockObject {
	return mrkdwn(clip("*"+name+"*\n"+value, 2000))
}

// mention names a person by the Slack account they acted with.
func mention(c request.Caller) string { return "<@" + esc(clean(c.Slack.User)) + ">" }

func person(c request.Caller) string { return mention(c) + " " + code(c.UPN) }

// code shows a value from outside exactly, in a form in which it can neither
// format, link nor mention.
func code(s string) string {
	s = strings.ReplaceAll(clean(s), "`", "")
	if s == "" {
		return "(none)"
	}
	return "`" + esc(clip(s, 300)) + "`"
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// esc escapes the three characters that Slack reads as markup in any text.
func esc(s string) string { return escaper.Replace(s) }

// clean drops what could make a value look like another one: control characters,
// line separators, and the invisible ones that reorder, join or hide text.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
			return -1
		}
		return r
	}, s)
}

func clock(t time.Time) string { return t.UTC().Format("15:04 UTC") }

// localTime is shown in each reader's own time zone.
func localTime(t time.Time) string {
	return fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|%s>", t.Unix(), t.UTC().Format("2006-01-02 15:04 UTC"))
}
