package request

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrUsed is returned for what can be used once, and was.
var ErrUsed = errors.New("used already")

// note changes a note, and makes it where there is none. ErrNothingToDo counts as done.
func (s *Service) note(ctx context.Context, id ID, fn UpdateFunc) (Request, error) {
	return changeNote(ctx, s.store, id, fn)
}

func changeNote(ctx context.Context, st Store, id ID, fn UpdateFunc) (Request, error) {
	for {
		next, err := st.Update(ctx, id, fn)
		if errors.Is(err, ErrNotFound) {
			err = st.Create(ctx, Request{ID: id, State: Noted}, func(r Request, now time.Time) (Request, []Record, error) {
				r.Received = now
				var recs []Record
				var err error
				next, recs, err = fn(r, now)
				return next, recs, err
			})
		}
		switch {
		case errors.Is(err, ErrExists): // somebody else was quicker
			continue
		case errors.Is(err, ErrNothingToDo):
			if next, err = st.Get(ctx, id); errors.Is(err, ErrNotFound) { // and so there is nothing
				err = nil
			}
			return next, err
		case err != nil: // the write may still be under way, and write next
			return Request{}, fmt.Errorf("writing note: %w", err)
		}
		return next, nil
	}
}

// decide is note with an event of the policy.
func (s *Service) decide(ctx context.Context, id ID, e NoteEvent) (Request, error) {
	return s.note(ctx, id, func(r Request, now time.Time) (Request, []Record, error) { return s.policy.Next(r, e, now) })
}

// frozen says whether nothing may be run now, and by whose word.
func (s *Service) frozen(ctx context.Context) (FreezeOf, error) {
	if s.policy.Frozen {
		return FreezeOf{On: true}, nil
	}
	r, err := s.store.Get(ctx, freezeNote)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return FreezeOf{}, fmt.Errorf("reading the freeze: %w", err)
	}
	return r.Note.Freeze, nil
}

// Thaw ends the freeze of a store. It is the operator's: no person in the chat can.
// It reports whether there was one. Cards follow within moments, wherever a bot runs.
func Thaw(ctx context.Context, st Store) (bool, error) {
	was := false
	_, err := changeNote(ctx, st, freezeNote, func(r Request, now time.Time) (Request, []Record, error) {
		was = r.Note.Freeze.On
		return Policy{}.Next(r, Thawing{}, now)
	})
	if err != nil {
		return false, err
	}
	return was, nil
}

// notesOf completes the facts about a command with what is kept beside requests, where
// the command is all right otherwise. It reports whether another one has to be decided
// first.
func (s *Service) notesOf(ctx context.Context, r Request, e *Verified) (wait bool, err error) {
	if e.Freeze, err = s.frozen(ctx); err != nil {
		return false, err
	}
	would := r
	would.Requester, would.Target = e.Caller, e.Target
	if r.Command.Task != Revoke {
		if r.Command.Task == Freeze {
			if e.Accused, err = s.accused(ctx, e.Caller, r.Lease.At); err != nil {
				return false, err
			}
		}
		if s.policy.mayDo(would, *e) == "" {
			e.Linked, err = s.do(ctx, r, e.Caller)
		}
		return false, err
	}
	if why, _ := s.policy.mayAsk(would, *e, e.At); why != "" || r.Command.WhatIf {
		return false, nil
	}
	if !r.Command.Unconfirmed && !ownAccount(e.Caller, e.Target) {
		if e.Other, wait, err = s.takeCard(ctx, r, e.Target); err != nil || wait || e.Other.Request != "" {
			return wait, err
		}
	}
	e.Over, err = s.count(ctx, r.ID, e.Caller)
	return false, err
}

