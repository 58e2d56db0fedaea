package slackapp

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

var update = flag.Bool("update", false, "write the golden files anew")

var at = time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)

func sample(state request.State) request.Request {
	r := request.Request{
		ID: "r1", State: state, Command: request.Command{User: "mallory@contoso.com"}, Received: at, Expires: at.Add(15 * time.Minute),
		Origin:    request.Origin{SlackUser: request.SlackUser{Team: "T1", User: "UALICE"}, Channel: "C1"},
		Requester: request.Caller{Slack: request.SlackUser{Team: "T1", User: "UALICE"}, ObjectID: "oid-alice", UPN: "alice@contoso.com"},
		Target: request.Target{
			ObjectID: "5d92f0b8-4a63-4c1e-b7d5-e6f8a1029c34", UPN: "mallory@contoso.com", Name: "Mallory",
			Account: request.AccountMember, Enabled: true,
		},
		Plan: request.Plan{
			Revoker: "Microsoft Graph", Tenant: "contoso.onmicrosoft.com",
			Target: request.Target{ObjectID: "5d92f0b8-4a63-4c1e-b7d5-e6f8a1029c34", UPN: "mallory@contoso.com"},
			Calls: []request.Call{
				{Method: "POST", URL: "https://graph.microsoft.com/v1.0/users/5d92f0b8/revokeSignInSessions", Why: "ends refresh tokens"},
				{Method: "GET", URL: "https://graph.microsoft.com/v1.0/users/5d92f0b8?$select=id", Why: "reads back"},
			},
			DoesNotEnd: []string{"access tokens already issued", "sessions that apps keep for themselves"},
		},
		Card: request.Card{TS: "1.1"},
	}
	switch state {
	case request.Approved, request.Executing, request.Finished, request.Settling, request.Done:
		r.Approvers = []request.Caller{{Slack: request.SlackUser{Team: "T1", User: "UBOB"}, ObjectID: "oid-bob", UPN: "bob@contoso.com"}}
		r.ApprovedAt = at
	case request.Canceled:
		r.Closer = request.Caller{Slack: request.SlackUser{Team: "T1", User: "UBOB"}, ObjectID: "oid-bob", UPN: "bob@contoso.com"}
	case request.Received, request.Pending, request.Planned, request.Answered, request.Noted, request.Refused, request.Expired:
	}
	return r
}

func with(r request.Request, change func(*request.Request)) request.Request {
	change(&r)
	return r
}

func outcome(o request.Outcome) request.Request {
	o.At = at
	return with(sample(request.Done), func(r *request.Request) { r.Outcome = o })
}

var (
	moved     = request.Outcome{Result: request.SignedOutWithinHour, Sends: 1, ReadBack: true, ValidFrom: at, RequestIDs: []string{"id-1", "id-2"}}
	forbidden = request.Outcome{Result: request.Failed, Trouble: request.Forbidden, Sends: 1, Fault: request.Fault{
		System: request.Graph, Status: 403, Code: "Authorization_RequestDenied", RequestID: "id-1",
	}}
)

// alone is r run by its requester alone.
func alone(r request.Request) request.Request {
	return with(r, func(r *request.Request) {
		r.Command.Unconfirmed, r.Command.Reason, r.Approvers = true, "INC-42: nobody else awake", nil
	})
}

var partial = request.Outcome{
	Result: request.SignedOutWithinHour, Sends: 2, ReadBack: true, ValidFrom: at, RequestIDs: []string{"id-1"},
	Parts: []request.Part{
		{System: request.SharePoint, Result: request.Failed, Trouble: request.Forbidden, Fault: request.Fault{System: request.SharePoint, Status: 403}},
		{System: request.Graph, Result: request.SignedOutWithinHour},
	},
}

