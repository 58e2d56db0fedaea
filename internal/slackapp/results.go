package slackapp

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
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

func title(o request.Outcome) string {
	switch {
	case succeeded(o):
		return "Sessions revoked: "
	case o.Unsure:
		return "Not known whether sessions are revoked: "
	}
	return "Sessions not revoked: "
}

func succeeded(o request.Outcome) bool {
	return o.Result == request.SignedOut || o.Result == request.SignedOutWithinHour
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
		lines = append(lines, "Something was sent whose effect is neither proven nor excluded: it may have taken effect, or may still do so.")
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
		says := "*failed*: " + strings.ReplaceAll(remedy(request.Outcome{Result: p.Result, Trouble: p.Trouble, Fault: p.Fault, Unsure: p.Unsure}), byHand, "")
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
		if o.Unsure {
			return "No usable answer came from Microsoft" + detail(o.Fault) + ", and no effect could be read back. Send the command again." + byHand
		}
		return "Microsoft gave no usable answer" + detail(o.Fault) + ", so nothing was sent. Send the command again." + byHand
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
	case request.FrozenBefore:
		return stopped + "everything was frozen. Only the operator of this bot can thaw it; then send the command again." + byHand
	case request.MoreNeeded:
		return stopped + "as things are now, more people have to confirm this than have. Send the command again."
	case request.ProtectedNow:
		return stopped + "the operator of this bot protects this account now (PROTECTED_USERS)."
	case request.AloneForbidden:
		return stopped + "the operator of this bot no longer allows running this without a second administrator. Send the command again without " + code("-Confirm:$false") + "."
	case request.RoleLost:
		return stopped + "who asked or who confirmed no longer counts as an active Global Administrator: their role, their link or their Slack account has changed. Somebody who does can send the command again."
	case request.RoleUnknown:
		return stopped + "the roles could not be read again" + detail(o.Fault) + ". Send the command again."
	case request.TargetDiffers:
		return stopped + "the account, the tenant or the way of revoking has changed since it was confirmed. Send the command again and look at the new card."
	case request.TooOld:
		return stopped + "it was allowed to run more than 15 minutes ago, before an outage of the bot. Send the command again."
	}
	return "Unknown trouble."
}
