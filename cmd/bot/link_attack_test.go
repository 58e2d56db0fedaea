package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/sandbox"
)

const (
	notBegun     = "This sign-in was not begun here"
	notVerified  = "Microsoft's answer could not be verified"
	notCompleted = "Microsoft did not complete this sign-in"
	usedAlready  = "This was used already"
	tooOldPage   = "This page has expired"
	badTicket    = "This button has expired"
)

// forgedTokens are wrong whatever they are for.
var forgedTokens = []string{
	"alg-none", "wrong-key", "hs256", "expired", "not-yet-valid", "wrong-nonce", "no-nonce", "wrong-audience", "wrong-issuer", "wrong-tenant", "wrong-tid", "no-oid",
}

// linkAttack is one way to get at a link or a confirmation with a ticket. It returns
// the page on which it ends.
type linkAttack struct {
	name   string
	run    func(a *attacked) visit
	status int
	page   string
	lines  []string // of the record; none if it never gets as far as the gate
}

// attacked is a bot, and a ticket of bob's that a link or a confirmation can be had by.
type attacked struct {
	*rig
	ticket string
}

func (a *attacked) open(v visitor, address string) visit {
	a.t.Helper()
	page, err := v.get(address)
	return mustVisit(a.t, page, err)
}

func (a *attacked) begin(v visitor, ticket, person string) string {
	a.t.Helper()
	u, err := v.begin(a.t.Context(), ticket, person)
	if err != nil {
		a.t.Fatal(err)
	}
	return u.String()
}

// preview is a browser that has got as far as the page that asks.
func (a *attacked) preview(as string) (visitor, visit) {
	a.t.Helper()
	v := a.visitor()
	page := a.open(v, a.begin(v, a.ticket, as))
	if page.grant == "" {
		a.t.Fatalf("the page offers nothing: %q\n%s", page.text, a.logs)
	}
	return v, page
}

func (a *attacked) agree(v visitor, page visit) visit {
	a.t.Helper()
	page, err := v.agree(a.base, page)
	return mustVisit(a.t, page, err)
}

// post agrees with headers of a browser.
func (a *attacked) post(v visitor, grant string, headers ...string) visit {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, a.base+"/link/confirm", strings.NewReader(url.Values{"grant": {grant}}.Encode()))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	page, err := readPage(v.Do(req))
	return mustVisit(a.t, page, err)
}

