package redistest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	slots   = 16384
	masters = 3
)

// Cluster is a Redis Cluster of three masters.
type Cluster struct {
	nodes []*Server // the masters first
	probe string    // a key with the hash tag that Owner is about
}

// StartCluster runs three masters until the test ends, and n replicas of the one
// that owns the slot of the hash tag. With one, the death of the owner can be
// survived; with two, also by those who wait for a replica. Nodes take a node for
// down that has not answered for a second.
func StartCluster(t T, tag string, n int) *Cluster { return startCluster(t, nil, tag, n) }

func startCluster(t T, secure *Secure, tag string, n int) *Cluster {
	t.Helper()
	c := &Cluster{probe: "{" + tag + "}:owner"}
	for range masters + n {
		c.nodes = append(c.nodes, secure.launch(t, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000",
			"--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no", "--tls-cluster", yesIf(secure != nil)))
	}
	for i, node := range c.nodes {
		node.ready(t)
		node.Must(t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i >= masters {
			continue
		}
		add := []any{"CLUSTER", "ADDSLOTS"}
		for slot := slots * i / masters; slot < slots*(i+1)/masters; slot++ {
			add = append(add, slot)
		}
		node.Must(t, add...)
	}
	for _, node := range c.nodes { // each with each: gossip takes its time
		for _, other := range c.nodes {
			if node != other {
				node.Must(t, "CLUSTER", "MEET", "127.0.0.1", other.port())
			}
		}
	}
	for _, node := range c.nodes {
		await(t, "cluster node "+node.Addr, startWithin, func() bool {
			return node.says(fmt.Sprintf("cluster_known_nodes:%d\r", len(c.nodes)), "CLUSTER", "INFO") &&
				node.says("cluster_state:ok", "CLUSTER", "INFO")
		})
	}
	owner := c.Owner(t).Must(t, "CLUSTER", "MYID")
	for _, node := range c.nodes[masters:] {
		await(t, "becoming a replica", startWithin, func() bool {
			_, err := node.Do("CLUSTER", "REPLICATE", owner) // refused until it knows the owner
			return err == nil
		})
		node.awaitFollowing(t)
	}
	return c
}

func yesIf(ok bool) string {
	if ok {
		return "yes"
	}
	return "no"
}

// URL is REDIS_URL.
func (c *Cluster) URL() string {
	var addrs []string
	for _, node := range c.nodes {
		addrs = append(addrs, node.Addr)
	}
	return "redis+cluster://" + strings.Join(addrs, ",")
}

// Owner is the master of the hash tag's slot.
func (c *Cluster) Owner(t T) *Server {
	t.Helper()
	for _, node := range c.nodes {
		if c.owns(node) {
			return node
		}
	}
	t.Fatalf("nobody owns the slot of %s", c.probe)
	return nil
}

// owns asks the node itself by a write that changes nothing: others send us away.
func (c *Cluster) owns(node *Server) bool {
	_, err := node.Do("SET", c.probe, "?", "XX")
	return err == nil || errors.Is(err, redis.Nil)
}

// KillOwner ends the process of the hash tag's owner.
func (c *Cluster) KillOwner(t T) {
	t.Helper()
	c.Owner(t).Kill()
}

// AwaitFailover returns when a node that lives owns the slot, n replicas follow it
// and the Cluster is whole again.
func (c *Cluster) AwaitFailover(t T, n int) {
	t.Helper()
	await(t, "failover", 30*time.Second, func() bool {
		for _, node := range c.nodes {
			if c.owns(node) {
				return node.says(fmt.Sprintf("connected_slaves:%d\r", n), "INFO", "replication") &&
					node.says("cluster_state:ok", "CLUSTER", "INFO")
			}
		}
		return false
	})
}

// Flush empties all masters.
func (c *Cluster) Flush(t T) {
	t.Helper()
	for _, node := range c.nodes {
		if node.says("role:master", "INFO", "replication") {
			node.Must(t, "FLUSHALL")
		}
	}
}
