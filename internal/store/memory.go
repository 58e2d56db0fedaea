package store

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Memory keeps everything in the process and loses it with the process. It is
// the model of the contract, for tests and simulations. Safe for concurrent use.
type Memory struct {
	chain request.Chain
	now   func() time.Time

	mu    sync.Mutex
	rows  map[request.ID]memoryRow
	lines [][]byte
	head  request.Head
}

// memoryRow is a request with what its JSON leaves out and the index needs.
type memoryRow struct {
	body    []byte
	version int64
	lease   request.Lease
	wake    time.Time
}

func (w memoryRow) request() (request.Request, error) {
	var r request.Request
	if err := json.Unmarshal(w.body, &r); err != nil {
		return r, fmt.Errorf("decoding request: %w", err)
	}
	r.Version, r.Lease = w.version, w.lease
	return r, nil
}

func (m *Memory) keep(r request.Request) error {
	body, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding request %s: %w", r.ID, err)
	}
	m.rows[r.ID] = memoryRow{body: body, version: r.Version, lease: r.Lease, wake: r.WakeAt()}
	return nil
}

// NewMemory returns an empty store whose clock is now.
func NewMemory(chain request.Chain, now func() time.Time) *Memory {
	return &Memory{chain: chain, now: now, rows: map[request.ID]memoryRow{}}
}

// Create implements request.Store.
func (m *Memory) Create(ctx context.Context, r request.Request, fn request.UpdateFunc) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.rows[r.ID]; ok {
		return request.ErrExists
	}
	_, err := m.swap(ctx, r, fn)
	return err
}

// Get implements request.Store.
func (m *Memory) Get(_ context.Context, id request.ID) (request.Request, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.get(id)
}

func (m *Memory) get(id request.ID) (request.Request, error) {
	w, ok := m.rows[id]
	if !ok {
		return request.Request{}, request.ErrNotFound
	}
	return w.request()
}

// Update implements request.Store.
func (m *Memory) Update(ctx context.Context, id request.ID, fn request.UpdateFunc) (request.Request, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, err := m.get(id)
	if err != nil {
		return r, err
	}
	return m.swap(ctx, r, fn)
}

func (m *Memory) swap(ctx context.Context, r request.Request, fn request.UpdateFunc) (request.Request, error) {
	if ctx.Err() != nil {
		return r, request.ErrUnavailable
	}
	next, recs, err := fn(r, m.now())
	if err != nil {
		return next, err
	}
	lines, head, err := m.chain(m.head, recs)
	if err != nil {
		return next, err
	}
	if len(recs) > 0 {
		next.Head = head
	}
	next.Version = r.Version + 1
	if err := m.keep(next); err != nil {
		return next, err
	}
	m.lines, m.head = append(m.lines, lines...), head
	return next, nil
}

// Claim implements request.Store.
func (m *Memory) Claim(_ context.Context, lease time.Duration) (request.Request, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	var oldest request.ID
	for id, w := range m.rows {
		if w.wake.IsZero() || w.wake.After(now) {
			continue
		}
		if was := m.rows[oldest].wake; oldest == "" || w.wake.Before(was) || w.wake.Equal(was) && id < oldest {
			oldest = id
		}
	}
	if oldest == "" {
		return request.Request{}, request.ErrNothingDue
	}
	r, err := m.get(oldest)
	if err != nil {
		return r, err
	}
	r.Version++
	r.Lease = request.Lease{Fence: newFence(), Until: now.Add(lease), At: now}
	return r, m.keep(r)
}

// Sweep implements request.Store; there is no separate index to lose.
func (m *Memory) Sweep(context.Context) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, w := range m.rows {
		r, err := w.request()
		if err == nil && forgotten(r, m.now()) {
			delete(m.rows, id)
		}
	}
	return 0, nil
}

// Check implements request.Store.
func (m *Memory) Check(context.Context) (string, error) { return "", nil }

// Records yields the lines of the audit record from number from on (0 and 1: all), as
// they were when it was called, oldest first.
func (m *Memory) Records(_ context.Context, from uint64) iter.Seq2[[]byte, error] {
	m.mu.Lock()
	skip := min(max(from, 1)-1, uint64(len(m.lines)))
	lines := slices.Clone(m.lines[skip:])
	m.mu.Unlock()
	return func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
}

// Open implements request.Store.
func (m *Memory) Open(context.Context) ([]request.ID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var ids []request.ID
	for id, w := range m.rows {
		if !w.wake.IsZero() {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}
