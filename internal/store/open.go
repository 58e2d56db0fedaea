package store

import (
	"context"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/revoke-session/revoke-session/internal/request"
)

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

// Open implements request.Store.
func (s *Redis) Open(ctx context.Context) ([]request.ID, error) {
	names, err := s.client.ZRange(ctx, keyDueSet, 0, -1).Result()
	if err != nil {
		return nil, redisError("listing open requests", err)
	}
	ids := make([]request.ID, len(names))
	for i, name := range names {
		ids[i] = request.ID(name)
	}
	return ids, nil
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
