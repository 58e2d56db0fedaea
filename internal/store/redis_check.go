package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Check implements request.Store by writing, and by reading how the server is set
// up: a Redis that evicts keys, or is a read-only replica, cannot keep a promise. One
// without an append-only file can lose the last moments with a restart, which is the
// operator's choice and a note.
func (s *Redis) Check(ctx context.Context) (note string, err error) {
	node, err := s.node(ctx)
	if err != nil {
		return "", redisError("finding the server of our keys", err)
	}
	// INFO works also where a provider hides CONFIG.
	info, err := node.Info(ctx, "replication", "memory", "persistence").Result()
	if err != nil {
		return "", redisError("asking Redis for its set-up", err)
	}
	is := parseInfo(info)
	if policy := is["maxmemory_policy"]; policy != "" && policy != "noeviction" {
		return "", fmt.Errorf("Redis has maxmemory-policy %s: it would throw approvals away when it is full; set noeviction", policy)
	}
	if is["role"] == "slave" {
		return "", errors.New("this Redis is a replica and can't be written to: REDIS_URL must lead to the master, by Sentinel or Cluster where that can change")
	}
	if is["aof_enabled"] == "1" && is["aof_last_write_status"] == "err" {
		return "", errors.New("Redis could not write its append-only file: look at its disk")
	}
	if err := s.probe(ctx); err != nil {
		return "", err
	}
	if is["aof_enabled"] == "0" {
		note = "Redis's append-only file is off: a restart of Redis can lose approvals; set appendonly yes"
	}
	return note, nil
}

// parseInfo reads the lines name:value of INFO.
func parseInfo(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			all[name] = value
		}
	}
	return all
}
