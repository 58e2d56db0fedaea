package redistest

import (
	"cmp"
	"net"
	"strconv"
)

// Replicated is a master with replicas, each behind a Link. Nobody watches over them:
// Promote is the failover.
type Replicated struct {
	Master   *Server
	Replicas []*Server
	Links    []*Link // of the replica with the same number
}

// StartReplicated runs a master and n replicas that are up to date, until the test
// ends.
func StartReplicated(t T, n int) *Replicated {
	t.Helper()
	r := &Replicated{Master: launch(t)}
	for range n {
		r.Replicas = append(r.Replicas, launch(t))
		r.Links = append(r.Links, newLink(t, r.Master.Addr))
	}
	r.Master.ready(t)
	for i, s := range r.Replicas {
		s.ready(t)
		s.follow(t, r.Links[i].addr)
	}
	r.Await(t)
	return r
}

// Await returns when all replicas follow the master again, and it knows.
func (r *Replicated) Await(t T) {
	t.Helper()
	for _, s := range r.Replicas {
		s.awaitFollowing(t)
	}
	await(t, "replicas of "+r.Master.Addr, startWithin, func() bool {
		r.Master.Must(t, "SET", "redistest", "?")
		return r.Master.says(strconv.Itoa(len(r.Replicas)), "WAIT", len(r.Replicas), 500)
	})
}

// Promote makes a replica a master, as an operator or a watcher would.
func (r *Replicated) Promote(t T, i int) *Server {
	t.Helper()
	r.Replicas[i].Must(t, "REPLICAOF", "NO", "ONE")
	return r.Replicas[i]
}

func (s *Server) follow(t T, addr string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatalf("master's address: %v", err)
	}
	s.Must(t, "REPLICAOF", host, port)
}

func (s *Server) awaitFollowing(t T) {
	t.Helper()
	await(t, "replica "+s.Addr, startWithin, func() bool { return s.says("master_link_status:up", "INFO", "replication") })
}

// peer is where other servers reach this one.
func (s *Server) peer() string { return cmp.Or(s.secure, s.Addr) }

func (s *Server) port() int {
	_, port, _ := net.SplitHostPort(s.peer())
	n, _ := strconv.Atoi(port)
	return n
}
