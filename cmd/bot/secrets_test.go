package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// secrets are what may be nowhere, by what they are. Tickets may be in a button that
// their owner alone sees.
type secrets struct {
	all     map[string]string // secret to what it is
	tickets map[string]string // ticket to its owner
}

func (x *secrets) add(what, secret string) {
	if len(secret) >= 8 { // nothing shorter is one
		x.all[secret] = what
	}
}

// said are the secrets in what the bot said to others and was told by them.
var said = map[string]*regexp.Regexp{
	"an access token":         regexp.MustCompile(`"access_token":"([^"]+)"`),
	"an ID token":             regexp.MustCompile(`"id_token":"([^"]+)"`),
	"an authorization code":   regexp.MustCompile(`(?m)[?&\n]code=([^&\s]+)`),
	"a PKCE verifier":         regexp.MustCompile(`code_verifier=([^&\s]+)`),
	"what proves the app":     regexp.MustCompile(`client_(?:secret|assertion)=([^&\s]+)`),
	"an authorization header": regexp.MustCompile(`(?m)^Bearer (\S+)$`),
	"a response_url":          regexp.MustCompile(`POST https?://[^/\s]+(/(?:commands|actions)/\S+)`),
}

func (x *secrets) read(t *testing.T, traffic string) {
	t.Helper()
	for what, re := range said {
		found := re.FindAllStringSubmatch(traffic, -1)
		if len(found) == 0 {
			t.Errorf("%s is in nothing that was said", what)
		}
		for _, m := range found {
			x.add(what, m[1])
			if plain, err := url.QueryUnescape(m[1]); err == nil {
				x.add(what, plain)
			}
		}
	}
}

