package slackapp

import (
	"fmt"

	"github.com/revoke-session/revoke-session/internal/request"
)

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
	case request.Member, request.EntraDisabled, request.EntraGuest, request.Unverified, request.NotLinked:
	}
	return "I could not tell whose account it is."
}

// standingText says why somebody could not be identified.
func standingText(a request.Reply) string {
	switch a.Standing {
	case request.SlackGuest:
		return "Guests of this Slack workspace can't use this bot. Ask a Global Administrator."
	case request.SlackBot:
		return "Only people can use this bot. Ask a Global Administrator to send the command."
	case request.SlackDeactivated:
		return "Your Slack account is deactivated. Ask a Global Administrator."
	case request.SlackOutsider:
		return "You are not a member of this Slack workspace, so you can't use this bot. Ask somebody of the organization that owns this channel."
	case request.EmailMissing:
		return "Your Slack profile has no e-mail address, so I can't tell who you are in Entra. Ask your Slack administrator to set it, or ask another Global Administrator."
	case request.EmailUnconfirmed:
		return "The e-mail address of your Slack profile is not confirmed, so I can't tell who you are in Entra. Confirm it in Slack, or ask another Global Administrator."
	case request.EntraMissing:
		return "No Entra account has your Slack e-mail address as sign-in name or mail, or the one you are linked to is gone, so you don't count as an administrator. If you are linked, send `" + CommandName + " unlink` and link anew; else ask a Global Administrator whose addresses match."
	case request.EntraAmbiguous:
		return "More than one Entra account has your Slack e-mail address, so I can't tell who you are and you don't count as an administrator. Ask another Global Administrator."
	case request.EntraDisabled:
		return "Your Entra account is blocked from signing in, so you don't count as an administrator. Ask another Global Administrator."
	case request.EntraGuest:
		return "Your Entra account is a guest here, so you don't count as an administrator. Ask a Global Administrator of this tenant."
	case request.NotLinked:
		return "I don't know yet which Microsoft account is yours. Link it once by signing in; then what you just did is carried on. The button works for ten minutes."
	case request.Unverified:
		return "I could not check who you are" + detail(a.Fault) + ". " + advice(a.Fault)
	case request.Member:
	}
	return "I could not tell who you are."
}

// requesterText says what keeps who asked from counting, and what helps.
func requesterText(r request.Request, a request.Reply) string {
	who := mention(r.Requester)
	const again = " You can press Cancel on this card and send the command yourself; then somebody else confirms."
	switch {
	case a.Fault.System != "" || a.Requester == request.Unverified || a.Requester == "":
		return fmt.Sprintf("Nothing was run: the role of %s, who asked, could not be read%s. Press Confirm again in a minute.", who, detail(a.Fault))
	case a.Requester != request.Member:
		return fmt.Sprintf("Nothing was run: %s, who asked, no longer counts, because %s.", who, whyNot(a.Requester)) + again
	}
	return fmt.Sprintf("Nothing was run: %s, who asked, is no longer an active Global Administrator. They can activate the role and you press Confirm again.", who) + again
}

// whyNot says of somebody else why they could not be identified.
func whyNot(s request.Standing) string {
	switch s {
	case request.SlackGuest, request.SlackBot, request.SlackOutsider:
		return "they are not a full member of this Slack workspace"
	case request.SlackDeactivated:
		return "their Slack account is deactivated"
	case request.EmailMissing, request.EmailUnconfirmed:
		return "their Slack profile has no confirmed e-mail address"
	case request.EntraMissing, request.EntraAmbiguous:
		return "their Slack profile does not lead to one Entra account"
	case request.EntraDisabled:
		return "their Entra account is blocked from signing in"
	case request.EntraGuest:
		return "their Entra account is a guest here"
	case request.NotLinked:
		return "their Slack account is not linked to their Microsoft account any more"
	case request.Member, request.Unverified:
	}
	return "I could not tell who they are"
}
