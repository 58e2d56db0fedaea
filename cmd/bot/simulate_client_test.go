package main

import (
	"context"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store"
)

// client is a process's way to the database.
type client struct{ p *incarnation }

// operation is one question to the database.
type operation struct {
	// run does it.
	run func(m *store.Memory) (request.Request, error)
	// late reads now and returns what does the rest later, or nil: a write whose
	// caller has given up by the time that it is carried out.
	late func(m *store.Memory) func(m *store.Memory) (request.Request, error)
}

type reply struct {
	r   request.Request
	err error
}

// Create implements request.Store.
func (c *client) Create(ctx context.Context, r request.Request, fn request.UpdateFunc) error {
	create := func(m *store.Memory, fn request.UpdateFunc) (request.Request, error) {
		var made request.Request
		err := m.Create(context.Background(), r, func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
			next, recs, err := fn(r, now)
			made = next
			return next, recs, err
		})
		made.Version = r.Version + 1
		return made, err
	}
	return c.ask(ctx, "create "+string(r.ID), operation{
		run: func(m *store.Memory) (request.Request, error) { return create(m, fn) },
		late: func(*store.Memory) func(*store.Memory) (request.Request, error) {
			next, recs, err := fn(r, c.p.s.store.now())
			if err != nil {
				return nil
			}
			return func(m *store.Memory) (request.Request, error) { return create(m, constantly(next, recs)) }
		},
	}).err
}

// Update implements request.Store.
func (c *client) Update(ctx context.Context, id request.ID, fn request.UpdateFunc) (request.Request, error) {
	got := c.ask(ctx, "update "+string(id), operation{
		run: func(m *store.Memory) (request.Request, error) { return m.Update(context.Background(), id, fn) },
		late: func(m *store.Memory) func(*store.Memory) (request.Request, error) {
			old, err := m.Get(context.Background(), id)
			if err != nil {
				return nil
			}
			next, recs, err := fn(old, c.p.s.store.now())
			if err != nil {
				return nil
			}
			return func(m *store.Memory) (request.Request, error) {
				return m.Update(context.Background(), id, func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
					if r.Version != old.Version {
						return r, nil, errLate
					}
					return next, recs, nil
				})
			}
		},
	})
	return got.r, got.err
}

// Claim implements request.Store.
func (c *client) Claim(ctx context.Context, lease time.Duration) (request.Request, error) {
	run := func(m *store.Memory) (request.Request, error) {
		r, err := m.Claim(context.Background(), lease)
		if fence := c.p.s.store.fence; fence != nil && err == nil {
			return m.Update(context.Background(), r.ID, func(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
				r.Lease.Fence = fence(r)
				return r, nil, nil
			})
		}
		return r, err
	}
	got := c.ask(ctx, "claim", operation{
		run:  run,
		late: func(*store.Memory) func(*store.Memory) (request.Request, error) { return run },
	})
	w, _ := ctx.Value(workerKey{}).(*worker)
	if got.err == nil && w != nil {
		w.claim = &claim{id: got.r.ID, fence: got.r.Lease.Fence}
	}
	return got.r, got.err
}

// Get implements request.Store.
func (c *client) Get(ctx context.Context, id request.ID) (request.Request, error) {
	got := c.ask(ctx, "get "+string(id), operation{
		run: func(m *store.Memory) (request.Request, error) {
			r, err := m.Get(context.Background(), id)
			if err == nil {
				err = errOnlyRead
			}
			return r, err
		},
	})
	if got.err == errOnlyRead { //nolint:errorlint // it is that very value
		got.err = nil
	}
	return got.r, got.err
}

// Sweep implements request.Store.
func (c *client) Sweep(context.Context) (int, error) { return 0, nil }

// Check implements request.Store.
func (c *client) Check(context.Context) (string, error) { return "", nil }

func constantly(next request.Request, recs []request.Record) request.UpdateFunc {
	return func(request.Request, time.Time) (request.Request, []request.Record, error) { return next, recs, nil }
}

// Open implements request.Store.
func (c *client) Open(ctx context.Context) ([]request.ID, error) { return c.p.s.store.memory.Open(ctx) }
