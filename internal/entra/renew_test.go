package entra

import (
	"net/http"
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
		{"401, not quite new", http.StatusUnauthorized, 2 * renewUnauthorized, 2, 2, 200},
		{"403, not quite new", http.StatusForbidden, 2 * renewForbidden, 2, 2, 200},
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
				c.fetched = time.Now().Add(-tt.age)
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
