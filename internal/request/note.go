package request

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Note is something kept beside requests: in the store as a request in the state
// Noted, so that it has the same guarantees and its records are in the same chain. Its id
// tells which of its fields are used.
type Note struct {
	Link   LinkedAccount `json:"link,omitzero"`
	Ended  ID            `json:"ended,omitempty"` // the command that last ended the link
	Freeze FreezeOf      `json:"freeze,omitzero"`
	Cards  []ID          `json:"cards,omitempty"` // the requests that were last seen open for a target
	Asked  []AskedAt     `json:"asked,omitempty"` // by one requester, lately
}

// Ids of notes. A request's own id has no slash.
const (
	notes      = "note/"
	freezeNote = ID(notes + "freeze")
	linkNotes  = notes + "link/"
)

func (id ID) isNote() bool { return strings.HasPrefix(string(id), notes) }

// noted is Next for notes.
func (p Policy) noted(r Request, e Event, now time.Time) (Request, []Record, error) {
	switch e := e.(type) {
	case Linking:
		return linking(r, e, now)
	case Unlinking:
		return unlinking(r, e, now)
	case Rechecked:
		return rechecked(r, e, now)
	case Freezing:
		return freezing(r, e, now)
	case Thawing:
		return thawing(r, now)
	case Spread:
		if r.Note.Freeze.On == e.Of.On && r.Note.Freeze.At.Equal(e.Of.At) { // else it was switched meanwhile
			r.RetryAt = time.Time{}
		}
		return r, nil, nil
	case FreezeSeen:
		return freezeSeen(r, e)
	}
	return r, nil, errors.New("unknown event")
}

// note changes a note, and makes it where there is none. errNothingToDo counts as done.
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
		case errors.Is(err, errNothingToDo):
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
func (s *Service) decide(ctx context.Context, id ID, e Event) (Request, error) {
	return s.note(ctx, id, func(r Request, now time.Time) (Request, []Record, error) { return s.policy.Next(r, e, now) })
}

// tend does for a note what is due.
func (s *Service) tend(ctx context.Context, r Request) (Request, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
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
