package slackapp

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/revoke-session/revoke-session/internal/request"
)

const (
	foreignText       = "This app is not set up for your workspace. Nothing was done."
	notRecordedText   = "Nothing was recorded: the bot's store cannot be reached or written, so nothing will be run. Try again in a minute." + byHand
	tooManyText       = "Nothing was recorded: too many presses are waiting on this card already. Try again in a minute."
	notReplicatedText = "Recorded, not yet replicated: too few copies of the bot's store answer, so nothing runs until they do. Then it goes on by itself; if it has not within a few minutes, send it again." + byHand
	unsureText        = "The bot's store did not confirm in time, so this may not have been recorded. Watch the channel for a moment before you try again: if it was recorded, it still takes effect." + byHand
)

// recordedText is what Slack has at once for a command.
func recordedText(c request.Command) string {
	if c.Kind != request.Revoke {
		return "Recorded. Looking you up; the answer follows here."
	}
	return "Recorded. Looking up your role and the account; the answer follows here."
}

// activationURL is where an eligible role is activated: My roles in Privileged Identity
// Management (learn.microsoft.com/entra/id-governance/privileged-identity-management/pim-how-to-activate-role).
const activationURL = "https://entra.microsoft.com/#view/Microsoft_Azure_PIMCommon/ActivationMenuBlade/~/aadmigratedroles"

// advice says what helps against a fault: often only the bot's operator can.
func advice(f request.Fault) string {
	switch {
	case f.System == request.Entra && f.Status >= 400 && f.Status < 500 && f.Status != http.StatusTooManyRequests:
		return "The bot can't sign in to Microsoft: its operator has to renew its credential." + byHand
	case f.System == request.Graph && f.Status == http.StatusUnauthorized: // the token, which is renewed at once
		return "Microsoft did not accept the bot's token. Try again in a minute; if it stays so, its operator has to look at the app registration." + byHand
	case f.System == request.Graph && f.Status == http.StatusForbidden:
		return "The bot lacks a permission, most likely User.Read.All with admin consent: its operator has to grant it." + byHand
	case f.System == request.Slack && slices.Contains(operatorCodes, f.Code):
		return "The bot's Slack token is not usable for this: its operator has to look at it." + byHand
	}
	return "Try again in a minute." + byHand
}

// operatorCodes are Slack errors that only the bot's operator can mend.
var operatorCodes = []string{"invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive", "missing_scope", "not_allowed_token_type"}