func verboseSample() request.Request {
	return with(outcome(moved), func(r *request.Request) {
		r.Command.Verbose = true
		r.Target.Took, r.Target.Evidence = 120*time.Millisecond, "id-t"
		r.Requester.Took, r.Requester.Evidence = 150*time.Millisecond, "id-r"
		r.Approvers[0].Took, r.Approvers[0].Evidence = 90*time.Millisecond, "id-a"
		r.Outcome.Steps = []request.Step{
			{What: "revoke sign-in sessions", System: request.Graph, Status: 429, Code: "TooManyRequests", RequestID: "id-0", ClientRequestID: "c-0", Took: 80 * time.Millisecond},
			{What: "revoke sign-in sessions", System: request.Graph, ClientRequestID: "c-1", Took: 5 * time.Second},
			{What: "read back", System: request.Graph, Status: 200, RequestID: "id-2", ClientRequestID: "c-2", Took: 61 * time.Millisecond},
		}
	})
}

// Every face of a card and every message of its thread, as Slack gets them.
func TestGolden(t *testing.T) {
	hostile := with(sample(request.Pending), func(r *request.Request) {
		r.Target.Name = "<!channel> *bold* `x` <https://fabrikam.com|alice> @here \u202egnp.exe"
		r.Target.Enabled = false
	})
	reason := with(sample(request.Pending), func(r *request.Request) { r.Command.Reason = "INC-42 <!here> *token* theft" })
	changed := with(sample(request.Pending), func(r *request.Request) {
		r.Changes = []request.Change{{What: "sign-in name", Was: "mallory@contoso.com", Is: "m.allory@contoso.com"}}
	})
	waiting := with(sample(request.Executing), func(r *request.Request) { r.RunAt = at.Add(10 * time.Second) })
	admin := with(sample(request.Pending), func(r *request.Request) {
		r.Target.Roles, r.Target.Administrators, r.Approvals, r.Frozen = "Global Administrator, <!here> Reader", 2, 3, true
		r.Requester.Identified = request.ByEmail
		r.Approvers = []request.Caller{{Slack: request.SlackUser{Team: "T1", User: "UBOB"}, ObjectID: "oid-bob", UPN: "bob@contoso.com"}}
	})
	last := with(sample(request.Pending), func(r *request.Request) {
		r.Target.Roles, r.Target.Administrators = "Global Administrator", 1
	})
	anchored := with(outcome(moved), func(r *request.Request) {
		r.Head, r.Sealed = request.Head{Count: 9, Hash: "ff"}, request.Head{Count: 7, Hash: strings.Repeat("0a", 32)}
		r.Approvers = append(r.Approvers, request.Caller{Slack: request.SlackUser{Team: "T1", User: "UCAROL"}, ObjectID: "oid-carol", UPN: "carol@contoso.com", Identified: request.ByEmail})
	})
	rp := &Reporter{tickets: func(request.Ticket) string { return "https://bot.contoso.com/link/start?ticket=t" }}
	unsure := request.Outcome{Result: request.Failed, Trouble: request.Unreachable, Unsure: true, Sends: 2, Fault: request.Fault{System: request.Graph, Status: 504}}
	parts := unsure
	parts.Parts = []request.Part{
		{System: request.SharePoint, Result: request.Failed, Trouble: request.Unreachable, Fault: request.Fault{System: request.Entra, Status: 503}},
		{System: request.Graph, Result: request.Failed, Trouble: request.Unreachable, Fault: unsure.Fault, Unsure: true},
	}
	tests := map[string]message{
		"card_pending_administrator":   card(admin),
		"card_pending_last":            card(last),
		"thread_result_3_anchored":     resultMessage(anchored),
		"answer_link":                  rp.answerTo(sample(request.Pending), request.Reply{Reason: request.NotVerified, Standing: request.NotLinked}),
		"answer_step_up":               rp.answerTo(sample(request.Pending), request.Reply{Reason: request.StepUpNeeded, Verb: request.Confirm}),
		"card_pending_reason":          card(reason),
		"card_pending_changed":         card(changed),
		"card_waiting":                 card(waiting),
		"card_running_unconfirmed":     card(alone(sample(request.Executing))),
		"card_done_unconfirmed":        card(alone(outcome(moved))),
		"thread_placeholder_alone":     placeholder(alone(sample(request.Executing))),
		"thread_result_3_unconfirmed":  resultMessage(alone(outcome(moved))),
		"thread_result_3_verbose":      resultMessage(verboseSample()),
		"thread_result_3_partial":      resultMessage(outcome(partial)),
		"thread_result_1_sharepoint":   resultMessage(outcome(request.Outcome{Result: request.NotFound, Trouble: request.NameNotKnown, Sends: 1})),
		"thread_result_4_sharepoint":   resultMessage(outcome(request.Outcome{Result: request.Failed, Trouble: request.Forbidden, Fault: request.Fault{System: request.SharePoint, Status: 403, Code: "-2147024891, System.UnauthorizedAccessException"}})),
		"thread_result_4_come_later":   resultMessage(outcome(request.Outcome{Result: request.Failed, Trouble: request.Throttled, RetryAfter: time.Minute, Fault: request.Fault{System: request.Graph, Status: 429}})),
		"thread_result_5_sharepoint":   resultMessage(outcome(request.Outcome{Result: request.NotAvailable, Trouble: request.FeatureDisabled, Sends: 1})),
		"thread_result_5_switched_off": resultMessage(outcome(request.Outcome{Result: request.NotAvailable, Trouble: request.SwitchedOff})),
		"card_pending":                 card(sample(request.Pending)),
		"card_pending_hostile":         card(hostile),
		"card_running":                 card(sample(request.Executing)),
		"card_done":                    card(outcome(moved)),
		"card_done_failed":             card(outcome(forbidden)),
		"card_canceled":                card(sample(request.Canceled)),
		"card_expired":                 card(sample(request.Expired)),
		"card_refused":                 card(sample(request.Refused)),
		"thread_plan":                  planMessage(sample(request.Pending)),
		"thread_placeholder":           placeholder(sample(request.Approved)),
		"thread_result_1":              resultMessage(outcome(request.Outcome{Result: request.NotFound, Trouble: request.TargetGone})),
		"thread_result_2":              resultMessage(outcome(request.Outcome{Result: request.SignedOut})),
		"thread_result_3":              resultMessage(outcome(moved)),
		"thread_result_3_lagging":      resultMessage(outcome(request.Outcome{Result: request.SignedOutWithinHour, Sends: 1, ValidFrom: at.Add(-time.Hour)})),
		"thread_result_3_unread":       resultMessage(outcome(request.Outcome{Result: request.SignedOutWithinHour, Sends: 1})),
		"thread_result_3_lost":         resultMessage(outcome(request.Outcome{Result: request.SignedOutWithinHour, Sends: 2, ReadBack: true, ValidFrom: at, AnswerLost: true})),
		"thread_result_4_forbidden":    resultMessage(outcome(forbidden)),
		"thread_result_4_throttled":    resultMessage(outcome(request.Outcome{Result: request.Failed, Trouble: request.Throttled})),
		"thread_result_4_role_lost":    resultMessage(outcome(request.Outcome{Result: request.Failed, Trouble: request.RoleLost})),
		"thread_result_4_too_old":      resultMessage(outcome(request.Outcome{Result: request.Failed, Trouble: request.TooOld})),
		"thread_result_4_no_answer":    resultMessage(outcome(request.Outcome{Result: request.Failed, Trouble: request.Unreachable})),
		"thread_result_4_unsure":       resultMessage(outcome(unsure)),
		"card_done_unsure":             card(outcome(unsure)),
		"thread_result_4_parts":        resultMessage(outcome(parts)),
		"thread_result_4_credential":   resultMessage(outcome(request.Outcome{Result: request.Failed, Trouble: request.CredentialRejected})),
		"thread_result_5":              resultMessage(outcome(request.Outcome{Result: request.NotAvailable})),
	}
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			enc := json.NewEncoder(&got)
			enc.SetEscapeHTML(false)
			enc.SetIndent("", "  ")
			if err := enc.Encode(map[string]any{"text": m.text, "blocks": m.blocks}); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "golden", name+".json")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatalf("%v (make golden writes it)", err)
			}
			if diff := cmp.Diff(string(want), got.String()); diff != "" {
				t.Errorf("%s differs (-want +got):\n%s", path, diff)
			}
		})
	}
}

