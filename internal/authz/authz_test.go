package authz

import (
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

var (
	slackUser = request.SlackUser{Enterprise: "E1", Team: "T1", User: "U1"}
	origin    = request.Origin{SlackUser: slackUser, Channel: "C1", Home: "T1"}
)

const email = "alice@contoso.com"

// somebody is alice as a Caller.
func somebody(standing request.Standing) request.Caller {
	return request.Caller{Slack: slackUser, ObjectID: oid, UPN: email, Name: "Alice", Standing: standing, Identified: request.ByEmail}
}

func TestCallerWhoIsNotVouchedFor(t *testing.T) {
	standings := []request.Standing{
		request.SlackGuest, request.SlackBot, request.SlackDeactivated, request.SlackOutsider,
		request.EmailMissing, request.EmailUnconfirmed, request.Unverified, "",
	}
	for _, standing := range standings {
		g := start(t, alice)
		g.holds = []string{oid}
		g.noToken = func(http.ResponseWriter, *http.Request) { t.Errorf("%s: a token was asked for", standing) }
		fault := request.Fault{System: request.Slack, Status: 503, Code: "fatal_error"}
		var asked request.Origin
		d := g.directory(func(_ context.Context, by request.Origin) (request.Standing, string, request.Fault) {
			asked = by
			return standing, email, fault
		})
		want := request.Caller{Slack: slackUser, Standing: standing, Fault: fault}
		if diff := cmp.Diff(want, d.Caller(t.Context(), origin)); diff != "" {
			t.Errorf("%s: Caller (-want +got):\n%s", standing, diff)
		}
		if asked != origin {
			t.Errorf("Slack was asked about %v, want %v", asked, origin)
		}
		if got := g.asked(); len(got) != 0 {
			t.Errorf("%s: Graph was asked: %v", standing, got)
		}
	}
}

func TestCaller(t *testing.T) {
	bob := alice.with("id", other, "userPrincipalName", "bob@contoso.com", "displayName", "Bob", "mail", nil)
	administrator := somebody(request.Member)
	administrator.Administrator, administrator.Evidence = true, "rid-role"
	colleague := somebody(request.Member)
	colleague.Evidence = "rid-role"
	guest := request.Caller{Slack: slackUser, ObjectID: oid, UPN: "alice_fabrikam.com#EXT#@contoso.com", Name: "Alice", Standing: request.EntraGuest, Identified: request.ByEmail}
	nobody := func(s request.Standing) request.Caller { return request.Caller{Slack: slackUser, Standing: s} }
	tests := []struct {
		name  string
		users []account
		holds []string
		want  request.Caller
		asked []string
	}{
		{"by UPN and mail, one account", []account{alice, bob}, []string{oid}, administrator, []string{"mail", "role", "user"}},
		{"by UPN only", []account{alice.with("mail", nil)}, []string{oid}, administrator, []string{"mail", "role", "user"}},
		{
			"by mail only", []account{alice.with("userPrincipalName", "al@contoso.com")}, []string{oid},
			request.Caller{Slack: slackUser, ObjectID: oid, UPN: "al@contoso.com", Name: "Alice", Standing: request.Member, Identified: request.ByEmail, Administrator: true, Evidence: "rid-role"},
			[]string{"mail", "role", "user"},
		},
		{"role not held", []account{alice}, nil, colleague, []string{"eligible", "mail", "role", "user"}},
		{"role held by another", []account{alice, bob}, []string{other}, colleague, []string{"eligible", "mail", "role", "user"}},
		{"nobody", []account{bob}, []string{other}, nobody(request.EntraMissing), []string{"mail", "user"}},
		{"UPN of one, mail of another", []account{alice.with("mail", nil), bob.with("mail", email)}, []string{oid, other}, nobody(request.EntraAmbiguous), []string{"mail", "user"}},
		{"mail of two", []account{alice.with("userPrincipalName", "al@contoso.com"), bob.with("mail", email)}, []string{oid, other}, nobody(request.EntraAmbiguous), []string{"mail", "user"}},
		{"UPN and mail of one, mail of another", []account{alice, bob.with("mail", email)}, []string{oid, other}, nobody(request.EntraAmbiguous), []string{"mail", "user"}},
		{"mail of another who is disabled", []account{alice, bob.with("mail", email, "accountEnabled", false)}, []string{oid}, nobody(request.EntraAmbiguous), []string{"mail", "user"}},
		{"disabled", []account{alice.with("accountEnabled", false)}, []string{oid}, somebody(request.EntraDisabled), []string{"mail", "user"}},
		{"enabled or not is not said", []account{alice.with("accountEnabled", nil)}, []string{oid}, somebody(request.EntraDisabled), []string{"mail", "user"}},
		{"guest", []account{alice.with("userType", "Guest")}, []string{oid}, somebody(request.EntraGuest), []string{"mail", "user"}},
		{"guest with #EXT#", []account{alice.with("userType", "Guest", "userPrincipalName", guest.UPN)}, []string{oid}, guest, []string{"mail", "user"}},
		{"external member", []account{alice.with("userPrincipalName", guest.UPN)}, []string{oid}, guest, []string{"mail", "user"}},
		{"invited member", []account{alice.with("creationType", "Invitation")}, []string{oid}, somebody(request.EntraGuest), []string{"mail", "user"}},
		{"disabled guest", []account{alice.with("userType", "Guest", "accountEnabled", false)}, []string{oid}, somebody(request.EntraGuest), []string{"mail", "user"}},
		{"userType null", []account{alice.with("userType", nil)}, []string{oid}, somebody(request.EntraGuest), []string{"mail", "user"}},
		{"userType empty", []account{alice.with("userType", "")}, []string{oid}, somebody(request.EntraGuest), []string{"mail", "user"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, test.users...)
			g.holds = test.holds
			got := g.directory(vouches(email)).Caller(t.Context(), origin)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Caller (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.asked, g.asked()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCallerFailsClosed(t *testing.T) {
	down := func(op string) request.Fault {
		return request.Fault{System: request.Graph, Status: 503, Code: "serviceUnavailable", RequestID: "rid-" + op}
	}
	nobody := request.Caller{Slack: slackUser, Standing: request.Unverified}
	known := somebody(request.Unverified)
	tests := []struct {
		name, op string
		instead  http.HandlerFunc
		who      request.Caller
		fault    request.Fault
	}{
		{"user 503", "user", refusal(503, "serviceUnavailable"), nobody, down("user")},
		{"mail 503", "mail", refusal(503, "serviceUnavailable"), nobody, down("mail")},
		{"role 503", "role", refusal(503, "serviceUnavailable"), known, down("role")},
		{"user 403", "user", refusal(403, "Authorization_RequestDenied"), nobody, request.Fault{System: request.Graph, Status: 403, Code: "Authorization_RequestDenied", RequestID: "rid-user"}},
		{"mail 403", "mail", refusal(403, "Authorization_RequestDenied"), nobody, request.Fault{System: request.Graph, Status: 403, Code: "Authorization_RequestDenied", RequestID: "rid-mail"}},
		{"role 403", "role", refusal(403, "Authorization_RequestDenied"), known, request.Fault{System: request.Graph, Status: 403, Code: "Authorization_RequestDenied", RequestID: "rid-role"}},
		{"mail 404", "mail", refusal(404, "Request_ResourceNotFound"), nobody, request.Fault{System: request.Graph, Status: 404, Code: "Request_ResourceNotFound", RequestID: "rid-mail"}},
		{"role 404", "role", refusal(404, "Request_ResourceNotFound"), known, request.Fault{System: request.Graph, Status: 404, Code: "Request_ResourceNotFound", RequestID: "rid-role"}},
		{"user throttled", "user", refusal(429, "TooManyRequests"), nobody, request.Fault{System: request.Graph, Status: 429, Code: "TooManyRequests", RequestID: "rid-user"}},
		{"user cut", "user", cut, nobody, request.Fault{System: request.Graph}},
		{"mail cut", "mail", cut, nobody, request.Fault{System: request.Graph}},
		{"role cut", "role", cut, known, request.Fault{System: request.Graph}},
		{"user is no JSON", "user", says(200, "<html>"), nobody, request.Fault{System: request.Graph, Status: 200, RequestID: "rid-user"}},
		{"mail is no JSON", "mail", says(200, "<html>"), nobody, request.Fault{System: request.Graph, Status: 200, RequestID: "rid-mail"}},
		{"role is no JSON", "role", says(200, `{"value":"`+role+`"}`), known, request.Fault{System: request.Graph, Status: 200, RequestID: "rid-role"}},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t, alice)
			g.holds = []string{oid}
			g.instead[test.op] = test.instead
			want := test.who
			want.Fault = test.fault
			got := g.directory(vouches(email)).Caller(t.Context(), origin)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("Caller (-want +got):\n%s", diff)
			}
		})
	}
}

// An answer without what was asked for proves nothing: neither that an account
// is the only one, nor that a person is no administrator.
func TestCallerIncompleteAnswers(t *testing.T) {
	tests := []struct{ name, op, body string }{
		{"role without value", "role", `{}`},
		{"role with null", "role", `{"value":null}`},
		{"role with nothing", "role", ``},
		{"mail without value", "mail", `{}`},
		{"mail with null", "mail", `{"value":null}`},
		{"mail with nothing", "mail", ``},
		{"mail with an account without id", "mail", `{"value":[{"userPrincipalName":"bob@contoso.com"}]}`},
		{"mail with another page", "mail", `{"value":[],"@odata.nextLink":"https://graph.microsoft.com/v1.0/users?$skiptoken=x"}`},
		{"user without id", "user", `{"userPrincipalName":"alice@contoso.com"}`},
		{"user with nothing", "user", ``}, // a 202 is documented to occur
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := start(t, alice)
			g.holds = []string{oid}
			g.instead[test.op] = says(200, test.body)
			got := g.directory(vouches(email)).Caller(t.Context(), origin)
			if got.Standing != request.Unverified || got.Administrator {
				t.Errorf("Caller is %s, administrator %v; want %s and not", got.Standing, got.Administrator, request.Unverified)
			}
		})
	}
}