// detail quotes what can be looked up about a fault.
func detail(f request.Fault) string {
	var parts []string
	if f.System != "" {
		parts = append(parts, string(f.System))
	}
	if f.Status != 0 {
		parts = append(parts, fmt.Sprintf("HTTP %d", f.Status))
	}
	if f.Code != "" {
		parts = append(parts, code(f.Code))
	}
	if f.RequestID != "" {
		parts = append(parts, "request-id "+code(f.RequestID))
	}
	if len(parts) == 1 && f.System != "" {
		parts = append(parts, "no answer")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

// replyText is the private answer to a command or press: why, and what to do next.
func replyText(r request.Request, a request.Reply) string {
	upn := code(r.Target.UPN)
	switch a.Reason {
	case request.NotVerified:
		return "Nothing was done. " + standingText(a)
	case request.NotAdministrator:
		if a.Eligible {
			return "Global Administrator is *eligible* for you, which is not active, so nothing was done. <" + activationURL + "|Activate the role in Privileged Identity Management>, then try again."
		}
		return "You are not an active Global Administrator right now, so nothing was done. If the role is eligible for you, activate it in Entra Privileged Identity Management and try again; otherwise ask a Global Administrator."
	case request.OwnRequest:
		return "You asked for this yourself, so you can't confirm it: a second Global Administrator has to press Confirm. You can still cancel it."
	case request.OwnAccount:
		if r.Command.Kind == request.Freeze {
			return "A card about your own account is open, so you can't freeze everything: other Global Administrators can."
		}
		return "This is about your own account, so you can neither confirm nor cancel it. Other Global Administrators decide."
	case request.ConfirmedBefore:
		if r.Missing() == 0 {
			return "You have confirmed this already, and it is confirmed now. " + where(r)
		}
		return "You have confirmed this already; it still needs " + whoElse(r) + "."
	case request.StepUpNeeded:
		return "Nothing was run yet. Sign in to Microsoft again to confirm: it counts for this request and plan " + code(r.Plan.Code()) + " only. The button works for ten minutes."
	case request.IsFrozen:
		return "Everything is frozen" + frozenBy(r) + ", so nothing was run. Only the operator of this bot can thaw it (`bot thaw`, or FREEZE=false)." + byHand
	case request.TargetProtected:
		return fmt.Sprintf("%s is protected by the operator of this bot (PROTECTED_USERS: %s), so nothing was done: it is there for the day on which nothing else works. If it has to be signed out all the same, two people decide that outside of this bot.", upn, code(r.Target.Protected))
	case request.AskedBefore:
		return askedBefore(r)
	case request.TooManyRequests:
		return "You have made as many requests in the last hour as the operator of this bot allows (HOURLY_REQUESTS), so nothing was done. Another Global Administrator can send the command." + byHand
	case request.FrozenNow:
		return "Frozen: nothing is run any more, whoever confirms, and every open card says so. Only the operator of this bot can thaw it (`bot thaw`)."
	case request.LinkShown:
		return "Your Slack account is linked to " + code(r.Requester.UPN) + ", object id " + code(r.Requester.ObjectID) + ". `" + CommandName + " unlink` removes the link."
	case request.LinkEnded:
		return "Unlinked. The next time you use this bot it asks you to sign in to Microsoft again."
	case request.NothingLinked:
		return "Your Slack account is not linked to any Microsoft account, so there was nothing to remove."
	case request.LinkNotUsed:
		return "This bot identifies people by the e-mail address of their Slack profile (IDENTITY=email), so there is nothing to link."
	case request.LinkedToAnother, request.AccountUnfit: // said on the page
	case request.RequesterNotAdmin:
		return requesterText(r, a)
	case request.AlreadyConfirmed:
		if r.Command.Unconfirmed {
			return "This is running already. " + authority(r) + " " + where(r)
		}
		return fmt.Sprintf("%s has already confirmed this; it is running. %s", confirmers(r), where(r))
	case request.AlreadyDone:
		switch o := r.Outcome; {
		case succeeded(o):
			return "This is already done. " + authority(r) + " " + where(r)
		case o.Unsure:
			return "This has already ended, and *it is not known whether it took effect*. " + authority(r) + " " + where(r)
		}
		return "This has already ended *without success*. " + authority(r) + " " + where(r)
	case request.AlreadyCanceled:
		return fmt.Sprintf("This was canceled by %s; nothing was run. To ask again, send the command again.", mention(r.Closer))
	case request.AlreadyExpired:
		return fmt.Sprintf("This request expired at %s; nothing was run. To ask again, send the command again.", clock(r.Expires))
	case request.AlreadyRefused:
		return "This request was refused; nothing was run. To ask again, send the command again."
	case request.AlreadyPlanned:
		return "The plan is already in the thread under the card."
	case request.StillChecking:
		return "This request is still being looked up. Try again in a moment."
	case request.UnknownCard:
		return "I don't know this card or button, so nothing was done. Send the command again: " + example
	case request.OtherCard:
		return "This is an outdated copy of the card, so nothing was done. Use the other card of the same request in this channel."
	case request.TargetMissing:
		return esc(notFoundSentence(r.Target.UPN)) + "\nIt has to be the sign-in name (user principal name), which can differ from the e-mail address. Nothing was done."
	case request.TargetGuest:
		return fmt.Sprintf("%s (%s) is a guest or signs in at another organization, so their sessions can't be revoked here: Microsoft would say yes and do nothing. Nothing was done. Ask their home organization, or block or remove the account in this tenant.", upn, code(r.Target.Name))
	case request.TargetUnknown:
		return "The account could not be looked up" + detail(a.Fault) + ". Nothing was done. " + advice(a.Fault)
	case request.TargetUnresolved:
		return "That mention does not lead to one Entra account, so nothing was done. " + mentionText(r.Target) + " Or type the sign-in name: " + example
	case request.TargetChanged:
		return fmt.Sprintf("Nothing was run: since the card was posted, %s has become a guest, or signs in at another organization, so its sessions can't be revoked here any more. Cancel the card, and ask their home organization, or block or remove the account in this tenant.", upn)
	case request.PlanChanged:
		return "Nothing was run: the plan has changed since the card that you saw. " + changeList(r.Changes, "; ") + ". Look at the card again; if it is right, press Confirm again. It is now plan " + code(r.Plan.Code()) + "."
	case request.PlanShown:
		calls, rest := planLists(r)
		text := esc(whatIfLine(r)) + "\n" + calls + "\n" + rest + "\n"
		switch {
		case r.Authorized():
			text += "This is the plan only. Meanwhile the request was confirmed."
		case r.Command.WhatIf:
			text += "Nothing was run, and no card was posted."
		default:
			text += "Nothing was run."
		}
		if r.Command.Verbose {
			text += "\n" + strings.Join(verbose(r), "\n")
		}
		return text
	case request.CommandDisabled:
		return sentence(request.NotAvailable, "") + "\nThe operator of this bot has switched the command off (DISABLED=true), so nothing was run." + byHand
	case request.ConfirmRequired:
		return "This bot does not run this on one person's word: its operator wants more for this account (APPROVALS, STEP_UP), or has not set ALLOW_UNCONFIRMED=true, so " + code("-Confirm:$false") + " is refused. Nothing was done. Send this, and let somebody else confirm: " + commandLine(r)
	case request.ReasonRequired:
		return code("-Confirm:$false") + " runs without a second person, so it needs a reason that everybody can read. Nothing was done. Send: " + code(CommandName+" "+userOf(r)+" -Confirm:$false -Reason \"…\"")
	case request.ChannelShared:
		return "This channel is shared with another organization, so nothing was done. Use a channel of your own organization."
	case request.ChannelDirect:
		return "Nobody else can see this conversation, and a second administrator has to confirm. Nothing was done. Send the command in the incident's channel."
	case request.ChannelNotAllowed:
		return "The operator of this bot does not allow requests in this channel. Nothing was done. Use the incident channel."
	case request.ChannelUnreadable:
		return "I am not in this channel, or can't see what it is, so nothing was done. Use the incident's channel and invite me with `/invite`, then send the command again."
	case request.ChannelUnknown:
		return "Slack could not be asked about this channel" + detail(a.Fault) + ". Nothing was done. " + advice(a.Fault)
	case request.CardNotPosted:
		if a.Fault.Code == "not_in_channel" || a.Fault.Code == "channel_not_found" {
			return "I am not in this channel, so I could not post the card. Nothing was done. Invite me with `/invite`, then send the command again."
		}
		if slices.Contains(operatorCodes, a.Fault.Code) {
			return "The card could not be posted in this channel" + detail(a.Fault) + ". Nothing was done. " + advice(a.Fault)
		}
		return "The card could not be posted in this channel" + detail(a.Fault) + ". Nothing was done. Send the command in another channel that I am in." + byHand
	case request.CommandTooOld:
		return fmt.Sprintf("Your command of %s could not be worked on in time: the bot was down or slow. Nothing was done. If it is still needed, send it again.", clock(r.Received))
	case request.ResultByMessage:
		return esc(resultSentence(r)) + "\nThe request's thread can't be written to any more, so here is the result.\n" + bullets(evidenceLines(r))
	}
	return "Nothing was done, for a reason this version can't word: " + code(string(a.Reason))
}

// frozenBy is who has frozen everything, where a person has.
func frozenBy(r request.Request) string {
	if r.FrozenBy.User == "" {
		return " by the operator of this bot"
	}
	return " by " + mention(request.Caller{Slack: r.FrozenBy})
}

// askedBefore leads to the card that is open for the target already.
func askedBefore(r request.Request) string {
	who := "Somebody"
	if r.OpenCard.Requester.User != "" {
		who = mention(request.Caller{Slack: r.OpenCard.Requester})
	}
	next := "press Confirm there"
	if r.OpenCard.Requester == r.Origin.SlackUser {
		next = "somebody else has to press Confirm there"
	}
	if r.OpenCard.Running {
		next = "it is confirmed and being carried out"
	}
	return fmt.Sprintf("%s has asked to sign %s out already: the card is in this channel (request %s). Nothing was posted twice; %s. If that card is gone, use another channel.",
		who, code(r.Target.UPN), code(string(r.OpenCard.Request)), next)
}

var numerals = []string{"no", "one", "two", "three", "four", "five"}

// count is a small number in words.
func count(n int) string {
	if n < len(numerals) {
		return numerals[n]
	}
	return fmt.Sprint(n)
}

// commandLine is the same command with a card to confirm.
func commandLine(r request.Request) string {
	line := CommandName + " " + userOf(r)
	if r.Command.Reason != "" {
		line += " -Reason \"" + strings.ReplaceAll(r.Command.Reason, "\"", "'") + "\""
	}
	if r.Command.Verbose {
		line += " -Verbose"
	}
	return code(line)
}

// userOf is the target's sign-in name, or what was typed for it.
func userOf(r request.Request) string {
	return cmp.Or(r.Target.UPN, r.Command.User, "user@contoso.com")
}
