package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Limits of one conversation with Redis. WAIT answers within waitWithin, well
// before its reader gives up.
const (
	redisWithin = 2 * time.Second
	waitWithin  = 500 * time.Millisecond
)

// errURL says what REDIS_URL may be; what was wrong with it could quote a password.
var errURL = errors.New("must be redis://[user:password@]host:port/db for one server, redis+sentinel://host:port,host:port/master[/db] for Sentinel, " +
	"redis+cluster://host:port,host:port for a Cluster; rediss for TLS")

// openClient reads the three kinds of address. go-redis's own forms are taken as
// well: redis://...?master_name= for Sentinel and redis://...?addr= for a Cluster.
func openClient(raw string) (redis.UniversalClient, error) {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return nil, errURL
	}
	plain, kind, _ := strings.Cut(scheme, "+")
	if plain != "redis" && plain != "rediss" {
		return nil, errURL
	}
	u, err := url.Parse(plain + "://" + rest)
	if err != nil || u.Host == "" {
		return nil, errURL
	}
	query := u.Query()
	switch {
	case kind == "sentinel":
		return openSentinel(u, plain == "rediss")
	case kind == "cluster":
		return openCluster(u, plain == "rediss")
	case kind != "":
		return nil, errURL
	case query.Has("master_name"):
		return failover(redis.ParseFailoverURL(raw))
	case query.Has("addr"):
		return cluster(redis.ParseClusterURL(raw))
	}
	opts, err := redis.ParseURL(raw)
	if err != nil {
		return nil, errURL
	}
	// go-redis would send a script again whose answer was lost, and our own
	// success would come back as a conflict; swap retries with its token instead.
	opts.MaxRetries = -1
	opts.ContextTimeoutEnabled = true
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = redisWithin, redisWithin, redisWithin
	return redis.NewClient(opts), nil
}

// CheckRedisURL says what is wrong with an address, without connecting to it.
func CheckRedisURL(raw string) error {
	client, err := openClient(raw)
	if err != nil {
		return err
	}
	return client.Close()
}

// openSentinel reads host:port,host:port/master[/db]. User and password are the
// data servers'; the sentinels' own are in the query.
func openSentinel(u *url.URL, secure bool) (redis.UniversalClient, error) {
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	opts := &redis.FailoverOptions{
		MasterName: path[0], SentinelAddrs: strings.Split(u.Host, ","), Username: u.User.Username(),
		SentinelUsername: u.Query().Get("sentinel_username"), SentinelPassword: u.Query().Get("sentinel_password"),
		TLSConfig: tlsConfig(secure),
	}
	opts.Password, _ = u.User.Password()
	if len(path) > 2 || path[0] == "" || !haveports(opts.SentinelAddrs) {
		return nil, errURL
	}
	if len(path) == 2 {
		db, err := strconv.Atoi(path[1])
		if err != nil {
			return nil, errURL
		}
		opts.DB = db
	}
	return failover(opts, nil)
}

func openCluster(u *url.URL, secure bool) (redis.UniversalClient, error) {
	opts := &redis.ClusterOptions{Addrs: strings.Split(u.Host, ","), Username: u.User.Username(), TLSConfig: tlsConfig(secure)}
	opts.Password, _ = u.User.Password()
	if strings.Trim(u.Path, "/0") != "" || !haveports(opts.Addrs) { // a Cluster has one database
		return nil, errURL
	}
	return cluster(opts, nil)
}

func haveports(addrs []string) bool {
	for _, a := range addrs {
		if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
			return false
		}
	}
	return true
}

// tlsConfig has no server's name: each connection checks the one that it dialed.
func tlsConfig(secure bool) *tls.Config {
	if !secure {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12}
}

func failover(opts *redis.FailoverOptions, err error) (redis.UniversalClient, error) {
	if err != nil {
		return nil, errURL
	}
	opts.MaxRetries = -1
	opts.ContextTimeoutEnabled = true
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = redisWithin, redisWithin, redisWithin
	return redis.NewFailoverClient(opts), nil
}

func cluster(opts *redis.ClusterOptions, err error) (redis.UniversalClient, error) {
	if err != nil {
		return nil, errURL
	}
	opts.MaxRetries = -1
	opts.ContextTimeoutEnabled = true
	opts.DialTimeout, opts.ReadTimeout, opts.WriteTimeout = redisWithin, redisWithin, redisWithin
	// A dead node redirects nobody, and go-redis would go on asking it for a minute.
	opts.ClusterStateReloadInterval = time.Second
	return redis.NewClusterClient(opts), nil
}

// node is the server that has our keys: in a Cluster the master of their one slot.
func (s *Redis) node(ctx context.Context) (redis.UniversalClient, error) {
	c, ok := s.client.(*redis.ClusterClient)
	if !ok {
		return s.client, nil
	}
	return c.MasterForKey(ctx, keyDueSet)
}

// write runs a script that changes something and, where the operator asks for it,
// waits until replicas have the change. It returns the script's answer together with
// ErrNotReplicated if too few of them said so in time.
func (s *Redis) write(ctx context.Context, script *redis.Script, keys []string, args ...any) (any, error) {
	return s.change(ctx, script, func(p redis.Pipeliner) *redis.Cmd { return p.EvalSha(ctx, script.Hash(), keys, args...) })
}

// probe writes something without meaning, and waits for replicas as every other write
// does. Once they have it, they have all that was written before it.
func (s *Redis) probe(ctx context.Context) error {
	_, err := s.change(ctx, nil, func(p redis.Pipeliner) *redis.Cmd {
		return p.Do(ctx, "SET", keyProbe, "ok", "EX", 60)
	})
	if err != nil && !errors.Is(err, request.ErrNotReplicated) {
		return redisError("writing to Redis", err)
	}
	return err
}

// Settled returns nil once as many replicas as each write waits for have all that was
// written before, and request.ErrNotReplicated where they do not say so in time.
func (s *Redis) Settled(ctx context.Context) error {
	if s.replicas == 0 {
		return nil
	}
	return s.probe(ctx)
}

// change sends one command and its WAIT over one connection, since WAIT means nothing
// on another. It goes past the client of the Cluster, which would send a command again
// whose answer was lost: then its last error could say that nothing was written.
func (s *Redis) change(ctx context.Context, script *redis.Script, send func(redis.Pipeliner) *redis.Cmd) (any, error) {
	var err error
	for range 3 { // a script that is not loaded yet, a slot that has moved
		var node redis.UniversalClient
		if node, err = s.node(ctx); err != nil {
			return nil, err
		}
		pipe := node.Pipeline()
		did := send(pipe)
		var waited *redis.Cmd
		if s.replicas > 0 {
			waited = pipe.Do(ctx, "WAIT", s.replicas, waitWithin.Milliseconds())
		}
		_, _ = pipe.Exec(ctx) // the commands have their own errors
		var answer any
		answer, err = did.Result()
		switch {
		case err == nil && waited == nil:
			return answer, nil
		case err == nil:
			if n, err := waited.Int(); err != nil || n < s.replicas {
				return answer, fmt.Errorf("%w: REDIS_WAIT_REPLICAS is %d, and %d have what is written", request.ErrNotReplicated, s.replicas, n)
			}
			return answer, nil
		case redis.HasErrorPrefix(err, "NOSCRIPT") && script != nil:
			if err := script.Load(ctx, node).Err(); err != nil {
				return nil, err
			}
		case redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK"):
			if c, ok := s.client.(*redis.ClusterClient); ok {
				c.ReloadState(ctx)
			}
		default:
			return nil, err
		}
	}
	return nil, err
}
