package sandbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// Options says where a sandbox shows its page, what it writes about itself, and
// how the bot is to prove itself to Entra.
type Options struct {
	Page string       // listen address of the page, such as "127.0.0.1:8090"; "" takes any free loopback port
	Log  *slog.Logger // nil discards

	// Listen and Dial, if set, are the network instead of this machine's: for tests
	// in virtual time, which stands still while somebody waits on a socket.
	Listen func(address string) (net.Listener, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)

	// Credential is what the app is known by, and what Env hands out; every
	// other credential is refused. One of
	//
	//   - "secret", or "": a client secret, with which SharePoint refuses the app
	//   - "certificate": a PEM file of a certificate and its key, unencrypted
	//   - "pfx": a PFX file of the same, with a password
	//   - "federated": a file with the token of a cluster, valid for an hour and
	//     replaced by RotateFederatedToken
	//   - "managed-identity": the token endpoint of an App Service, over plain
	//     HTTP; its calls are recorded under "Entra"
	//
	// Keys and files are made anew by each Start, in a folder of their own that
	// Close removes.
	Credential string

	// AuthTimeClaim lets every ID token carry auth_time, as the app's manifest can
	// ask for. Without it only a request with max_age gets one.
	AuthTimeClaim bool
}

// Sandbox is a running set of stand-ins. All methods may be called by several
// goroutines at once.
type Sandbox struct {
	log    *slog.Logger
	ctx    context.Context // ends with Close, so that hung answers do not outlive the sandbox
	cancel context.CancelFunc
	client *http.Client // delivers to the bot
	dial   func(ctx context.Context, network, address string) (net.Conn, error)

	slackURL, entraURL, graphURL, sharePointURL string
	identityURL, pageURL                        string // no managed identity: no URL of it
	pageHosts                                   []string
	caPEM                                       []byte
	creds                                       credentials
	servers                                     []*http.Server
	serving                                     sync.WaitGroup

	mu       sync.Mutex // guards everything below
	changed  chan struct{}
	now      func() time.Time
	world    world
	material material
	openID   openID
}

// Start opens the stand-ins on loopback addresses and returns once all of them
// accept connections. It returns an error if an address cannot be had, if
// Options.Credential is not known, or if Options.Page is not a loopback address:
// the page lets its visitors act as anybody.
func Start(opts Options) (*Sandbox, error) {
	material, err := newMaterial(opts.Credential)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := opts.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	s := &Sandbox{
		log:      log,
		ctx:      ctx,
		cancel:   cancel,
		client:   newDeliveryClient(opts.Dial),
		dial:     opts.Dial,
		creds:    newCredentials(),
		changed:  make(chan struct{}),
		now:      time.Now,
		material: material,
		openID:   newOpenID(opts.AuthTimeClaim),
	}
	s.world = newWorld(s.now())
	if err := s.open(opts); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Sandbox) open(opts Options) error {
	listen := opts.Listen
	if listen == nil {
		listen = listenLoopback
	}
	pageListener, err := listen(cmp.Or(opts.Page, "127.0.0.1:0"))
	if err != nil {
		return fmt.Errorf("sandbox page: %w", err)
	}
	s.pageURL = "http://" + pageListener.Addr().String() + "/"
	s.pageHosts = pageHosts(pageListener.Addr())
	s.serve(pageListener, s.pageHandler(), nil)

	slack, err := listen("127.0.0.1:0")
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

	if err := s.material.make(s.now()); err != nil {
		return fmt.Errorf("sandbox credential: %w", err)
	}
	return s.openMicrosoft(listen, authority.tls)
}

// openMicrosoft opens the stand-ins for Microsoft's services. Their URLs are
// known before the first request is served, so all listeners are opened before
// any of them serves.
func (s *Sandbox) openMicrosoft(listen func(string) (net.Listener, error), config *tls.Config) error {
	services := []struct {
		name, scheme, system string
		url                  *string
		answer               standIn
		config               *tls.Config
		listener             net.Listener
	}{
		{name: "entra", scheme: "https://", system: "Entra", url: &s.entraURL, answer: s.entraHandler(), config: config},
		{name: "graph", scheme: "https://", system: "Graph", url: &s.graphURL, answer: s.graphHandler(), config: config},
		{name: "sharepoint", scheme: "https://", system: "SharePoint", url: &s.sharePointURL, answer: s.sharePointHandler(), config: config},
		{name: "managed identity", scheme: "http://", system: "Entra", url: &s.identityURL, answer: s.identityHandler()},
	}
	if s.material.kind != byManagedIdentity {
		services = services[:3]
	}
	for i := range services {
		service := &services[i]
		var err error
		if service.listener, err = listen("127.0.0.1:0"); err != nil {
			err = fmt.Errorf("%s stand-in: %w", service.name, err)
			for _, opened := range services[:i] {
				err = errors.Join(err, opened.listener.Close())
			}
			return err
		}
		*service.url = service.scheme + service.listener.Addr().String()
	}
	for _, service := range services {
		s.serve(service.listener, s.observe(service.system, service.answer), service.config)
	}
	return nil
}

// Close stops the stand-ins and the page, and removes the files of the
// credential. Requests under way are cut off.
func (s *Sandbox) Close() error {
	s.cancel()
	var errs []error
	for _, server := range s.servers {
		errs = append(errs, server.Close())
	}
	s.serving.Wait()
	s.client.CloseIdleConnections()
	s.mu.Lock()
	folder := s.material.folder
	s.mu.Unlock()
	if folder != "" {
		errs = append(errs, os.RemoveAll(folder))
	}
	return errors.Join(errs...)
}

// Env returns what a bot needs in its environment to live in this sandbox, as
// KEY=value. All of the values are invented and worthless elsewhere. Of the
// settings of a credential it names those of Options.Credential alone.
func (s *Sandbox) Env() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{
		"SLACK_BOT_TOKEN=" + s.creds.botToken,
		"SLACK_SIGNING_SECRET=" + s.creds.signingSecret,
		"SLACK_API_URL=" + s.slackURL + "/api/",
		"AZURE_TENANT_ID=" + tenantID,
		"AZURE_CLIENT_ID=" + clientID,
		"AZURE_AUTHORITY_HOST=" + s.entraURL,
		"GRAPH_URL=" + s.graphURL,
		"SHAREPOINT_ADMIN_URL=" + s.sharePointURL,
	}, s.material.env(s.identityURL)...)
}

// CAPEM returns the certificate, in PEM, that signed the certificates of the
// Entra, Graph and SharePoint stand-ins. It is made anew by each Start.
func (s *Sandbox) CAPEM() []byte { return append([]byte(nil), s.caPEM...) }

// SetBot says where the bot listens. Commands go to baseURL+"/slack/commands",
// presses to baseURL+"/slack/interactivity", events to baseURL+"/slack/events".
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
