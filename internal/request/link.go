package request

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// LinkedAccount is the Entra account that a Slack user signed in to.
type LinkedAccount struct {
	ObjectID string    `json:"object_id,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

func linkNote(u SlackUser) ID {
	return ID(linkNotes + strings.Join([]string{u.Enterprise, u.Team, u.User}, "/"))
}

// linkedUser is the Slack user that a link's note is about.
func linkedUser(id ID) (SlackUser, bool) {
	rest, ok := strings.CutPrefix(string(id), linkNotes)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return SlackUser{}, false
	}
	return SlackUser{Enterprise: parts[0], Team: parts[1], User: parts[2]}, true
}

// recheckLinks is how often a linked Slack user is looked at again: one who was
// deactivated has to link anew, also if nobody asked for them meanwhile.
const recheckLinks = time.Hour

type (
	// Linking asks to bind a Slack user to the Entra account that they signed in to.
	Linking struct {
		Caller  Caller // the Slack user, with their standing and the account's object id
		Account Target // that account, as the directory has it
	}
	// Unlinking ends that.
	Unlinking struct {
		By      Caller // nobody, where the operator or Slack ends it
		Command ID     // by which the person asked for it
	}
	// Rechecked says what Slack says of a linked user now.
	Rechecked struct{ Standing Standing }
)

func (Linking) event()   {}
func (Unlinking) event() {}
func (Rechecked) event() {}

// linking leaves in Refusal why a link was refused.
func linking(r Request, e Linking, now time.Time) (Request, []Record, error) {
	why, _ := mayLink(r, e)
	e.Caller.Identified = ByLink
	rec := r.record("link", e.Caller, now)
	rec.Target, rec.TargetUPN = e.Account.ObjectID, e.Account.UPN
	if r.Refusal = why; why != "" {
		return r, []Record{rec.refused(why)}, nil
	}
	r.Note.Link, r.RetryAt = LinkedAccount{ObjectID: e.Account.ObjectID, At: now}, now.Add(recheckLinks)
	return r, []Record{rec.allowed()}, nil
}

func unlinking(r Request, e Unlinking, now time.Time) (Request, []Record, error) {
	if r.Note.Link.ObjectID == "" {
		return r, nil, errNothingToDo
	}
	if e.Command != "" {
		e.By.ObjectID, e.By.Identified = r.Note.Link.ObjectID, ByLink
	}
	rec := r.record("unlink", e.By, now)
	rec.Target = r.Note.Link.ObjectID
	r.Note.Link, r.Note.Ended, r.RetryAt = LinkedAccount{}, e.Command, time.Time{}
	if e.Command != "" {
		rec = rec.allowed()
	}
	return r, []Record{rec}, nil
}

// rechecked ends the link of somebody who has left. What could not be found out is
// asked again.
func rechecked(r Request, e Rechecked, now time.Time) (Request, []Record, error) {
	if r.Note.Link.ObjectID == "" { // it was ended while Slack was asked
		r.RetryAt = time.Time{}
		return r, nil, nil
	}
	if e.Standing == SlackDeactivated || e.Standing == SlackOutsider {
		return unlinking(r, Unlinking{}, now)
	}
	r.RetryAt = now.Add(recheckLinks)
	if e.Standing == Unverified {
		r.RetryAt = now.Add(recheckLinks / 12)
	}
	return r, nil, nil
}

// LinkOf reads the object id that a Slack user is linked to; "" if they are not.
func LinkOf(ctx context.Context, st Store, u SlackUser) (string, error) {
	r, err := st.Get(ctx, linkNote(u))
	if err != nil && !errors.Is(err, ErrNotFound) {
		return "", fmt.Errorf("reading link: %w", err)
	}
	return r.Note.Link.ObjectID, nil
}

// LinkedUser is a Slack user with the account that they are linked to.
type LinkedUser struct {
	User SlackUser
	LinkedAccount
}

// LinksOf lists all links of a store.
func LinksOf(ctx context.Context, st Store) ([]LinkedUser, error) {
	ids, err := st.Open(ctx) // links are looked at again and again, so they all are due some time
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}
	var all []LinkedUser
	for _, id := range ids {
		who, ok := linkedUser(id)
		if !ok {
			continue
		}
		r, err := st.Get(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("reading link: %w", err)
		}
		all = append(all, LinkedUser{who, r.Note.Link})
	}
	return all, nil
}

// RemoveLink is the operator's way to end a link. It reports whether there was one.
func RemoveLink(ctx context.Context, st Store, u SlackUser) (bool, error) {
	_, err := st.Update(ctx, linkNote(u), func(r Request, now time.Time) (Request, []Record, error) {
		return Policy{}.Next(r, Unlinking{}, now)
	})
	if errors.Is(err, ErrNotFound) || errors.Is(err, errNothingToDo) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("removing link: %w", err)
	}
	return true, nil
}

// LinkedTo is the object id that a Slack user is linked to; "" if they are not.
func (s *Service) LinkedTo(ctx context.Context, u SlackUser) (string, error) {
	return LinkOf(ctx, s.store, u)
}

// Left has a linked Slack user looked at again: somebody says that they are gone.
func (s *Service) Left(ctx context.Context, u SlackUser) error {
	_, err := s.store.Update(ctx, linkNote(u), func(r Request, now time.Time) (Request, []Record, error) {
		if r.Note.Link.ObjectID == "" {
			return r, nil, errNothingToDo
		}
		r.RetryAt, r.Due = now, now
		return r, nil, nil
	})
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, errNothingToDo) {
		return fmt.Errorf("recording that somebody left: %w", err)
	}
	s.wake()
	return nil
}
