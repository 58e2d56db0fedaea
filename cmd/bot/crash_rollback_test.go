package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// rolledBack kills Redis and brings it back without its last n writes, as one comes back
// that syncs its append-only file every second, or whose successor lagged. That is more
// than is promised, so an effect may happen again; the chat has to be right all the same.
// A press that is lost like this has to be made again, which nobody here does.
func rolledBack(t *testing.T, m crashMoment, n int) *crashCell {
	c := restartedFrom(t, m, func(dir string) error { return cutWrites(dir, n) })
	c.name, c.mayRepeat = fmt.Sprintf("redis loses %d writes/%s", n, m), true
	return c
}

// cutWrites drops the last n scripts from an append-only file. Each has several effects
// and is in there as a transaction.
func cutWrites(dir string, n int) error {
	files, err := filepath.Glob(filepath.Join(dir, "appendonlydir", "*.incr.aof")) // since Redis 7
	if len(files) == 0 {
		files = []string{filepath.Join(dir, "appendonly.aof")}
	}
	text, readErr := os.ReadFile(files[0])
	if err := errors.Join(err, readErr); err != nil {
		return err
	}
	end := len(text)
	for range n {
		end = bytes.LastIndex(text[:end], []byte("*1\r\n$5\r\nMULTI\r\n"))
		if end < 0 {
			return fmt.Errorf("%s has fewer than %d transactions", files[0], n)
		}
	}
	return os.Truncate(files[0], int64(end))
}
