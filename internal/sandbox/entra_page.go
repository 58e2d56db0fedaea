package sandbox

import (
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// pageTemplate is a page of Entra: the one to sign in on, or an error.
const pageTemplate = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} · sandbox</title>
<style nonce="{{.Nonce}}">
body { font: 16px/1.5 system-ui, sans-serif; max-width: 30rem; margin: 3rem auto; padding: 0 1rem; color: #1b1b1b; background: #fff; }
button { display: block; width: 100%; margin: .5rem 0; padding: .6rem .8rem; font: inherit; text-align: left; background: #f3f3f3; color: inherit; border: 1px solid #8a8a8a; border-radius: 4px; cursor: pointer; }
button:hover { background: #e6e6e6; }
small { display: block; color: #555; }
.what { padding: .5rem .8rem; background: #fff4ce; border-radius: 4px; }
</style>
</head>
<body>
<p class="what">This is the sandbox’s stand-in for Microsoft’s sign-in page. Nobody here has a password.</p>
<h1>{{.Title}}</h1>
{{if .Problem}}<p>{{.Problem}}</p>{{else}}<form method="post" action="{{.Action}}">
<input type="hidden" name="request" value="{{.Request}}">
{{range .Accounts}}<button name="account" value="{{.ID}}">{{.UPN}}<small>{{.Note}}</small></button>
{{end}}<button name="cancel" value="1">Cancel</button>
</form>{{end}}
</body>
</html>
`

type entraPage struct {
	Title, Nonce, Problem, Action, Request string
	Accounts                               []pageAccount
}

type pageAccount struct{ ID, UPN, Note string }

// signInPage lists who can sign in. The caller holds mu.
func (s *Sandbox) signInPage(w *callWriter, q authorizeRequest, session *browserSession, rawQuery string) {
	page := entraPage{Title: "Pick an account", Action: "/" + tenantID + "/oauth2/v2.0/authorize", Request: rawQuery}
	var seen []*entraAccount
	for _, p := range s.world.cast {
		a := p.signsInTo()
		if a == nil || !a.enabled || slices.Contains(seen, a) {
			continue
		}
		seen = append(seen, a)
		account := pageAccount{ID: a.id, UPN: a.upn, Note: a.displayName}
		switch {
		case session != nil && session.account == a:
			account.Note += ", signed in"
		case a.foreign:
			account.Note += ", of another tenant"
		case a.guest():
			account.Note += ", guest"
		}
		page.Accounts = append(page.Accounts, account)
	}
	first := q.loginHint
	if session != nil {
		first = session.account.upn
	}
	slices.SortStableFunc(page.Accounts, func(a, b pageAccount) int {
		rank := func(p pageAccount) int {
			if strings.EqualFold(p.UPN, first) {
				return 0
			}
			return 1
		}
		return rank(a) - rank(b)
	})
	writePage(w, http.StatusOK, page, q.redirect)
}

// errorPage says on Entra's own page what is wrong. No source shows its status.
func (s *Sandbox) errorPage(w *callWriter, r *http.Request, refusal *entraError) {
	w.note(refusal.code)
	_, description := describe(r, refusal.number, refusal.message)
	writePage(w, refusal.status, entraPage{Title: "Sorry, but we’re having trouble signing you in.", Problem: description}, "")
}

func writePage(w *callWriter, status int, page entraPage, redirect string) {
	page.Nonce = randomHex(16)
	// A browser holds the redirect after a form to form-action, too.
	target := ""
	if u, err := url.Parse(redirect); err == nil && u.Host != "" {
		target = " " + u.Scheme + "://" + u.Host
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+page.Nonce+"'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"+target)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin") // with no-referrer the form's Origin is null
	header.Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	_ = template.Must(template.New("page").Parse(pageTemplate)).Execute(w, page)
}