// do carries out a command that asks for no revocation. It reports whether there was
// a link to remove.
func (s *Service) do(ctx context.Context, r Request, by Caller) (linked bool, err error) {
	switch r.Command.Task {
	case Freeze:
		_, err = s.decide(ctx, freezeNote, Freezing{By: by})
		s.wake()
	case Unlink:
		id := linkNote(r.Origin.SlackUser)
		_, err = s.store.Update(ctx, id, func(n Request, now time.Time) (Request, []Record, error) {
			return s.policy.Next(n, Unlinking{By: by, Command: r.ID}, now)
		})
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		if errors.Is(err, ErrNothingToDo) {
			n, err := s.store.Get(ctx, id)
			return n.Note.Ended == r.ID, err // by this command, before a crash
		}
		linked = true
	case Link, Revoke:
	}
	return linked, err
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

// takeCard notes r among the open requests for a target, or names the one in the same
// channel that it has to join; while that one is not decided, it has to be waited for. A
// card in another channel is none to join, since not everybody can see it.
func (s *Service) takeCard(ctx context.Context, r Request, t Target) (other Other, wait bool, err error) {
	for {
		n, err := s.note(ctx, cardNote(t.ObjectID), func(n Request, now time.Time) (Request, []Record, error) {
			n.Forget = now.Add(s.policy.TTL + 24*time.Hour)
			return n, nil, nil
		})
		if err != nil || slices.Contains(n.Note.Cards, r.ID) {
			return Other{}, false, err
		}
		open, err := s.openOf(ctx, n.Note.Cards, r.Lease.At)
		if err != nil {
			return Other{}, false, err
		}
		cards := []ID{r.ID}
		for _, o := range open {
			// The target of one that was only received is not known yet; it noted itself
			// for this one.
			if o.Origin.Channel == r.Origin.Channel && (o.State == Received || o.Target.ObjectID == t.ObjectID) {
				return Other{
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
			return Other{}, false, err
		}
	}
}

// ownAccount reports whether somebody asks for their own account. Their card stands beside
// another: whoever holds that account must not keep the others from asking, or be taken
// for one of them.
func ownAccount(c Caller, t Target) bool { return c.ObjectID == t.ObjectID }

// count adds a request to those of its requester. It reports whether there are too many.
func (s *Service) count(ctx context.Context, id ID, by Caller) (over bool, err error) {
	if s.policy.Hourly == 0 {
		return false, nil
	}
	_, err = s.note(ctx, askedNote(by.ObjectID), func(n Request, now time.Time) (Request, []Record, error) {
		next, counted := n.Note.count(id, s.policy.Hourly, now)
		n.Note, n.Forget, over = next, now.Add(capWindow), !counted
		return n, nil, nil
	})
	if err != nil { // the write may still be under way, and write over
		return false, err
	}
	return over, nil
}

// tend does for a note what is due.
func (s *Service) tend(ctx context.Context, r Request) (Request, error) {
	ctx, cancel := context.WithTimeout(ctx, LookWithin)
	defer cancel()
	who, isLink := linkedUser(r.ID)
	if !isLink {
		of := r.Note.Freeze
		if err := s.spread(ctx); err != nil {
			return r, err
		}
		return s.apply(ctx, r, Spread{of})
	}
	standing := Unverified
	s.guarded(func() { standing, _ = s.directory.Standing(ctx, Origin{SlackUser: who}) })
	next, err := s.apply(ctx, r, Rechecked{standing})
	if err == nil && next.Note.Link.ObjectID == "" {
		s.log.Info("a link has ended with its Slack account", "slack_user", who.User, "standing", standing)
	}
	return next, err
}

// spread brings the freeze to all open cards, so that each says so.
func (s *Service) spread(ctx context.Context) error {
	now, err := s.frozen(ctx)
	if err != nil {
		return err
	}
	ids, err := s.store.Open(ctx)
	if err != nil {
		return fmt.Errorf("listing open requests: %w", err)
	}
	var errs []error // of some must not keep the others from it
	for _, id := range ids {
		if id.isNote() {
			continue
		}
		_, err := s.store.Update(ctx, id, func(r Request, at time.Time) (Request, []Record, error) {
			return s.policy.Next(r, FreezeSeen{now}, at)
		})
		if err != nil && !errors.Is(err, ErrNothingToDo) && !errors.Is(err, ErrNotFound) {
			errs = append(errs, fmt.Errorf("marking request %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}