// The documented sentences, verbatim.
func TestResultSentences(t *testing.T) {
	tests := map[request.Result]string{
		request.NotFound:            "Warning: We couldn't find the user mallory@contoso.com. Check for typos and try again.",
		request.SignedOut:           "We successfully signed out mallory@contoso.com from all devices.",
		request.SignedOutWithinHour: "It can take up to an hour to sign out mallory@contoso.com from all devices.",
		request.Failed:              "Sorry, something went wrong and we couldn't sign out mallory@contoso.com from any device.",
		request.NotAvailable:        "The cmdlet will be available in the future, but it isn't ready for use in your organization yet.",
	}
	for result, want := range tests {
		m := resultMessage(outcome(request.Outcome{Result: result}))
		if !strings.HasPrefix(m.text, want+"\n") {
			t.Errorf("result %d: %q, want it to begin with %q", result, m.text, want)
		}
	}
}

// Only the pending card has buttons; every card and message stays within Slack's
// limits whatever the directory says (docs.slack.dev/reference/block-kit).
func TestMessagesStayWithinLimits(t *testing.T) {
	long := strings.Repeat("ü<&", 4000)
	for _, state := range []request.State{
		request.Pending, request.Approved, request.Executing, request.Finished, request.Settling,
		request.Done, request.Canceled, request.Expired, request.Refused,
	} {
		r := with(sample(state), func(r *request.Request) {
			r.Target.Name, r.Target.UPN = long, long
			r.Outcome = request.Outcome{Result: request.Failed, Trouble: request.Declined, Fault: request.Fault{Code: long, RequestID: long}}
			r.Plan.Calls[0].URL = long
			r.Command = request.Command{Verbose: true, Reason: long[:maxReason]}
			r.Changes = []request.Change{{What: "sign-in name", Was: long, Is: long}}
			for range 40 {
				r.Outcome.Steps = append(r.Outcome.Steps, request.Step{What: "read back", Status: 200, Code: long})
			}
		})
		if unconfirmed := with(r, func(r *request.Request) { r.Command.Unconfirmed = true }); r.Authorized() {
			for _, m := range []message{card(unconfirmed), placeholder(unconfirmed), resultMessage(unconfirmed)} {
				checkLimits(t, state, m)
			}
		}
		for _, m := range []message{card(r), planMessage(r), placeholder(r), resultMessage(r)} {
			checkLimits(t, state, m)
		}
		hasButtons := false
		for _, b := range card(r).blocks {
			_, isActions := b.(*slack.ActionBlock)
			hasButtons = hasButtons || isActions
		}
		if hasButtons != (state == request.Pending) {
			t.Errorf("%s: buttons %v", state, hasButtons)
		}
	}
}

