package main

import (
	"context"
	"errors"
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// visitor is somebody's browser on the bot's own pages.
type visitor struct {
	world *sandbox.Sandbox
	*http.Client
}

// visit is what a page looked like.
type visit struct {
	status   int
	text     string
	grant    string // of its form
	location string
	header   http.Header
}

var (
	grantField = regexp.MustCompile(`name="grant" value="([^"]+)"`)
	tags       = regexp.MustCompile(`(?s)<style>.*</style>|<[^>]*>`)
)

func (v visitor) get(address string) (visit, error) { return readPage(v.Get(address)) }

func readPage(resp *http.Response, err error) (visit, error) {
	if err != nil {
		return visit{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	page := visit{status: resp.StatusCode, location: resp.Header.Get("Location"), header: resp.Header}
	if m := grantField.FindSubmatch(body); m != nil {
		page.grant = html.UnescapeString(string(m[1]))
	}
	page.text = strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(string(body), " "))), " ")
	return page, err
}

// signIn opens a ticket's address, signs in at Microsoft as a person, and returns the
// page on which that ends.
func (v visitor) signIn(ctx context.Context, ticket, person string) (visit, error) {
	start, err := v.get(ticket)
	if err != nil || start.status != http.StatusFound {
		return start, err
	}
	back, err := v.world.SignIn(ctx, v.Client, start.location, person)
	if err != nil {
		return start, err
	}
	return v.get(back.String())
}

// agree presses the button of a page.
func (v visitor) agree(base string, page visit) (visit, error) {
	return readPage(v.PostForm(base+"/link/confirm", url.Values{"grant": {page.grant}}))
}

// ticketOf is the address behind the newest button that a person was given, if its
// label begins with a text.
func ticketOf(state sandbox.State, person, label string) string {
	for i := len(state.Ephemerals) - 1; i >= 0; i-- {
		e := state.Ephemerals[i]
		for _, b := range e.Buttons {
			if e.To == person && b.URL != "" && strings.HasPrefix(b.Text, label) {
				return b.URL
			}
		}
	}
	return ""
}

// signsIn: <person> signs in [again] [as other] 'label' [agrees] 'regexp': follows the newest button of
// that label, signs in to Microsoft, and reads the page; with agrees, presses its
// button first.
func (s *story) signsIn(ts *testscript.TestScript, person string, args []string) {
	again := len(args) > 2 && args[0] == "again"
	if again {
		args = args[1:]
	}
	as := person
	if len(args) > 2 && args[0] == "as" {
		as, args = args[1], args[2:]
	}
	label := args[0]
	ticket := ""
	s.await(ts, "a button "+label, func(state sandbox.State) bool {
		ticket = ticketOf(state, person, label)
		return ticket != "" && (again || ticket != s.usedTicket)
	})
	v := visitor{s.world, s.world.Browser()}
	page, err := v.signIn(context.Background(), ticket, as)
	ts.Check(err)
	if args[1] == "agrees" {
		s.usedTicket = ticket
		page, err = v.agree(s.base, page)
		ts.Check(err)
	}
	if pattern := args[len(args)-1]; !compile(ts, pattern).MatchString(page.text) {
		ts.Fatalf("the page says %q, want %q", page.text, pattern)
	}
}

// joinVerb: join person ...: people of the reserve come into the tenant and the channel.
func joinVerb(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(storyOf(ts).world.Join(args...))
}

// slackVerb: slack deactivates|reactivates person, or slack locks: the thread of the card
func slackVerb(ts *testscript.TestScript, neg bool, args []string) {
	s := storyOf(ts)
	if args[0] == "locks" {
		ts.Check(s.world.LockThread(s.lastCard.Channel, s.lastCard.TS))
		return
	}
	change := map[string]func(context.Context, string) (sandbox.Delivery, error){
		"deactivates": s.world.Deactivate, "reactivates": s.world.Reactivate,
	}[args[0]]
	d, err := change(context.Background(), args[1])
	s.checkDelivery(ts, neg, d, err)
}

// mustVisit is for tests that are no scripts.
func mustVisit(t *testing.T, page visit, err error) visit {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// freezeVerb: freeze thaws: the operator ends the freeze while the bot stands still, as
// the embedded store wants it.
func freezeVerb(ts *testscript.TestScript, _ bool, _ []string) {
	s := storyOf(ts)
	ts.Check(s.halt())
	st, err := storeSettings{StateFile: s.dir + "/state.db", RedisURL: s.redisURL}.store()
	ts.Check(err)
	was, err := request.Thaw(context.Background(), st)
	ts.Check(errors.Join(err, st.Close()))
	if !was {
		ts.Fatalf("nothing was frozen")
	}
	ts.Check(s.start())
}

// begin signs in at Microsoft and stops short of the callback.
func (v visitor) begin(ctx context.Context, ticket, person string) (callback *url.URL, err error) {
	start, err := v.get(ticket)
	if err != nil {
		return nil, err
	}
	return v.world.SignIn(ctx, v.Client, start.location, person)
}

// kept is the value of a cookie that the browser has for an address.
func (v visitor) kept(address, name string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	for _, c := range v.Jar.Cookies(u) {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// keep puts a cookie there.
func (v visitor) keep(address, name, value string) {
	if u, err := url.Parse(address); err == nil {
		v.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/"}})
	}
}

// withQuery is an address with a field of its query changed; "" removes it.
func withQuery(address, name, value string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	q := u.Query()
	q.Set(name, value)
	if value == "" {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
