package request

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// ErrUsed is returned for what can be used once, and was.
var ErrUsed = errors.New("used already")

// usedFor is how long what can be used once is remembered: longer than it is valid.
const usedFor = TicketFor + time.Minute

// Once returns ErrUsed if it was called with the same key before.
func (s *Service) Once(ctx context.Context, key string) error {
	err := s.store.Create(ctx, Request{ID: ID("note/used/" + key), State: Noted}, func(r Request, now time.Time) (Request, []Record, error) {
		r.Received, r.Forget = now, now.Add(usedFor)
		return r, nil, nil
	})
	if errors.Is(err, ErrExists) {
		return ErrUsed
	}
	if err != nil {
		return fmt.Errorf("recording use: %w", err)
	}
	return nil
}

// Account looks up the account behind a sign-in.
func (s *Service) Account(ctx context.Context, objectID string) Target {
	return s.directory.Target(ctx, objectID)
}

// LinkTo binds the ticket's Slack user to the Entra account they signed in to, and
// carries on what they had typed or pressed, for this use of the ticket. It returns why
// not, where the gate refuses. An error says that it is not known whether the link
// stands.
func (s *Service) LinkTo(ctx context.Context, t Ticket, objectID, use string) (Reason, error) {
	e := Linking{Caller: Caller{Slack: t.By.SlackUser, ObjectID: objectID}}
	s.guarded(
		func() { e.Caller.Standing, e.Caller.Fault = s.directory.Standing(ctx, t.By) },
		func() { e.Account = s.directory.Target(ctx, objectID) },
	)
	n, err := s.decide(ctx, linkNote(t.By.SlackUser), e)
	if err != nil {
		return "", err
	}
	if n.Refusal != "" {
		return n.Refusal, nil
	}
	return "", s.carryOn(ctx, t, use)
}

// carryOn does what somebody wanted before they had to link their account.
func (s *Service) carryOn(ctx context.Context, t Ticket, use string) error {
	if t.Press != nil {
		press := *t.Press
		press.Key += "-" + use
		return s.Press(ctx, t.Request, press)
	}
	r, err := s.store.Get(ctx, t.Request)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the command: %w", err)
	}
	if r.Origin != t.By || r.Command.Kind == Link {
		return nil
	}
	return s.Ask(ctx, r.ID+"-"+ID(use), r.Command, r.Origin)
}

// Behind returns the request that a ticket is about, as it stands.
func (s *Service) Behind(ctx context.Context, t Ticket) (Request, error) {
	r, err := s.store.Get(ctx, t.Request)
	if err != nil {
		return r, fmt.Errorf("reading the request: %w", err)
	}
	return r, nil
}

// ConfirmWith stores the ticket's press together with the proof of a sign-in, for this
// use of the ticket.
func (s *Service) ConfirmWith(ctx context.Context, t Ticket, proof Proof, use string) error {
	press := *t.Press
	press.Key += "-" + use
	press.Plan, press.Proof = proof.Plan, proof
	return s.Press(ctx, t.Request, press)
}
