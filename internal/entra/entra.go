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
	"strings"
	"time"
)

// PublicAuthority is the login host of the worldwide cloud. MSAL checks any
// other host against it (instance discovery) unless told not to.
const PublicAuthority = "https://login.microsoftonline.com"

// Names under which errors speak of the other side.
const (
	SystemEntra      = "Microsoft Entra ID"
	SystemGraph      = "Microsoft Graph"
	SystemSharePoint = "SharePoint Online"
)

// Error is a failed call to Microsoft, reduced to what can be looked up and
// shown: never a token, a secret, or a response body.
type Error struct {
	System    string
	Op        string
	Status    int    // HTTP status; 0 if there was no usable answer
	Code      string // the service's error code, AADSTS…, or a few words of ours for a known text
	RequestID string
	// RetryAfter is how long the service asked to wait, an hour at most; 0 if it
	// did not.
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

// cause keeps of an error without an answer what names neither an address nor
// anything that was sent.
func cause(err error) error {
	for _, known := range []error{context.DeadlineExceeded, context.Canceled, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, known) {
			return known
		}
	}
	if file, ok := errors.AsType[*fileError](err); ok {
		return file
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
