package entra

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetries(t *testing.T) {
	status := func(code int) http.HandlerFunc { return says(code, errorBody("x"), "Retry-After", "0") }
	tests := []struct {
		name           string
		answers        []http.HandlerFunc
		reads, effects int // requests
		readsStatus    int // of the error, 200 for none, 0 for no answer
		effectsStatus  int
	}{
		{"success", []http.HandlerFunc{ok}, 1, 1, 200, 200},
		{"429 then success", []http.HandlerFunc{throttled, ok}, 2, 1, 200, 429},
		{"429 without Retry-After then success", []http.HandlerFunc{says(429, ""), ok}, 2, 1, 200, 429},
		{"429 thrice then success", []http.HandlerFunc{throttled, throttled, throttled, ok}, 4, 1, 200, 429},
		{"429 without end", []http.HandlerFunc{throttled}, 4, 1, 429, 429},
		{"500 then success", []http.HandlerFunc{status(500), ok}, 2, 1, 200, 500},
		{"502 then success", []http.HandlerFunc{status(502), ok}, 2, 1, 200, 502},
		{"503 then success", []http.HandlerFunc{status(503), ok}, 2, 1, 200, 503},
		{"504 then success", []http.HandlerFunc{status(504), ok}, 2, 1, 200, 504},
		{"503 without end", []http.HandlerFunc{status(503)}, 4, 1, 503, 503},
		{"connection cut then success", []http.HandlerFunc{cut, ok}, 2, 1, 200, 0},
		{"connection cut without end", []http.HandlerFunc{cut}, 4, 1, 0, 0},
		{"429 then 500", []http.HandlerFunc{throttled, status(500), ok}, 3, 1, 200, 429},
		{"429 then connection cut", []http.HandlerFunc{throttled, cut, ok}, 3, 1, 200, 429},
		{"400", []http.HandlerFunc{status(400), ok}, 1, 1, 400, 400},
		{"401", []http.HandlerFunc{status(401), ok}, 1, 1, 401, 401},
		{"403", []http.HandlerFunc{status(403), ok}, 1, 1, 403, 403},
		{"404", []http.HandlerFunc{status(404), ok}, 1, 1, 404, 404},
		{"501", []http.HandlerFunc{status(501), ok}, 1, 1, 501, 501},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		for _, policy := range []Retry{Reads, Effects} {
			name, want, wantStatus := test.name+"/reads", test.reads, test.readsStatus
			if policy == Effects {
				name, want, wantStatus = test.name+"/effects", test.effects, test.effectsStatus
			}
			all.run(name, func(t *testing.T) {
				m := start(t, script(test.answers...))
				in := map[string]string{"name": "value"} // a body has to be sent again, too
				_, err := m.api(policy).Do(t.Context(), "try", "POST", "/v1.0/x", in, nil)
				calls := m.seen()
				if len(calls) != want {
					t.Errorf("asked %d times, want %d", len(calls), want)
				}
				for _, c := range calls {
					if c.body != `{"name":"value"}` || c.header.Get("client-request-id") != calls[0].header.Get("client-request-id") {
						t.Errorf("repeated as %+v, first was %+v", c, calls[0])
					}
				}
				switch {
				case wantStatus == 200 && err != nil:
					t.Errorf("error = %v, want none", err)
				case wantStatus != 200:
					if e := asError(t, err); e.Status != wantStatus {
						t.Errorf("error = %v, want status %d", e, wantStatus)
					}
				}
				if n := m.tokenRequests(); n != 1 {
					t.Errorf("%d tokens fetched, want 1", n)
				}
			})
		}
	}
}

// Go's transport repeats some requests by itself when a kept connection turns
// out to be dead. An effect must not be among them, in HTTP/1.1 or HTTP/2.
func TestEffectsAreNotRepeatedOnAKeptConnection(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		m := startHTTP(t, script(ok, cut, ok), http2)
		api := m.api(Effects)
		if _, err := api.Do(t.Context(), "first", "POST", "/v1.0/x", nil, nil); err != nil {
			t.Fatal(err)
		}
		_, err := api.Do(t.Context(), "second", "POST", "/v1.0/x", nil, nil)
		if e := asError(t, err); e.Status != 0 {
			t.Errorf("http2=%v: error = %v, want no answer", http2, e)
		}
		calls := m.seen()
		if len(calls) != 2 {
			t.Fatalf("http2=%v: two effects were asked for %d times", http2, len(calls))
		}
		if calls[0].from != calls[1].from {
			t.Errorf("http2=%v: the connection was not kept, so that this test proves nothing", http2)
		}
	}
}