// flowAttacks are those on the sign-in itself, whatever the ticket is for.
func flowAttacks() []linkAttack {
	all := []linkAttack{
		{"the callback twice", func(a *attacked) visit {
			v := a.visitor()
			callback := a.begin(v, a.ticket, "bob")
			a.open(v, callback)
			return a.open(v, callback)
		}, 400, notBegun, nil},
		{"the callback twice, with the cookie kept", func(a *attacked) visit {
			v := a.visitor()
			callback := a.begin(v, a.ticket, "bob")
			cookie := v.kept(a.base, "sign-in")
			a.open(v, callback)
			v.keep(a.base, "sign-in", cookie)
			return a.open(v, callback)
		}, 400, usedAlready, nil},
		{"the callback in a browser without a cookie", func(a *attacked) visit {
			return a.open(a.visitor(), a.begin(a.visitor(), a.ticket, "bob"))
		}, 400, notBegun, nil},
		{"the callback in a browser with another's cookie", func(a *attacked) visit {
			v := a.visitor()
			a.begin(v, a.ticket, "bob")
			return a.open(v, a.begin(a.visitor(), a.ticket, "bob"))
		}, 400, notBegun, nil},
		{"the state of another attempt", func(a *attacked) visit {
			v := a.visitor()
			callback := a.begin(v, a.ticket, "bob")
			other, _ := url.Parse(a.begin(a.visitor(), a.ticket, "bob"))
			return a.open(v, withQuery(callback, "state", other.Query().Get("state")))
		}, 400, notBegun, nil},
		{"no state", func(a *attacked) visit {
			v := a.visitor()
			return a.open(v, withQuery(a.begin(v, a.ticket, "bob"), "state", ""))
		}, 400, notBegun, nil},
		{"an older attempt of the same browser", func(a *attacked) visit {
			v := a.visitor()
			callback := a.begin(v, a.ticket, "bob")
			a.begin(v, a.ticket, "bob")
			return a.open(v, callback)
		}, 400, notBegun, nil},
		{"the code of somebody else's sign-in", func(a *attacked) visit { // PKCE
			v := a.visitor()
			callback := a.begin(v, a.ticket, "bob")
			other, _ := url.Parse(a.begin(a.visitor(), a.ticket, "alice"))
			return a.open(v, withQuery(callback, "code", other.Query().Get("code")))
		}, 502, notCompleted, nil},
		{"a code that was redeemed", func(a *attacked) visit {
			v := a.visitor()
			first, _ := url.Parse(a.begin(v, a.ticket, "bob"))
			a.open(v, first.String())
			return a.open(v, withQuery(a.begin(v, a.ticket, "bob"), "code", first.Query().Get("code")))
		}, 502, notCompleted, nil},
		{"the nonce of another attempt", func(a *attacked) visit {
			v := a.visitor()
			other, _ := url.Parse(a.open(a.visitor(), a.ticket).location)
			mine := a.open(v, a.ticket)
			back, err := a.world.SignIn(a.t.Context(), v.Client, withQuery(mine.location, "nonce", other.Query().Get("nonce")), "bob")
			if err != nil {
				a.t.Fatal(err)
			}
			return a.open(v, back.String())
		}, 403, notVerified, nil},
		{"an account of another tenant", func(a *attacked) visit {
			v := a.visitor()
			return a.open(v, a.begin(v, a.ticket, "oscar"))
		}, 403, notVerified, nil},
		{"nobody signs in", func(a *attacked) visit {
			v := a.visitor()
			return a.open(v, a.begin(v, a.ticket, ""))
		}, 200, "You did not sign in Nothing was done", nil},

		{"no ticket", func(a *attacked) visit { return a.open(a.visitor(), a.base+"/link/start") }, 400, badTicket, nil},
		{"a ticket altered by a byte", func(a *attacked) visit {
			u, _ := url.Parse(a.ticket)
			sealed := []byte(u.Query().Get("ticket"))
			sealed[len(sealed)/2] ^= 1
			return a.open(a.visitor(), withQuery(a.ticket, "ticket", string(sealed)))
		}, 400, badTicket, nil},
		{"an attempt as a ticket", func(a *attacked) visit {
			v := a.visitor()
			a.open(v, a.ticket)
			return a.open(a.visitor(), withQuery(a.ticket, "ticket", v.kept(a.base, "sign-in")))
		}, 400, badTicket, nil},
		{"a grant as a ticket", func(a *attacked) visit {
			_, page := a.preview("bob")
			return a.open(a.visitor(), withQuery(a.ticket, "ticket", page.grant))
		}, 400, badTicket, nil},
		{"a ticket as an attempt", func(a *attacked) visit {
			v := a.visitor()
			callback := a.begin(v, a.ticket, "bob")
			u, _ := url.Parse(a.ticket)
			v.keep(a.base, "sign-in", u.Query().Get("ticket"))
			return a.open(v, callback)
		}, 400, notBegun, nil},
		{"a grant as an attempt", func(a *attacked) visit {
			v := a.visitor()
			callback := a.begin(v, a.ticket, "bob")
			_, page := a.preview("bob")
			v.keep(a.base, "sign-in", page.grant)
			return a.open(v, withQuery(callback, "state", ""))
		}, 400, notBegun, nil},
		{"a ticket as a grant", func(a *attacked) visit {
			v, _ := a.preview("bob")
			u, _ := url.Parse(a.ticket)
			return a.post(v, u.Query().Get("ticket"))
		}, 403, tooOldPage, nil},
		{"an attempt as a grant", func(a *attacked) visit {
			v, _ := a.preview("bob")
			w := a.visitor()
			a.open(w, a.ticket)
			return a.post(v, w.kept(a.base, "sign-in"))
		}, 403, tooOldPage, nil},
		{"agreeing without the cookie", func(a *attacked) visit {
			_, page := a.preview("bob")
			return a.post(a.visitor(), page.grant)
		}, 403, tooOldPage, nil},
		{"agreeing with another's cookie", func(a *attacked) visit {
			_, page := a.preview("bob")
			v, _ := a.preview("bob")
			return a.post(v, page.grant)
		}, 403, tooOldPage, nil},
		{"agreeing with a grant altered by a byte", func(a *attacked) visit {
			v, page := a.preview("bob")
			altered := []byte(page.grant)
			altered[len(altered)/2] ^= 1
			return a.post(v, string(altered))
		}, 403, tooOldPage, nil},
		{"agreeing to nothing", func(a *attacked) visit {
			v, _ := a.preview("bob")
			return a.post(v, "")
		}, 403, tooOldPage, nil},
		{"agreeing by GET", func(a *attacked) visit {
			v, page := a.preview("bob")
			return a.open(v, a.base+"/link/confirm?"+url.Values{"grant": {page.grant}}.Encode())
		}, 405, "", nil},
		{"a grant in the address of a POST", func(a *attacked) visit {
			v, page := a.preview("bob")
			resp, err := readPage(v.Post(a.base+"/link/confirm?"+url.Values{"grant": {page.grant}}.Encode(), "application/x-www-form-urlencoded", nil))
			return mustVisit(a.t, resp, err)
		}, 403, tooOldPage, nil},
	}
	for name, headers := range map[string][]string{
		"cross-site":                 {"Sec-Fetch-Site", "cross-site"},
		"same-site":                  {"Sec-Fetch-Site", "same-site"},
		"by Origin":                  {"Origin", "https://evil.fabrikam.com"},
		"by Origin null":             {"Origin", "null"},
		"with Origin and fetch site": {"Origin", "https://evil.fabrikam.com", "Sec-Fetch-Site", "cross-site"},
	} {
		all = append(all, linkAttack{"agreeing " + name, func(a *attacked) visit {
			v, page := a.preview("bob")
			return a.post(v, page.grant, headers...)
		}, 403, "", nil})
	}
	for _, kind := range forgedTokens {
		all = append(all, linkAttack{"an ID token that is " + kind, func(a *attacked) visit {
			if err := a.world.ForgeIDToken(kind); err != nil {
				a.t.Fatal(err)
			}
			defer func() { _ = a.world.ForgeIDToken("") }()
			v := a.visitor()
			return a.open(v, a.begin(v, a.ticket, "bob"))
		}, 403, notVerified, nil})
	}
	return all
}

