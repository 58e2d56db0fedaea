package slackapp

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// What chat.update takes as text, and a section block.
const (
	maxText    = 4000
	maxSection = 3000
)

// message is one Slack message: text is what notifications and screen readers
// have, and says by itself what the blocks say.
type message struct {
	text   string
	blocks []slack.Block
}

func (m message) options() []slack.MsgOption {
	if m.blocks == nil {
		return plainOptions(m.text)
	}
	return append(plainOptions(m.text), slack.MsgOptionBlocks(m.blocks...))
}

// ephemeral are the options of a message that one person sees: it has no previews to
// leave out.
func (m message) ephemeral() []slack.MsgOption {
	opts := []slack.MsgOption{slack.MsgOptionText(clip(m.text, maxText), false)}
	if m.blocks != nil {
		opts = append(opts, slack.MsgOptionBlocks(m.blocks...))
	}
	return opts
}

func plainOptions(text string) []slack.MsgOption {
	return []slack.MsgOption{
		slack.MsgOptionText(clip(text, maxText), false), slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
}

// whatIfLine is PowerShell's own sentence.
func whatIfLine(r request.Request) string {
	return fmt.Sprintf("What if: Performing the operation \"%s\" on target \"%s\".", cmdletName, signInName(r))
}

// planLists are the calls of a plan and what it leaves alone.
func planLists(r request.Request) (calls, rest string) {
	lines := make([]string, len(r.Plan.Calls))
	for i, c := range r.Plan.Calls {
		lines[i] = fmt.Sprintf("%d. %s – %s", i+1, code(c.Method+" "+c.URL), esc(c.Why))
	}
	left := make([]string, len(r.Plan.DoesNotEnd))
	for i, d := range r.Plan.DoesNotEnd {
		left[i] = esc(d)
	}
	return "*Calls that would be made* (plan " + code(r.Plan.Code()) + ")\n" + strings.Join(lines, "\n"),
		"*What it will not stop*\n" + bullets(left)
}

// planMessage is what What-If puts into the thread, in PowerShell's words first.
func planMessage(r request.Request) message {
	calls, rest := planLists(r)
	return message{
		text: esc(whatIfLine(r)) + "\n" + calls + "\n" + rest + "\nNothing was run.",
		blocks: []slack.Block{
			plain(whatIfLine(r)), markdown(calls), markdown(rest), note("Nothing was run. The card above still waits."),
		},
	}
}

// placeholder holds the result's place in the thread while the effect is under
// way. It mentions both people, since an edit notifies nobody.
func placeholder(r request.Request) message {
	text := fmt.Sprintf("%s %s: confirmed. Signing %s out; the result replaces this message.",
		mention(r.Requester), confirmers(r), esc(signInName(r)))
	if r.Command.Unconfirmed {
		text = fmt.Sprintf("%s Signing %s out; the result replaces this message.", authority(r), esc(signInName(r)))
	}
	return message{text: text, blocks: []slack.Block{markdown(text)}}
}

// resultMessage is the final text of the result's place. It never changes again.
func resultMessage(r request.Request) message {
	evidence := evidenceLines(r)
	for i := range evidence {
		evidence[i] = "• " + evidence[i]
	}
	m := message{
		text:   esc(resultSentence(r)) + "\n" + strings.Join(evidence, "\n"),
		blocks: append([]slack.Block{plain(resultSentence(r))}, sections(evidence)...),
	}
	if r.Command.Verbose {
		steps := verbose(r)
		m.text += "\n" + strings.Join(steps, "\n")
		m.blocks = append(m.blocks, sections(steps)...)
	}
	m.text = clip(m.text, maxText)
	asked := fmt.Sprintf("Asked by %s. %s Request %s, plan %s.%s%s", mention(r.Requester), authority(r), code(string(r.ID)), code(r.Plan.Code()), identifiedBy(r), anchor(r))
	m.blocks = append(m.blocks, note(asked))
	return m
}

// anchor is the end of the audit chain when the outcome was written: from here on the
// record can't be cut short or rewritten without the chat telling another story.
func anchor(r request.Request) string {
	head := r.Sealed
	if head == (request.Head{}) {
		head = r.Head
	}
	if head == (request.Head{}) {
		return ""
	}
	return fmt.Sprintf(" Record: line %d, %s.", head.Count, code(head.Hash))
}

// verbose lists each step with its duration and Microsoft's request id, as
// PowerShell's -Verbose would.
func verbose(r request.Request) []string {
	lines := []string{fmt.Sprintf("VERBOSE: Performing the operation \"%s\" on target %s.", cmdletName, code(r.Target.UPN))}
	look := func(what string, took time.Duration, id string) {
		if took > 0 {
			lines = append(lines, fmt.Sprintf("VERBOSE: %s: %s%s", what, duration(took), requestID(id)))
		}
	}
	look("read the account", r.Target.Took, r.Target.Evidence)
	look("read the requester's role", r.Requester.Took, r.Requester.Evidence)
	for _, a := range r.Approvers {
		look("read the approver's role", a.Took, a.Evidence)
	}
	for _, s := range r.Outcome.Steps {
		status := "no answer"
		if s.Status != 0 {
			status = fmt.Sprintf("HTTP %d", s.Status)
		}
		if s.Code != "" {
			status += " " + code(s.Code)
		}
		lines = append(lines, fmt.Sprintf("VERBOSE: %s (%s): %s, %s%s, client-request-id %s",
			esc(s.What), s.System, status, duration(s.Took), requestID(s.RequestID), code(s.ClientRequestID)))
	}
	return lines
}

// sections are lines in as many blocks as they need, broken between lines. What
// would be too much for one message is left out of the middle, and said to be.
func sections(lines []string) []slack.Block {
	const most = 60
	if n := len(lines) - most; n > 0 {
		gap := fmt.Sprintf("… %d more: all are in the record …", n)
		lines = append(append(slices.Clone(lines[:most/2]), gap), lines[len(lines)-most/2:]...)
	}
	var blocks []slack.Block
	var text string
	for _, line := range lines {
		line = clip(line, maxSection)
		if text != "" && utf8.RuneCountInString(text)+1+utf8.RuneCountInString(line) > maxSection {
			blocks, text = append(blocks, markdown(text)), ""
		}
		text = strings.TrimPrefix(text+"\n"+line, "\n")
	}
	return append(blocks, markdown(text))
}

func requestID(id string) string {
	if id == "" {
		return ""
	}
	return ", request-id " + code(id)
}

func duration(d time.Duration) string { return d.Round(time.Millisecond).String() }

// signInName is the target's, as it stands in sentences. Entra's have at most 113
// characters.
func signInName(r request.Request) string { return clip(clean(r.Target.UPN), 120) }

func bullets(lines []string) string { return "• " + strings.Join(lines, "\n• ") }

func header(text string) slack.Block {
	return slack.NewHeaderBlock(label(clip(text, 150)))
}

// label is text in which nothing is read as markup.
func label(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.PlainTextType, text, false, false)
}

func plain(text string) slack.Block {
	return slack.NewSectionBlock(label(clip(text, maxSection)), nil, nil)
}

// mrkdwn is text of ours with escaped values in it; verbatim keeps Slack from
// turning words into links and mentions.
func mrkdwn(text string) *slack.TextBlockObject {
	return slack.NewTextBlockObject(slack.MarkdownType, text, false, true)
}

func markdown(text string) slack.Block {
	return slack.NewSectionBlock(mrkdwn(clip(text, maxSection)), nil, nil)
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
