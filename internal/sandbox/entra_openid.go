package sandbox

import (
	"net/http"
	"slices"
	"time"
)

const (
	codeLife    = 10 * time.Minute // "typically, they expire after about 10 minutes"
	idTokenLife = time.Hour
	// Entra dates its tokens back: those in its documentation live for 3900
	// seconds. That the five minutes lie before the issue is inferred.
	idTokenBackdate = 5 * time.Minute
	sessionCookie   = "ESTSAUTH"
)

// openID is what Entra remembers of the people who sign in. Sandbox.mu guards
// it.
type openID struct {
	redirects     []string // registered with the app
	authTimeClaim bool     // the app's manifest asks for auth_time
	codes         map[string]*authorizationCode
	sessions      map[string]*browserSession // by the value of the cookie
	keys          []signingKey               // newest first; none until somebody needs one
	forgery       string
	signIns       []SignIn
}

func newOpenID(authTimeClaim bool) openID {
	return openID{
		authTimeClaim: authTimeClaim, codes: map[string]*authorizationCode{}, sessions: map[string]*browserSession{},
	}
}

// authorizationCode is what somebody's sign-in entitles the app to.
type authorizationCode struct {
	request  authorizeRequest
	account  *entraAccount
	authTime time.Time
	issued   time.Time
	redeemed bool
}

// browserSession is a browser in which somebody has signed in.
type browserSession struct {
	account  *entraAccount
	authTime time.Time
	acrs     []string
	state    string
	resets   int // of the account's sessions, before this one
}

// SignIn is one sign-in that ended in a code for the app.
type SignIn struct {
	UPN, Tenant       string
	RedirectURI       string
	Prompt, LoginHint string
	PKCE              bool // the app sent a code_challenge
	State, Nonce      bool // the app sent one
	AuthTime          time.Time
}

// RegisterRedirect registers uri with the app. Until then Entra sends nobody
// anywhere: a redirect URI has to be exactly one of those registered.
func (s *Sandbox) RegisterRedirect(uri string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.openID.redirects, uri) {
		s.openID.redirects = append(s.openID.redirects, uri)
	}
	s.touch()
}

// session finds the sign-in of r's browser. It ends when the account is blocked
// or its sessions are revoked. The caller holds mu.
func (s *Sandbox) session(r *http.Request) *browserSession {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	session := s.openID.sessions[cookie.Value]
	if session == nil || !session.account.enabled || session.resets != session.account.resets {
		return nil
	}
	return session
}

// begin starts a session for a and sets its cookie. The caller holds mu.
func (s *Sandbox) begin(w http.ResponseWriter, a *entraAccount, acrs []string) *browserSession {
	session := &browserSession{account: a, authTime: s.now().Truncate(time.Second), acrs: acrs, state: newGUID(), resets: a.resets}
	value := randomHex(32)
	s.openID.sessions[value] = session
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
	return session
}

// grant issues a code for what the app asked for. The caller holds mu.
func (s *Sandbox) grant(q authorizeRequest, session *browserSession) string {
	code := "1.A" + randomHex(48)
	s.openID.codes[code] = &authorizationCode{request: q, account: session.account, authTime: session.authTime, issued: s.now()}
	s.openID.signIns = append(s.openID.signIns, SignIn{
		UPN: session.account.upn, Tenant: session.account.tenant(), RedirectURI: q.redirect, Prompt: q.prompt, LoginHint: q.loginHint,
		PKCE: q.challenge != "", State: q.state != "", Nonce: q.nonce != "", AuthTime: session.authTime,
	})
	s.touch()
	return code
}
