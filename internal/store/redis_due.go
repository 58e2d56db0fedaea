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
	first, err := s.client.ZRangeWithScores(ctx, keyDueSet, 0, 15).Result()
	if err != nil {
		return request.Request{}, redisError("reading due index", err)
	}
	if err := s.enoughReplicas(ctx, len(first)); err != nil {
		return request.Request{}, err
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

// enoughReplicas asks before a lease is taken that nobody may work on.
func (s *Redis) enoughReplicas(ctx context.Context, due int) error {
	if s.replicas == 0 || due == 0 {
		return nil
	}
	node, err := s.node(ctx)
	if err != nil {
		return redisError("finding the server of our keys", err)
	}
	n, err := node.Do(ctx, "WAIT", s.replicas, 1).Int()
	if err != nil {
		return redisError("asking for replicas", err)
	}
	if n < s.replicas {
		return fmt.Errorf("%w: REDIS_WAIT_REPLICAS is %d, and %d answer", request.ErrNotReplicated, s.replicas, n)
	}
	return nil
}

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
		if _, err := s.Update(ctx, v.request.ID, unchanged); err != nil { // writing it puts it into the index
			return n, err
		}
		n++
	}
	if err := scan.Err(); err != nil {
		return n, redisError("scanning requests", err)
	}
	return n, nil
}
