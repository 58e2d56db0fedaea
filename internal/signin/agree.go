package signin

import (
	"crypto/subtle"
	"net/http"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// previewLink names both identities and asks.
func (h *Handler) previewLink(w http.ResponseWriter, r *http.Request, t request.Ticket, p person) {
	name, err := h.Name(r.Context(), t.By)
	if err != nil {
		h.Log.Error("asking Slack who somebody is", "slack_user", t.By.User, "error", err)
		h.fail(w, http.StatusServiceUnavailable, "Slack does not answer", "Nothing was linked. Go back to Slack and use the button again in a minute.")
		return
	}
	a := h.desk.Account(r.Context(), p.ObjectID)
	if why := unfit(a); why != "" {
		h.fail(w, http.StatusForbidden, "This account can't be linked", why)
		return
	}
	h.page(w, http.StatusOK, page{
		Title: "Link these two accounts?",
		Facts: []fact{
			{"Slack", name},
			{"Microsoft", a.Name + " · " + a.UPN},
			{"Object id", a.ObjectID},
			{"Tenant", p.Tenant},
		},
		Text:  []string{"From then on, what this Slack account asks for and confirms counts as yours. Agree only if both are you, and if you pressed the button in Slack yourself just now: nobody else should have sent you here."},
		Grant: h.offer(w, grant{Ticket: t, ObjectID: p.ObjectID}),
		Agree: "Link them",
	})
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
func (h *Handler) previewConfirm(w http.ResponseWriter, r *http.Request, t request.Ticket, p person) {
	if p.AuthTime == 0 {
		h.Log.Error("Entra does not say when a person signed in: add the optional claim auth_time to the app registration's ID tokens")
		h.fail(w, http.StatusForbidden, "Microsoft does not say when you signed in", "Nothing was confirmed. The operator of this bot has to add the optional claim auth_time to the ID tokens of its app registration.")
		return
	}
	signedIn := time.Unix(p.AuthTime, 0)
	if h.now().Sub(signedIn) > request.ProofFor || !p.satisfies(h.Context) {
		h.fail(w, http.StatusForbidden, "This was not a fresh sign-in", "Nothing was confirmed. Go back to Slack, press Confirm again, and enter your credentials when Microsoft asks for them.")
		return
	}
	req, err := h.desk.Confirming(r.Context(), t)
	if err != nil {
		h.Log.Error("reading the request of a sign-in", "request", t.Request, "error", err)
		h.fail(w, http.StatusServiceUnavailable, "The bot's store does not answer", "Nothing was confirmed. Go back to Slack and press Confirm again in a minute.")
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
		Text: []string{"You confirm this as a second Global Administrator, under your name. It ends the account's sessions in browser, desktop and mobile apps on all devices."},
		Grant: h.offer(w, grant{Ticket: t, ObjectID: p.ObjectID, Proof: request.Proof{
			Request: req.ID, Plan: req.Plan.Code(), ObjectID: p.ObjectID, At: signedIn.UTC(),
		}}),
		Agree: "Confirm",
	})
}

// confirm takes a person's agreement to what they were shown.
func (h *Handler) confirm(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	var g grant
	if !h.tickets.open("grant", r.PostFormValue("grant"), &g) || h.now().After(g.Expires) ||
		subtle.ConstantTimeCompare([]byte(g.Browser), []byte(hashed(h.cookie(r, cookieAgree)))) != 1 {
		h.fail(w, http.StatusForbidden, "This page has expired", "Nothing was done. It works for ten minutes and in the browser that showed it. Go back to Slack and use the button again.")
		return
	}
	if !h.once(r.Context(), w, "grant/"+g.Nonce) {
		return
	}
	h.setCookie(w, cookieAgree, "")
	if g.Ticket.For == request.ToConfirm {
		if err := h.desk.ConfirmWith(r.Context(), g.Ticket, g.Proof); err != nil {
			h.undone(w, err)
			return
		}
		h.page(w, http.StatusOK, page{Title: "Confirmed", Text: []string{"Go back to Slack: the card and its thread say what becomes of it. You can close this page."}})
		return
	}
	why, err := h.desk.LinkTo(r.Context(), g.Ticket, g.ObjectID)
	switch {
	case err != nil:
		h.undone(w, err)
	case why == request.LinkedToAnother:
		h.fail(w, http.StatusConflict, "Your Slack account is linked to another Microsoft account", "Nothing was changed. If that one is yours, type /revoke-session unlink in Slack first. If it is not, tell your security team.")
	case why != "":
		h.fail(w, http.StatusForbidden, "These accounts can't be linked", "Nothing was linked: your Slack account or the Microsoft account is not an active, full member ("+string(why)+").")
	default:
		h.page(w, http.StatusOK, page{Title: "Linked", Text: []string{"Go back to Slack: what you typed or pressed there is being carried on. You can close this page."}})
	}
}

func (h *Handler) undone(w http.ResponseWriter, err error) {
	h.Log.Error("carrying out what a person agreed to", "error", err)
	h.fail(w, http.StatusServiceUnavailable, "The bot's store does not answer", "This may not have been recorded. Look into Slack for a moment; if nothing comes of it, use the button there again.")
}
