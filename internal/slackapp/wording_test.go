package slackapp

import (
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Who is sent to the operator is sent there for the right reason, and everybody is told
// the way by hand.
func TestAdvice(t *testing.T) {
	tests := []struct {
		fault request.Fault
		want  string
	}{
		{request.Fault{System: request.Entra, Status: 401, Code: "invalid_client"}, "renew its credential"},
		{request.Fault{System: request.Entra, Status: 429}, "Try again in a minute"},
		{request.Fault{System: request.Graph, Status: 403, Code: "Authorization_RequestDenied"}, "lacks a permission"},
		{request.Fault{System: request.Graph, Status: 401, Code: "InvalidAuthenticationToken"}, "did not accept the bot's token"},
		{request.Fault{System: request.Graph, Status: 503}, "Try again in a minute"},
		{request.Fault{System: request.Slack, Code: "missing_scope"}, "Slack token is not usable"},
		{request.Fault{System: request.Slack, Status: 429, Code: "ratelimited"}, "Try again in a minute"},
		{request.Fault{}, "Try again in a minute"},
	}
	for _, tt := range tests {
		if got := advice(tt.fault); !strings.Contains(got, tt.want) || !strings.Contains(got, "Entra admin center") {
			t.Errorf("advice(%+v) = %q, want %q and the way by hand", tt.fault, got, tt.want)
		}
	}
}

// Each refusal says what to do next.
func TestRefusalsSayWhatNext(t *testing.T) {
	next := []string{"Ask ", "ask ", "Try again", "Send the command", "Confirm it", "Invite me"}
	says := func(text string) bool {
		for _, n := range next {
			if strings.Contains(text, n) {
				return true
			}
		}
		return false
	}
	for _, s := range []request.Standing{
		request.SlackGuest, request.SlackBot, request.SlackDeactivated, request.SlackOutsider, request.EmailMissing, request.EmailUnconfirmed,
		request.EntraMissing, request.EntraAmbiguous, request.EntraDisabled, request.EntraGuest, request.Unverified,
	} {
		if text := standingText(request.Reply{Standing: s}); !says(text) {
			t.Errorf("%s: %q says nothing to do", s, text)
		}
	}
	for _, code := range []string{"is_archived", "no_permission", "missing_scope", "not_in_channel", "invalid_blocks"} {
		a := request.Reply{Reason: request.CardNotPosted, Fault: request.Fault{System: request.Slack, Code: code}}
		if text := replyText(request.Request{}, a); !says(text) && !strings.Contains(text, "operator has to") {
			t.Errorf("%s: %q says nothing to do", code, text)
		}
	}
}

func TestNoAnswerIsSaid(t *testing.T) {
	if got := detail(request.Fault{System: request.Slack}); got != " (Slack, no answer)" {
		t.Errorf("detail = %q", got)
	}
}
