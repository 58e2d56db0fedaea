package store

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	mathrand "math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/request"
)

// All keys share one hash tag, so that they live in one slot of a cluster and
// in one replication stream: a promoted replica has a prefix of our history.
const (
	keyTag    = "{revoke-session}:"
	keyRow    = keyTag + "r:" // + id: hash of version, op, request, fence, until, at
	keyDueSet = keyTag + "due"
	keyLines  = keyTag + "audit"
	keyChain  = keyTag + "head"
	keyProbe  = keyTag + "check"
)

var (
	//go:embed read.lua
	readLua string
	//go:embed swap.lua
	swapLua string
	//go:embed claim.lua
	claimLua string
)

// Redis keeps everything in a Redis that several replicas share. Its clock is
// the server's. Safe for concurrent use.
type Redis struct {
	client            redis.UniversalClient
	chain             request.Chain
	read, swap, claim *redis.Script
	replicas          int // how many have to have each write
}

// OpenRedis parses url (docs/operations.md has its forms) and returns a store on
// it. Each write waits until so many of Redis's replicas have it. It does not
// connect: Check does.
func OpenRedis(url string, replicas int, chain request.Chain) (*Redis, error) {
	client, err := openClient(url)
	if err != nil {
		return nil, err
	}
	return NewRedis(client, replicas, chain), nil
}

// LogRedis has what go-redis says by itself go to log, for the whole process: else it goes
// to standard error in a form of its own. Whoever uses a Redis has errors of their own,
// so it is only for a closer look.
func LogRedis(log *slog.Logger) { redis.SetLogger(redisLog{log}) }

type redisLog struct{ log *slog.Logger }

func (l redisLog) Printf(ctx context.Context, format string, args ...any) {
	l.log.DebugContext(ctx, "go-redis", "says", fmt.Sprintf(format, args...))
}

// NewRedis is OpenRedis with a client that must not send a command again by itself.
func NewRedis(client redis.UniversalClient, replicas int, chain request.Chain) *Redis {
	return &Redis{
		client: client, chain: chain, replicas: replicas,
		read: redis.NewScript(readLua), swap: redis.NewScript(swapLua), claim: redis.NewScript(claimLua),
	}
}

// Close closes the connections.
func (s *Redis) Close() error { return s.client.Close() }