// linkingAttacks are those on a link alone.
var linkingAttacks = []linkAttack{
	{"a guest's account", func(a *attacked) visit {
		v := a.visitor()
		return a.open(v, a.begin(v, a.ticket, "grace"))
	}, 403, "This account can't be linked It is a guest here", nil},
	{"an account that is blocked when it has signed in", func(a *attacked) visit {
		return a.whileBlocked("bob", func() visit { // the stand-in redeems no code of a blocked account, as Entra
			v := a.visitor()
			return a.open(v, a.begin(v, a.ticket, "bob"))
		})
	}, 403, "blocked from signing in. Nothing was linked", nil},
	{"an account that is blocked when they agree", func(a *attacked) visit {
		v, page := a.preview("bob")
		a.change(a.world.SetEnabled("bob", false))
		defer func() { a.change(a.world.SetEnabled("bob", true)) }()
		return a.agree(v, page)
	}, 403, "These accounts can't be linked", []string{"link refused account-unfit U0BOB042 bob"}},
	{"a Slack user who is deactivated when they agree", func(a *attacked) visit {
		v, page := a.preview("bob")
		a.taken(a.world.Deactivate(a.t.Context(), "bob"))
		defer func() { a.taken(a.world.Reactivate(a.t.Context(), "bob")) }()
		return a.agree(v, page)
	}, 503, `Slack or Microsoft could not vouch for you Nothing was linked`, []string{"link refused not-verified U0BOB042 bob"}},
}

