// Package entra is the way to Microsoft: it turns an app's credential into HTTP
// calls that carry a bearer token, honor Retry-After and retry within bounds.
// It is the only importer of MSAL.
//
// It knows how Microsoft answers and nothing of what the answers are for.
package entra

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	msalerrors "github.com/AzureAD/microsoft-authentication-library-for-go/apps/errors"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// PublicAuthority is the login host of the worldwide cloud. MSAL checks any
// other host against it (instance discovery) unless told not to.
const PublicAuthority = "https://login.microsoftonline.com"

// Names under which errors speak of the other side.
const (
	SystemEntra = "Microsoft Entra ID"
	SystemGraph = "Microsoft Graph"
)

// Error is a failed call to Microsoft, reduced to what can be looked up and
// shown: never a token, a secret, or a response body.
type Error struct {
	System    string
	Op        string
	Status    int    // HTTP status; 0 if there was no usable answer
	Code      string // Graph's error.code, or AADSTS…
	RequestID string
	// RetryAfter is how long the service asked to wait, capped; 0 if it did not.
	RetryAfter time.Duration
	Err        error // the cause where there was no answer
}

func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", e.System, e.Op)
	if e.Status != 0 {
		fmt.Fprintf(&b, ": HTTP %d", e.Status)
	}
	if e.Code != "" {
		fmt.Fprintf(&b, " %s", e.Code)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (request-id %s)", e.RequestID)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

func (e *Error) Unwrap() error { return e.Err }

// NotFound reports whether Graph itself says that the thing does not exist; a
// proxy's 404 says nothing about it.
func (e *Error) NotFound() bool {
	return e.System == SystemGraph && e.Status == http.StatusNotFound && strings.HasSuffix(e.Code, "ResourceNotFound")
}

// Credential is an app's way to sign in. Tokens are cached and reused until
// shortly before they end. Safe for concurrent use.
type Credential struct {
	build func() (confidential.Client, error)

	mu      sync.Mutex
	client  confidential.Client
	fetched time.Time // when Entra last gave a token
}

// How old a token must be before a refusal makes us fetch another: a refused app
// would otherwise ask for one at every call.
const (
	renewUnauthorized = time.Second
	renewForbidden    = time.Second
)

// NewSecretCredential returns the credential of an app with a client secret.
// authority is the login host, such as PublicAuthority; transport is used as it
// is for the token calls, with retries around it. It does no I/O.
func NewSecretCredential(authority, tenant, clientID, secret string, transport http.RoundTripper) (*Credential, error) {
	cred, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("client secret: %w", err)
	}
	authority = strings.TrimSuffix(authority, "/")
	c := &Credential{build: func() (confidential.Client, error) {
		return confidential.New(authority+"/"+url.PathEscape(tenant), clientID, cred,
			confidential.WithHTTPClient(retrying(transport, Reads)),
			confidential.WithInstanceDiscovery(authority == PublicAuthority))
	}}
	if c.client, err = c.build(); err != nil {
		return nil, fmt.Errorf("app credential: %w", err)
	}
	return c, nil
}

// forget drops cached tokens after Microsoft has refused one, unless they are
// younger than age, and reports whether it did. A token keeps the permissions that the
// app had when it was issued, so without this a permission granted after a
// refusal would stay unnoticed for an hour.
func (c *Credential) forget(age time.Duration) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.fetched) < age {
		return false
	}
	client, err := c.build()
	if err != nil {
		return false
	}
	c.client = client
	return true
}

// Token returns a bearer token for the resource at base, such as
// https://graph.microsoft.com. Its error is an *Error of SystemEntra.
func (c *Credential) Token(ctx context.Context, base string) (string, error) {
	c.mu.Lock()
	client := c.client
	c.mu.Unlock()
	got, err := client.AcquireTokenByCredential(ctx, []string{strings.TrimSuffix(base, "/") + "/.default"})
	if err != nil {
		return "", tokenError(err)
	}
	if got.Metadata.TokenSource == confidential.TokenSourceIdentityProvider {
		c.mu.Lock()
		c.fetched = time.Now()
		c.mu.Unlock()
	}
	return got.AccessToken, nil
}

var aadsts = regexp.MustCompile(`AADSTS\d+`)

// tokenError keeps of MSAL's error what is safe: its text can quote the request,
// which holds the secret.
func tokenError(err error) error {
	e := &Error{System: SystemEntra, Op: "token"}
	if call, ok := errors.AsType[msalerrors.CallErr](err); ok && call.Resp != nil {
		e.Status = call.Resp.StatusCode
		e.RequestID = call.Resp.Header.Get("x-ms-request-id")
		e.Code = aadsts.FindString(call.Error())
		return e
	}
	e.Err = cause(err)
	return e
}

// cause keeps of an error without an answer what names neither an address nor
// anything that was sent.
func cause(err error) error {
	for _, known := range []error{context.DeadlineExceeded, context.Canceled, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return cert
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return context.DeadlineExceeded
	}
	return errors.New("no usable answer")
}

func closeIdle(t http.RoundTripper) {
	if c, ok := t.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