// An effect is asked for again by its caller, a read here; either way another
// machine should get the chance to answer.
func TestNextTryHasANewConnection(t *testing.T) {
	for _, status := range []int{503, 504} {
		for _, policy := range []Retry{Reads, Effects} {
			for _, http2 := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d/%d/http2=%v", status, policy, http2), func(t *testing.T) {
					m := startHTTP(t, script(ok, says(status, errorBody("x"), "Retry-After", "0"), ok), http2)
					api := m.api(policy)
					for len(m.seen()) < 3 {
						_, err := api.Do(t.Context(), "try", "POST", "/v1.0/x", nil, nil)
						if want := policy == Effects && len(m.seen()) == 2; (err != nil) != want {
							t.Fatalf("after %d requests: error = %v", len(m.seen()), err)
						}
					}
					calls := m.seen()
					if calls[0].from != calls[1].from || calls[1].from == calls[2].from {
						t.Errorf("connections were %v, want the third request on a new one", calls)
					}
				})
			}
		}
	}
}

// What an effect's caller is told to wait is not what we would wait here.
func TestErrorCarriesRetryAfter(t *testing.T) {
	tests := []struct {
		after string
		want  time.Duration
	}{
		{"", 0}, {"0", 0}, {"soon", 0}, {"-1", 0}, {"7", 7 * time.Second}, {"120", 2 * time.Minute},
		{"7200", time.Hour}, {"9223372036854775807", time.Hour}, {"Fri, 01 Jan 2100 00:00:00 GMT", time.Hour},
	}
	for _, tt := range tests {
		m := start(t, says(429, errorBody("TooManyRequests"), "Retry-After", tt.after))
		_, err := m.api(Effects).Do(t.Context(), "try", "POST", "/v1.0/x", nil, nil)
		if got := asError(t, err).RetryAfter; got != tt.want {
			t.Errorf("Retry-After %q: error says %v, want %v", tt.after, got, tt.want)
		}
		if got := Backoff(1, err); tt.want > 0 && got != tt.want || got <= 0 {
			t.Errorf("Retry-After %q: Backoff = %v", tt.after, got)
		}
	}
}

func TestRetryAfterBeyondTheContextReturnsTheAnswer(t *testing.T) {
	inAMinute := time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)
	for _, after := range []string{"5", "3600", inAMinute} {
		for _, status := range []int{429, 503} {
			m := start(t, says(status, errorBody("TooManyRequests"), "Retry-After", after))
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			begin := time.Now()
			_, err := m.api(Reads).Do(ctx, "try", "GET", "/v1.0/x", nil, nil)
			cancel()
			if e := asError(t, err); e.Status != status || e.Code != "TooManyRequests" || e.RequestID != "rid-1" {
				t.Errorf("%d, Retry-After %s: error = %v, want the answer", status, after, e)
			}
			if took := time.Since(begin); took > 2*time.Second || len(m.seen()) != 1 {
				t.Errorf("%d, Retry-After %s: %d requests in %v, want one at once", status, after, len(m.seen()), took)
			}
		}
	}
}

// replies stands for Graph where time has to be exact: without sockets, time in
// a synctest bubble passes only by waiting. A nil reply hangs.
type replies struct {
	all []*http.Response
	at  []time.Time
}

func (s *replies) RoundTrip(r *http.Request) (*http.Response, error) {
	s.at = append(s.at, time.Now())
	resp := s.all[min(len(s.at), len(s.all))-1]
	if resp == nil {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	again := *resp
	again.Body, again.Request = io.NopCloser(strings.NewReader("{}")), r
	return &again, nil
}

func reply(status int, headers ...string) *http.Response {
	resp := &http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}}
	for i := 0; i < len(headers); i += 2 {
		resp.Header.Set(headers[i], headers[i+1])
	}
	return resp
}

func get(ctx context.Context, t *testing.T, client *http.Client) (int, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", "https://graph.contoso.com", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	return resp.StatusCode, nil
}

