package signin

import (
	"cmp"
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// previewLink names both identities, and what follows from linking them, and asks.
func (h *Handler) previewLink(ctx context.Context, w http.ResponseWriter, t request.Ticket, p person) {
	var name string
	var a request.Target
	var req request.Request
	var nameErr, reqErr error
	request.SideBySide(
		func() { name, nameErr = h.Name(ctx, t.By) },
		func() { a = h.desk.Account(ctx, p.ObjectID) },
		func() { req, reqErr = h.desk.Behind(ctx, t) },
	)
	if err := errors.Join(nameErr, reqErr); err != nil {
		h.Log.Error("asking what a link is about", "slack_user", t.By.User, "error", err)
		h.fail(w, http.StatusServiceUnavailable, "Slack or the bot's store does not answer", "Nothing was linked. Go back to Slack and use the button again in a minute.")
		return
	}
	if why := unfit(a); why != "" {
		h.fail(w, http.StatusForbidden, "This account can't be linked", why)
		return
	}
	next, agree := follows(req, t)
	h.page(w, http.StatusOK, page{
		Title: "Link these two accounts?",
		Facts: append([]fact{
			{"Slack", name},
			{"Microsoft", a.Name + " · " + a.UPN},
			{"Object id", a.ObjectID},
			{"Tenant", p.Tenant},
		}, next...),
		Text:  []string{"From then on, what this Slack account asks for and confirms counts as yours. Agree only if both are you, and if you pressed the button in Slack yourself just now: nobody else should have sent you here."},
		Grant: h.offer(w, grant{Ticket: t, ObjectID: p.ObjectID}),
		Agree: agree,
	})
}

// follows says what is carried on once the accounts are linked: whoever agrees, agrees to
// that as well.
func follows(r request.Request, t request.Ticket) (facts []fact, agree string) {
	var what string
	switch {
	case t.Press == nil && r.Command.Kind == request.Link:
		return nil, "Link them"
	case t.Press == nil && r.Command.Kind != request.Revoke:
		what = "the command " + string(r.Command.Kind)
	case t.Press == nil && r.Command.Unconfirmed:
		return []fact{
			{"And then", "signing out " + cmp.Or(r.Command.User, "the Slack user "+r.Command.Mention) + " at once, without a second person (-Confirm:$false)"},
			{"Reason", r.Command.Reason},
		}, "Link them and run it"
	case t.Press == nil:
		return []fact{{"And then", "the command to sign out " + cmp.Or(r.Command.User, "the Slack user "+r.Command.Mention)}}, "Link them and send it"
	default:
		what = "pressing " + map[request.Verb]string{request.Confirm: "Confirm", request.Cancel: "Cancel", request.WhatIf: "What-If"}[t.Press.Verb]
	}
	facts = []fact{{"And then", what}}
	if t.Press == nil {
		return facts, "Link them and send it"
	}
	facts = append(facts, fact{"On signing out", r.Target.Name + " · " + r.Target.UPN}, fact{"Asked by", r.Requester.UPN}, fact{"Plan", r.Plan.Code()})
	if t.Press.Verb == request.Confirm {
		return facts, "Link them and confirm"
	}
	return facts, "Link them and go on"
}

func unfit(a request.Target) string {
	switch {
	case a.Account == request.AccountUnknown:
		return "Microsoft could not be asked about it. Nothing was linked. Go back to Slack and use the button again in a minute."
	case a.Account != request.AccountMember:
		return "It is a guest here, or signs in at another organization. Nothing was linked."
	case !a.Enabled:
		return "It is blocked from signing in. Nothing was linked."
	}
	return ""
}

// previewConfirm says once more what is about to be confirmed, and asks.
func (h *Handler) previewConfirm(ctx context.Context, w http.ResponseWriter, t request.Ticket, p person) {
	if p.AuthTime == 0 {
		h.Log.Error("Entra does not say when a person signed in: add the optional claim auth_time to the app registration's ID tokens")
		h.fail(w, http.StatusForbidden, "Microsoft does not say when you signed in", "Nothing was confirmed. The operator of this bot has to add the optional claim auth_time to the ID tokens of its app registration.")
		return
	}
	signedIn := time.Unix(p.AuthTime, 0)
	if !p.satisfies(h.Context) {
		h.Log.Warn("a sign-in did not satisfy the authentication context of STEP_UP_CONTEXT", "slack_user", t.By.User, "context", h.Context)
		h.fail(w, http.StatusForbidden, "This sign-in is not strong enough", "Nothing was confirmed. The operator of this bot demands the authentication context "+h.Context+" (STEP_UP_CONTEXT): sign in as it asks, or ask the operator whether a Conditional Access policy is set up for it.")
		return
	}
	if h.now().Sub(signedIn) > request.ProofFor {
		h.fail(w, http.StatusForbidden, "This was not a fresh sign-in", "Nothing was confirmed. Go back to Slack, press Confirm again, and enter your credentials when Microsoft asks for them.")
		return
	}
	req, err := h.desk.Behind(ctx, t)
	linked, linkErr := h.desk.LinkedTo(ctx, t.By.SlackUser)
	if errors.Is(err, request.ErrNotFound) {
		h.fail(w, http.StatusNotFound, "This request is not kept any more", "Nothing was confirmed. Go back to Slack and send the command again.")
		return
	}
	if err = errors.Join(err, linkErr); err != nil {
		h.Log.Error("reading the request of a sign-in", "request", t.Request, "error", err)
		h.fail(w, http.StatusServiceUnavailable, "The bot's store does not answer", "Nothing was confirmed. Go back to Slack and press Confirm again in a minute.")
		return
	}
	if linked != p.ObjectID { // who signs in has no business with the rest of this page
		h.fail(w, http.StatusForbidden, "This is another account than yours", "Nothing was confirmed. Your Slack account is linked to another Microsoft account than the one that has just signed in. Use the button in Slack again, and sign in with that one.")
		return
	}
	if t.Press == nil || t.Press.Plan != "" && t.Press.Plan != req.Plan.Code() {
		h.fail(w, http.StatusConflict, "The plan has changed", "Nothing was confirmed. Go back to Slack and look at the card again.")
		return
	}
	h.page(w, http.StatusOK, page{
		Title: "Sign " + req.Target.UPN + " out everywhere?",
		Facts: []fact{
			{"Account", req.Target.Name + " · " + req.Target.UPN},
			{"Object id", req.Target.ObjectID},
			{"Asked by", req.Requester.UPN},
			{"Plan", req.Plan.Code()},
			{"Request", string(req.ID)},
		},
		Text: []string{"You confirm this as another Global Administrator, under your name. It ends the account's sessions in browser, desktop and mobile apps on all devices."},
		Grant: h.offer(w, grant{Ticket: t, ObjectID: p.ObjectID, Proof: request.Proof{
			Request: req.ID, Plan: req.Plan.Code(), ObjectID: p.ObjectID, At: signedIn.UTC(),
		}}),
		Agree: "Confirm",
	})
}

// confirm takes a person's agreement to what they were shown.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), answerWithin)
	defer cancel()
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	var g grant
	if !h.tickets.open("grant", r.PostFormValue("grant"), &g) || h.now().After(g.Expires) ||
		subtle.ConstantTimeCompare([]byte(g.Browser), []byte(hashed(h.cookie(r, cookieAgree)))) != 1 {
		h.fail(w, http.StatusForbidden, "This page has expired", "Nothing was done. It works for ten minutes and in the browser that showed it. Go back to Slack and use the button again.")
		return
	}
	if !h.once(ctx, w, "grant/"+g.Nonce) {
		return
	}
	h.setCookie(w, cookieAgree, "")
	if g.Ticket.For == request.ToConfirm {
		if err := h.desk.ConfirmWith(ctx, g.Ticket, g.Proof, g.Nonce); err != nil {
			h.undone(w, err)
			return
		}
		h.page(w, http.StatusOK, page{Title: "Sent", Text: []string{"Go back to Slack: it tells you there whether your Confirm counted. You can close this page."}})
		return
	}
	why, err := h.desk.LinkTo(ctx, g.Ticket, g.ObjectID, g.Nonce)
	switch {
	case err != nil:
		h.undone(w, err)
	case why == request.TargetUnknown || why == request.NotVerified:
		h.fail(w, http.StatusServiceUnavailable, "Slack or Microsoft could not vouch for you", "Nothing was linked. Go back to Slack and use the button again in a minute. If it stays so, your Slack account is not an active, full member of its workspace.")
	case why == request.LinkedToAnother:
		h.fail(w, http.StatusConflict, "Your Slack account is linked to another Microsoft account", "Nothing was changed. If that one is yours, type /revoke-session unlink in Slack first. If it is not, tell your security team.")
	case why != "":
		h.fail(w, http.StatusForbidden, "These accounts can't be linked", "Nothing was linked: the Microsoft account is not an active, full member of its organization.")
	default:
		h.page(w, http.StatusOK, page{Title: "Linked", Text: []string{"From now on this bot knows you in Slack. What you had begun there besides is carried on there. You can close this page."}})
	}
}

func (h *Handler) undone(w http.ResponseWriter, err error) {
	h.Log.Error("carrying out what a person agreed to", "error", err)
	if errors.Is(err, request.ErrTooMany) {
		h.fail(w, http.StatusServiceUnavailable, "Too many presses are waiting on this card", "Nothing was recorded. Go back to Slack and press the button there again in a minute.")
		return
	}
	h.fail(w, http.StatusServiceUnavailable, "The bot's store does not answer", "This may not have been recorded. Check Slack first; if nothing comes of it there, use the button again.")
}
