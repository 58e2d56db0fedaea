package slackapp

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

const (
	foreignText       = "This app is not set up for your workspace. Nothing was done."
	notRecordedText   = "Nothing was recorded: the bot's store cannot be reached or written, so nothing will be run. Try again in a minute. If it is urgent, revoke the sessions in the Entra admin center (Users > the user > Revoke sessions)."
	tooManyText       = "Nothing was recorded: too many presses are waiting on this card already. Try again in a minute."
	notReplicatedText = "Recorded, not yet replicated: too few copies of the bot's store answer, so nothing runs until they do. Then it goes on by itself; if it has not within a few minutes, send it again. If it is urgent, revoke the sessions in the Entra admin center (Users > the user > Revoke sessions)."
	unsureText        = "The bot's store did not confirm in time, so this may not have been recorded. Watch the channel for a moment before you try again: if it was recorded, it still takes effect."
)

// The documented results, word for word
// (learn.microsoft.com/powershell/module/sharepoint-online/revoke-spousersession).
func sentence(result request.Result, user string) string {
	switch result {
	case request.NotFound:
		return notFoundSentence(user)
	case request.SignedOut:
		return fmt.Sprintf("We successfully signed out %s from all devices.", user)
	case request.SignedOutWithinHour:
		return fmt.Sprintf("It can take up to an hour to sign out %s from all devices.", user)
	case request.NotAvailable:
		return "The cmdlet will be available in the future, but it isn't ready for use in your organization yet."
	case request.Failed, request.NoResult:
	}
	return fmt.Sprintf("Sorry, something went wrong and we couldn't sign out %s from any device.", user)
}

func notFoundSentence(user string) string {
	return fmt.Sprintf("Warning: We couldn't find the user %s. Check for typos and try again.", clip(clean(user), 120))
}

func resultSentence(r request.Request) string { return sentence(r.Outcome.Result, signInName(r)) }

func title(result request.Result) string {
	if result == request.SignedOut || result == request.SignedOutWithinHour {
		return "Sessions revoked: "
	}
	return "Sessions not revoked: "
}

// evidenceLines says what the result rests on, and what to do where it is not a
// success.
func evidenceLines(r request.Request) []string {
	o := r.Outcome
	var lines []string
	if remedy := remedy(o); remedy != "" {
		lines = append(lines, remedy)
	}
	if o.Unsure {
		lines = append(lines, "Something was sent whose effect is neither proven nor excluded: it may have taken effect, or still take it.")
	}
	switch {
	case o.ReadBack:
		lines = append(lines, fmt.Sprintf("Read back from Microsoft: sessions count only from %s (%s).", code(stamp(o.ValidFrom)), code("signInSessionsValidFromDateTime")))
	case o.Result == request.SignedOut:
		lines = append(lines, "SharePoint Online reports that every session was signed out at once.")
	case o.Result == request.SignedOutWithinHour && !o.ValidFrom.IsZero():
		lines = append(lines, fmt.Sprintf("Microsoft accepted the call. Read back, %s is %s; directory copies can lag by minutes.", code("signInSessionsValidFromDateTime"), code(stamp(o.ValidFrom))))
	case o.Result == request.SignedOutWithinHour:
		lines = append(lines, "Microsoft accepted the call. It could not be read back.")
	}
	lines = append(lines, partLines(o)...)
	if o.AnswerLost {
		lines = append(lines, "Microsoft's answer was lost; what was read back proves the effect.")
	}
	if o.Sends > max(1, len(o.Parts)) {
		lines = append(lines, fmt.Sprintf("Asked for %d times in all.", o.Sends))
	}
	if o.Result == request.SignedOutWithinHour {
		lines = append(lines, "Not ended by this: access tokens already issued, and sessions that apps keep themselves. Reset the password or block sign-in as well if the account is compromised.")
	}
	const mostIDs = 20
	ids := o.RequestIDs
	if len(ids) > mostIDs {
		ids = append(slices.Clone(ids[:1]), ids[len(ids)-mostIDs+1:]...) // all are in the record
	}
	if len(ids) == 0 && o.Fault.RequestID != "" {
		ids = []string{o.Fault.RequestID}
	}
	at := fmt.Sprintf("Time: %s.", code(stamp(o.At)))
	if len(ids) > 0 {
		quoted := make([]string, len(ids))
		for i, id := range ids {
			quoted[i] = code(id)
		}
		at += " Microsoft's request ids: " + strings.Join(quoted, ", ") + "."
	}
	return append(lines, at)
}

