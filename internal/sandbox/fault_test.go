package sandbox

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestGraphFaultBodies(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	tests := []struct {
		fault Fault
		code  string
		after string
	}{
		{Fault{Status: 429, RetryAfter: 1500 * time.Millisecond}, "TooManyRequests", "2"},
		{Fault{Status: 503}, "ServiceUnavailable", ""},
		{Fault{Status: 403}, "Authorization_RequestDenied", ""},
		{Fault{Status: 404}, "Request_ResourceNotFound", ""},
		{Fault{Status: 500, Code: "generalException"}, "generalException", ""},
	}
	for _, test := range tests {
		test.fault.Name, test.fault.System, test.fault.Match = "one", "graph", "POST /v1.0/users/"
		f.SetFault(test.fault)
		response, got := f.graphRequest(token, "POST", "/v1.0/users/mallory@contoso.com/revokeSignInSessions", "")
		if response.StatusCode != test.fault.Status || got.text("error", "code") != test.code || response.Header.Get("Retry-After") != test.after || response.Header.Get("request-id") == "" {
			t.Errorf("%+v: got %d %v, Retry-After %q", test.fault, response.StatusCode, got, response.Header.Get("Retry-After"))
		}
		if response, _ := f.graphRequest(token, "GET", "/v1.0/users/mallory@contoso.com", ""); response.StatusCode != 200 {
			t.Errorf("GET does not match: got %d", response.StatusCode)
		}
	}
	if got := f.State().Revoked; len(got) != 0 {
		t.Errorf("refused requests took effect: %v", got)
	}
}

func TestSlackFaultBodies(t *testing.T) {
	f := start(t)
	post := func() (*http.Response, string) {
		t.Helper()
		response, err := http.PostForm(f.env["SLACK_API_URL"]+"chat.postMessage", url.Values{"token": {f.env["SLACK_BOT_TOKEN"]}, "channel": {incidentChannel}, "text": {"x"}})
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if strings.HasPrefix(response.Header.Get("Content-Type"), "text/html") {
			return response, "html"
		}
		return response, decode(t, response.Body).text("error")
	}
	for _, test := range []struct {
		fault  Fault
		status int
		code   string
	}{
		{Fault{Code: "is_archived"}, 200, "is_archived"},
		{Fault{Status: 429, RetryAfter: time.Second}, 429, "ratelimited"},
		{Fault{Status: 500}, 500, "html"},
	} {
		test.fault.Name, test.fault.System, test.fault.Match, test.fault.Times = "f", "slack", "chat.postMessage", 1
		f.SetFault(test.fault)
		response, code := post()
		if response.StatusCode != test.status || code != test.code {
			t.Errorf("%+v: got %d %s", test.fault, response.StatusCode, code)
		}
		if _, code := post(); code != "" {
			t.Errorf("%+v: a fault with Times 1 is over after one request: got %s", test.fault, code)
		}
	}
}

func TestEntraFaults(t *testing.T) {
	f := start(t)
	f.SetFault(Fault{Name: "down", System: "entra", Match: "/token", Status: 503})
	if got := f.token("x").text("error"); got != "temporarily_unavailable" {
		t.Errorf("got %q", got)
	}
	f.ClearFaults()
	f.graphToken()
}

func TestDropTakesEffectWithoutAnswer(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	f.SetFault(Fault{Name: "lost", System: "graph", Match: "revokeSignInSessions", Drop: true, Times: 1})
	request, err := http.NewRequestWithContext(t.Context(), "POST", f.env["GRAPH_URL"]+"/v1.0/users/mallory@contoso.com/revokeSignInSessions", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	if response, err := f.tls.Do(request); err == nil {
		response.Body.Close()
		t.Errorf("got status %d, want no answer", response.StatusCode)
	}
	state := f.State()
	last := state.Calls[len(state.Calls)-1]
	if state.Revoked["mallory@contoso.com"] != 1 || last.Status != 0 || last.Fault != "lost" {
		t.Errorf("got revoked %v, call %+v", state.Revoked, last)
	}
}

func TestHangLastsUntilTheClientGivesUp(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	f.SetFault(Fault{Name: "hang", System: "graph", Hang: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, "POST", f.env["GRAPH_URL"]+"/v1.0/users/mallory@contoso.com/revokeSignInSessions", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Content-Type", "application/json")
	done := make(chan error)
	go func() {
		response, err := f.tls.Do(request)
		if err == nil {
			response.Body.Close()
		}
		done <- err
	}()
	waiting, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	if _, err := f.Await(waiting, func(s State) bool {
		return len(s.Calls) > 0 && strings.HasSuffix(s.Calls[len(s.Calls)-1].Path, "revokeSignInSessions")
	}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
	if got := f.State().Revoked; len(got) != 0 {
		t.Errorf("a hanging request took effect: %v", got)
	}
}

func TestAwait(t *testing.T) {
	f := start(t)
	over, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("enough")
	cancel(reason)
	if _, err := f.Await(over, func(State) bool { return false }); !errors.Is(err, reason) {
		t.Errorf("got %v, want %v", err, reason)
	}
	// The work happens in another goroutine, as a bot's would.
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		if err := f.SetRole("heidi", true); err != nil {
			t.Error(err)
		}
		f.api("chat.postMessage", "channel", incidentChannel, "text", "here")
	})
	waiting, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	state, err := f.Await(waiting, func(s State) bool { return len(s.Messages) == 1 })
	if err != nil || state.Messages[0].Plain != "here" {
		t.Errorf("got %+v, %v", state.Messages, err)
	}
	state.Messages[0].Text = "scribble"
	state.Revoked["x"] = 1
	if again := f.State(); again.Messages[0].Text != "here" || len(again.Revoked) != 0 {
		t.Error("State shares memory with the sandbox")
	}
}
