package slackapp

import (
	"fmt"
	"strings"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// card is the message with the buttons: a function of its request, so that it
// can be brought up to date from any state at any time.
func card(r request.Request) message {
	m := face(r)
	if by := identifiedBy(r); by != "" {
		m.text, m.blocks = clip(m.text+by, maxText), append(m.blocks, note(strings.TrimSpace(by)))
	}
	return m
}

func face(r request.Request) message {
	upn := signInName(r)
	switch r.Face() {
	case request.FacePending:
		return pendingCard(r)
	case request.FaceRunning:
		return closedCard(r, "Signing out: "+upn, fmt.Sprintf("%s Signing %s out now.", authority(r), esc(upn)))
	case request.FaceWaiting:
		return closedCard(r, "Signing out: "+upn, fmt.Sprintf("%s Microsoft is not answering or is throttling the bot right now; it tries again by itself at %s.", authority(r), localTime(r.RunAt)))
	case request.FaceDone:
		result := resultSentence(r)
		blocks := []slack.Block{header(title(r.Outcome) + upn), plain(result), facts(r)}
		blocks = append(blocks, because(r)...)
		return message{
			text:   fmt.Sprintf("Asked by %s. %s %s", mention(r.Requester), authority(r), esc(result)),
			blocks: append(blocks, note(where(r))),
		}
	case request.FaceCanceled:
		return closedCard(r, "Canceled: "+upn, fmt.Sprintf("Canceled by %s. Nothing was run for %s.", mention(r.Closer), esc(upn)))
	case request.FaceExpired:
		return closedCard(r, "Expired: "+upn, expiredText(r))
	case request.FaceRefused:
		return closedCard(r, "Refused: "+upn, fmt.Sprintf("Nothing was run for %s.", esc(upn)))
	case request.NoFace:
	}
	return message{text: "Nothing to show."}
}

// where says where a result is, with its evidence.
func where(r request.Request) string {
	switch {
	case r.Thread.Gone && !r.Thread.ResultDone:
		return "The thread can't be written to any more: who asked and who confirmed get the result by private message."
	case r.HasOutcome():
		return "Evidence and details are in the thread."
	}
	return "The result appears in the thread."
}

func expiredText(r request.Request) string {
	why := "Nobody confirmed in time"
	if len(r.Approvers) > 0 {
		why = fmt.Sprintf("Not enough people confirmed in time (%s did)", confirmers(r))
	}
	return fmt.Sprintf("%s, so nothing was run for %s. To ask again, send the command again.", why, esc(signInName(r)))
}

func pendingCard(r request.Request) message {
	upn := signInName(r)
	text := fmt.Sprintf("%s asks to sign %s (%s, object id %s, %s) out of browser, desktop and mobile apps on all devices; %s can confirm until %s. Plan %s.",
		mention(r.Requester), esc(upn), code(r.Target.Name), code(r.Target.ObjectID), accountType(r.Target), whoElse(r), clock(r.Expires), code(r.Plan.Code()))
	blocks := []slack.Block{
		header("Sign out everywhere: " + upn),
		facts(r, field("Can be confirmed until", localTime(r.Expires)), field("Plan", code(r.Plan.Code()))),
	}
	for _, warning := range warnings(r) {
		text += " " + warning
		blocks = append(blocks, markdown(":warning: "+warning))
	}
	if r.Command.Reason != "" {
		text += " Reason: " + code(r.Command.Reason)
	}
	blocks = append(blocks, because(r)...)
	if len(r.Changes) > 0 {
		text += " The plan has changed: " + changeList(r.Changes, "; ")
		blocks = append(blocks, markdown("*The plan has changed since this card was posted; nothing was run.*\n• "+changeList(r.Changes, "\n• ")))
	}
	return message{text: clip(text, maxText), blocks: append(blocks,
		markdown("Ends the account's sessions in browser, desktop and mobile apps on all devices; it has to sign in again everywhere. "+
			"Access tokens already issued can go on working for an hour or more."),
		note(nextStep(r)),
		buttons(r),
	)}
}

// whoElse is who can confirm.
func whoElse(r request.Request) string {
	if n := r.Missing(); n > 1 {
		return count(n) + " other Global Administrators"
	}
	if len(r.Approvers) > 0 {
		return "one more Global Administrator"
	}
	return "a second Global Administrator"
}

func nextStep(r request.Request) string {
	verb := "presses"
	if r.Missing() > 1 {
		verb = "press"
	}
	text := fmt.Sprintf("*Next:* %s %s *Confirm*. %s can't confirm their own request.", whoElse(r), verb, mention(r.Requester))
	if len(r.Approvers) > 0 {
		text = fmt.Sprintf("Confirmed by %s so far. ", confirmers(r)) + text
	}
	return text
}

// identifiedBy says how the people of a request were identified, where that is the
// weaker way.
func identifiedBy(r request.Request) string {
	for _, c := range append([]request.Caller{r.Requester}, r.Approvers...) {
		if c.Identified == request.ByEmail {
			return " Identified by e-mail: by the confirmed address of the Slack profile."
		}
	}
	return ""
}

// warnings are what somebody should know before they confirm.
func warnings(r request.Request) []string {
	var all []string
	if r.Frozen {
		all = append(all, "*Everything is frozen*"+frozenBy(r)+". Confirm runs nothing until the operator of this bot thaws it.")
	}
	t := r.Target
	if t.Roles != "" {
		all = append(all, "*The account is an administrator:* "+esc(clean(t.Roles))+".")
	}
	if t.RolesUnknown {
		all = append(all, "Whether the account is an administrator could not be read from Microsoft.")
	}
	switch t.Administrators {
	case 1:
		all = append(all, "*It is the last active Global Administrator.* Signing it out locks nobody out by itself; make sure that a break-glass account works.")
	case 2:
		all = append(all, "*It is one of the last two active Global Administrators.* Make sure that a break-glass account works.")
	}
	return all
}

// closedCard is a card without buttons.
func closedCard(r request.Request, head, status string) message {
	return message{text: status, blocks: append([]slack.Block{header(head), markdown(status), facts(r)}, because(r)...)}
}

// authority says on whose word a request runs, loudly where it is one person's.
func authority(r request.Request) string {
	if r.Command.Unconfirmed {
		return fmt.Sprintf(":warning: *NO SECOND PERSON CONFIRMED THIS.* %s ran it alone with %s, which the operator of this bot allows.", mention(r.Requester), code("-Confirm:$false"))
	}
	return fmt.Sprintf("Confirmed by %s.", confirmers(r))
}

// confirmers are all who have confirmed.
func confirmers(r request.Request) string { return listed(r.Approvers, mention) }

// listed are several people in a sentence.
func listed(people []request.Caller, as func(request.Caller) string) string {
	names := make([]string, len(people))
	for i, p := range people {
		names[i] = as(p)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
}

// because shows the requester's reason, in which nothing is markup.
func because(r request.Request) []slack.Block {
	if r.Command.Reason == "" {
		return nil
	}
	return []slack.Block{markdown("*Reason*\n" + code(r.Command.Reason))}
}

// facts says who asks and who is meant, as the directory has it.
func facts(r request.Request, more ...*slack.TextBlockObject) slack.Block {
	fields := append([]*slack.TextBlockObject{
		field("Asked by", person(r.Requester)),
		field("Account", code(r.Target.Name)),
		field("Sign-in name", code(r.Target.UPN)),
		field("Object id", code(r.Target.ObjectID)),
		field("Account type", accountType(r.Target)),
	}, more...)
	switch {
	case r.Command.Unconfirmed:
		fields = append(fields, field("Confirmed by", "*nobody*"))
	case r.Authorized():
		fields = append(fields, field("Confirmed by", listed(r.Approvers, person)))
	}
	return slack.NewSectionBlock(nil, fields, nil)
}

func accountType(t request.Target) string {
	if t.Enabled {
		return "member, enabled"
	}
	return "member, disabled (sign-in blocked)"
}

func changeList(changes []request.Change, between string) string {
	list := ""
	for i, c := range changes {
		if i > 0 {
			list += between
		}
		list += fmt.Sprintf("%s: was %s, is %s", c.What, code(c.Was), code(c.Is))
	}
	return list
}

func buttons(r request.Request) slack.Block {
	value := string(r.ID)
	upn := signInName(r)
	confirm := slack.NewButtonBlockElement(string(request.Confirm), value, label("Confirm"))
	confirm.Style = slack.StyleDanger
	confirm.AccessibilityLabel = clip("Confirm signing out "+upn, 75)
	confirm.Confirm = slack.NewConfirmationBlockObject(label("Sign out everywhere?"),
		label(fmt.Sprintf("%s (object id %s) will be signed out on all devices: plan %s. You confirm this as another Global Administrator, under your name.",
			upn, r.Target.ObjectID, r.Plan.Code())),
		label("Sign out"), label("Go back"))
	confirm.Confirm.Style = slack.StyleDanger
	cancel := slack.NewButtonBlockElement(string(request.Cancel), value, label("Cancel"))
	cancel.AccessibilityLabel = clip("Cancel signing out "+upn, 75)
	whatIf := slack.NewButtonBlockElement(string(request.WhatIf), value, label("What-If"))
	whatIf.AccessibilityLabel = clip("Show what signing out "+upn+" would do", 75)
	return slack.NewActionBlock(blockOf(r.Plan), confirm, cancel, whatIf)
}
