package signin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// askWithin bounds one question to Entra.
const askWithin = 8 * time.Second

// person is who signed in, verified.
type person struct {
	ObjectID string   `json:"oid"`
	Tenant   string   `json:"tid"`
	AuthTime int64    `json:"auth_time"` // seconds; 0 where Entra does not say
	Contexts []string `json:"acrs"`
}

// issuer is the tenant's OpenID provider. What it says of itself is asked until it is
// known.
type issuer struct {
	o      Options
	client *http.Client
	known  atomic.Pointer[provider]
}

// provider is what is known of it.
type provider struct {
	endpoint oauth2.Endpoint
	verifier *oidc.IDTokenVerifier
	tenant   string // its id, whatever name it was asked for by
}

func newIssuer(o Options) *issuer {
	return &issuer{o: o, client: &http.Client{Transport: o.Transport, Timeout: askWithin}}
}

// discovery is what is read of the provider's metadata
// (learn.microsoft.com/entra/identity-platform/v2-protocols-oidc).
type discovery struct {
	Issuer        string `json:"issuer"`
	Authorization string `json:"authorization_endpoint"`
	Keys          string `json:"jwks_uri"`
}

var issuerPath = regexp.MustCompile(`^/([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/v2\.0$`)

// discover asks for the provider's metadata unless they are known.
func (i *issuer) discover(ctx context.Context) (*provider, error) {
	if p := i.known.Load(); p != nil {
		return p, nil
	}
	d, err := i.ask(ctx)
	if err != nil {
		return nil, err
	}
	authority, err := url.Parse(i.o.Authority)
	if err != nil {
		return nil, fmt.Errorf("login host: %w", err)
	}
	for _, address := range []string{d.Issuer, d.Authorization, d.Keys} {
		if u, err := url.Parse(address); err != nil || u.Scheme != "https" || u.Host != authority.Host {
			return nil, fmt.Errorf("the tenant's metadata name %q, which is not at %s", address, authority.Host)
		}
	}
	match := issuerPath.FindStringSubmatch(strings.TrimPrefix(d.Issuer, "https://"+authority.Host))
	if match == nil {
		return nil, fmt.Errorf("the tenant's metadata name the issuer %q, which names no tenant", d.Issuer)
	}
	background := oidc.ClientContext(context.WithoutCancel(ctx), i.client) // keys are fetched later, too
	p := &provider{
		endpoint: oauth2.Endpoint{AuthURL: d.Authorization}, tenant: match[1],
		verifier: oidc.NewVerifier(d.Issuer, oidc.NewRemoteKeySet(background, d.Keys),
			&oidc.Config{ClientID: i.o.ClientID, SupportedSigningAlgs: []string{oidc.RS256}}),
	}
	i.known.Store(p)
	return p, nil
}

func (i *issuer) ask(ctx context.Context) (discovery, error) {
	var d discovery
	address := strings.TrimSuffix(i.o.Authority, "/") + "/" + url.PathEscape(i.o.Tenant) + "/v2.0/.well-known/openid-configuration"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return d, fmt.Errorf("asking for the tenant's metadata: %w", err)
	}
	resp, err := i.client.Do(req)
	if err != nil {
		return d, fmt.Errorf("asking for the tenant's metadata: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return d, fmt.Errorf("asking for the tenant's metadata: HTTP %d", resp.StatusCode)
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 1<<20)).Decode(&d); err != nil {
		return d, fmt.Errorf("reading the tenant's metadata: %w", err)
	}
	return d, nil
}

// What is wrong with an ID token besides what go-oidc finds.
var (
	errNonce  = errors.New("the ID token answers another sign-in: its nonce differs")
	errTenant = errors.New("the ID token is of another tenant")
	errNobody = errors.New("the ID token names no account: it has no oid")
)

// verify checks signature, issuer, audience and times of an ID token, and that it
// answers this very sign-in to this very tenant.
func (known *provider) verify(ctx context.Context, raw, nonce string) (person, error) {
	var p person
	token, err := known.verifier.Verify(ctx, raw)
	if err != nil {
		return p, fmt.Errorf("verifying the ID token: %w", err)
	}
	if err := token.Claims(&p); err != nil {
		return p, fmt.Errorf("reading the ID token: %w", err)
	}
	switch {
	case nonce == "" || token.Nonce != nonce:
		return p, errNonce
	case p.Tenant != known.tenant:
		return p, errTenant
	case p.ObjectID == "":
		return p, errNobody
	}
	return p, nil
}

// satisfies reports whether the sign-in satisfied an authentication context.
func (p person) satisfies(wanted string) bool {
	return wanted == "" || slices.Contains(p.Contexts, wanted)
}