func checkLimits(t *testing.T, state request.State, m message) {
	t.Helper()
	limit := func(what, text string, most int) {
		if n := utf8.RuneCountInString(text); n == 0 || n > most {
			t.Errorf("%s: %s has %d characters, want 1 to %d", state, what, n, most)
		}
	}
	limit("text", m.text, 4000)
	for _, b := range m.blocks {
		switch b := b.(type) {
		case *slack.HeaderBlock:
			limit("header", b.Text.Text, 150)
		case *slack.SectionBlock:
			if b.Text != nil {
				limit("section", b.Text.Text, 3000)
			}
			if len(b.Fields) > 10 {
				t.Errorf("%s: %d fields", state, len(b.Fields))
			}
			for _, f := range b.Fields {
				limit("field", f.Text, 2000)
			}
		case *slack.ContextBlock:
			for _, e := range b.ContextElements.Elements {
				limit("context", e.(*slack.TextBlockObject).Text, 2000)
			}
		case *slack.ActionBlock:
			for _, e := range b.Elements.ElementSet {
				button := e.(*slack.ButtonBlockElement)
				limit("button", button.Text.Text, 75)
				limit("label", button.AccessibilityLabel, 75)
				limit("value", button.Value, 2000)
				if c := button.Confirm; c != nil {
					limit("dialog title", c.Title.Text, 100)
					limit("dialog text", c.Text.Text, 300)
					limit("dialog yes", c.Confirm.Text, 30)
					limit("dialog no", c.Deny.Text, 30)
				}
			}
		default:
			t.Errorf("%s: block %T", state, b)
		}
	}
}

