package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options says where a sandbox shows its page and what it writes about itself.
type Options struct {
	Page string       // listen address of the page, such as "127.0.0.1:8090"; "" takes any free loopback port
	Log  *slog.Logger // nil discards
}

// Sandbox is a running set of stand-ins. All methods may be called by several
// goroutines at once.
type Sandbox struct {
	log    *slog.Logger
	ctx    context.Context // ends with Close, so that hung answers do not outlive the sandbox
	cancel context.CancelFunc
	client *http.Client // delivers to the bot

	slackURL, entraURL, graphURL, pageURL string
	pageHosts                             []string
	caPEM                                 []byte
	creds                                 credentials
	servers                               []*http.Server
	serving                               sync.WaitGroup

	mu      sync.Mutex // guards everything below
	changed chan struct{}
	now     func() time.Time
	world   world
}

// Start opens the stand-ins on loopback addresses and returns once all of them
// accept connections. It returns an error if an address cannot be had or if
// Options.Page is not a loopback address: the page lets its visitors act as
// anybody.
func Start(opts Options) (*Sandbox, error) {
	ctx, cancel := context.WithCancel(context.Background())
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Sandbox{
		log:     log,
		ctx:     ctx,
		cancel:  cancel,
		client:  newDeliveryClient(),
		creds:   newCredentials(),
		changed: make(chan struct{}),
		now:     time.Now,
	}
	s.world = newWorld(s.now())
	if err := s.open(opts); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sandbox) open(opts Options) error {
	pageListener, err := listenLoopback(cmp.Or(opts.Page, "127.0.0.1:0"))
	if err != nil {
		return fmt.Errorf("sandbox page: %w", err)
	}
	s.pageURL = "http://" + pageListener.Addr().String() + "/"
	s.pageHosts = pageHosts(pageListener.Addr())
	s.serve(pageListener, s.pageHandler(), nil)

	slack, err := listenLoopback("127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("slack stand-in: %w", err)
	}
	s.slackURL = "http://" + slack.Addr().String()
	s.serve(slack, s.observe("Slack", s.slackHandler()), nil)

	authority, err := newAuthority(s.now())
	if err != nil {
		return fmt.Errorf("sandbox certificate: %w", err)
	}
	s.caPEM = authority.caPEM

	// The URLs are known before the first request is served, so both
	// listeners are opened before either serves.
	entra, err := listenLoopback("127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("entra stand-in: %w", err)
	}
	graph, err := listenLoopback("127.0.0.1:0")
	if err != nil {
		return errors.Join(fmt.Errorf("graph stand-in: %w", err), entra.Close())
	}
	s.entraURL = "https://" + entra.Addr().String()
	s.graphURL = "https://" + graph.Addr().String()
	s.serve(entra, s.observe("Entra", s.entraHandler()), authority.tls)
	s.serve(graph, s.observe("Graph", s.graphHandler()), authority.tls)
	return nil
}

// Close stops the stand-ins and the page. Requests under way are cut off.
func (s *Sandbox) Close() error {
	s.cancel()
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	s.serving.Wait()
	s.client.CloseIdleConnections()
	return errors.Join(errs...)
}

// Env returns what a bot needs in its environment to live in this sandbox, as
// KEY=value. All of the values are invented and worthless elsewhere.
func (s *Sandbox) Env() []string {
	return []string{
		"SLACK_BOT_TOKEN=" + s.creds.botToken,
		"SLACK_SIGNING_SECRET=" + s.creds.signingSecret,
		"SLACK_API_URL=" + s.slackURL + "/api/",
		"AZURE_TENANT_ID=" + tenantID,
		"AZURE_CLIENT_ID=" + clientID,
		"AZURE_CLIENT_SECRET=" + s.creds.clientSecret,
		"AZURE_AUTHORITY_HOST=" + s.entraURL,
		"GRAPH_URL=" + s.graphURL,
	}
}

// CAPEM returns the certificate, in PEM, that signed the certificates of the
// Entra and Graph stand-ins. It is made anew by each Start.
func (s *Sandbox) CAPEM() []byte { return append([]byte(nil), s.caPEM...) }

// SetBot says where the bot listens. Commands go to baseURL+"/slack/commands",
// presses to baseURL+"/slack/interactivity".
func (s *Sandbox) SetBot(baseURL string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.botURL = strings.TrimRight(baseURL, "/")
	s.touch()
}

// PageURL is where a browser finds the page.
func (s *Sandbox) PageURL() string { return s.pageURL }

func listenLoopback(address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("%s is not a loopback address; use 127.0.0.1:%s", address, address[strings.LastIndex(address, ":")+1:])
	}
	return (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
}
