package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/sandbox"
	"github.com/revoke-session/revoke-session/internal/store/redistest"
)

// Moments in which a request is in each of its states, and those with a call under way.
var (
	crashPressed  = crashMoment{"delivery interactivity", 1, crashBefore}
	crashRevoking = crashMoment{"Graph revokeSignInSessions", 1, crashBefore}
	crashRevoked  = crashMoment{"Graph revokeSignInSessions", 1, crashAfter}
	crashInCalls  = []crashMoment{crashPressed, crashRevoking, crashRevoked}
	crashInStates = []crashMoment{
		{"Redis claim", 1, crashBefore}, // received
		{"Redis swap to pending", 1, crashAfter},
		{"Slack chat.postMessage", 1, crashAfter},
		{"Redis swap to approved", 1, crashAfter},
		{"Redis swap to executing", 1, crashBefore},
		{"Redis swap to executing", 1, crashAfter},
		{"Redis swap to finished", 1, crashBefore},
		{"Redis swap to finished", 1, crashAfter},
		{"Slack chat.update", 2, crashAfter},
		{"Redis swap to settling", 1, crashAfter},
	}
)

// TestCrashOfTheStore kills, stops and replaces the Redis behind three replicas of the
// bot while a request is in each state, and stops a replica in the middle of a
// revocation. `make test` plays two of them, `make crash` all.
func TestCrashOfTheStore(t *testing.T) {
	t.Parallel()
	redistest.Need(t)
	cells := []*crashCell{stopped(t), restarted(t, crashRevoked)}
	if *crashAll {
		for _, m := range append([]crashMoment{crashPressed, crashRevoking}, crashInStates...) {
			cells = append(cells, restarted(t, m))
		}
		cells = append(cells,
			rolledBack(t, crashRevoked, 1),
			rolledBack(t, crashRevoked, 2),
			rolledBack(t, crashMoment{"Redis swap to finished", 1, crashAfter}, 1),
			rolledBack(t, crashMoment{"Redis swap to finished", 1, crashAfter}, 2),
			rolledBack(t, crashMoment{"Slack chat.update", 2, crashAfter}, 1),
			rolledBack(t, crashMoment{"Redis swap to settling", 1, crashAfter}, 1),
			rolledBack(t, crashMoment{"Redis swap to settling", 1, crashAfter}, 2),
		)
		for _, m := range crashInCalls {
			cells = append(cells, paused(t, m), sentinelKilled(m), sentinelForced(m), clusterKilled(m))
		}
	}
	crashPlay(t, "faults", cells, 4)
}

func storeCell(name string, m crashMoment) *crashCell {
	return &crashCell{name: name + "/" + m.String(), at: m, replicas: 3}
}

// lasting are servers that end with the cell.
func (c *crashCell) lasting() *redistest.Lasting {
	servers := &redistest.Lasting{}
	c.ends = append(c.ends, servers.Close)
	return servers
}

// restarted kills Redis and starts it again from its append-only file. With appendfsync
// everysec, Redis answers up to two seconds before it hands its writes even to the
// kernel, where its disk is slow: they die with it.
func restarted(t *testing.T, m crashMoment) *crashCell {
	return restartedFrom(t, m, func(string) error { return nil })
}

// restartedFrom is restarted from what change has made of the directory.
func restartedFrom(t *testing.T, m crashMoment, change func(dir string) error) *crashCell {
	c, dir := storeCell("redis killed", m), t.TempDir()
	c.relayed = true
	var server *redistest.Server
	start := func() {
		server = redistest.StartServer(c.lasting(), "--dir", dir, "--appendfsync", "always")
		c.redisURL = server.URL(0)
	}
	var failed error
	c.open = start
	c.strike = func(*crashLife) bool {
		server.Kill()
		failed = change(dir)
		return true
	}
	c.after = func(ctx context.Context) error {
		if err := errors.Join(failed, crashPass(ctx, 2*time.Second)); err != nil {
			return err
		}
		start()
		for _, r := range c.redis {
			r.lead(server.Addr)
		}
		return nil
	}
	return c
}