// Every reason has words of its own, which say what happened and never more than
// Slack takes.
func TestEveryReasonIsWorded(t *testing.T) {
	reasons := []request.Reason{
		request.NotVerified, request.NotAdministrator, request.OwnRequest, request.OwnAccount, request.RequesterNotAdmin,
		request.AlreadyConfirmed, request.AlreadyDone, request.AlreadyCanceled, request.AlreadyExpired, request.AlreadyRefused,
		request.AlreadyPlanned, request.StillChecking, request.UnknownCard, request.OtherCard, request.TargetMissing, request.TargetGuest,
		request.TargetUnknown, request.TargetChanged, request.ChannelShared, request.ChannelDirect, request.ChannelNotAllowed,
		request.ChannelUnreadable, request.ChannelUnknown, request.CardNotPosted, request.CommandTooOld, request.ResultByMessage,
		request.PlanChanged, request.PlanShown, request.CommandDisabled, request.ConfirmRequired, request.ReasonRequired,
		request.ConfirmedBefore, request.StepUpNeeded, request.IsFrozen, request.TargetProtected, request.AskedBefore, request.TooManyRequests,
		request.FrozenNow, request.LinkShown, request.LinkEnded, request.NothingLinked, request.LinkNotUsed,
	}
	standings := []request.Standing{
		request.SlackGuest, request.SlackBot, request.SlackDeactivated, request.SlackOutsider, request.EmailMissing,
		request.EmailUnconfirmed, request.EntraMissing, request.EntraAmbiguous, request.EntraDisabled, request.EntraGuest, request.Unverified,
		request.NotLinked,
	}
	seen := map[string]string{}
	check := func(name string, a request.Reply) {
		text := replyText(sample(request.Done), a)
		if strings.Contains(text, "can't word") || strings.Contains(text, "could not tell") || len(text) < 20 || len(text) > 3000 {
			t.Errorf("%s: %q", name, text)
		}
		if other := seen[text]; other != "" {
			t.Errorf("%s and %s have the same words", name, other)
		}
		seen[text] = name
	}
	for _, r := range reasons[1:] {
		check(string(r), request.Reply{Reason: r})
	}
	for _, s := range []request.Standing{request.EntraMissing, request.EntraAmbiguous, request.EmailMissing, request.SlackOutsider, request.SlackGuest} {
		text := replyText(with(sample(request.Refused), func(r *request.Request) { r.Target.Standing = s }), request.Reply{Reason: request.TargetUnresolved})
		if other := seen[text]; other != "" || strings.Contains(text, "could not tell") {
			t.Errorf("a mention that is %s and %s: %q", s, other, text)
		}
		seen[text] = string(s)
	}
	for _, s := range standings {
		check(string(s), request.Reply{Reason: request.NotVerified, Standing: s})
		if s == request.Unverified {
			continue
		}
		if text := replyText(sample(request.Pending), request.Reply{Reason: request.RequesterNotAdmin, Requester: s}); strings.Contains(text, "could not tell") {
			t.Errorf("a requester who is %s: %q", s, text)
		}
	}
}

func TestCode(t *testing.T) {
	tests := map[string]string{
		"mallory@contoso.com":           "`mallory@contoso.com`",
		"":                              "(none)",
		"a`b":                           "`ab`",
		"<!here> & <@U1>":               "`&lt;!here&gt; &amp; &lt;@U1&gt;`",
		"a\u202eb\u200bc\nd\u2066e\x00": "`abcde`",
	}
	for in, want := range tests {
		if got := code(in); got != want {
			t.Errorf("code(%q) = %q, want %q", in, got, want)
		}
	}
}
