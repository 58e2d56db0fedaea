// Package signin proves which Entra account a person holds, by having them sign in to
// it: OpenID Connect's authorization code flow with PKCE, and the pages around it. On
// them a Slack user links their account once, and signs in afresh to confirm.
//
// It knows who signed in, and when. Whether that is enough for anything is judged in
// request, after what was typed or pressed in Slack is carried on from here. It must
// not know Slack, the store, or Microsoft Graph.
package signin

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Desk is where the pages ask and deliver. request.Service is one.
type Desk interface {
	// Once returns request.ErrUsed for a key that was used before.
	Once(ctx context.Context, key string) error
	Account(ctx context.Context, objectID string) request.Target
	LinkedTo(ctx context.Context, u request.SlackUser) (objectID string, err error)
	// Behind is the request that a ticket is about.
	Behind(ctx context.Context, t request.Ticket) (request.Request, error)
	LinkTo(ctx context.Context, t request.Ticket, objectID, use string) (request.Reason, error)
	ConfirmWith(ctx context.Context, t request.Ticket, proof request.Proof, use string) error
}

// Options is what the pages need.
type Options struct {
	Authority string // login host
	Tenant    string // id or domain
	ClientID  string
	// Context is the authentication context that a fresh sign-in has to satisfy, such
	// as c1; "" for none.
	Context   string
	Transport http.RoundTripper
	// Redeem exchanges a code for an ID token, unverified.
	Redeem func(ctx context.Context, code, redirectURI, verifier string) (string, error)
	// Name describes a Slack user to the person who reads the page.
	Name func(ctx context.Context, who request.Origin) (string, error)
	Log  *slog.Logger
}

// Handler serves GET /link/start, GET /link/callback and POST /link/confirm. Safe for
// concurrent use.
type Handler struct {
	Options
	tickets *Tickets
	desk    Desk
	issuer  *issuer
	pages   http.Handler
	now     func() time.Time
}

const (
	// signInWithin is how long a sign-in may take.
	signInWithin = request.TicketFor
	// answerWithin bounds what a page asks and delivers. It goes on when the browser goes
	// away: what somebody has agreed to is not lost with their tab.
	answerWithin = 12 * time.Second
)

// New returns the pages on which tickets are used, and which deliver to desk. It does
// no I/O.
func New(o Options, tickets *Tickets, desk Desk) *Handler {
	h := &Handler{Options: o, tickets: tickets, desk: desk, issuer: newIssuer(o), now: time.Now}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /link/start", h.start)
	mux.HandleFunc("GET /link/callback", h.callback)
	mux.HandleFunc("POST /link/confirm", h.confirm)
	ours := http.NewCrossOriginProtection()
	if err := ours.AddTrustedOrigin(tickets.public); err != nil { // else the Host header is all that there is to compare with
		o.Log.Error("browsers that do not say where a form comes from can't use the sign-in pages", "error", err)
	}
	h.pages = ours.Handler(mux)
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	// Addresses hold tickets and codes. With no-referrer a form's Origin would be null.
	header.Set("Referrer-Policy", "same-origin")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src '"+styleHash+"'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	h.pages.ServeHTTP(w, r)
}

// attempt is one sign-in under way. Its browser keeps it, sealed, in a cookie.
type attempt struct {
	Ticket   request.Ticket `json:"ticket"`
	State    string         `json:"state"`
	Nonce    string         `json:"nonce"`
	Verifier string         `json:"verifier"`
	Expires  time.Time      `json:"expires"`
}

// start sends the holder of a ticket to Microsoft's sign-in. It changes nothing: links
// are fetched by more than people.
func (h *Handler) start(w http.ResponseWriter, r *http.Request) {
	var t request.Ticket
	if !h.tickets.open("ticket", r.URL.Query().Get("ticket"), &t) || h.now().After(t.Expires) {
		h.fail(w, http.StatusBadRequest, "This button has expired", "It works for ten minutes. Send the command or press the button in Slack again, and use the new one.")
		return
	}
	provider, err := h.issuer.discover(r.Context())
	if err != nil {
		h.Log.Error("asking Entra how to sign people in", "error", err)
		h.fail(w, http.StatusServiceUnavailable, "Microsoft does not answer", "Nothing was done. Load this page again in a moment.")
		return
	}
	a := attempt{Ticket: t, State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier(), Expires: h.now().Add(signInWithin)}
	h.setCookie(w, cookieAttempt, h.tickets.seal(cookieAttempt, a))
	config := oauth2.Config{ClientID: h.ClientID, Endpoint: provider.endpoint, RedirectURL: h.tickets.redirectURI(), Scopes: []string{"openid", "profile"}}
	opts := []oauth2.AuthCodeOption{
		oauth2.S256ChallengeOption(a.Verifier), oauth2.SetAuthURLParam("nonce", a.Nonce), oauth2.SetAuthURLParam("response_mode", "query"),
	}
	http.Redirect(w, r, config.AuthCodeURL(a.State, append(opts, h.prompt(t)...)...), http.StatusFound)
}

