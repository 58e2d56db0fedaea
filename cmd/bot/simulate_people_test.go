package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// worldPlan is what a seed makes of a world: how many there are and how often what
// goes wrong. Rates differ from seed to seed, which finds more than fixed ones.
type worldPlan struct {
	replicas, workers int
	policy            request.Policy
	wait              bool // the store waits for its replica
	promised          bool // and so nothing that was accepted may be forgotten
	restart           time.Duration

	crash, stop, freeze, failover, lag          float64
	slow, limited, refused, dropped, lost, late float64
	stale, unknown                              float64
	storeAway, storeLate, storeLost             float64
}

// people are those in the channel, by the object ids of their accounts.
type people struct {
	ids        []string
	asked      int
	deliveries []*delivery
	seen       []button // on cards, whatever has become of them
	seenOn     []string
}

// delivery is one command or press on its way to the bot.
type delivery struct {
	who     *account
	verb    request.Verb // empty for a command
	request request.ID
	key     string
	at      time.Time

	ended bool // guarded by simulation.mu
	err   error
}

var errNobody = errors.New("no replica answers")

func drawPlan(s *simulation) worldPlan {
	rate := func(most float64) float64 {
		if s.rng.Float64() < 0.4 {
			return 0
		}
		return most * cmp.Or(s.mutant.rates, 1) * math.Pow(10, -2*s.rng.Float64())
	}
	p := worldPlan{
		replicas: 1 + s.rng.IntN(3), workers: 1 + s.rng.IntN(2), restart: s.between(time.Second, time.Minute),
		crash: rate(.08), stop: rate(.02), freeze: rate(.05), failover: rate(.05), lag: rate(.5),
		slow: rate(.3), limited: rate(.3), refused: rate(.3), dropped: rate(.2), lost: rate(.3), late: rate(.3),
		stale: rate(.7), unknown: rate(.2),
		storeAway: rate(.15), storeLate: rate(.08), storeLost: rate(.15),
		policy: request.Policy{
			TTL: []time.Duration{2 * time.Minute, 5 * time.Minute, 15 * time.Minute}[s.rng.IntN(3)], Retention: 30 * 24 * time.Hour,
			AllowUnconfirmed: s.rng.IntN(10) == 0, Approvals: max(1, s.rng.IntN(8)-5), Hourly: 1 + s.rng.IntN(5),
		},
	}
	p.wait = s.rng.IntN(8) > 0
	p.promised = p.wait || p.failover == 0
	return p
}

// populate lets the story of this seed begin.
func (s *simulation) populate() {
	for _, name := range []string{"alice", "bob", "carol", "helen", "mallory", "mike"} {
		for id, a := range s.tenant.accounts {
			if a.upn == name+"@contoso.com" {
				s.people.ids = append(s.people.ids, id)
			}
		}
	}
	targets := []string{"mallory", "mike"}
	for i := range 1 + s.rng.IntN(2) {
		target := targets[i]
		if i == 1 && s.rng.IntN(4) == 0 {
			target = targets[0]
		}
		who := "alice"
		if s.rng.IntN(12) == 0 {
			who = "helen"
		}
		cmd := request.Command{User: target + "@contoso.com", Verbose: s.coin(), WhatIf: s.rng.IntN(15) == 0}
		if s.plan.policy.AllowUnconfirmed && s.coin() {
			cmd.Unconfirmed, cmd.Reason = true, "INC-1"
		}
		s.after(s.between(0, time.Minute), who+" asks", func() { s.askFor(who, cmd, 3) })
		s.crowd()
	}
	if s.rng.IntN(6) == 0 {
		who := s.named([]string{"alice", "bob", "carol"}[s.rng.IntN(3)])
		s.after(s.between(0, 4*time.Minute), who.upn+" loses the role", func() {
			who.roles = append(who.roles, roleChange{time.Now(), false})
		})
		s.after(s.between(4*time.Minute, 8*time.Minute), who.upn+" has the role again", func() {
			who.roles = append(who.roles, roleChange{time.Now(), true})
		})
	}
	if s.rng.IntN(12) == 0 {
		who := []string{"bob", "carol", "helen"}[s.rng.IntN(3)]
		s.after(s.between(5*time.Second, 3*time.Minute), who+" freezes everything", func() { s.askFor(who, request.Command{Kind: request.Freeze}, 3) })
	}
	if s.rng.IntN(20) == 0 {
		s.after(s.between(10*time.Second, 5*time.Minute), "the channel is archived", func() { s.slack.archived = true })
	}
	if s.rng.IntN(20) == 0 {
		s.after(s.between(10*time.Second, 5*time.Minute), "the threads are locked", func() { s.slack.locked = true })
	}
	if s.rng.IntN(15) == 0 {
		who := s.named([]string{"mallory", "mallory", "mike", "bob"}[s.rng.IntN(4)])
		s.after(s.between(30*time.Second, 4*time.Minute), who.upn+" is deleted", func() { who.deleted = true })
	}
	if s.rng.IntN(30) == 0 {
		s.after(s.between(20*time.Second, 3*time.Minute), "all replicas end for long", s.outage)
	}
}

