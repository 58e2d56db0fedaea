package signin

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// quietDesk is one that nothing may get as far as.
type quietDesk struct{ t *testing.T }

func (d quietDesk) Once(context.Context, string) error {
	d.t.Error("something was used up")
	return nil
}

func (d quietDesk) Account(context.Context, string) request.Target {
	d.t.Error("an account was looked up")
	return request.Target{}
}

func (d quietDesk) LinkedTo(context.Context, request.SlackUser) (string, error) {
	d.t.Error("a link was read")
	return "", nil
}

func (d quietDesk) LinkTo(context.Context, request.Ticket, string, string) (request.Reason, error) {
	d.t.Error("an account was linked")
	return "", nil
}

func (d quietDesk) Behind(context.Context, request.Ticket) (request.Request, error) {
	d.t.Error("a request was read")
	return request.Request{}, nil
}

func (d quietDesk) ConfirmWith(context.Context, request.Ticket, request.Proof, string) error {
	d.t.Error("a request was confirmed")
	return nil
}

var t0 = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

// at returns the pages as they are a while after t0, with a desk that nothing may get
// as far as. Microsoft does not answer.
func at(t *testing.T, later time.Duration) (*Handler, *Tickets) {
	t.Helper()
	tickets, err := NewTickets("https://bot.contoso.com", "the signing secret")
	if err != nil {
		t.Fatal(err)
	}
	tickets.now = func() time.Time { return t0 }
	h := New(Options{
		Authority: "https://login.contoso.com", Tenant: "contoso.com", Transport: http.NewFileTransport(http.Dir(t.TempDir())),
		Redeem: func(context.Context, string, string, string) (string, error) {
			t.Error("a code was redeemed")
			return "", nil
		},
		Log: slog.New(slog.DiscardHandler),
	}, tickets, quietDesk{t})
	h.now = func() time.Time { return t0.Add(later) }
	return h, tickets
}

func ask(h *Handler, method, address, form string, cookies ...string) (status int, body string) {
	r := httptest.NewRequest(method, address, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(cookies); i += 2 {
		r.AddCookie(&http.Cookie{Name: "__Host-" + cookies[i], Value: cookies[i+1]})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// Each thing that passes through a browser has its time, and counts up to its end.
func TestEachThingHasItsTime(t *testing.T) {
	const within, over = 10 * time.Minute, 10*time.Minute + time.Second
	tests := []struct {
		name      string
		later     time.Duration
		ask       func(*Handler, *Tickets) (int, string)
		wantTitle string
	}{
		{"a ticket in time", within, startWith, "Microsoft does not answer"}, // the next thing that it needs
		{"a ticket that is over", over, startWith, "This button has expired"},
		{"an attempt in time", within, callbackWith, "You did not sign in"},
		{"an attempt that is over", over, callbackWith, "This sign-in was not begun here"},
		{"a grant that is over", over, confirmWith, "This page has expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, tickets := at(t, tt.later)
			if _, body := tt.ask(h, tickets); !strings.Contains(body, "<title>"+tt.wantTitle+"</title>") {
				t.Errorf("the page is %q, want %q", body, tt.wantTitle)
			}
		})
	}
}

func startWith(h *Handler, tickets *Tickets) (int, string) {
	return ask(h, http.MethodGet, tickets.URL(request.Ticket{For: request.ToLink}), "")
}

func callbackWith(h *Handler, tickets *Tickets) (int, string) {
	a := attempt{State: "s", Expires: t0.Add(signInWithin)}
	return ask(h, http.MethodGet, "/link/callback?state=s&error=access_denied", "", cookieAttempt, tickets.seal(cookieAttempt, a))
}

func confirmWith(h *Handler, tickets *Tickets) (int, string) {
	g := grant{Browser: hashed("b"), Nonce: "n", Expires: t0.Add(signInWithin)}
	return ask(h, http.MethodPost, "/link/confirm", url.Values{"grant": {tickets.seal("grant", g)}}.Encode(), cookieAgree, "b")
}

// An empty state, or an empty cookie, is not the same as another empty one.
func TestEmptyIsNoMatch(t *testing.T) {
	h, tickets := at(t, 0)
	if status, body := ask(h, http.MethodGet, "/link/callback?error=x", "", cookieAttempt, ""); status != http.StatusBadRequest {
		t.Errorf("no attempt: %d %s", status, body)
	}
	g := tickets.seal("grant", grant{Nonce: "n", Expires: t0.Add(time.Hour)})
	if status, body := ask(h, http.MethodPost, "/link/confirm", url.Values{"grant": {g}}.Encode()); status != http.StatusForbidden {
		t.Errorf("a grant of no browser: %d %s", status, body)
	}
}

// Whatever is changed in a sealed text, and wherever, it is none any more; and one kind
// never is another, nor anything that another secret has sealed.
func TestSeals(t *testing.T) {
	tickets, err := NewTickets("https://bot.contoso.com", "the signing secret")
	if err != nil {
		t.Fatal(err)
	}
	others, err := NewTickets("https://bot.contoso.com", "another secret")
	if err != nil {
		t.Fatal(err)
	}
	kinds := []string{"ticket", cookieAttempt, "grant"}
	value := map[string]string{"for": "link"}
	for _, kind := range kinds {
		sealed := tickets.seal(kind, value)
		if sealed == tickets.seal(kind, value) {
			t.Errorf("two seals of one %s are alike", kind)
		}
		for _, as := range kinds {
			var got map[string]string
			if ok := tickets.open(as, sealed, &got); ok != (as == kind) {
				t.Errorf("a %s opens as a %s: %t", kind, as, ok)
			}
			if others.open(as, sealed, &got) {
				t.Errorf("a %s of another secret opens as a %s", kind, as)
			}
		}
		for i := range sealed {
			for _, c := range "A-z9" {
				altered := sealed[:i] + string(c) + sealed[i+1:]
				// The last character has bits that do not count.
				if altered != sealed && i < len(sealed)-1 && tickets.open(kind, altered, &value) {
					t.Fatalf("a %s with another character at %d opens", kind, i)
				}
			}
			if tickets.open(kind, sealed[:i], &value) {
				t.Fatalf("the first %d characters of a %s open", i, kind)
			}
		}
	}
}
