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
	for _, z := range first {
		id := fmt.Sprint(z.Member)
		raw, err := s.claim.Run(ctx, s.client, []string{keyRow + id, keyDueSet},
			id, lease.Microseconds(), newFence(), strconv.FormatFloat(z.Score, 'f', 0, 64)).StringSlice()
		if err != nil {
			return request.Request{}, redisError("claiming request", err)
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

// Sweep implements request.Store.
func (s *Redis) Sweep(ctx context.Context) (int, error) {
	n := 0
	scan := s.client.Scan(ctx, 0, keyRow+"*", 500).Iterator()
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
