package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
)

// violation is a broken invariant.
type violation struct{ rule, text string }

func (s *simulation) violate(rule, format string, args ...any) {
	v := violation{rule, fmt.Sprintf(format, args...)}
	s.broken = append(s.broken, v)
	s.tracef("VIOLATION %s: %s", v.rule, v.text)
}

// documented are the documented results, from
// learn.microsoft.com/powershell/module/sharepoint-online/revoke-spousersession.
var documented = map[request.Result]string{
	request.NotFound:            "Warning: We couldn't find the user %s. Check for typos and try again.",
	request.SignedOut:           "We successfully signed out %s from all devices.",
	request.SignedOutWithinHour: "It can take up to an hour to sign out %s from all devices.",
	request.Failed:              "Sorry, something went wrong and we couldn't sign out %s from any device.",
	request.NotAvailable:        "The cmdlet will be available in the future, but it isn't ready for use in your organization yet.",
}

func sentenceOf(r request.Request) string {
	return strings.ReplaceAll(documented[r.Outcome.Result], "%s", r.Target.UPN)
}

// check looks at the world after it has settled.
func (s *simulation) check() {
	entries := s.checkRecord()
	for _, id := range s.store.order {
		r := s.store.latest[id].r
		if r.State == request.Noted {
			continue
		}
		s.checkEnd(r)
		s.checkEffects(r, entries[id])
		if !s.slack.archived {
			s.checkChat(r)
		}
		if r.Thread.Gone {
			s.checkByMessage(r)
		}
		s.checkRecords(r, entries[id])
		s.checkAnchor(r, entries[id])
	}
	s.checkFrozen()
	s.checkOrphans()
	if s.plan.promised {
		s.checkAccepted(entries)
	}
	for _, e := range s.tenant.effects {
		if _, known := s.store.latest[e.claim.id]; !known && s.plan.promised {
			s.violate("effect", "for %s, which nobody knows", e.claim.id)
		}
	}
}

// checkFrozen: once a freeze is promised nothing is sent any more, but by a process that
// had begun and was frozen itself.
func (s *simulation) checkFrozen() {
	for _, w := range s.store.writes {
		if !w.r.Note.Freeze.On {
			continue
		}
		for _, e := range s.tenant.effects {
			if e.sent.After(w.at.Add(2*time.Minute)) && s.plan.promised {
				s.violate("frozen", "%s was sent at %v, after everything was frozen at %v", e.claim.id, e.sent, w.at)
			}
		}
		return
	}
}

// checkRecord verifies the chain and sorts it by request.
func (s *simulation) checkRecord() map[request.ID][]audit.Entry {
	entries := map[request.ID][]audit.Entry{}
	_, err := audit.Against{}.Verify(func(yield func([]byte, error) bool) {
		for _, l := range s.store.lines {
			var e audit.Entry
			if err := json.Unmarshal(l, &e); err != nil {
				s.violate("record", "%v", err)
			}
			entries[e.Request] = append(entries[e.Request], e)
			if !yield(l, nil) {
				return
			}
		}
	})
	if err != nil {
		s.violate("record", "%v", err)
	}
	return entries
}

var finals = []request.State{request.Done, request.Planned, request.Answered, request.Refused, request.Canceled, request.Expired}

// checkEnd: everything ends, and nothing is left to do.
func (s *simulation) checkEnd(r request.Request) {
	if !slices.Contains(finals, r.State) {
		s.violate("ends", "%s is still %s", r.ID, r.State)
	}
	if !r.Due.IsZero() || !r.WakeAt().IsZero() || len(r.Presses)+len(r.Replies) > 0 {
		s.violate("ends", "%s is due at %v, %d presses, %d replies", r.ID, r.WakeAt(), len(r.Presses), len(r.Replies))
	}
	if r.State == request.Done && (r.Outcome.Result < request.NotFound || r.Outcome.Result > request.NotAvailable) {
		s.violate("ends", "%s is done without a result", r.ID)
	}
	if r.Authorized() && r.State != request.Done && (r.State != request.Refused || r.Refusal != request.CardNotPosted) {
		s.violate("ends", "%s was approved and is %s", r.ID, r.State)
	}
}

// checkEffects: only what was confirmed, only once, and as the result says.
func (s *simulation) checkEffects(r request.Request, entries []audit.Entry) {
	var all []effect
	untroubled := 0
	for _, e := range s.tenant.effects {
		if e.claim.id != r.ID {
			continue
		}
		all = append(all, e)
		if e.excuse != isFirst {
			s.stats.excuses[cmp.Or(e.excuse, "none")]++
		}
		if e.excuse == "" && s.plan.promised {
			s.violate("look", "%s had another effect, although a look would have shown the one before", r.ID)
		}
		if !e.claim.troubled {
			untroubled++
		}
		if s.confirmed(r, e) == nil {
			s.violate("effect", "on %s without a second administrator's confirm", r.ID)
		}
		forgotten := r.Target.ObjectID == "" && !s.plan.promised // the store has lost all but the command, and could not look again
		if e.target != r.Target.ObjectID && !forgotten {
			s.violate("effect", "%s: on another account", r.ID)
		}
	}
	s.stats.effects += len(all)
	s.stats.extra += max(0, len(all)-1)
	if untroubled > 1 && s.plan.promised { // without replicas a failover can forget a whole life of it
		s.violate("once", "%s had %d effects, %d of them with nothing to excuse it", r.ID, len(all), untroubled)
	}
	if !s.plan.promised {
		return
	}
	if len(all) > 0 && r.State != request.Done {
		s.violate("effect", "%s is %s and had an effect", r.ID, r.State)
	}
	allowed := slices.ContainsFunc(entries, func(e audit.Entry) bool {
		return e.Decision == "allowed" && (e.Event == "confirm" && e.Actor.ObjectID != r.Requester.ObjectID || e.Event == "command" && e.Unconfirmed)
	})
	if len(all) > 0 && !allowed {
		s.violate("effect", "%s: the record knows of no confirm", r.ID)
	}
	s.checkClaims(r, len(all))
}