// prompt asks for an account to be chosen, or for a fresh sign-in. What comes back is
// what counts: whoever holds the browser can take these out of the address.
func (h *Handler) prompt(t request.Ticket) []oauth2.AuthCodeOption {
	if t.For == request.ToLink {
		return []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("prompt", "select_account")}
	}
	opts := []oauth2.AuthCodeOption{oauth2.SetAuthURLParam("prompt", "login"), oauth2.SetAuthURLParam("max_age", "0")}
	if h.Context != "" { // learn.microsoft.com/entra/identity-platform/developer-guide-conditional-access-authentication-context
		opts = append(opts, oauth2.SetAuthURLParam("claims", `{"id_token":{"acrs":{"essential":true,"value":"`+h.Context+`"}}}`))
	}
	return opts
}

// Cookies. Each holds one thing, sealed under its own name.
const (
	cookieAttempt = "sign-in"
	cookieAgree   = "agree"
)

// setCookie sets a cookie for this host alone, or, with an empty value, removes it. Lax,
// because Microsoft's page leads back here.
func (h *Handler) setCookie(w http.ResponseWriter, name, value string) {
	c := &http.Cookie{ //nolint:gosec // G124: Secure wherever the pages are reached over https
		Name: h.cookieName(name), Value: value, Path: "/", HttpOnly: true, Secure: h.tickets.secure(), SameSite: http.SameSiteLaxMode,
		MaxAge: int(signInWithin / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func (h *Handler) cookieName(name string) string {
	if h.tickets.secure() {
		return "__Host-" + name
	}
	return name
}

func (h *Handler) cookie(r *http.Request, name string) string {
	c, err := r.Cookie(h.cookieName(name))
	if err != nil {
		return ""
	}
	return c.Value
}

// callback takes the answer of Microsoft's sign-in page.
func (h *Handler) callback(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), answerWithin)
	defer cancel()
	query := r.URL.Query()
	var a attempt
	if !h.tickets.open(cookieAttempt, h.cookie(r, cookieAttempt), &a) || h.now().After(a.Expires) ||
		subtle.ConstantTimeCompare([]byte(a.State), []byte(query.Get("state"))) != 1 {
		h.fail(w, http.StatusBadRequest, "This sign-in was not begun here", "It has to be begun and ended in the same browser, within ten minutes, and only the newest counts. Go back to Slack and use the button there.")
		return
	}
	h.setCookie(w, cookieAttempt, "")
	if refused := query.Get("error"); refused != "" {
		h.Log.Info("a sign-in was not completed", "slack_user", a.Ticket.By.User, "code", refused)
		h.fail(w, http.StatusOK, "You did not sign in", "Nothing was done. Microsoft says: "+refused+". To try again, go back to Slack and use the button there.")
		return
	}
	if !h.once(ctx, w, "state/"+a.State) {
		return
	}
	provider, err := h.issuer.discover(ctx)
	var raw string
	if err == nil {
		raw, err = h.Redeem(ctx, query.Get("code"), h.tickets.redirectURI(), a.Verifier)
	}
	if err != nil {
		h.Log.Warn("could not complete a sign-in", "slack_user", a.Ticket.By.User, "error", err)
		h.fail(w, http.StatusBadGateway, "Microsoft did not complete this sign-in", "Nothing was done. Go back to Slack and use the button again in a minute; if it stays so, the operator of this bot finds the reason in its log.")
		return
	}
	p, err := provider.verify(ctx, raw, a.Nonce)
	if err != nil {
		h.Log.Warn("refused a sign-in", "slack_user", a.Ticket.By.User, "error", err)
		h.fail(w, http.StatusForbidden, "Microsoft's answer could not be verified", "Nothing was done. Go back to Slack and use the button again; if it stays so, the operator of this bot finds the reason in its log.")
		return
	}
	if a.Ticket.For == request.ToLink {
		h.previewLink(ctx, w, a.Ticket, p)
		return
	}
	h.previewConfirm(ctx, w, a.Ticket, p)
}

// once makes sure that something is used for the first time.
func (h *Handler) once(ctx context.Context, w http.ResponseWriter, key string) bool {
	err := h.desk.Once(ctx, key)
	switch {
	case err == nil:
		return true
	case errors.Is(err, request.ErrUsed):
		h.fail(w, http.StatusBadRequest, "This was used already", "Each sign-in counts once. Go back to Slack; if nothing came of it there, use the button again.")
	default:
		h.Log.Error("recording a sign-in", "error", err)
		h.fail(w, http.StatusServiceUnavailable, "The bot's store does not answer", "Nothing was done. Go back to Slack and use the button again in a minute.")
	}
	return false
}

// grant is what a person may agree to on the page that they were shown.
type grant struct {
	Ticket   request.Ticket `json:"ticket"`
	ObjectID string         `json:"object_id"`
	Proof    request.Proof  `json:"proof,omitzero"`
	Browser  string         `json:"browser"` // hash of the cookie that the page set
	Nonce    string         `json:"nonce"`
	Expires  time.Time      `json:"expires"`
}

// offer binds a grant to this browser and returns it for the page's form.
func (h *Handler) offer(w http.ResponseWriter, g grant) string {
	secret := rand.Text()
	h.setCookie(w, cookieAgree, secret)
	g.Browser, g.Nonce, g.Expires = hashed(secret), strings.ToLower(rand.Text()), h.now().Add(signInWithin)
	return h.tickets.seal("grant", g)
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
