package main

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// mutantStore is a store that lies in one way.
type mutantStore struct {
	request.Store
	p      *incarnation
	lease  time.Duration // of a claim, if not the one asked for
	change func(old, next request.Request, now time.Time) request.Request
	skip   func(old, next request.Request) bool // writes that it only claims to have made
	boast  bool                                 // takes no write for a success
	twice  bool                                 // writes records so
	thawed bool                                 // knows of no freeze
}

// Get implements request.Store.
func (u *mutantStore) Get(ctx context.Context, id request.ID) (request.Request, error) {
	r, err := u.Store.Get(ctx, id)
	if u.thawed {
		r.Note.Freeze = request.FreezeOf{}
	}
	return r, err
}

// updates makes the store of a mutation.
func updates(set func(u *mutantStore)) func(*incarnation, request.Store) request.Store {
	return func(p *incarnation, st request.Store) request.Store {
		u := &mutantStore{Store: st, p: p}
		set(u)
		return u
	}
}

func sameFence(request.Request) string { return "the same" }

func countingFence(r request.Request) string { return strconv.FormatInt(r.Version, 10) }

// Claim implements request.Store.
func (u *mutantStore) Claim(ctx context.Context, lease time.Duration) (request.Request, error) {
	if u.lease > 0 {
		lease = u.lease
	}
	return u.Store.Claim(ctx, lease)
}

var errSkipped = errors.New("not written")

// Update implements request.Store.
func (u *mutantStore) Update(ctx context.Context, id request.ID, fn request.UpdateFunc) (request.Request, error) {
	var said request.Request
	pressed := false
	r, err := u.Store.Update(ctx, id, func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
		next, recs, err := fn(r, now)
		if err != nil {
			return next, recs, err
		}
		pressed = len(next.Presses) > len(r.Presses)
		if u.change != nil {
			next = u.change(r, next, now)
		}
		if u.twice {
			recs = append(recs, recs...)
		}
		if u.skip != nil && u.skip(r, next) {
			said = next
			return r, nil, errSkipped
		}
		return next, recs, nil
	})
	if errors.Is(err, errSkipped) {
		return said, nil
	}
	if u.boast && (pressed || ctx.Value(workerKey{}) == nil) && errors.Is(err, request.ErrUnavailable) {
		return r, nil
	}
	return r, err
}

func noLease(_, next request.Request, now time.Time) request.Request {
	if next.Lease.Fence != "" {
		next.Lease.Until = now
	}
	return next
}

func oneIsEnough(old, next request.Request, now time.Time) request.Request {
	if next.State == request.Pending && len(next.Approvers) > len(old.Approvers) {
		next.State, next.ApprovedAt, next.Due = request.Approved, now, now
	}
	return next
}

func begins(old, next request.Request) bool {
	return old.State == request.Approved && next.State == request.Executing
}

func approves(old, next request.Request) bool {
	return old.State == request.Pending && next.State == request.Approved
}

func finishes(old, next request.Request) bool { return !old.HasOutcome() && next.HasOutcome() }

func noSettling(_, next request.Request, now time.Time) request.Request {
	if next.State == request.Settling {
		next.State, next.SettleAt, next.Due = request.Done, time.Time{}, time.Time{}
	}
	if next.State == request.Canceled || next.State == request.Expired {
		if next.SettleAt = (time.Time{}); !next.Unshown() && len(next.Presses) == 0 {
			next.Due = time.Time{}
		}
	}
	return next
}

func noSecondLook(_, next request.Request, _ time.Time) request.Request {
	next.Card.Doubt, next.Card.LookAt = false, time.Time{}
	return next
}

func noExpiry(old, next request.Request, _ time.Time) request.Request {
	if next.State != request.Expired {
		return next
	}
	old.Due, old.Expires = time.Time{}, old.Expires.Add(24*time.Hour)
	return old
}

// neverLooks is a revoker that forgets its earlier attempts.
type neverLooks struct{ request.Revoker }

func (r neverLooks) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	a.Resumed = false
	return r.Revoker.Revoke(ctx, p, a)
}

// alwaysWell takes no proof for a success.
type alwaysWell struct{ request.Revoker }

func (r alwaysWell) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	o := r.Revoker.Revoke(ctx, p, a)
	if o.Result == request.Failed {
		o.Result, o.Trouble, o.RetryAfter = request.SignedOutWithinHour, request.NoTrouble, 0
	}
	return o
}

// alwaysSure says that what it could not see has not happened.
type alwaysSure struct{ request.Revoker }

func (r alwaysSure) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	o := r.Revoker.Revoke(ctx, p, a)
	if o.Unsure = false; o.Trouble == request.Unreachable {
		o.Trouble = request.Declined
	}
	return o
}
