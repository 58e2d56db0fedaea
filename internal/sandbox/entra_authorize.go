package sandbox

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"slices"
)

// authorize answers the authorization endpoint: the page on which people sign
// in, and what follows from it.
func (s *Sandbox) authorize(w *callWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		query, err := url.ParseQuery(r.URL.RawQuery)
		s.mu.Lock()
		defer s.mu.Unlock()
		if q, ok := s.acceptAuthorize(w, r, query, err); ok {
			s.askOrGrant(w, r, q, r.URL.RawQuery)
		}
	case http.MethodPost:
		s.answerSignIn(w, r)
	default:
		w.WriteHeader(http.StatusMethodNotAllowed)
	}
}

// acceptAuthorize checks a request, or answers it. The caller holds mu.
func (s *Sandbox) acceptAuthorize(w *callWriter, r *http.Request, query url.Values, err error) (authorizeRequest, bool) {
	refusal := badAuthorize("invalid_request", 90013, "Invalid input received from the user.")
	if err == nil {
		refusal = s.checkReturn(query)
	}
	if refusal != nil {
		s.errorPage(w, r, refusal)
		return authorizeRequest{}, false
	}
	q, refusal := readAuthorize(query)
	if refusal != nil {
		q.refuse(w, r, refusal)
		return q, false
	}
	return q, true
}

// askOrGrant shows the page, unless the app asked that nobody is asked. Entra
// signs the only session in silently if the app leaves prompt away; the stand-in
// asks then, so that people see whom they are about to be. The caller holds mu.
func (s *Sandbox) askOrGrant(w *callWriter, r *http.Request, q authorizeRequest, rawQuery string) {
	session := s.session(r)
	switch {
	case q.prompt != "none":
		s.signInPage(w, q, session, rawQuery)
	case !q.silently(session, s.now()):
		q.refuse(w, r, badAuthorize("login_required", 50058, "Session information is not sufficient for single-sign-on."))
	case slices.ContainsFunc(q.acrs, func(acr string) bool { return !slices.Contains(session.acrs, acr) }):
		// no source shows the number
		q.refuse(w, r, badAuthorize("interaction_required", 50076, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access."))
	default:
		s.sendBack(w, q, session)
	}
}

// answerSignIn reads the form of the page. Another page's form is refused.
func (s *Sandbox) answerSignIn(w *callWriter, r *http.Request) {
	raw, readErr := io.ReadAll(r.Body)
	form, formErr := url.ParseQuery(string(raw))
	if origin := r.Header.Get("Origin"); origin != "" && origin != s.entraURL {
		http.Error(w, "forms of other pages are refused", http.StatusForbidden)
		return
	}
	query, err := url.ParseQuery(form.Get("request"))
	s.mu.Lock()
	defer s.mu.Unlock()
	q, ok := s.acceptAuthorize(w, r, query, cmp.Or(readErr, formErr, err))
	if !ok {
		return
	}
	if form.Has("cancel") {
		q.sendBackError(w, "access_denied", "the user canceled the authentication", url.Values{"error_subcode": {"cancel"}})
		return
	}
	a := s.world.canSignIn(form.Get("account"))
	switch {
	case a == nil:
		s.errorPage(w, r, badAuthorize("invalid_request", 50034, "The user account does not exist in the Contoso directory. To sign into this application, the account must be added to the directory."))
	case !a.enabled:
		s.errorPage(w, r, badAuthorize("invalid_request", 50057, "The user account is disabled."))
	case q.prompt == "none":
		s.errorPage(w, r, badAuthorize("invalid_request", 90013, "Invalid input received from the user."))
	default:
		s.sendBack(w, q, s.begin(w, a, q.acrs))
	}
}

// sendBack sends the browser to the app with a code. The caller holds mu.
func (s *Sandbox) sendBack(w *callWriter, q authorizeRequest, session *browserSession) {
	q.redirectWith(w, url.Values{"code": {s.grant(q, session)}, "session_state": {session.state}})
}

// refuse tells the app what is wrong with its request.
func (q authorizeRequest) refuse(w *callWriter, r *http.Request, refusal *entraError) {
	_, description := describe(r, refusal.number, refusal.message)
	q.sendBackError(w, refusal.code, description, nil)
}

func (q authorizeRequest) sendBackError(w *callWriter, code, description string, more url.Values) {
	w.note(code)
	answer := url.Values{"error": {code}, "error_description": {description}}
	for name, values := range more {
		answer[name] = values
	}
	q.redirectWith(w, answer)
}

// redirectWith keeps the query that the redirect URI has of its own.
func (q authorizeRequest) redirectWith(w *callWriter, answer url.Values) {
	if q.state != "" {
		answer.Set("state", q.state)
	}
	target, err := url.Parse(q.redirect)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	query := answer.Encode()
	if target.RawQuery != "" {
		query = target.RawQuery + "&" + query
	}
	target.RawQuery = query
	header := w.Header()
	header.Set("Location", target.String())
	header.Set("Cache-Control", "no-store, no-cache")
	header.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(http.StatusFound)
}
