package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Records yields the lines of the audit record from number from on (0 and 1: all),
// oldest first. It holds a read transaction open while it is ranged over.
func (b *Bolt) Records(_ context.Context, from uint64) iter.Seq2[[]byte, error] {
	return records(b.db, from)
}

func records(db *bolt.DB, from uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		err := boltError(db.View(func(tx *bolt.Tx) error {
			bucket := tx.Bucket(bucketAudit)
			if bucket == nil {
				return errors.New("it has no audit record: it is no state file of this bot")
			}
			c := bucket.Cursor()
			for k, line := c.Seek(binary.BigEndian.AppendUint64(nil, from)); k != nil; k, line = c.Next() {
				if !yield(append([]byte(nil), line...), nil) {
					return nil
				}
			}
			return nil
		}))
		if err != nil {
			yield(nil, err)
		}
	}
}

// ErrInUse says that another process has the state file open.
var ErrInUse = errors.New("state file is in use by another process")

// BoltReader reads the audit record of a state file that no bot has open, and changes
// nothing in it. Safe for concurrent use.
type BoltReader struct{ db *bolt.DB }

// ReadBolt opens the state file at path for reading. It returns ErrInUse within a
// second if a bot has it open, and keeps bots from opening it until Close.
func ReadBolt(path string) (*BoltReader, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("opening state file: %w", err)
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, ReadOnly: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, fmt.Errorf("%w: %s", ErrInUse, path)
	}
	if err != nil {
		return nil, fmt.Errorf("opening state file %s: %w", path, err)
	}
	return &BoltReader{db: db}, nil
}

// Records is Bolt.Records.
func (b *BoltReader) Records(_ context.Context, from uint64) iter.Seq2[[]byte, error] {
	return records(b.db, from)
}

// Close releases the file.
func (b *BoltReader) Close() error { return b.db.Close() }