func (a *attacked) change(err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
}

// whileBlocked blocks an account from the moment at which the bot asks who it is.
func (a *attacked) whileBlocked(person string, do func() visit) visit {
	a.t.Helper()
	wait, release := a.holdCalls(`GET /v1.0/users/`+a.world.ObjectID(person), 0)
	done := make(chan visit, 1)
	go func() { done <- do() }()
	wait()
	a.change(a.world.SetEnabled(person, false))
	release()
	defer func() { a.change(a.world.SetEnabled(person, true)) }()
	return <-done
}

// try runs an attack and looks at what has come of it.
func (a *attacked) try(t *testing.T, attack linkAttack, safe func() string) {
	t.Helper()
	outer := a.t
	a.t = t
	defer func() { a.t = outer }()
	page := attack.run(a)
	if page.status != attack.status || !regexp.MustCompile(attack.page).MatchString(page.text) || page.grant != "" {
		t.Errorf("the page is %d %q (offers %t), want %d %q", page.status, page.text, page.grant != "", attack.status, attack.page)
	}
	var lines []string
	for _, e := range a.decisions() {
		lines = append(lines, strings.ReplaceAll(lineOf(e), a.world.ObjectID("bob"), "bob"))
	}
	if !slices.Equal(lines, attack.lines) {
		t.Errorf("the record says %q, want %q", lines, attack.lines)
	}
	if problem := safe(); problem != "" {
		t.Error(problem)
	}
}

func slackUser(person string) request.SlackUser {
	return request.SlackUser{Team: "T0CONTOSO", User: "U0" + strings.ToUpper(person) + "042"}
}