func TestCallerWithoutEntra(t *testing.T) {
	g := start(t, alice)
	g.noToken = says(401, `{"error":"invalid_client","error_description":"AADSTS7000215: Invalid client secret provided."}`)
	want := request.Caller{Slack: slackUser, Standing: request.Unverified, Fault: request.Fault{System: request.Entra, Status: 401, Code: "AADSTS7000215"}}
	if diff := cmp.Diff(want, g.directory(vouches(email)).Caller(t.Context(), origin)); diff != "" {
		t.Errorf("Caller (-want +got):\n%s", diff)
	}
	if got := g.asked(); len(got) != 0 {
		t.Errorf("Graph was asked: %v", got)
	}
}

func TestCallerWhoseContextEnds(t *testing.T) {
	g := start(t, alice)
	ctx, cancel := context.WithCancel(t.Context())
	g.instead["role"] = func(http.ResponseWriter, *http.Request) {
		cancel()
		panic(http.ErrAbortHandler)
	}
	got := g.directory(vouches(email)).Caller(ctx, origin)
	if want := somebody(request.Unverified); got.Standing != want.Standing || got.Administrator || got.Fault.System != request.Graph {
		t.Errorf("Caller = %+v, want unverified through Graph", got)
	}
}

// The e-mail goes into a path and into a filter; each has its own way to quote.
func TestCallerEmailIsQuoted(t *testing.T) {
	const fields = "&$select=id,userPrincipalName,displayName,userType,creationType,accountEnabled"
	tests := []struct{ email, mail string }{
		{"o'neil@contoso.com", "/v1.0/users?$filter=mail+eq+%27o%27%27neil%40contoso.com%27" + fields},
		{"a+b@contoso.com", "/v1.0/users?$filter=mail+eq+%27a%2Bb%40contoso.com%27" + fields},
		{"a&$top=1@contoso.com", "/v1.0/users?$filter=mail+eq+%27a%26%24top%3D1%40contoso.com%27" + fields},
		{"x' or mail ne 'y", "/v1.0/users?$filter=mail+eq+%27x%27%27+or+mail+ne+%27%27y%27" + fields},
	}
	for _, test := range tests {
		t.Run(test.email, func(t *testing.T) {
			g := start(t, alice.with("userPrincipalName", "al@contoso.com", "mail", test.email))
			g.holds = []string{oid}
			got := g.directory(vouches(test.email)).Caller(t.Context(), origin)
			if !got.Administrator {
				t.Errorf("Caller = %+v, want to be found by mail", got)
			}
			if !slices.Contains(g.uris, test.mail) {
				t.Errorf("asked for %q, want %q among them", g.uris, test.mail)
			}
		})
	}
}