// partLines say what each of several revokers answered: one result, all evidence.
func partLines(o request.Outcome) []string {
	var lines []string
	for _, p := range o.Parts {
		says := "*failed*: " + strings.ReplaceAll(remedy(request.Outcome{Result: p.Result, Trouble: p.Trouble, Fault: p.Fault}), byHand, "")
		switch {
		case p.AnswerLost:
			says = "its answer was lost; what was read back proves an effect."
		case p.Result == request.SignedOut:
			says = "signed out at once."
		case p.Result == request.SignedOutWithinHour:
			says = "accepted; it can take up to an hour."
		}
		lines = append(lines, string(p.System)+": "+says)
	}
	return lines
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

const byHand = " If it is urgent, revoke the sessions in the Entra admin center (Users > the user > Revoke sessions)."

// remedy says why a revocation did not succeed and what most likely helps.
func remedy(o request.Outcome) string {
	stopped := "Stopped before it took effect: "
	if o.Unsure {
		stopped = "Not asked for again: "
	}
	switch o.Trouble {
	case request.NoTrouble:
		return ""
	case request.Forbidden:
		if o.Fault.System == request.SharePoint {
			return "SharePoint refuses this app" + detail(o.Fault) + ". Most likely the SharePoint application permission Sites.FullControl.All is missing or has no admin consent." + byHand
		}
		return "Microsoft refuses this app" + detail(o.Fault) + ". Most likely the application permission User.RevokeSessions.All is missing or has no admin consent." + byHand
	case request.CredentialRejected:
		if o.Fault.System == request.Graph || o.Fault.System == request.SharePoint {
			return "Microsoft did not accept the bot's token" + detail(o.Fault) + ". Send the command again; if it stays so, look at the app registration." + byHand
		}
		return "Microsoft did not let the bot sign in" + detail(o.Fault) + ". Most likely its client secret or certificate has expired: set a new one." + byHand
	case request.Throttled:
		if o.RetryAfter > 0 {
			return fmt.Sprintf("Microsoft is throttling the bot%s. Send the command again in %s.", detail(o.Fault), o.RetryAfter.Round(time.Second)) + byHand
		}
		return "Microsoft is throttling the bot" + detail(o.Fault) + ". Send the command again in a minute." + byHand
	case request.Unreachable:
		return "No usable answer came from Microsoft" + detail(o.Fault) + ", and no effect could be read back. It may still take effect. Send the command again." + byHand
	case request.Declined:
		return "Microsoft answered, but not with success" + detail(o.Fault) + "." + byHand
	case request.TargetGone:
		return "The account has been deleted since it was looked up" + detail(o.Fault) + "."
	case request.NameNotKnown:
		return "SharePoint does not know this sign-in name, although Entra has it. A new or renamed account can take a while to get there." + byHand
	case request.FeatureDisabled:
		return "SharePoint answers that the feature is disabled for this tenant. Microsoft has announced the cmdlet's retirement (MC903785): the operator of this bot can set REVOKER=graph." + byHand
	case request.SwitchedOff:
		return "The operator of this bot has switched the command off (DISABLED=true)." + byHand
	case request.AloneForbidden:
		return stopped + "the operator of this bot no longer allows to run without a second administrator. Send the command again without " + code("-Confirm:$false") + "."
	case request.RoleLost:
		return stopped + "who asked or who confirmed no longer is an active Global Administrator. Somebody who is can send the command again."
	case request.RoleUnknown:
		return stopped + "the roles could not be read again" + detail(o.Fault) + ". Send the command again."
	case request.TargetDiffers:
		return stopped + "the account, the tenant or the way of revoking has changed since it was confirmed. Send the command again and look at the new card."
	case request.TooOld:
		return stopped + "it was allowed to run more than 15 minutes ago, before an outage of the bot. Send the command again."
	}
	return "Unknown trouble."
}

// advice says what helps against a fault: often only the bot's operator can.
func advice(f request.Fault) string {
	refused := f.Status == http.StatusUnauthorized || f.Status == http.StatusForbidden
	switch {
	case f.System == request.Entra && f.Status >= 400 && f.Status < 500 && f.Status != http.StatusTooManyRequests:
		return "The bot can't sign in to Microsoft: its operator has to renew its credential." + byHand
	case f.System == request.Graph && refused:
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
		return "You are not an active Global Administrator right now, so nothing was done. If the role is eligible for you, activate it in Entra Privileged Identity Management and try again; otherwise ask a Global Administrator."
	case request.OwnRequest:
		return "You asked for this yourself, so you can't confirm it: a second Global Administrator has to press Confirm. You can still cancel it."
	case request.OwnAccount:
		return "This is about your own account, so you can neither confirm nor cancel it. Other Global Administrators decide."
	case request.RequesterNotAdmin:
		if a.Fault.System != "" {
			return fmt.Sprintf("Nothing was run: the role of %s, who asked, could not be read%s. Press Confirm again in a minute.", mention(r.Requester), detail(a.Fault))
		}
		return fmt.Sprintf("Nothing was run: %s, who asked, no longer is an active Global Administrator. They can activate the role and you press Confirm again, or you send the command yourself and somebody else confirms.", mention(r.Requester))
	case request.AlreadyConfirmed:
		return fmt.Sprintf("%s has already confirmed this; it is running. The result appears in the thread.", mention(r.Approver))
	case request.AlreadyDone:
		return "This is already done. " + authority(r) + " The result is in the thread."
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
		return "Microsoft could not be asked about the account" + detail(a.Fault) + ". Nothing was done. " + advice(a.Fault)
	case request.TargetUnresolved:
		return "That mention does not lead to one Entra account, so nothing was done. " + mentionText(r.Target) + " Or type the sign-in name: " + example
	case request.TargetChanged:
		return fmt.Sprintf("Nothing was run: the account behind %s has been deleted, or can't be signed out here any more, since the card was posted. Send the command again.", upn)
	case request.PlanChanged:
		return "Nothing was run: the plan has changed since the card that you saw. " + changeList(r.Changes, "; ") + ". Look at the card again; if it is right, press Confirm again. It is now plan " + code(r.Plan.Code()) + "."
	case request.PlanShown:
		calls, rest := planLists(r)
		text := esc(whatIfLine(r)) + "\n" + calls + "\n" + rest + "\nNothing was run, and no card was posted."
		if r.Command.Verbose {
			text += "\n" + strings.Join(verbose(r), "\n")
		}
		return text
	case request.CommandDisabled:
		return sentence(request.NotAvailable, "") + "\nThe operator of this bot has switched the command off (DISABLED=true), so nothing was run." + byHand
	case request.ConfirmRequired:
		return "This bot runs nothing without a second administrator: its operator has not set ALLOW_UNCONFIRMED=true, so " + code("-Confirm:$false") + " is refused. Nothing was done. Send this, and let a second administrator confirm: " + commandLine(r)
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
		return "The card could not be posted in this channel" + detail(a.Fault) + ". Nothing was done."
	case request.CommandTooOld:
		return fmt.Sprintf("Your command of %s could not be worked on in time, because the bot was down. Nothing was done. If it is still needed, send it again.", clock(r.Received))
	case request.ResultByMessage:
		return esc(resultSentence(r)) + "\nThe request's thread can't be written to any more, so here is the result.\n" + bullets(evidenceLines(r))
	}
	return "Nothing was done, for a reason this version can't word: " + code(string(a.Reason))
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

// mentionText says why a mentioned Slack user leads to no account, or not to one.
func mentionText(t request.Target) string {
	switch t.Standing {
	case request.EntraMissing:
		return "No Entra account has the e-mail address of their Slack profile."
	case request.EntraAmbiguous:
		return "More than one Entra account has the e-mail address of their Slack profile."
	case request.EmailMissing, request.EmailUnconfirmed:
		return "Their Slack profile has no confirmed e-mail address."
	case request.SlackOutsider:
		return "They are not a member of this Slack workspace."
	case request.SlackGuest, request.SlackBot, request.SlackDeactivated:
		return "They are not a full, active member of this Slack workspace."
	case request.Member, request.EntraDisabled, request.EntraGuest, request.Unverified:
	}
	return "I could not tell whose account it is."
}

// standingText says why somebody could not be identified.
func standingText(a request.Reply) string {
	switch a.Standing {
	case request.SlackGuest:
		return "Guests of this Slack workspace can't use this bot. Ask a Global Administrator."
	case request.SlackBot:
		return "Only people can use this bot."
	case request.SlackDeactivated:
		return "Your Slack account is deactivated."
	case request.SlackOutsider:
		return "You are not a member of this Slack workspace, so you can't use this bot. Ask somebody of the organization that owns this channel."
	case request.EmailMissing:
		return "Your Slack profile has no e-mail address, so I can't tell who you are in Entra. Ask your Slack administrator to set it, or ask another Global Administrator."
	case request.EmailUnconfirmed:
		return "The e-mail address of your Slack profile is not confirmed, so I can't tell who you are in Entra. Confirm it in Slack, or ask another Global Administrator."
	case request.EntraMissing:
		return "No Entra account has your Slack e-mail address as sign-in name or mail, so you don't count as an administrator. Ask a Global Administrator whose addresses match."
	case request.EntraAmbiguous:
		return "More than one Entra account has your Slack e-mail address, so I can't tell who you are and you don't count as an administrator. Ask another Global Administrator."
	case request.EntraDisabled:
		return "Your Entra account is blocked from signing in, so you don't count as an administrator."
	case request.EntraGuest:
		return "Your Entra account is a guest here, so you don't count as an administrator."
	case request.Unverified:
		return "I could not check who you are" + detail(a.Fault) + ". " + advice(a.Fault)
	case request.Member:
	}
	return "I could not tell who you are."
}
