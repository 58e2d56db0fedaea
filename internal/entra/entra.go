// Package entra is the way to Microsoft: it turns an app's credential into HTTP
// calls that carry a bearer token, honor Retry-After and retry within bounds.
// It is the only importer of MSAL.
//
// It knows how Microsoft answers and nothing of what the answers are for.
package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

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
	Err       error // the cause where there was no answer
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

// Credential is an app's way to sign in. Tokens are cached and reused until
// shortly before they end. Safe for concurrent use.
type Credential struct {
	client confidential.Client
}

// NewSecretCredential returns the credential of an app with a client secret.
// authority is the login host, such as PublicAuthority; transport is used as it
// is for the token calls, with retries around it. It does no I/O.
func NewSecretCredential(authority, tenant, clientID, secret string, transport http.RoundTripper) (*Credential, error) {
	cred, err := confidential.NewCredFromSecret(secret)
	if err != nil {
		return nil, fmt.Errorf("client secret: %w", err)
	}
	client, err := confidential.New(strings.TrimSuffix(authority, "/")+"/"+url.PathEscape(tenant), clientID, cred,
		confidential.WithHTTPClient(retrying(transport, Reads)),
		confidential.WithInstanceDiscovery(strings.TrimSuffix(authority, "/") == PublicAuthority))
	if err != nil {
		return nil, fmt.Errorf("app credential: %w", err)
	}
	return &Credential{client: client}, nil
}

// Token returns a bearer token for the resource at base, such as
// https://graph.microsoft.com. Its error is an *Error of SystemEntra.
func (c *Credential) Token(ctx context.Context, base string) (string, error) {
	got, err := c.client.AcquireTokenByCredential(ctx, []string{strings.TrimSuffix(base, "/") + "/.default"})
	if err != nil {
		return "", tokenError(err)
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
	if cause, ok := errors.AsType[*url.Error](err); ok {
		e.Err = cause.Err // without the URL
		return e
	}
	if ctxErr := contextError(err); ctxErr != nil {
		e.Err = ctxErr
		return e
	}
	e.Err = errors.New("no token")
	return e
}

func contextError(err error) error {
	for _, target := range []error{context.DeadlineExceeded, context.Canceled} {
		if errors.Is(err, target) {
			return target
		}
	}
	return nil
}

// bearer adds the token to each call.
type bearer struct {
	credential *Credential
	base       string
	next       http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	token, err := b.credential.Token(r.Context(), b.base)
	if err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+token)
	return b.next.RoundTrip(r)
}

func (b bearer) CloseIdleConnections() { closeIdle(b.next) }

func closeIdle(t http.RoundTripper) {
	if c, ok := t.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
