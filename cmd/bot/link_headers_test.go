package main

import (
	"cmp"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestHeaders looks at every kind of answer under /link/, on a bot that browsers reach
// over http, and on one that they reach over https.
func TestHeaders(t *testing.T) {
	tests := []struct{ name, public, prefix string }{
		{"http", "", ""},
		{"https", "https://bot.contoso.com", "__Host-"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			extra := []string{"IDENTITY=link"}
			if tt.public != "" {
				extra = append(extra, "PUBLIC_URL="+tt.public)
			}
			h := &headerLook{rig: startRig(t, extra...), cookies: map[string]string{}, prefix: tt.prefix}
			ticket := h.linkTicket("bob")
			if tt.public != "" && !strings.HasPrefix(ticket, tt.public+"/link/start?") {
				t.Fatalf("the ticket is for %s", ticket)
			}
			toBot := func(address string) string { return strings.Replace(address, tt.public, h.base, 1) }
			if tt.public == "" {
				toBot = func(address string) string { return address }
			}

			start := h.look("GET", toBot(ticket), "", http.StatusFound)
			h.wantCookie(start, "sign-in")
			back, err := h.world.SignIn(t.Context(), h.world.Browser(), start.location, "bob")
			if err != nil {
				t.Fatal(err)
			}
			callback := toBot(back.String())
			kept := h.cookies[tt.prefix+"sign-in"]
			preview := h.look("GET", callback, "", http.StatusOK)
			h.wantCookie(preview, "agree")
			if h.cookies[tt.prefix+"sign-in"] != "" {
				t.Error("the attempt's cookie is still there")
			}
			h.look("GET", callback, "", http.StatusBadRequest)
			h.cookies[tt.prefix+"sign-in"] = kept
			h.look("GET", callback, "", http.StatusBadRequest)
			form := url.Values{"grant": {preview.grant}}.Encode()
			h.look("POST", h.base+"/link/confirm", "grant=x", http.StatusForbidden)
			h.look("POST", h.base+"/link/confirm", form, http.StatusForbidden, "Sec-Fetch-Site", "cross-site")
			// A browser that says no more than the page's origin, behind a proxy that
			// has its own name for the bot.
			own := cmp.Or(tt.public, h.base)
			linked := h.look("POST", h.base+"/link/confirm", form, http.StatusOK, "Origin", own)
			if !strings.HasPrefix(linked.text, "Linked") || h.cookies[tt.prefix+"agree"] != "" {
				t.Errorf("at the end %q, with the cookies %v", linked.text, h.cookies)
			}
			h.look("GET", h.base+"/link/start?ticket=x", "", http.StatusBadRequest)
			h.look("GET", h.base+"/link/callback?error=x", "", http.StatusBadRequest)
			h.look("GET", h.base+"/link/confirm", "", http.StatusMethodNotAllowed)
			h.look("GET", h.base+"/link/else", "", http.StatusNotFound)
		})
	}
}

// headerLook is a browser that keeps what cookies it is told to, whatever the address.
type headerLook struct {
	*rig
	cookies map[string]string
	prefix  string
}

var (
	policy   = regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/]{43}='; form-action 'self'; frame-ancestors 'none'; base-uri 'none'$`)
	noScript = regexp.MustCompile(`(?i)<script|<img|<link|https?://`)
)

func (h *headerLook) look(method, address, form string, status int, headers ...string) visit {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), method, address, strings.NewReader(form))
	if err != nil {
		h.t.Fatal(err)
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	for name, value := range h.cookies {
		req.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	page, err := readPage(resp, err)
	if mustVisit(h.t, page, err); page.status != status {
		h.t.Errorf("%s %s: %d, want %d", method, req.URL.Path, page.status, status)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"} {
		if got := page.header.Get(name); got != want {
			h.t.Errorf("%s %s: %s is %q, want %q", method, req.URL.Path, name, got, want)
		}
	}
	if got := page.header.Get("Content-Security-Policy"); !policy.MatchString(got) {
		h.t.Errorf("%s %s: the policy is %q", method, req.URL.Path, got)
	}
	if page.status != http.StatusFound && noScript.MatchString(page.text) {
		h.t.Errorf("%s %s: %q", method, req.URL.Path, page.text)
	}
	for _, c := range (&http.Response{Header: page.header}).Cookies() {
		if c.MaxAge < 0 {
			delete(h.cookies, c.Name)
		} else {
			h.cookies[c.Name] = c.Value
		}
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.Secure != (h.prefix != "") || !strings.HasPrefix(c.Name, h.prefix) {
			h.t.Errorf("%s %s sets %s", method, req.URL.Path, c)
		}
	}
	return page
}

func (h *headerLook) wantCookie(page visit, name string) {
	h.t.Helper()
	for _, c := range (&http.Response{Header: page.header}).Cookies() {
		if c.Name == h.prefix+name && c.Value != "" && c.MaxAge > 0 && c.MaxAge <= 600 {
			return
		}
	}
	h.t.Errorf("no cookie %s%s in %q", h.prefix, name, page.header["Set-Cookie"])
}
