package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Claim implements request.Store.
func (s *Redis) Claim(ctx context.Context, lease time.Duration) (request.Request, error) {
	first, err := s.firstDue(ctx)
	if err != nil {
		return request.Request{}, err
	}
	if len(first) == 0 {
		return request.Request{}, request.ErrNothingDue
	}
	if s.replicas > 0 { // before a lease is taken that nobody may work on
		if err := s.probe(ctx); err != nil {
			return request.Request{}, err
		}
	}
	for _, z := range first {
		id := fmt.Sprint(z.Member)
		answer, err := s.write(ctx, s.claim, []string{keyRow + id, keyDueSet},
			id, lease.Microseconds(), newFence(), strconv.FormatFloat(z.Score, 'f', 0, 64))
		if err != nil {
			return request.Request{}, redisError("claiming request", err)
		}
		raw, err := redis.NewCmdResult(answer, nil).StringSlice()
		if err != nil {
			return request.Request{}, fmt.Errorf("claiming request: %w", err)
		}
		switch raw[0] {
		case "claimed":
			return fromHash(raw[1:])
		case "later": // the index is ordered: nothing after this one is due either
			return request.Request{}, request.ErrNothingDue
		case "gone", "taken": // another replica was faster; there may be more for us
		}
	}
	return request.Request{}, request.ErrNothingDue
}

// firstDue looks at what has been due longest. Most polls find nothing, and write
// nothing.
func (s *Redis) firstDue(ctx context.Context) ([]redis.Z, error) {
	node, err := s.node(ctx)
	if err != nil {
		return nil, redisError("finding the server of our keys", err)
	}
	pipe := node.Pipeline()
	clock := pipe.Time(ctx)
	first := pipe.ZRangeWithScores(ctx, keyDueSet, 0, 15)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, redisError("reading due index", err)
	}
	due := first.Val()
	for i, z := range due {
		if z.Score > float64(clock.Val().UnixMicro()) {
			return due[:i], nil
		}
	}
	return due, nil
}

// errMovedOn says that a request is not any more what it was when it was looked at.
var errMovedOn = errors.New("request has moved on")

// Sweep implements request.Store. Redis forgets by itself.
func (s *Redis) Sweep(ctx context.Context) (int, error) {
	node, err := s.node(ctx)
	if err != nil {
		return 0, redisError("finding the server of our keys", err)
	}
	n := 0
	scan := node.Scan(ctx, 0, keyRow+"*", 500).Iterator()
	for scan.Next(ctx) {
		id := scan.Val()[len(keyRow):]
		v, err := s.view(ctx, request.ID(id))
		if errors.Is(err, request.ErrUnavailable) {
			return n, err
		}
		if err != nil || !v.exists || v.request.WakeAt().IsZero() {
			continue // one unreadable request must not keep the others asleep
		}
		err = s.client.ZScore(ctx, keyDueSet, id).Err()
		if err == nil {
			continue
		}
		if !errors.Is(err, redis.Nil) {
			return n, redisError("reading due index", err)
		}
		// Writing it puts it into the index, if it was not on its way out of it just now.
		_, err = s.Update(ctx, v.request.ID, func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
			if r.Version != v.request.Version {
				return r, nil, errMovedOn
			}
			return unchanged(r, now)
		})
		switch {
		case errors.Is(err, errMovedOn), errors.Is(err, request.ErrNotFound):
			continue
		case err != nil:
			return n, err
		}
		n++
	}
	if err := scan.Err(); err != nil {
		return n, redisError("scanning requests", err)
	}
	return n, nil
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
