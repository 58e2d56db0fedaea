package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/revoke-session/revoke-session/internal/request"
)

// endLeases gives back what the process before us held: the file's lock proves
// that it is gone, so nobody has to wait for its leases to run out.
func endLeases(tx *bolt.Tx) error {
	var held []request.Request
	err := tx.Bucket(bucketRequests).ForEach(func(_, blob []byte) error {
		if r, err := decode(blob); err == nil && r.Lease.Fence != "" {
			held = append(held, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, r := range held {
		next := r
		next.Lease = request.Lease{}
		if _, err := put(tx, r, next); err != nil {
			return err
		}
	}
	return nil
}

func dueKey(at time.Time, id request.ID) []byte {
	key := binary.BigEndian.AppendUint64(nil, uint64(at.UnixNano()))
	return append(key, id...)
}

// Claim implements request.Store.
func (b *Bolt) Claim(ctx context.Context, lease time.Duration) (request.Request, error) {
	// Most polls find nothing: look before taking the one write lock.
	err := boltError(b.db.View(func(tx *bolt.Tx) error {
		if firstDue(tx, b.now()) == nil {
			return request.ErrNothingDue
		}
		return nil
	}))
	if err != nil {
		return request.Request{}, err
	}
	type claim struct {
		request.Request
		broken error
	}
	got, err := write(ctx, b, func(tx *bolt.Tx) (claim, error) {
		now := b.now()
		for {
			key := firstDue(tx, now)
			if key == nil {
				return claim{}, request.ErrNothingDue
			}
			id := request.ID(key[8:])
			r, err := getRow(tx, id)
			if err == nil && string(dueKey(r.WakeAt(), id)) == string(key) {
				next := r
				next.Lease = request.Lease{Fence: newFence(), Until: now.Add(lease), At: now}
				next, err = put(tx, r, next)
				return claim{Request: next}, err
			}
			if err := tx.Bucket(bucketDue).Delete(key); err != nil {
				return claim{}, fmt.Errorf("mending due index: %w", err)
			}
			if err != nil && !errors.Is(err, request.ErrNotFound) {
				// Unreadable: keep it for a version that can read it, and do not let it
				// stand before the others.
				return claim{broken: fmt.Errorf("reading due request %s: %w", id, err)}, nil
			}
		}
	})
	return got.Request, errors.Join(err, got.broken)
}

// firstDue returns the first key of the due index if its time has come.
func firstDue(tx *bolt.Tx, now time.Time) []byte {
	key, _ := tx.Bucket(bucketDue).Cursor().First()
	if key == nil || binary.BigEndian.Uint64(key) > uint64(now.UnixNano()) {
		return nil
	}
	return key
}

// Sweep implements request.Store. It reads beside the writers and takes the write
// lock only for what is missing.
func (b *Bolt) Sweep(ctx context.Context) (int, error) {
	var missing, old []request.ID
	now := b.now()
	err := boltError(b.db.View(func(tx *bolt.Tx) error {
		due := tx.Bucket(bucketDue)
		return tx.Bucket(bucketRequests).ForEach(func(_, blob []byte) error {
			r, err := decode(blob)
			if err != nil {
				return nil //nolint:nilerr // one unreadable request must not keep the others asleep
			}
			if at := r.WakeAt(); !at.IsZero() && due.Get(dueKey(at, r.ID)) == nil {
				missing = append(missing, r.ID)
			}
			if forgotten(r, now) {
				old = append(old, r.ID)
			}
			return nil
		})
	}))
	if err != nil {
		return 0, err
	}
	if err := b.forget(ctx, old); err != nil {
		return 0, err
	}
	for i, id := range missing {
		if _, err := b.Update(ctx, id, unchanged); err != nil { // writing it puts it into the index
			return i, err
		}
	}
	return len(missing), nil
}

// forget drops requests that still may be forgotten.
func (b *Bolt) forget(ctx context.Context, ids []request.ID) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := write(ctx, b, func(tx *bolt.Tx) (struct{}, error) {
		for _, id := range ids {
			r, err := getRow(tx, id)
			if err != nil || !forgotten(r, b.now()) {
				continue
			}
			if err := tx.Bucket(bucketRequests).Delete([]byte(id)); err != nil {
				return struct{}{}, fmt.Errorf("forgetting request %s: %w", id, err)
			}
		}
		return struct{}{}, nil
	})
	return err
}

// Open implements request.Store.
func (b *Bolt) Open(context.Context) ([]request.ID, error) {
	var ids []request.ID
	err := boltError(b.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket(bucketDue).ForEach(func(key, _ []byte) error {
			ids = append(ids, request.ID(key[8:]))
			return nil
		})
	}))
	return ids, err
}
