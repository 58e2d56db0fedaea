package request

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// FreezeOf says since when and by whom nothing is run.
type FreezeOf struct {
	On bool      `json:"on,omitempty"`
	By Actor     `json:"by,omitzero"`
	At time.Time `json:"at,omitzero"`
}

type (
	// Freezing asks that nothing be run any more.
	Freezing struct{ By Caller }
	// Thawing ends that.
	Thawing struct{}
	// Spread says that all open cards show the freeze as it was.
	Spread struct{ Of FreezeOf }
	// FreezeSeen brings it to one of them.
	FreezeSeen struct{ Freeze FreezeOf }
)

func (Freezing) event()   {}
func (Thawing) event()    {}
func (Spread) event()     {}
func (FreezeSeen) event() {}

func freezing(r Request, e Freezing, now time.Time) (Request, []Record, error) {
	if r.Note.Freeze.On {
		return r, nil, errNothingToDo
	}
	r.Note.Freeze, r.RetryAt = FreezeOf{On: true, By: e.By.actor(), At: now.UTC()}, now
	return r, []Record{r.record("freeze", e.By, now).allowed()}, nil
}

func thawing(r Request, now time.Time) (Request, []Record, error) {
	if !r.Note.Freeze.On {
		return r, nil, errNothingToDo
	}
	r.Note.Freeze, r.RetryAt = FreezeOf{At: now.UTC()}, now
	return r, []Record{r.record("thaw", Caller{}, now)}, nil
}

// freezeSeen is of an open card.
func freezeSeen(r Request, e FreezeSeen) (Request, []Record, error) {
	if r.State != Pending && r.State != Received || r.Frozen == e.Freeze.On {
		return r, nil, errNothingToDo
	}
	if r.Frozen, r.FrozenBy = e.Freeze.On, e.Freeze.By.Slack; r.State == Pending {
		r.RetryAt = time.Time{}
	}
	return r, nil, nil
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
		if err != nil && !errors.Is(err, errNothingToDo) && !errors.Is(err, ErrNotFound) {
			errs = append(errs, fmt.Errorf("marking request %s: %w", id, err))
		}
	}
	return errors.Join(errs...)
}