// checkClaims: what the result says about the effect is so.
func (s *simulation) checkClaims(r request.Request, effects int) {
	switch r.Outcome.Result {
	case request.SignedOut, request.SignedOutWithinHour:
		since := r.ApprovedAt.Add(-2 * time.Minute)
		if !slices.ContainsFunc(s.tenant.effects, func(e effect) bool { return e.target == r.Target.ObjectID && e.at.After(since) }) {
			s.violate("true", "%s: result %d without an effect", r.ID, r.Outcome.Result)
		}
	case request.Failed, request.NotAvailable, request.NotFound:
		maybe := r.Outcome.Trouble == request.Unreachable || r.Outcome.Unsure
		if effects > 0 && !maybe {
			s.violate("true", "%s: %s denies an effect that took place", r.ID, r.Outcome.Trouble)
		}
	case request.NoResult:
	}
}

// confirmed finds the last press that an effect rests on, as the world saw it: by other
// administrators than the one who asked, as many as the policy wants. All have held the
// role not long before the effect was asked for; a worker can be frozen between its look
// and its call.
func (s *simulation) confirmed(r request.Request, e effect) *delivery {
	asked := s.asked(r.ID)
	if asked == nil {
		return nil
	}
	recently := e.sent.Add(-2 * time.Minute)
	others := map[*account]bool{}
	for _, d := range s.people.deliveries {
		alone := d == asked && r.Command.Unconfirmed && s.plan.policy.AllowUnconfirmed
		second := d.request == r.ID && d.verb == request.Confirm && d.who != asked.who && d.who.id != r.Target.ObjectID
		if !d.at.Before(e.at) || !alone && !second {
			continue
		}
		if since := later(d.at, recently); !d.who.admin(since, e.sent) || !asked.who.admin(since, e.sent) {
			continue
		}
		if others[d.who] = true; alone || len(others) >= max(1, s.plan.policy.Approvals) {
			return d
		}
	}
	return nil
}

// asked is the command that began a request.
func (s *simulation) asked(id request.ID) *delivery {
	for _, d := range s.people.deliveries {
		if d.verb == "" && d.request == id {
			return d
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// checkChat: one card and one result, which say what the request says.
func (s *simulation) checkChat(r request.Request) {
	var cards, results []*chatMessage
	plans := map[string]int{}
	for _, m := range s.slack.messages {
		switch {
		case m.request != string(r.ID):
		case m.part == "card":
			cards = append(cards, m)
		case m.part == "result":
			results = append(results, m)
		default:
			plans[m.part]++
		}
	}
	if !s.plan.promised { // a failover can forget what was shown (docs/operations.md)
		return
	}
	want := 0
	if r.State == request.Done || r.State == request.Canceled || r.Card.TS != "" {
		want = 1
	}
	if len(cards) != want {
		s.violate("card", "%s (%s) has %d cards", r.ID, r.State, len(cards))
	}
	words := map[request.State]string{
		request.Done: sentenceOf(r), request.Canceled: "Canceled by ", request.Expired: "confirmed in time", request.Refused: "Nothing was run",
	}
	for _, m := range cards {
		if !strings.Contains(m.text, words[r.State]) || strings.Contains(m.blocks, `"actions"`) {
			s.violate("card", "%s is %s, and its card %s says %.60q, buttons %v", r.ID, r.State, m.ts, m.text, len(m.buttons()) > 0)
		}
	}
	if r.Thread.Gone { // a placeholder from before can stand there for good
		if !s.slack.locked {
			s.violate("result", "%s: its thread counts as gone, and nobody has locked it", r.ID)
		}
		return
	}
	want = 0
	if r.State == request.Done {
		want = 1
	}
	if len(results) != want {
		s.violate("result", "%s (%s) has %d results", r.ID, r.State, len(results))
	}
	for _, m := range results {
		if !strings.HasPrefix(m.text, sentenceOf(r)) || len(cards) > 0 && m.thread != cards[0].ts {
			s.violate("result", "%s: %.60q, in the thread of %s", r.ID, m.text, m.thread)
		}
	}
	for part, n := range plans {
		if n > 1 {
			s.violate("plan", "%s has %d of %s", r.ID, n, part)
		}
	}
}

// checkByMessage: where the channel is gone, both people have the result.
func (s *simulation) checkByMessage(r request.Request) {
	if r.State != request.Done || r.Thread.ResultDone {
		return
	}
	for _, c := range append(slices.Clone(r.Approvers), r.Requester) {
		if c.Slack.User == "" {
			continue
		}
		if !slices.ContainsFunc(s.slack.private, func(w whisper) bool { return w.to == c.Slack.User && strings.Contains(w.text, sentenceOf(r)) }) {
			s.violate("result", "%s: the channel is gone and %s has no message", r.ID, c.UPN)
		}
	}
}