// linkOf is the account that a person is linked to.
func (r *rig) linkOf(person string) string {
	r.t.Helper()
	id, err := request.LinkOf(r.t.Context(), r.store, slackUser(person))
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// TestLinkAttacks tries to get at a link, and at a confirmation, in every way but the
// right one. The ticket of each part is good until the end, where the right way shows
// that nothing else was what stopped the attacks.
func TestLinkAttacks(t *testing.T) {
	t.Run("linking", func(t *testing.T) {
		t.Parallel()
		r := startRig(t, "IDENTITY=link", "STEP_UP=always")
		a := &attacked{r, r.linkTicket("bob")}
		r.look()
		for _, attack := range slices.Concat(flowAttacks(), linkingAttacks) {
			t.Run(attack.name, func(t *testing.T) {
				a.try(t, attack, func() string {
					if id := r.linkOf("bob"); id != "" {
						return "bob is linked to " + id
					}
					return ""
				})
			})
		}
		r.signIn("bob", "bob", a.ticket, "Linked")
		if id := r.linkOf("bob"); id != r.world.ObjectID("bob") {
			t.Errorf("in the end bob is linked to %q", id)
		}
	})
	t.Run("confirming", func(t *testing.T) {
		t.Parallel()
		s := newStepUp(t)
		for _, attack := range slices.Concat(flowAttacks(), confirmingAttacks) {
			t.Run(attack.name, func(t *testing.T) { s.try(t, attack, s.safe) })
		}
		s.signIn("bob", "bob", s.ticket, "Sent")
		s.await("the result", func(state sandbox.State) bool { return results(state, s.card.TS) == 1 })
		if n := s.world.State().Revoked[gateTarget]; n != 1 {
			t.Errorf("in the end %s was revoked %d times", gateTarget, n)
		}
	})
}

// stepUp is a card that waits, and bob's ticket to confirm it.
type stepUp struct {
	*attacked
	card sandbox.Message
}

func newStepUp(t *testing.T) *stepUp {
	t.Helper()
	r := startRig(t, "IDENTITY=link", "STEP_UP=always")
	if err := r.world.Join("carol"); err != nil {
		t.Fatal(err)
	}
	for _, person := range []string{"alice", "bob", "carol"} {
		r.link(person, person)
	}
	s := &stepUp{&attacked{rig: r}, r.ask(gateTarget)}
	s.ticket = s.confirmTicket("bob", s.card)
	r.look()
	return s
}

// confirmTicket is what a press of Confirm is answered with.
func (s *stepUp) confirmTicket(person string, card sandbox.Message) string {
	s.t.Helper()
	s.newAnswers()
	s.press(person, card, "Confirm")
	return ticketIn(s.told(person, "Sign in to Microsoft again to confirm"))
}

func (s *stepUp) safe() string {
	state := s.world.State()
	if n := revocations(state); n != 0 || !strings.Contains(cardNow(state, s.card), "Sign out everywhere: ") {
		return fmt.Sprintf("%d revocations\n%s", n, chat(state))
	}
	return ""
}

// confirmingAttacks are those on a confirmation alone.
var confirmingAttacks = []linkAttack{
	{"an ID token of a sign-in an hour ago", func(a *attacked) visit {
		a.change(a.world.ForgeIDToken("stale"))
		defer func() { a.change(a.world.ForgeIDToken("")) }()
		v := a.visitor()
		return a.open(v, a.begin(v, a.ticket, "bob"))
	}, 403, "This was not a fresh sign-in Nothing was confirmed", nil},
	{"somebody else signs in", signsInAs("carol"), 403, "This is another account than yours Nothing was confirmed", nil},
	{"the requester signs in", signsInAs("alice"), 403, "This is another account than yours Nothing was confirmed", nil},
	{"no word of when they signed in", func(a *attacked) visit { // max_age taken out of the address
		v := a.visitor()
		to := withQuery(withQuery(a.open(v, a.ticket).location, "max_age", ""), "prompt", "")
		back, err := a.world.SignIn(a.t.Context(), v.Client, to, "bob")
		a.change(err)
		return a.open(v, back.String())
	}, 403, "Microsoft does not say when you signed in Nothing was confirmed", nil},
}

func signsInAs(person string) func(*attacked) visit {
	return func(a *attacked) visit {
		v := a.visitor()
		return a.open(v, a.begin(v, a.ticket, person))
	}
}

// TestStepUpByTheWrongWord agrees to a page that was offered in good order, where
// something is not right with it: the gate says so to whoever pressed, and the page
// that the answer is in Slack.
func TestStepUpByTheWrongWord(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		as     string
		change func(*stepUp) // between the page and agreeing to it
		answer string
		line   string
	}{
		{"the plan changes", "bob", func(s *stepUp) {
			s.change(s.world.SetUPN("mallory", "m.allory@contoso.com"))
		}, "the plan has changed since the card that you saw", "confirm refused plan-changed U0BOB042 bob"},
		{"they unlink", "bob", func(s *stepUp) {
			s.say("bob", "/revoke-session unlink")
			s.told("bob", "^Unlinked")
		}, "which Microsoft account is yours", "confirm refused not-verified U0BOB042 "},
		{"Slack deactivates them", "bob", func(s *stepUp) {
			s.taken(s.world.Deactivate(s.t.Context(), "bob"))
		}, "Your Slack account is deactivated", "confirm refused not-verified U0BOB042 "},
		{"their role is taken away", "bob", func(s *stepUp) {
			s.change(s.world.SetRole("bob", false))
		}, "not an active Global Administrator", "confirm refused not-administrator U0BOB042 bob"},
		{"it is frozen", "bob", func(s *stepUp) {
			s.say("carol", "/revoke-session freeze")
			s.told("carol", "^Frozen")
		}, "^Everything is frozen by .*, so nothing was run", "confirm refused frozen U0BOB042 bob"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newStepUp(t)
			v, page := s.preview(tt.as)
			if tt.change != nil {
				tt.change(s)
			}
			s.decisions()
			if done := s.agree(v, page); !strings.Contains(done.text, "Go back to Slack") {
				t.Errorf("the page says %q", done.text)
			}
			s.told("bob", tt.answer)
			var lines []string
			for _, e := range s.decisions() {
				if e.Event == "confirm" {
					lines = append(lines, strings.ReplaceAll(lineOf(e), s.world.ObjectID("bob"), "bob"))
				}
			}
			if !slices.Equal(lines, []string{tt.line}) {
				t.Errorf("the record says %q, want %q", lines, tt.line)
			}
			if n := revocations(s.world.State()); n != 0 {
				t.Errorf("%d revocations", n)
			}
		})
	}
}