// in returns what is in a text that may not be.
func (x *secrets) in(text string) (found []string) {
	for secret, what := range x.all {
		if strings.Contains(text, secret) {
			found = append(found, what)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// visit uses a ticket as a browser and keeps what passes through it.
func (x *secrets) visit(a *attacked, owner, as string, agrees bool) {
	a.t.Helper()
	u, err := url.Parse(a.ticket)
	if err != nil {
		a.t.Fatal(err)
	}
	x.tickets[u.Query().Get("ticket")] = owner
	v := a.visitor()
	callback, err := url.Parse(a.begin(v, a.ticket, as))
	if err != nil {
		a.t.Fatal(err)
	}
	x.add("an authorization code", callback.Query().Get("code"))
	x.add("a cookie", v.kept(a.base, "sign-in"))
	page := a.open(v, callback.String())
	x.add("a cookie", v.kept(a.base, "agree"))
	x.add("a grant", page.grant)
	if agrees {
		if page = a.agree(v, page); page.status != 200 {
			a.t.Fatalf("%s: %d %q", owner, page.status, page.text)
		}
	}
}

// TestNoSecretsAnywhere runs what there is to run, to its good end and into errors, and
// looks for every secret that came by wherever something is kept or shown.
func TestNoSecretsAnywhere(t *testing.T) {
	t.Parallel()
	private, _, err := audit.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "audit.jsonl")
	r := startRigAt(t, func(r *rig) { r.calls.keep = true }, "IDENTITY=link", "STEP_UP=always", "AUDIT_KEY="+private, "AUDIT_FILE="+copied)
	x := &secrets{all: map[string]string{}, tickets: map[string]string{}}
	for _, kv := range r.world.Env() {
		if name, value, _ := strings.Cut(kv, "="); strings.Contains(name, "SECRET") || strings.Contains(name, "TOKEN") {
			x.add(name, value)
		}
	}
	x.add("AUDIT_KEY", private)
	x.add("the part of AUDIT_KEY that is the key", private[strings.LastIndexByte(private, '+')+1:])

	a := &attacked{rig: r}
	card := runEverything(a, x)
	runErrors(a, x, card)
	awaitFile(t, "the copy of the record", func() bool {
		raw, err := os.ReadFile(copied)
		return err == nil && strings.Contains(string(raw), `"event":"result"`)
	})
	r.halt()
	x.read(t, r.calls.traffic())

	state := r.world.State()
	for _, m := range state.Messages {
		x.look(t, "a message in "+m.Channel, fmt.Sprint(m.Text, string(m.Blocks), string(m.Metadata), m.Plain), "")
	}
	for _, e := range state.Ephemerals {
		x.look(t, "an answer to "+e.To, e.Text+string(e.Blocks)+e.Plain, e.To)
	}
	log := r.logs.String()
	x.look(t, "the log", log, "")
	if address := regexp.MustCompile(`[A-Za-z0-9._-]+@[a-z]+\.com`).FindString(log); address != "" {
		t.Errorf("the log has an address of somebody at %s", address[strings.IndexByte(address, '@'):])
	}
	for name, must := range map[string]string{r.file: `"event":"result"`, copied: `"event":"result"`} {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		x.look(t, filepath.Base(name), string(raw), "")
		if !strings.Contains(string(raw), must) {
			t.Errorf("%s has nothing to look into", filepath.Base(name))
		}
	}
	if !strings.Contains(log, "refused a sign-in") || !strings.Contains(log, "call to Microsoft") || len(x.tickets) < 4 {
		t.Error("the log has nothing to look into")
	}
}

var sealedText = regexp.MustCompile(`[A-Za-z0-9_-]{200,}`)

// look looks into a text that one person alone sees, or "" for more than that.
func (x *secrets) look(t *testing.T, where, text, person string) {
	t.Helper()
	if found := x.in(text); found != nil {
		t.Errorf("%s has %q", where, found)
	}
	// No two seals of a ticket are alike: one that was made anew is known by its look.
	if person == "" && (strings.Contains(text, "link/start?") || sealedText.MatchString(text)) {
		t.Errorf("%s has a ticket, or what looks like one", where)
	}
	for ticket, owner := range x.tickets {
		if owner != person && (strings.Contains(text, ticket) || strings.Contains(text, url.QueryEscape(ticket))) {
			t.Errorf("%s has a ticket of %s", where, owner)
		}
	}
}

func (p *tap) traffic() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// runEverything links two people and signs somebody out on their word.
func runEverything(a *attacked, x *secrets) (card sandbox.Message) {
	a.t.Helper()
	a.say("alice", "/revoke-session "+gateTarget+` -Verbose -Reason "INC-42"`)
	a.ticket = ticketIn(a.told("alice", "which Microsoft account is yours"))
	x.visit(a, "alice", "alice", true)
	a.await("a card", func(s sandbox.State) bool {
		var ok bool
		card, ok = newCard(s, 0, regexp.MustCompile("Sign out everywhere"))
		return ok && len(card.Buttons) == 3
	})
	a.press("bob", card, "What-If")
	a.ticket = ticketIn(a.told("bob", "which Microsoft account is yours"))
	x.visit(a, "bob", "bob", true)
	a.await("the plan", func(s sandbox.State) bool { return inThread(s, card, regexp.MustCompile("What if:")) })
	a.press("bob", card, "Confirm")
	a.ticket = ticketIn(a.told("bob", "Sign in to Microsoft again to confirm"))
	x.visit(a, "bob", "bob", false) // and changes their mind
	x.visit(a, "bob", "bob", true)
	a.await("the result", func(s sandbox.State) bool { return results(s, card.TS) == 1 })
	return card
}

// runErrors lets things fail, each of which the bot logs or answers.
func runErrors(a *attacked, x *secrets, card sandbox.Message) {
	a.t.Helper()
	a.newAnswers()
	a.say("heidi", "/revoke-session link")
	a.ticket = ticketIn(a.told("heidi", "which Microsoft account is yours"))
	for _, kind := range append(slices.Clone(forgedTokens), "") {
		a.change(a.world.ForgeIDToken(kind))
		as := "heidi"
		if kind == "" {
			as = "oscar"
		}
		x.visit(a, "heidi", as, false)
	}
	a.open(a.visitor(), a.begin(a.visitor(), a.ticket, "heidi"))
	v := a.visitor()
	a.open(v, a.begin(v, a.ticket, ""))

	other := a.ask("heidi@contoso.com")
	faults := []sandbox.Fault{
		{Name: "f", System: "entra", Match: "token", Status: 400, Code: "invalid_grant", Times: 2},
		{Name: "f", System: "entra", Match: "token", Drop: true, Times: 1},
		{Name: "f", System: "graph", Status: 503, Times: 3},
		{Name: "f", System: "graph", Match: "checkMemberObjects", Drop: true, Times: 8},
		{Name: "f", System: "slack", Match: "users.info", Code: "fatal_error", Times: 1},
		{Name: "f", System: "slack", Match: "/actions/", Drop: true, Times: 1},
		{Name: "f", System: "slack", Match: "/actions/", Status: 500, Times: 1},
	}
	for _, f := range faults {
		a.newAnswers()
		a.world.SetFault(f)
		if f.System == "entra" {
			a.world.ExpireTokens()
			x.visit(a, "heidi", "heidi", false)
		}
		a.press("bob", other, "Confirm")
		a.told("bob", ".")
	}
	a.world.ClearFaults()
	a.newAnswers()
	for _, text := range []string{"nobody@contoso.com", "grace_fabrikam.com#EXT#@contoso.onmicrosoft.com", "@grace"} {
		a.say("alice", "/revoke-session "+text)
		a.told("alice", "(?i)nothing was done")
		a.newAnswers()
	}
	a.press("mallory", card, "Confirm")
	a.told("mallory", "already done")
	a.taken(a.world.Replay(a.t.Context()))
	a.world.SetFault(sandbox.Fault{Name: "f", System: "graph", Match: "revokeSignInSessions", Status: 429, RetryAfter: time.Second, Times: 1})
	a.press("bob", other, "Confirm")
	a.ticket = ticketIn(a.told("bob", "Sign in to Microsoft again to confirm"))
	x.visit(a, "bob", "bob", true)
	a.await("the other result", func(s sandbox.State) bool { return results(s, other.TS) == 1 })
	for line, err := range a.store.Records(a.t.Context(), 1) {
		if a.change(err); !json.Valid(line) {
			a.t.Errorf("a line of the record is %q", line)
		}
	}
}
