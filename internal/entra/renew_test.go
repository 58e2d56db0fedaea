package entra

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// A token keeps the permissions that the app had when it was issued: after a
// refusal a new one is fetched and the call made once more, so that what was
// granted meanwhile counts at once. A quite new token is believed.
func TestRefusedTokenIsRenewed(t *testing.T) {
	tests := []struct {
		name           string
		status         int
		age            time.Duration
		calls, fetched int
		wantStatus     int // 200: no error
	}{
		{"401, not quite new", http.StatusUnauthorized, 2 * renewAfter, 2, 2, 200},
		{"403, not quite new", http.StatusForbidden, 2 * renewAfter, 2, 2, 200},
		{"401, new", http.StatusUnauthorized, 0, 1, 1, 401},
		{"403, new", http.StatusForbidden, 0, 1, 1, 403},
	}
	for _, tt := range tests {
		for _, policy := range []Retry{Reads, Effects} {
			t.Run(tt.name, func(t *testing.T) {
				m := start(t, script(says(tt.status, errorBody("x")), ok))
				c := m.credential()
				if _, err := c.Token(t.Context(), m.service.URL); err != nil {
					t.Fatal(err)
				}
				c.newest[m.service.URL] = issued{c.newest[m.service.URL].token, time.Now().Add(-tt.age)}
				_, err := m.apiOf(c, policy).Do(t.Context(), "try", http.MethodPost, "/v1.0/x", nil, nil)
				if got := len(m.seen()); got != tt.calls {
					t.Errorf("%d calls, want %d", got, tt.calls)
				}
				if got := m.tokenRequests(); got != tt.fetched {
					t.Errorf("%d tokens fetched, want %d", got, tt.fetched)
				}
				if tt.wantStatus == 200 && err != nil || tt.wantStatus != 200 && asError(t, err).Status != tt.wantStatus {
					t.Errorf("Do = %v, want %d", err, tt.wantStatus)
				}
			})
		}
	}
}

// However many need a token at once, also after one was refused to all of them:
// one is fetched.
func TestOneTokenForMany(t *testing.T) {
	m := start(t, ok)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer token-1" && r.URL.Path == "/refuse" {
			says(401, errorBody("x"))(w, r)
			return
		}
		ok(w, r)
	}))
	t.Cleanup(service.Close)
	n := 0
	m.entra = func(w http.ResponseWriter, r *http.Request) {
		n++ // one at a time, or the race detector says so
		says(200, fmt.Sprintf(`{"token_type":"Bearer","expires_in":3599,"access_token":"token-%d"}`, n))(w, r)
	}
	c := m.credential()
	api := NewAPI(GraphService(service.URL), c, m.transport, Reads, m.logger())
	all := func(path string) {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if _, err := api.Do(t.Context(), "try", http.MethodGet, path, nil, nil); err != nil {
					t.Errorf("%s: %v", path, err)
				}
			})
		}
		wg.Wait()
	}
	all("/x")
	if n != 1 {
		t.Errorf("%d tokens fetched for eight calls, want 1", n)
	}
	c.newest[service.URL] = issued{"token-1", time.Now().Add(-time.Hour)}
	all("/refuse")
	if n != 2 {
		t.Errorf("%d tokens fetched, want one more after a refusal to eight", n)
	}
}
