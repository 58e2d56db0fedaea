package main

import (
	"regexp"
	"slices"
	"strconv"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
)

var life = []request.State{
	request.Received, request.Pending, request.Approved, request.Executing, request.Finished, request.Settling, request.Done,
}

// checkRecords: the record tells one life, each step once.
func (s *simulation) checkRecords(r request.Request, entries []audit.Entry) {
	count := map[string]int{}
	at := 0
	for _, e := range entries {
		count[e.Event+" "+e.Decision]++
		now := slices.Index(life, e.State)
		if now >= 0 && now < at {
			s.violate("record", "%s goes back from %s to %s", r.ID, life[at], e.State)
		}
		at = max(at, now)
	}
	shown := 2 // in the thread, once more if the plan changed
	if r.Thread.Gone {
		shown = s.pressed(r.ID, request.WhatIf) // to each privately
	}
	for event, most := range map[string]int{
		"command allowed": 1, "confirm allowed": max(1, s.plan.policy.Approvals), "cancel allowed": 1, "what-if allowed": shown, "result ": 1, "expire ": 1,
		"execute ": r.Attempts,
	} {
		if count[event] > most {
			s.violate("record", "%s has %d records of %s", r.ID, count[event], event)
		}
	}
	if f := r.Final; f != (request.Final{}) && count["shown "] == 0 || count["shown "] > 0 && f == (request.Final{}) {
		s.violate("record", "%s: the chat's final state is %+v, with %d records", r.ID, f, count["shown "])
	}
	if r.State == request.Done && !r.Thread.Gone && (r.Final.Result == "" || r.Final.Result != r.Thread.ResultTS) {
		s.violate("record", "%s is done, and the record does not say where", r.ID)
	}
	if r.State == request.Done && count["result "] != 1 {
		s.violate("record", "%s is done with %d results on record", r.ID, count["result "])
	}
	if r.State == request.Canceled && count["cancel allowed"] != 1 || r.State == request.Expired && count["expire "] != 1 {
		s.violate("record", "%s is %s, and the record does not say so", r.ID, r.State)
	}
}

var anchored = regexp.MustCompile("Record: line ([0-9]+), `([0-9a-f]{64})`")

// checkAnchor: what stands under a result leads to the result's line or further, so that
// the record cannot be cut before it.
func (s *simulation) checkAnchor(r request.Request, entries []audit.Entry) {
	if s.slack.archived { // a copy that came late can stand above the result for good
		return
	}
	result := slices.IndexFunc(entries, func(e audit.Entry) bool { return e.Event == "result" })
	for _, m := range s.slack.messages {
		if m.ts != r.Thread.ResultTS || !r.Thread.ResultDone || result < 0 || !s.plan.promised {
			continue
		}
		found := anchored.FindStringSubmatch(m.blocks)
		if found == nil {
			s.violate("anchor", "none under the result of %s", r.ID)
			continue
		}
		n, err := strconv.Atoi(found[1])
		if err != nil || n < int(entries[result].Seq) || n > len(s.store.lines) || audit.Hash(s.store.lines[n-1]) != found[2] {
			s.violate("anchor", "%s: line %s is not the one that it names, or before line %d with the result", r.ID, found[1], entries[result].Seq)
		}
	}
}

// pressed is how many presses of a button there were, replays not counted.
func (s *simulation) pressed(id request.ID, verb request.Verb) int {
	keys := map[string]bool{}
	for _, d := range s.people.deliveries {
		if d.request == id && d.verb == verb {
			keys[d.key] = true
		}
	}
	return len(keys)
}

// checkOrphans: everything that the bot has posted belongs to something.
func (s *simulation) checkOrphans() {
	for _, m := range s.slack.messages {
		r, known := s.store.latest[request.ID(m.request)]
		if known && r.r.State != request.Refused && r.r.State != request.Planned {
			continue
		}
		if known && m.part == "card" && r.r.Card.TS == m.ts {
			continue
		}
		if !s.plan.promised || s.slack.archived || s.slack.locked {
			s.stats.forgotten++
		} else {
			s.stats.orphans++
			s.violate("orphan", "%s %s of %s: %.60q", m.ts, m.part, m.request, m.text)
		}
	}
}

// checkAccepted: what was accepted is not forgotten, and is answered.
func (s *simulation) checkAccepted(entries map[request.ID][]audit.Entry) {
	refused, told := map[string]int{}, map[string]int{}
	for _, all := range entries {
		for _, e := range all {
			if e.Decision == "refused" || e.Event == "command what-if" {
				refused[e.Actor.Slack.User]++
			}
			if e.Event == "answer not delivered" {
				refused[e.Actor.Slack.User]--
			}
		}
	}
	for _, w := range s.slack.private {
		told[w.to]++
	}
	for user, n := range refused {
		if told[user] < n {
			s.violate("answered", "%s was refused %d times and told %d times", user, n, told[user])
		}
	}
	for _, d := range s.people.deliveries {
		if !s.recorded(d) {
			continue
		}
		if w, ok := s.store.latest[d.request]; ok && (d.verb == "" || judged(w.r, d.key)) {
			continue
		}
		if w, ok := s.store.latest[request.ID(d.key)]; ok && judged(w.r, d.key) {
			continue
		}
		s.violate("accepted", "%s %s of %s by %s is forgotten", d.verb, d.key, d.request, d.who.upn)
	}
}

// judged reports whether r remembers a press; after a while it need not.
func judged(r request.Request, key string) bool {
	return slices.ContainsFunc(r.Judged, func(j request.Seen) bool { return j.Key == key }) ||
		len(r.Judged) > 0 && r.Judged[len(r.Judged)-1].At.Sub(r.Received) > request.ReplayWindow
}