// redisError marks errors after which certainly nothing was written: no
// connection, or a server that refused the command.
func redisError(doing string, err error) error {
	var dial *net.OpError
	var refused redis.Error
	switch {
	case errors.As(err, &dial) && dial.Op == "dial",
		errors.As(err, &refused),
		errors.Is(err, redis.ErrClosed), errors.Is(err, redis.ErrPoolTimeout):
		return fmt.Errorf("%s: %w: %w", doing, request.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// view is a request with what a swap of it must compare.
type view struct {
	request request.Request
	exists  bool
	now     time.Time
	head    request.Head
}

func (s *Redis) view(ctx context.Context, id request.ID) (view, error) {
	raw, err := s.read.Run(ctx, s.client, []string{keyRow + string(id), keyChain}).StringSlice()
	if err != nil { // whatever failed, reading has written nothing
		return view{}, fmt.Errorf("reading request: %w: %w", request.ErrUnavailable, err)
	}
	v := view{exists: raw[0] != "", now: micros(raw[5], raw[6])}
	if v.head.Count, err = strconv.ParseUint(raw[7], 10, 64); err != nil {
		return v, fmt.Errorf("decoding audit head: %w", err)
	}
	v.head.Hash = raw[8]
	if v.exists {
		v.request, err = fromHash(raw[:5])
	}
	return v, err
}

// fromHash reads version, request, fence, until, at.
func fromHash(raw []string) (request.Request, error) {
	var r request.Request
	if err := json.Unmarshal([]byte(raw[1]), &r); err != nil {
		return r, fmt.Errorf("decoding request: %w", err)
	}
	version, err := strconv.ParseInt(raw[0], 10, 64)
	if err != nil {
		return r, fmt.Errorf("decoding version of request %s: %w", r.ID, err)
	}
	r.Version = version
	if raw[2] != "" {
		r.Lease = request.Lease{Fence: raw[2], Until: micros("0", raw[3]), At: micros("0", raw[4])}
	}
	return r, nil
}

// micros is Redis's TIME; malformed numbers read as zero, which is long ago.
func micros(seconds, microseconds string) time.Time {
	sec, _ := strconv.ParseInt(seconds, 10, 64)
	usec, _ := strconv.ParseInt(microseconds, 10, 64)
	return time.UnixMicro(sec*1_000_000 + usec).UTC()
}

// Create implements request.Store.
func (s *Redis) Create(ctx context.Context, r request.Request, fn request.UpdateFunc) error {
	_, err := s.update(ctx, r.ID, func(v view) (request.Request, error) {
		if v.exists {
			return r, request.ErrExists
		}
		return r, nil
	}, fn)
	return err
}

// Get implements request.Store.
func (s *Redis) Get(ctx context.Context, id request.ID) (request.Request, error) {
	v, err := s.view(ctx, id)
	if err == nil && !v.exists {
		err = request.ErrNotFound
	}
	return v.request, err
}

// Update implements request.Store.
func (s *Redis) Update(ctx context.Context, id request.ID, fn request.UpdateFunc) (request.Request, error) {
	return s.update(ctx, id, func(v view) (request.Request, error) {
		if !v.exists {
			return v.request, request.ErrNotFound
		}
		return v.request, nil
	}, fn)
}

// update reads, applies fn and swaps, again and again until no other writer
// came between.
func (s *Redis) update(ctx context.Context, id request.ID, from func(view) (request.Request, error), fn request.UpdateFunc) (request.Request, error) {
	lost := false // an answer was, so a write of ours may stand
	for {
		v, err := s.view(ctx, id)
		if err != nil && lost {
			return request.Request{}, fmt.Errorf("writing request, answer lost: %w", errUnsure)
		}
		if err != nil {
			return request.Request{}, err
		}
		r, err := from(v)
		if err != nil {
			return r, err
		}
		next, lines, err := s.step(v, r, fn)
		if err != nil {
			return next, err
		}
		swapped, answerLost, err := s.try(ctx, v, r, next, lines)
		if err != nil || swapped { // both, where it stands and is not replicated
			return next, err
		}
		lost = lost || answerLost
		select {
		case <-ctx.Done():
			if lost {
				return next, fmt.Errorf("writing request, answer lost: %w", errUnsure)
			}
			return next, fmt.Errorf("%w: too many writers: %w", request.ErrUnavailable, ctx.Err())
		case <-time.After(mathrand.N(2 * time.Millisecond)): //nolint:gosec // jitter
		}
	}
}

// step applies fn to r at the moment of v. Another moment has another head.
func (s *Redis) step(v view, r request.Request, fn request.UpdateFunc) (next request.Request, lines [][]byte, err error) {
	next, recs, err := fn(r, v.now)
	if err != nil {
		return next, nil, err
	}
	next.Version = r.Version + 1
	if len(recs) == 0 {
		return next, nil, nil
	}
	lines, next.Head, err = s.chain(v.head, recs)
	return next, lines, err
}

// errUnsure says that a write may or may not have taken place.
var errUnsure = errors.New("it is not known whether the write took place")

// try makes one attempt at the swap. It reports whether the swap took place, and
// whether an answer was lost on the way.
func (s *Redis) try(ctx context.Context, v view, old, next request.Request, lines [][]byte) (swapped, lost bool, err error) {
	body, err := json.Marshal(next)
	if err != nil {
		return false, false, fmt.Errorf("encoding request %s: %w", next.ID, err)
	}
	wake := ""
	if at := next.WakeAt(); !at.IsZero() {
		wake = strconv.FormatInt(at.UnixMicro(), 10)
	}
	forget := ""
	if wake == "" && !next.Forget.IsZero() { // an open request must not vanish
		forget = strconv.FormatInt(next.Forget.UnixMilli(), 10)
	}
	args := []any{
		old.Version, rand.Text(), body, next.Lease.Fence, unixMicro(next.Lease.Until), unixMicro(next.Lease.At),
		string(next.ID), wake, v.head.Count, v.head.Hash, next.Head.Count, next.Head.Hash, forget,
	}
	for _, l := range lines {
		args = append(args, l)
	}
	keys := []string{keyRow + string(next.ID), keyDueSet, keyLines, keyChain}
	answer, err := s.write(ctx, s.swap, keys, args...)
	if err != nil && ctx.Err() == nil && !errors.Is(err, request.ErrNotReplicated) && !errors.Is(redisError("", err), request.ErrUnavailable) {
		// The answer was lost. The same token makes a second try harmless.
		lost = true
		answer, err = s.write(ctx, s.swap, keys, args...)
		if err != nil && !errors.Is(err, request.ErrNotReplicated) {
			return false, true, fmt.Errorf("writing request: %w", errUnsure)
		}
	}
	swapped = answer == "ok"
	switch {
	case errors.Is(err, request.ErrNotReplicated) && swapped:
		return true, lost, fmt.Errorf("writing request: %w", err)
	case err != nil && !errors.Is(err, request.ErrNotReplicated):
		return false, false, redisError("writing request", err)
	}
	return swapped, lost, nil
}

func unixMicro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// Records yields the lines of the audit record from number from on (0 and 1: all),
// oldest first, a page at a time.
func (s *Redis) Records(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	const page = 500
	return func(yield func([]byte, error) bool) {
		if from > math.MaxInt64-page {
			return
		}
		for at := int64(max(from, 1)) - 1; ; at += page {
			lines, err := s.client.LRange(ctx, keyLines, at, at+page-1).Result()
			if err != nil {
				yield(nil, redisError("reading audit lines", err))
				return
			}
			for _, l := range lines {
				if !yield([]byte(l), nil) {
					return
				}
			}
			if len(lines) < page {
				return
			}
		}
	}
}
