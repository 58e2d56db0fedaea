package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// masterName is what the sentinels call the master.
const masterName = "bot"

// Sentinel is a master with two replicas and three sentinels that watch over them.
type Sentinel struct {
	data, sentinels []*Server
}

// StartSentinel runs them until the test ends. The sentinels take a master for
// down that has not answered for a second.
func StartSentinel(t T) *Sentinel { return startSentinel(t, nil) }

func startSentinel(t T, secure *Secure) *Sentinel {
	t.Helper()
	s := &Sentinel{}
	for range 3 {
		s.data = append(s.data, secure.launch(t))
	}
	for i, d := range s.data {
		d.ready(t)
		if i > 0 {
			d.follow(t, s.data[0].peer())
		}
	}
	for _, d := range s.data[1:] {
		d.awaitFollowing(t) // sentinels ask seldom who the replicas are: let them be there
	}
	for range 3 {
		s.sentinels = append(s.sentinels, launchSentinel(t, secure, s.data[0]))
	}
	for _, watcher := range s.sentinels {
		watcher.ready(t)
		_, _ = watcher.Do("SENTINEL", "DEBUG", "PUBLISH-PERIOD", 200) // Redis 7: find the others sooner
	}
	for _, watcher := range s.sentinels {
		await(t, "sentinel "+watcher.Addr, startWithin, func() bool {
			return watcher.says("slaves=2,sentinels=3", "INFO", "sentinel")
		})
	}
	return s
}

func launchSentinel(t T, secure *Secure, master *Server) *Server {
	t.Helper()
	bin := Need(t)
	port, tlsPort := freePort(t), 0
	if secure != nil {
		tlsPort = freePort(t)
	}
	dir := t.TempDir()
	conf := filepath.Join(dir, "sentinel.conf")
	text := fmt.Sprintf(`port %[2]d
bind 127.0.0.1
dir "%[3]s"
logfile "%[3]s/log"
sentinel monitor %[1]s 127.0.0.1 %[4]d 2
sentinel down-after-milliseconds %[1]s 1000
sentinel failover-timeout %[1]s 4000
`+secure.conf(tlsPort), masterName, port, dir, master.port())
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatalf("writing sentinel.conf: %v", err)
	}
	s := run(t, bin, port, dir, []string{conf, "--sentinel"})
	if secure != nil {
		s.secure = net.JoinHostPort("127.0.0.1", strconv.Itoa(tlsPort))
	}
	return s
}

// URL is REDIS_URL for one of the master's databases.
func (s *Sentinel) URL(db int) string {
	var addrs []string
	for _, watcher := range s.sentinels {
		addrs = append(addrs, watcher.Addr)
	}
	return fmt.Sprintf("redis+sentinel://%s/%s/%d", strings.Join(addrs, ","), masterName, db)
}

// Master is the server that the first sentinel takes for the master.
func (s *Sentinel) Master(t T) *Server {
	t.Helper()
	answer := s.sentinels[0].Must(t, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName)
	fields := strings.Fields(strings.Trim(answer, "[]"))
	for _, d := range s.data {
		if len(fields) == 2 && d.peer() == net.JoinHostPort(fields[0], fields[1]) {
			return d
		}
	}
	t.Fatalf("sentinel names an unknown master: %s", answer)
	return nil
}

// KillMaster ends the master's process.
func (s *Sentinel) KillMaster(t T) {
	t.Helper()
	s.Master(t).Kill()
}

// AwaitFailover returns when the sentinels agree on a master that lives and that n
// replicas follow.
func (s *Sentinel) AwaitFailover(t T, n int) {
	t.Helper()
	await(t, "failover", 30*time.Second, func() bool {
		first := s.Master(t)
		for _, watcher := range s.sentinels {
			if !watcher.says(strconv.Itoa(first.port()), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName) {
				return false
			}
		}
		return first.says("role:master", "INFO", "replication") &&
			first.says("connected_slaves:"+strconv.Itoa(n), "INFO", "replication")
	})
}
