package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// User and password that servers ask for over TLS.
const (
	secureUser     = "bot"
	securePassword = "p@ss:word/1"
)

// Secure is what servers need to speak TLS, with each other as well. They let the user
// in who is named in their addresses; without TLS and on their other port, anybody.
type Secure struct {
	CAPEM []byte // whom a client has to trust

	cert, key string // files
}

// NewSecure makes a certificate for the loopback address.
func NewSecure(t T) *Secure {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("making a key: %v", err)
	}
	plan := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	cert, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	if err != nil {
		t.Fatalf("making a certificate: %v", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatalf("encoding a key: %v", err)
	}
	dir := t.TempDir()
	s := &Secure{
		CAPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		cert:  filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"),
	}
	for file, text := range map[string][]byte{s.cert: s.CAPEM, s.key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatalf("writing %s: %v", file, err)
		}
	}
	return s
}

// settings of a server with a port for TLS, in redis.conf's words.
func (s *Secure) settings(port int) [][]string {
	return [][]string{
		{"tls-port", strconv.Itoa(port)}, {"tls-cert-file", s.cert}, {"tls-key-file", s.key}, {"tls-ca-cert-file", s.cert},
		{"tls-auth-clients", "no"}, {"tls-replication", "yes"},
		{"user", secureUser, "on", ">" + securePassword, "~*", "&*", "+@all"},
	}
}

// launch starts a redis-server that also speaks TLS.
func (s *Secure) launch(t T, more ...string) *Server {
	t.Helper()
	if s == nil {
		return launch(t, more...)
	}
	port := freePort(t)
	var args []string
	for _, line := range s.settings(port) {
		args = append(append(args, "--"+line[0]), line[1:]...)
	}
	server := launch(t, append(args, more...)...)
	server.secure = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return server
}

// conf is the same for a sentinel's file.
func (s *Secure) conf(port int) string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	for _, line := range s.settings(port) {
		b.WriteString(strings.Join(line, " ") + "\n")
	}
	return b.String()
}

// Server starts one and returns its REDIS_URL.
func (s *Secure) Server(t T) string {
	t.Helper()
	server := s.launch(t)
	server.ready(t)
	return "rediss://" + s.user() + server.secure
}

// Sentinel starts what StartSentinel does and returns its REDIS_URL.
func (s *Secure) Sentinel(t T) string {
	t.Helper()
	var addrs []string
	for _, watcher := range startSentinel(t, s).sentinels {
		addrs = append(addrs, watcher.secure)
	}
	own := url.Values{"sentinel_username": {secureUser}, "sentinel_password": {securePassword}}
	return "rediss+sentinel://" + s.user() + strings.Join(addrs, ",") + "/" + masterName + "?" + own.Encode()
}

// Cluster starts three masters without replicas and returns their REDIS_URL.
func (s *Secure) Cluster(t T, tag string) string {
	t.Helper()
	var addrs []string
	for _, node := range startCluster(t, s, tag, 0).nodes {
		addrs = append(addrs, node.secure)
	}
	return "rediss+cluster://" + s.user() + strings.Join(addrs, ",")
}

func (s *Secure) user() string { return url.UserPassword(secureUser, securePassword).String() + "@" }
