package request

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// OpenCard is the request whose card is open for the same target already.
type OpenCard struct {
	Request   ID        `json:"request,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	TS        string    `json:"ts,omitempty"`
	Requester SlackUser `json:"requester,omitzero"`
	Running   bool      `json:"running,omitempty"` // it is confirmed already
}

func cardNote(objectID string) ID { return ID("note/card/" + objectID) }

// open reports whether a request has a card to join, or is about to, in the time that a
// command is good for.
func (r Request) open(now time.Time, ttl time.Duration) bool {
	switch r.State {
	case Received:
		return now.Sub(r.Received) <= ttl
	case Approved, Executing:
		return true
	case Pending:
		return now.Before(r.Expires)
	case Finished, Settling, Done, Planned, Answered, Noted, Refused, Canceled, Expired:
	}
	return false
}

// takeCard notes r among the open requests for a target, or names the one in the same
// channel that it has to join; while that one is not decided, it has to be waited for. A
// card in another channel is none to join, since not everybody can see it.
func (s *Service) takeCard(ctx context.Context, r Request, t Target) (other OpenCard, wait bool, err error) {
	for {
		n, err := s.note(ctx, cardNote(t.ObjectID), func(n Request, now time.Time) (Request, []Record, error) {
			n.Forget = now.Add(s.policy.TTL + 24*time.Hour)
			return n, nil, nil
		})
		if err != nil || slices.Contains(n.Note.Cards, r.ID) {
			return OpenCard{}, false, err
		}
		open, err := s.openOf(ctx, n.Note.Cards, r.Lease.At)
		if err != nil {
			return OpenCard{}, false, err
		}
		cards := []ID{r.ID}
		for _, o := range open {
			// The target of one that was only received is not known yet; it noted itself
			// for this one.
			if o.Origin.Channel == r.Origin.Channel && (o.State == Received || o.Target.ObjectID == t.ObjectID) {
				return OpenCard{
					Request: o.ID, Channel: o.Origin.Channel, TS: o.Card.TS, Requester: o.Requester.Slack, Running: o.Authorized(),
				}, o.State == Received, nil
			}
			cards = append(cards, o.ID)
		}
		taken := false
		_, err = s.note(ctx, cardNote(t.ObjectID), func(now Request, _ time.Time) (Request, []Record, error) {
			if taken = slices.Equal(now.Note.Cards, n.Note.Cards); taken {
				now.Note.Cards = cards
			}
			return now, nil, nil
		})
		if err != nil || taken {
			return OpenCard{}, false, err
		}
	}
}

// openOf reads those of some requests that are open.
func (s *Service) openOf(ctx context.Context, ids []ID, now time.Time) ([]Request, error) {
	var open []Request
	for _, id := range ids {
		r, err := s.store.Get(ctx, id)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("reading an open request: %w", err)
		}
		if err == nil && r.open(now, s.policy.TTL) {
			open = append(open, r)
		}
	}
	return open, nil
}

// accused reports whether somebody's own account is the target of an open request.
func (s *Service) accused(ctx context.Context, by Caller, now time.Time) (bool, error) {
	if by.ObjectID == "" {
		return false, nil
	}
	n, err := s.store.Get(ctx, cardNote(by.ObjectID))
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reading the open requests: %w", err)
	}
	open, err := s.openOf(ctx, n.Note.Cards, now)
	return slices.ContainsFunc(open, func(o Request) bool { return o.Target.ObjectID == by.ObjectID }), err
}

// ownAccount reports whether somebody asks for their own account. Their card stands beside
// another: whoever holds that account must not keep the others from asking, or be taken
// for one of them.
func ownAccount(c Caller, t Target) bool { return c.ObjectID == t.ObjectID }