func TestAgain(t *testing.T) {
	renamed := alice.with("userPrincipalName", "alice.b@contoso.com", "displayName", "Alice B")
	before := somebody(request.Member)
	before.Administrator, before.Evidence = true, "older"
	before.Fault = request.Fault{System: request.Slack}
	fault := func(op string, status int, code string) request.Fault {
		return request.Fault{System: request.Graph, Status: status, Code: code, RequestID: "rid-" + op}
	}
	with := func(c request.Caller, f func(*request.Caller)) request.Caller {
		f(&c)
		return c
	}
	still := with(somebody(request.Member), func(c *request.Caller) { c.Administrator, c.Evidence = true, "rid-role" })
	tests := []struct {
		name    string
		users   []account
		holds   []string
		op      string
		instead http.HandlerFunc
		want    request.Caller
	}{
		{name: "still an administrator", users: []account{alice}, holds: []string{oid}, want: still},
		{name: "role lost", users: []account{alice}, want: with(still, func(c *request.Caller) { c.Administrator = false })},
		{name: "renamed", users: []account{renamed}, holds: []string{oid}, want: with(still, func(c *request.Caller) { c.UPN, c.Name = "alice.b@contoso.com", "Alice B" })},
		{name: "name taken over by another", users: []account{alice.with("id", other)}, holds: []string{other}, want: somebody(request.EntraMissing)},
		{name: "gone", want: somebody(request.EntraMissing)},
		{name: "disabled", users: []account{alice.with("accountEnabled", false)}, holds: []string{oid}, want: somebody(request.EntraDisabled)},
		{name: "guest now", users: []account{alice.with("userType", "Guest")}, holds: []string{oid}, want: somebody(request.EntraGuest)},
		{
			name: "user 503", users: []account{alice}, holds: []string{oid}, op: "user", instead: refusal(503, "serviceUnavailable"),
			want: with(somebody(request.Unverified), func(c *request.Caller) { c.Fault = fault("user", 503, "serviceUnavailable") }),
		},
		{
			name: "role 503", users: []account{alice}, holds: []string{oid}, op: "role", instead: refusal(503, "serviceUnavailable"),
			want: with(somebody(request.Unverified), func(c *request.Caller) { c.Fault = fault("role", 503, "serviceUnavailable") }),
		},
		{
			name: "user 403", users: []account{alice}, holds: []string{oid}, op: "user", instead: refusal(403, "Authorization_RequestDenied"),
			want: with(somebody(request.Unverified), func(c *request.Caller) {
				c.Fault = fault("user", 403, "Authorization_RequestDenied")
			}),
		},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t, test.users...)
			g.holds = test.holds
			if test.op != "" {
				g.instead[test.op] = test.instead
			}
			got := g.directory(vouches(email)).Again(t.Context(), before)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Again (-want +got):\n%s", diff)
			}
			const want = "/v1.0/users/" + oid + "?$select=id,userPrincipalName,displayName,userType,creationType,accountEnabled"
			if !slices.Contains(g.uris, want) || slices.Contains(g.ops, "mail") {
				t.Errorf("asked for %q, want %q and no mail", g.uris, want)
			}
		})
	}
}

// An answer about somebody else, or about nobody, says nothing of this person.
func TestAgainIncompleteAnswers(t *testing.T) {
	for _, body := range []string{``, `{}`, `{"id":null}`, `{"userPrincipalName":"alice@contoso.com","userType":"Member","accountEnabled":true}`} {
		g := start(t, alice)
		g.holds = []string{oid}
		g.instead["user"] = says(200, body)
		got := g.directory(vouches(email)).Again(t.Context(), somebody(request.Member))
		if got.Administrator || got.Standing != request.Unverified || got.ObjectID != oid {
			t.Errorf("answer %q: Again = %+v, want %s to be %s", body, got, oid, request.Unverified)
		}
	}
}