func TestWaits(t *testing.T) {
	type span struct{ from, to time.Duration }
	exactly := func(d time.Duration) span { return span{d, d} }
	tests := []struct {
		name  string
		reply *http.Response
		want  []span
	}{
		{"seconds", reply(429, "Retry-After", "3"), []span{exactly(3 * time.Second)}},
		{"seconds of a 503", reply(503, "Retry-After", "3"), []span{exactly(3 * time.Second)}},
		// A synctest bubble starts at midnight UTC 2000-01-01.
		{"date", reply(429, "Retry-After", "Sat, 01 Jan 2000 00:00:04 GMT"), []span{exactly(4 * time.Second)}},
		{"capped", reply(429, "Retry-After", "3600"), []span{exactly(8 * time.Second)}},
		{"capped date", reply(503, "Retry-After", "Sun, 02 Jan 2000 00:00:00 GMT"), []span{exactly(8 * time.Second)}},
		{"date in the past", reply(429, "Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT"), []span{{100 * time.Millisecond, 200 * time.Millisecond}}},
		{"not a time", reply(429, "Retry-After", "soon"), []span{{100 * time.Millisecond, 200 * time.Millisecond}}},
		{"negative", reply(429, "Retry-After", "-5"), []span{{100 * time.Millisecond, 200 * time.Millisecond}}},
		{"overflowing", reply(429, "Retry-After", "9223372036854775807"), []span{{100 * time.Millisecond, 8 * time.Second}}},
		{"none", reply(503), []span{{100 * time.Millisecond, 200 * time.Millisecond}, {200 * time.Millisecond, 400 * time.Millisecond}, {400 * time.Millisecond, 800 * time.Millisecond}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := make([]*http.Response, 0, len(test.want)+1)
				for range test.want {
					all = append(all, test.reply)
				}
				s := &replies{all: append(all, reply(200))}
				if status, err := get(t.Context(), t, retrying(s, Reads)); status != 200 || err != nil {
					t.Fatalf("got %d, %v", status, err)
				}
				for i, want := range test.want {
					if got := s.at[i+1].Sub(s.at[i]); got < want.from || got > want.to {
						t.Errorf("wait %d was %v, want %v to %v", i+1, got, want.from, want.to)
					}
				}
			})
		})
	}
}

func TestHangingAttemptIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &replies{all: []*http.Response{nil, reply(200)}}
		if status, err := get(t.Context(), t, retrying(s, Reads)); status != 200 || err != nil {
			t.Errorf("read: got %d, %v", status, err)
		}
		if got := s.at[1].Sub(s.at[0]); got < attemptWithin || got > attemptWithin+waitMin {
			t.Errorf("asked again after %v, want %v and a short wait", got, attemptWithin)
		}
		s = &replies{all: []*http.Response{nil, reply(200)}}
		if _, err := get(t.Context(), t, retrying(s, Effects)); err == nil || len(s.at) != 1 {
			t.Errorf("effect: asked %d times, %v; want once and an error", len(s.at), err)
		}
	})
}

// Not only Retry-After: any wait that outlasts the context would hide the answer.
func TestBackoffBeyondTheContextReturnsTheAnswer(t *testing.T) {
	for _, status := range []int{429, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Millisecond) // the first wait is 100 ms at least
				defer cancel()
				s := &replies{all: []*http.Response{reply(status)}}
				if got, err := get(ctx, t, retrying(s, Reads)); got != status || err != nil {
					t.Errorf("got %d, %v; want the answer %d", got, err, status)
				}
			})
		})
	}
}

// loginHangs stands for an Entra that accepts the token request and says nothing.
type loginHangs struct{ graph int }

func (h *loginHangs) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := reply(200, "Content-Type", "application/json")
	resp.Request = r
	switch {
	case r.URL.Host == "graph.contoso.com":
		h.graph++
		resp.Body = io.NopCloser(strings.NewReader("{}"))
		return resp, nil
	case strings.HasSuffix(r.URL.Path, "/openid-configuration"):
		time.Sleep(10 * time.Millisecond) // of the bubble: the token request begins after the call that waits for it
		resp.Body = io.NopCloser(strings.NewReader(`{"issuer":"https://login.contoso.com/` + tenant + `/v2.0",` +
			`"authorization_endpoint":"https://login.contoso.com/a","token_endpoint":"https://login.contoso.com/t"}`))
		return resp, nil
	}
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// Whoever waits for a token has sent nothing to Graph, and has to be able to tell.
func TestHangingLoginIsAnErrorOfEntra(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &loginHangs{}
		c, err := NewSecretCredential("https://login.contoso.com", tenant, clientID, secret, h)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		api := NewAPI(GraphService("https://graph.contoso.com"), c, h, Effects, slog.New(slog.DiscardHandler))
		begin := time.Now()
		_, err = api.Do(ctx, "try", "POST", "/v1.0/x", nil, nil)
		if e := asError(t, err); e.System != SystemEntra || h.graph != 0 {
			t.Errorf("after %v and %d calls of Graph: error = %v, want one of %s", time.Since(begin), h.graph, e, SystemEntra)
		}
	})
}
