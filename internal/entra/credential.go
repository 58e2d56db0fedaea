package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"
)

// Credential is an app's way to sign in. Tokens are cached and reused until
// shortly before they end. Safe for concurrent use.
type Credential struct {
	op    string // of its errors
	build func() (signIn, error)
	// changed, if there is one, reports whether what build signs in with has
	// changed since it was last called. Both are called with mu held.
	changed func() bool

	// turn is held by the one who asks for a token: whoever waits for it then finds
	// the token cached.
	turn chan struct{}

	mu     sync.Mutex
	signIn signIn
	newest map[string]issued // by resource
}

// issued is a token and when Entra gave it.
type issued struct {
	token string
	at    time.Time
}

// signIn is an MSAL client of some kind, with a cache of tokens that begins empty.
type signIn interface {
	// token also reports whether the token is new, and not from the cache.
	token(ctx context.Context, scope string) (token string, isNew bool, err error)
}

// renewAfter is how old a token must be before a refusal makes us fetch another: a
// refused app would otherwise ask for one at every call.
const renewAfter = time.Second

// NewSecretCredential returns the credential of an app with a client secret.
// authority is the login host, such as PublicAuthority; transport is used as it
// is for the token calls, with retries around it. It does no I/O.
func NewSecretCredential(authority, tenant, clientID, secret string, transport http.RoundTripper) (*Credential, error) {
	cred, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("client secret: %w", err)
	}
	return newCredential(&Credential{
		op:    "token",
		build: app{authority, tenant, clientID, transport}.signInWith(func() confidential.Credential { return cred }),
	})
}

func newCredential(c *Credential) (*Credential, error) {
	var err error
	c.turn, c.newest = make(chan struct{}, 1), map[string]issued{}
	if c.signIn, err = c.build(); err != nil {
		return nil, fmt.Errorf("app credential: %w", err)
	}
	return c, nil
}

// renew reports whether it is worth asking again after the resource at base has
// refused a token: with one that was issued since, or with a new one, for which the
// cached ones are dropped, unless the refused one is younger than age. A token keeps
// the permissions that the app had when it was issued, so without this a permission
// granted after a refusal would stay unnoticed for an hour.
func (c *Credential) renew(base, refused string, age time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	newest := c.newest[base]
	if newest.token != refused {
		return true
	}
	if time.Since(newest.at) < age {
		return false
	}
	delete(c.newest, base) // whoever else was refused it waits for the next
	return c.anew()
}

// anew replaces the client, and with it the cache. The caller holds mu.
func (c *Credential) anew() bool {
	client, err := c.build()
	if err != nil {
		return false
	}
	c.signIn = client
	return true
}

func (c *Credential) current() signIn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed != nil && c.changed() {
		c.anew()
	}
	return c.signIn
}

// Token returns a bearer token for the resource at base, such as
// https://graph.microsoft.com. Its error is an *Error of SystemEntra.
func (c *Credential) Token(ctx context.Context, base string) (string, error) {
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return "", tokenError(c.op, ctx.Err())
	}
	token, isNew, err := c.current().token(ctx, strings.TrimSuffix(base, "/")+"/.default")
	if err != nil {
		return "", tokenError(c.op, err)
	}
	if isNew {
		c.mu.Lock()
		c.newest[base] = issued{token, time.Now()}
		c.mu.Unlock()
	}
	return token, nil
}

// app is an app registration, and the way to its login host.
type app struct {
	authority, tenant, clientID string
	transport                   http.RoundTripper
}

// signInWith returns the build function of a Credential that proves itself with
// what cred returns at the time.
func (a app) signInWith(cred func() confidential.Credential) func() (signIn, error) {
	authority := strings.TrimSuffix(a.authority, "/")
	return func() (signIn, error) {
		client, err := confidential.New(authority+"/"+url.PathEscape(a.tenant), a.clientID, cred(),
			confidential.WithHTTPClient(retrying(a.transport, Reads)),
			confidential.WithInstanceDiscovery(authority == PublicAuthority))
		return appSignIn{client}, err
	}
}

type appSignIn struct{ client confidential.Client }

func (s appSignIn) token(ctx context.Context, scope string) (string, bool, error) {
	got, err := s.client.AcquireTokenByCredential(ctx, []string{scope})
	return got.AccessToken, got.Metadata.TokenSource == confidential.TokenSourceIdentityProvider, err
}

var aadsts = regexp.MustCompile(`AADSTS\d+`)

// tokenError keeps of MSAL's error what is safe: its text can quote the request,
// which holds the secret or the assertion.
func tokenError(op string, err error) error {
	e := &Error{System: SystemEntra, Op: op}
	if call, ok := errors.AsType[msalerrors.CallErr](err); ok && call.Resp != nil {
		e.Status = call.Resp.StatusCode
		e.RequestID = call.Resp.Header.Get("x-ms-request-id")
		e.RetryAfter = retryAfter(call.Resp)
		e.Code = aadsts.FindString(call.Error())
		if e.Code == "" && strings.Contains(call.Error(), "Identity not found") { // what a machine without the identity is told
			e.Code = "identity not found"
		}
		return e
	}
	e.Err = cause(err)
	return e
}
