package authz

import (
	"net/http"
	"slices"
	"testing"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Whatever becomes of the question whether somebody could activate the role, they
// are who they are.
func TestCallerEligible(t *testing.T) {
	tests := []struct {
		name    string
		holds   []string
		instead http.HandlerFunc
		want    bool
		asked   bool
	}{
		{"could activate it", nil, nil, true, true},
		{"holds it", []string{oid}, nil, false, false},
		{"eligible for a group only, which is not told", nil, says(200, `{"value":[]}`), false, true},
		{"no permission", nil, refusal(403, "Authorization_RequestDenied"), false, true},
		{"no license", nil, refusal(400, "AadPremiumLicenseRequired"), false, true},
		{"500", nil, refusal(500, "InternalServerError"), false, true},
		{"429", nil, refusal(429, "TooManyRequests"), false, true},
		{"cut", nil, cut, false, true},
		{"no JSON", nil, says(200, "<html>"), false, true},
		{"nothing", nil, says(200, ""), false, true},
		{"too slow", nil, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false, true},
	}
	all := together{t: t}
	defer all.wg.Wait()
	for _, test := range tests {
		all.run(test.name, func(t *testing.T) {
			g := start(t, alice)
			g.holds, g.eligible = test.holds, []string{oid}
			if test.instead != nil {
				g.instead["eligible"] = test.instead
			}
			got := g.directory(vouches(email)).Caller(t.Context(), origin)
			if got.Standing != request.Member || got.Eligible != test.want || got.Fault != (request.Fault{}) {
				t.Errorf("Caller = %+v, want a member, eligible %v, without a fault", got, test.want)
			}
			if asked := slices.Contains(g.asked(), "eligible"); asked != test.asked {
				t.Errorf("asked whether eligible: %v, want %v", asked, test.asked)
			}
		})
	}
}

func TestAgainEligible(t *testing.T) {
	g := start(t, alice)
	g.eligible = []string{oid}
	if got := g.directory(vouches(email)).Again(t.Context(), somebody(request.Member)); !got.Eligible || got.Administrator {
		t.Errorf("Again = %+v, want somebody who could activate the role", got)
	}
}

// Activated in PIM, for the role or for a group that holds it, is holding it.
func TestCallerActivated(t *testing.T) {
	g := start(t, alice)
	g.in = map[string][]string{oid: {role}} // transitively
	if got := g.directory(vouches(email)).Caller(t.Context(), origin); !got.Administrator || got.Eligible {
		t.Errorf("Caller = %+v, want an administrator", got)
	}
}

// A missing permission or license is found once, not by everybody who is refused.
func TestEligibilityRefusedIsNotAskedAgain(t *testing.T) {
	for _, test := range []struct {
		instead http.HandlerFunc
		want    int
	}{
		{refusal(403, "Authorization_RequestDenied"), 1},
		{refusal(400, "AadPremiumLicenseRequired"), 1},
		{says(200, "<html>"), 3},
	} {
		g := start(t, alice)
		g.instead["eligible"] = test.instead
		d := g.directory(vouches(email))
		for range 3 {
			d.Caller(t.Context(), origin)
		}
		n := 0
		for _, op := range g.asked() {
			if op == "eligible" {
				n++
			}
		}
		if n != test.want {
			t.Errorf("three look-ups asked %d times, want %d", n, test.want)
		}
	}
}