// paused stops Redis for ten seconds: connections stay open and nothing answers.
func paused(t *testing.T, m crashMoment) *crashCell {
	c := storeCell("redis paused", m)
	c.relayed = true
	server := redistest.StartServer(t)
	c.redisURL = server.URL(0)
	c.strike = func(*crashLife) bool {
		server.Pause(&redistest.Lasting{})
		return true
	}
	c.after = func(ctx context.Context) error {
		err := crashPass(ctx, 10*time.Second)
		server.Continue(&redistest.Lasting{})
		return err
	}
	return c
}

// sentinelKilled kills the master that three sentinels watch over.
func sentinelKilled(m crashMoment) *crashCell {
	c := storeCell("sentinel, master killed", m)
	c.settings = []string{"REDIS_WAIT_REPLICAS=1"}
	var servers *redistest.Sentinel
	c.open = func() {
		servers = redistest.StartSentinel(c.lasting())
		c.redisURL = servers.URL(0)
	}
	c.strike = func(*crashLife) bool {
		servers.KillMaster(&redistest.Lasting{})
		return true
	}
	c.after = func(context.Context) error {
		servers.AwaitFailover(&redistest.Lasting{}, 1)
		return nil
	}
	return c
}

// sentinelForced lets the sentinels choose another master although this one lives. For a
// moment the other replica still follows the old one, and vouches for writes that the
// new master has not got: only both together are a promise then.
func sentinelForced(m crashMoment) *crashCell {
	c := sentinelKilled(m)
	c.settings = []string{"REDIS_WAIT_REPLICAS=2"}
	c.name = strings.Replace(c.name, "master killed", "failover forced", 1)
	open := c.open
	var watcher *redis.SentinelClient
	var old string
	master := func() (string, error) {
		addr, err := watcher.GetMasterAddrByName(context.Background(), "bot").Result()
		return strings.Join(addr, ":"), err
	}
	c.open = func() {
		open()
		hosts, _, _ := strings.Cut(strings.TrimPrefix(c.redisURL, "redis+sentinel://"), ",")
		watcher = redis.NewSentinelClient(&redis.Options{Addr: hosts})
		c.ends = append(c.ends, func() { _ = watcher.Close() })
		old, _ = master() // without one, the wait below fails
	}
	var refused error
	c.strike = func(*crashLife) bool {
		refused = watcher.Failover(context.Background(), "bot").Err()
		return true
	}
	c.after = func(context.Context) error {
		return errors.Join(refused, crashAwait(30*time.Second, func() error {
			now, err := master()
			if err == nil && (now == old || old == "") {
				err = fmt.Errorf("the master was %s, is %s", old, now)
			}
			return err
		}))
	}
	return c
}

// clusterKilled kills the node of a Cluster that owns our slot.
func clusterKilled(m crashMoment) *crashCell {
	c := storeCell("cluster, owner killed", m)
	c.settings = []string{"REDIS_WAIT_REPLICAS=1"}
	var servers *redistest.Cluster
	c.open = func() {
		servers = redistest.StartCluster(c.lasting(), "revoke-session", 2)
		c.redisURL = servers.URL()
	}
	c.strike = func(*crashLife) bool {
		servers.KillOwner(&redistest.Lasting{})
		return true
	}
	c.after = func(context.Context) error {
		servers.AwaitFailover(&redistest.Lasting{}, 1)
		return nil
	}
	return c
}

// stopped asks the process that revokes to stop: it finishes what it has begun, and
// the next one goes on at once.
func stopped(t *testing.T) *crashCell {
	c := storeCell("replica stopped", crashRevoking)
	c.relayed, c.redisURL, c.handover = true, redistest.StartServer(t).URL(0), 3*time.Second
	var l *crashLife
	c.open = func() {
		c.world.SetFault(sandbox.Fault{Name: "slow", System: "graph", Match: "revokeSignInSessions", Delay: time.Second})
	}
	c.strike = func(revoking *crashLife) bool {
		l = revoking
		_ = l.cmd.Process.Signal(syscall.SIGTERM) // it lives: it has just made a call
		return true
	}
	c.after = func(ctx context.Context) error {
		select {
		case <-l.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !l.cmd.ProcessState.Success() {
			return fmt.Errorf("the replica that was stopped ended with %v", l.cmd.ProcessState)
		}
		return nil
	}
	return c
}