// A proof is for one request: bob's sign-in for another card confirms that one alone.
func TestStepUpForAnotherCard(t *testing.T) {
	t.Parallel()
	s := newStepUp(t)
	other := s.ask("heidi@contoso.com")
	s.signIn("bob", "bob", s.confirmTicket("bob", other), "Sent")
	s.await("the other's result", func(state sandbox.State) bool { return results(state, other.TS) == 1 })
	state := s.world.State()
	if !strings.Contains(cardNow(state, s.card), "Sign out everywhere: ") || state.Revoked[gateTarget] != 0 || state.Revoked["heidi@contoso.com"] != 1 {
		t.Errorf("revoked %v\n%s", state.Revoked, chat(state))
	}
}

// A ticket says whose it is: whoever opens it is told both names before anything is
// bound, and it is the Slack user of the ticket that is bound, to the account of whoever
// signs in.
func TestTicketsOfOthers(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, owner, reader string }{
		{"an attacker sends theirs to an administrator", "mallory", "bob"},
		{"an attacker opens an administrator's", "bob", "mallory"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := startRig(t, "IDENTITY=link")
			a := &attacked{r, r.linkTicket(tt.owner)}
			v, page := a.preview(tt.reader)
			names := fmt.Sprintf("Slack .*%s@contoso.com · %s Microsoft .*%s@contoso.com Object id %s",
				tt.owner, slackUser(tt.owner).User, tt.reader, r.world.ObjectID(tt.reader))
			for _, want := range []string{names, "what this Slack account asks for and confirms counts as yours", "nobody else should have sent you here"} {
				if !regexp.MustCompile(want).MatchString(page.text) {
					t.Errorf("the page says %q, want %q", page.text, want)
				}
			}
			if r.linkOf(tt.owner) != "" || r.linkOf(tt.reader) != "" {
				t.Error("somebody is linked before they agreed")
			}
			a.agree(v, page)
			if got := r.linkOf(tt.owner); got != r.world.ObjectID(tt.reader) {
				t.Errorf("the ticket's owner is linked to %q", got)
			}
			if got := r.linkOf(tt.reader); got != "" {
				t.Errorf("the reader is linked to %q", got)
			}
		})
	}
}

