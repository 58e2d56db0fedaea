package store

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Buckets of the state file. Changing what they hold needs a new format number.
var (
	bucketRequests = []byte("requests") // id -> row
	bucketDue      = []byte("due")      // wake time (8 bytes, nanoseconds, big endian) + id -> nothing
	bucketAudit    = []byte("audit")    // number (8 bytes, big endian) -> line
	bucketMeta     = []byte("meta")     // "head" -> request.Head, "format" -> 2, "check" -> time

	keyHead   = []byte("head")
	keyFormat = []byte("format")
	keyCheck  = []byte("check")
	format    = []byte("2") // 1: one approver, and records that name people by object id alone
)

// Bolt keeps everything in one file of one process: durable (each write is
// synced before it is acknowledged), nothing to run beside it. The file's lock
// refuses a second process. Safe for concurrent use.
type Bolt struct {
	db    *bolt.DB
	chain request.Chain
	now   func() time.Time
}

// OpenBolt opens or creates the state file at path. It fails within a second if
// another process has the file open.
func OpenBolt(path string, chain request.Chain, now func() time.Time) (*Bolt, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("state file %s is in use by another process, and serves one at a time: stop that one first; several replicas need REDIS_URL", path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening state file %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketRequests, bucketDue, bucketAudit, bucketMeta} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return fmt.Errorf("creating bucket %s: %w", name, err)
			}
		}
		meta := tx.Bucket(bucketMeta)
		if have := meta.Get(keyFormat); have != nil && string(have) != string(format) {
			return fmt.Errorf("it has format %s, this version reads format %s", have, format)
		}
		if err := meta.Put(keyFormat, format); err != nil {
			return err
		}
		return endLeases(tx)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing state file %s: %w", path, err), db.Close())
	}
	return &Bolt{db: db, chain: chain, now: now}, nil
}

// Close releases the file. Calls after it return request.ErrUnavailable.
func (b *Bolt) Close() error { return b.db.Close() }

// write runs fn in one durable transaction. Whatever fails, nothing is written;
// only a failed sync at the very end leaves that open. bbolt knows no contexts:
// when ctx ends first the write goes on, and whether it took place is not known.
func write[T any](ctx context.Context, b *Bolt, fn func(tx *bolt.Tx) (T, error)) (T, error) {
	var zero T
	if ctx.Err() != nil {
		return zero, fmt.Errorf("%w: %w", request.ErrUnavailable, ctx.Err())
	}
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		var a answer
		a.err = boltError(b.db.Update(func(tx *bolt.Tx) (err error) {
			a.value, err = fn(tx)
			return err
		}))
		done <- a
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		return zero, fmt.Errorf("writing to the state file: %w", ctx.Err())
	}
}

func boltError(err error) error {
	if errors.Is(err, bolterrors.ErrDatabaseNotOpen) {
		return fmt.Errorf("%w: %w", request.ErrUnavailable, err)
	}
	return err
}

// Create implements request.Store.
func (b *Bolt) Create(ctx context.Context, r request.Request, fn request.UpdateFunc) error {
	_, err := write(ctx, b, func(tx *bolt.Tx) (request.Request, error) {
		if tx.Bucket(bucketRequests).Get([]byte(r.ID)) != nil {
			return r, request.ErrExists
		}
		return b.swap(tx, r, fn)
	})
	return err
}

// Get implements request.Store.
func (b *Bolt) Get(_ context.Context, id request.ID) (r request.Request, err error) {
	err = boltError(b.db.View(func(tx *bolt.Tx) error {
		r, err = getRow(tx, id)
		return err
	}))
	return r, err
}

func getRow(tx *bolt.Tx, id request.ID) (request.Request, error) {
	blob := tx.Bucket(bucketRequests).Get([]byte(id))
	if blob == nil {
		return request.Request{}, request.ErrNotFound
	}
	return decode(blob)
}

// Update implements request.Store.
func (b *Bolt) Update(ctx context.Context, id request.ID, fn request.UpdateFunc) (request.Request, error) {
	return write(ctx, b, func(tx *bolt.Tx) (request.Request, error) {
		r, err := getRow(tx, id)
		if err != nil {
			return r, err
		}
		return b.swap(tx, r, fn)
	})
}

// swap applies fn and writes request, due index and record.
func (b *Bolt) swap(tx *bolt.Tx, r request.Request, fn request.UpdateFunc) (request.Request, error) {
	next, recs, err := fn(r, b.now())
	if err != nil {
		return next, err
	}
	if len(recs) > 0 {
		if next.Head, err = b.record(tx, recs); err != nil {
			return next, err
		}
	}
	return put(tx, r, next)
}

// record appends to the audit record and returns its new head.
func (b *Bolt) record(tx *bolt.Tx, recs []request.Record) (request.Head, error) {
	meta := tx.Bucket(bucketMeta)
	var head request.Head
	if blob := meta.Get(keyHead); blob != nil {
		if err := json.Unmarshal(blob, &head); err != nil {
			return head, fmt.Errorf("decoding audit head: %w", err)
		}
	}
	lines, next, err := b.chain(head, recs)
	if err != nil {
		return head, err
	}
	for i, line := range lines {
		key := binary.BigEndian.AppendUint64(nil, head.Count+1+uint64(i))
		if err := tx.Bucket(bucketAudit).Put(key, line); err != nil {
			return head, fmt.Errorf("writing audit line: %w", err)
		}
	}
	blob, err := json.Marshal(next)
	if err != nil {
		return head, fmt.Errorf("encoding audit head: %w", err)
	}
	return next, meta.Put(keyHead, blob)
}

// put writes next in place of old, with its place in the due index.
func put(tx *bolt.Tx, old, next request.Request) (request.Request, error) {
	due := tx.Bucket(bucketDue)
	if at := old.WakeAt(); !at.IsZero() {
		if err := due.Delete(dueKey(at, old.ID)); err != nil {
			return next, fmt.Errorf("updating due index: %w", err)
		}
	}
	if at := next.WakeAt(); !at.IsZero() {
		if err := due.Put(dueKey(at, next.ID), []byte{}); err != nil {
			return next, fmt.Errorf("updating due index: %w", err)
		}
	}
	next.Version = old.Version + 1
	blob, err := encode(next)
	if err != nil {
		return next, err
	}
	if err := tx.Bucket(bucketRequests).Put([]byte(next.ID), blob); err != nil {
		return next, fmt.Errorf("writing request %s: %w", next.ID, err)
	}
	return next, nil
}

// Check implements request.Store by writing.
func (b *Bolt) Check(ctx context.Context) (string, error) {
	_, err := write(ctx, b, func(tx *bolt.Tx) (struct{}, error) {
		return struct{}{}, tx.Bucket(bucketMeta).Put(keyCheck, []byte(b.now().UTC().Format(time.RFC3339)))
	})
	return "", err
}