// crowd draws who will look at the channel, and when.
func (s *simulation) crowd() {
	if s.rng.IntN(10) == 0 {
		return // nobody cares: the card expires
	}
	for range 1 + s.rng.IntN(5) {
		who := []string{"bob", "carol", "bob", "carol", "alice", "helen", "mallory"}[s.rng.IntN(7)]
		at := s.between(2*time.Second, 2*time.Minute)
		if s.rng.IntN(6) == 0 {
			at = s.between(0, s.plan.policy.TTL+2*time.Minute)
		}
		s.after(at, who+" looks at the channel", func() { s.look(who, 6) })
	}
}

func (s *simulation) named(name string) *account {
	return s.tenant.by(func(a *account) bool { return a.upn == name+"@contoso.com" })
}

// outage ends everything for about the time for which an approval is good.
func (s *simulation) outage() {
	back := s.between(10*time.Minute, 40*time.Minute)
	s.faults["outage"]++
	for i, p := range s.replicas {
		if p != nil {
			s.end(p)
			s.after(back+s.between(0, time.Minute), "after the outage", func() { s.start(i) })
		}
	}
}

func (s *simulation) askFor(who string, cmd request.Command, again int) {
	s.people.asked++
	d := &delivery{who: s.named(who), request: request.ID(fmt.Sprintf("r%d", s.people.asked)), at: time.Now()}
	d.key = string(d.request)
	s.deliver(d, func(ctx context.Context, to *request.Service) error { return to.Ask(ctx, d.request, cmd, d.origin()) })
	if again > 0 {
		s.after(s.between(5*time.Second, 30*time.Second), who+" looks for an answer", func() {
			if !s.recorded(d) {
				s.askFor(who, cmd, again-1)
			}
		})
	}
}

func (s *simulation) recorded(d *delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.ended && d.err == nil
}

func (d *delivery) origin() request.Origin {
	return request.Origin{SlackUser: request.SlackUser{Team: "T1", User: d.who.slack}, Channel: theChannel}
}

// look is somebody reading the channel, who may press a button.
func (s *simulation) look(who string, again int) {
	var cards []*chatMessage
	for _, m := range s.slack.messages {
		if b := m.buttons(); len(b) > 0 {
			cards = append(cards, m)
			s.people.seen, s.people.seenOn = append(s.people.seen, b...), append(s.people.seenOn, m.ts, m.ts, m.ts)
		}
	}
	stale := len(s.people.seen) > 0 && s.rng.IntN(8) == 0
	if len(cards) == 0 && !stale {
		if again > 0 {
			s.after(s.between(3*time.Second, 40*time.Second), who+" looks again", func() { s.look(who, again-1) })
		}
		return
	}
	verb := []request.Verb{request.Confirm, request.Confirm, request.Confirm, request.Confirm, request.Cancel, request.WhatIf}[s.rng.IntN(6)]
	var b button
	var on string
	if len(cards) == 0 || stale { // a screen that was not brought up to date
		i := s.rng.IntN(len(s.people.seen))
		b, on = s.people.seen[i], s.people.seenOn[i]
	} else {
		m := cards[s.rng.IntN(len(cards))]
		b, on = m.buttons()[0], m.ts
	}
	b.verb = string(verb)
	key := s.press(who, b, on, "")
	switch s.rng.IntN(8) {
	case 0: // a double click
		s.after(s.between(time.Millisecond, 400*time.Millisecond), who+" clicks twice", func() { s.press(who, b, on, "") })
	case 1: // the same delivery once more
		s.after(s.between(time.Millisecond, 2*time.Minute), "a replay of "+key, func() { s.press(who, b, on, key) })
	case 2: // second thoughts
		b.verb = string(request.Cancel)
		s.after(s.between(time.Millisecond, 3*time.Second), who+" thinks again", func() { s.press(who, b, on, "") })
	case 3:
		s.after(s.between(time.Second, time.Minute), who+" looks on", func() { s.look(who, 0) })
	}
}

func (s *simulation) press(who string, b button, on, key string) string {
	d := &delivery{who: s.named(who), verb: request.Verb(b.verb), request: request.ID(b.value), key: key, at: time.Now()}
	if key == "" {
		d.key = fmt.Sprintf("k%d", len(s.people.deliveries))
	}
	p := request.Press{Key: d.key, Verb: d.verb, By: d.origin(), MessageTS: on, Plan: b.plan}
	s.tracef("%s presses %s on %s of %s (%s)", who, d.verb, on, d.request, d.key)
	s.deliver(d, func(ctx context.Context, to *request.Service) error { return to.Press(ctx, d.request, p) })
	return d.key
}

// deliver hands a delivery to a replica, as Slack or a load balancer does.
func (s *simulation) deliver(d *delivery, do func(ctx context.Context, to *request.Service) error) {
	s.people.deliveries = append(s.people.deliveries, d)
	up := slices.DeleteFunc(slices.Clone(s.replicas), func(p *incarnation) bool { return p == nil || p.stopping })
	if len(up) == 0 {
		d.ended, d.err = true, errNobody
		return
	}
	p := up[s.rng.IntN(len(up))]
	p.spawn(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		err := do(ctx, p.service)
		s.mu.Lock()
		defer s.mu.Unlock()
		d.ended, d.err = true, err
	})
}