// A link is nobody else's to change.
func TestLinksAreTheirOwners(t *testing.T) {
	t.Parallel()
	r := startRig(t, "IDENTITY=link")
	ticket := r.linkTicket("bob")
	r.signIn("bob", "bob", ticket, "Linked")
	r.link("alice", "alice")
	r.look()

	a := &attacked{r, ticket} // is still good
	v, page := a.preview("heidi")
	if page = a.agree(v, page); page.status != http.StatusConflict || !strings.Contains(page.text, "Your Slack account is linked to another Microsoft account") {
		t.Errorf("overwriting a link: %d %q", page.status, page.text)
	}
	lines := r.decisions()
	if want := "link refused linked-to-another U0BOB042 " + r.world.ObjectID("heidi"); len(lines) != 1 || lineOf(lines[0]) != want {
		t.Errorf("the record says %+v, want %q", lines, want)
	}
	r.say("alice", "/revoke-session unlink")
	r.told("alice", "^Unlinked")
	if r.linkOf("alice") != "" || r.linkOf("bob") != r.world.ObjectID("bob") {
		t.Errorf("alice is linked to %q, bob to %q", r.linkOf("alice"), r.linkOf("bob"))
	}
	for _, e := range r.decisions() {
		if e.Actor.Slack.User != "U0ALICE042" {
			t.Errorf("the record says %q", lineOf(e))
		}
	}
}

// What was agreed to once counts once: neither a browser's way back, nor somebody who
// kept all that passed through it, binds again what was unbound meanwhile.
func TestAgreeingTwice(t *testing.T) {
	t.Parallel()
	r := startRig(t, "IDENTITY=link")
	a := &attacked{r, r.linkTicket("bob")}
	v, page := a.preview("bob")
	cookie := v.kept(r.base, "agree")
	if done := a.agree(v, page); !strings.HasPrefix(done.text, "Linked") {
		t.Fatalf("the page says %q", done.text)
	}
	r.say("bob", "/revoke-session unlink")
	r.told("bob", "^Unlinked")
	r.look()
	if again := a.agree(v, page); again.status != http.StatusForbidden || !strings.HasPrefix(again.text, tooOldPage) {
		t.Errorf("agreeing twice: %d %q", again.status, again.text)
	}
	v.keep(r.base, "agree", cookie)
	if again := a.agree(v, page); again.status != http.StatusBadRequest || !strings.HasPrefix(again.text, usedAlready) {
		t.Errorf("agreeing twice with the cookie kept: %d %q", again.status, again.text)
	}
	if r.wantDecisions(); r.linkOf("bob") != "" {
		t.Errorf("bob is linked to %q", r.linkOf("bob"))
	}
}

// Links are fetched by more than people: Slack, mail filters and the like load them
// without cookies, as often as they want to.
func TestCrawlersChangeNothing(t *testing.T) {
	t.Parallel()
	r := startRig(t, "IDENTITY=link")
	a := &attacked{r, r.linkTicket("bob")}
	r.look()
	v := a.visitor()
	callback := a.begin(v, a.ticket, "bob")
	before := r.notes()
	for range 3 {
		for address, status := range map[string]int{a.ticket: http.StatusFound, callback: http.StatusBadRequest} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
				if err != nil {
					t.Fatal(err)
				}
				page, err := readPage(r.visitor().Do(req))
				if mustVisit(t, page, err); page.status != status || page.grant != "" {
					t.Errorf("%s: %d %q, want %d", method, page.status, page.text, status)
				}
			}
		}
	}
	u, _ := url.Parse(callback)
	if _, err := r.store.Get(t.Context(), request.ID("note/used/state/"+u.Query().Get("state"))); !errors.Is(err, request.ErrNotFound) {
		t.Errorf("the state is used up: %v", err)
	}
	if lines := r.decisions(); len(lines) != 0 || !slices.Equal(r.notes(), before) || r.linkOf("bob") != "" {
		t.Errorf("the record says %v, the store has %v", lines, r.notes())
	}
	page := a.open(v, callback) // the person's own browser still gets there
	if page = a.agree(v, page); !strings.HasPrefix(page.text, "Linked") {
		t.Errorf("after the crawlers: %q", page.text)
	}
}

// notes are the ids of what is due some time.
func (r *rig) notes() []request.ID {
	r.t.Helper()
	ids, err := r.store.Open(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(ids)
	return ids
}
