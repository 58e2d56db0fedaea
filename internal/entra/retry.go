package entra

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Retry says which answers a client may ask for again by itself.
type Retry int

const (
	// Reads are safe to repeat: throttling, 5xx and connections that broke.
	Reads Retry = iota
	// Effects are never repeated here: the caller has to look at what happened
	// before it asks again.
	Effects
	// identities are reads from a machine's metadata service, which is gone or
	// cannot be found while it is updated
	// (learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token).
	identities
)

// Bounds of waiting. The caller's context bounds everything together.
const (
	attemptWithin = 5 * time.Second
	attempts      = 4
	waitMin       = 200 * time.Millisecond
	waitMax       = 2 * time.Second
	// retryAfterMax caps what a server can make us wait for here, and
	// retryAfterSane what it can make anybody wait for.
	retryAfterMax  = 8 * time.Second
	retryAfterSane = time.Hour
)

// retrying wraps transport with bounded retries and a time limit per attempt.
// Redirects are not followed: none is documented, and a token must not travel
// to another host.
func retrying(transport http.RoundTripper, policy Retry) *http.Client {
	inner := &http.Client{
		Transport:     transport,
		Timeout:       attemptWithin,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	client := &retryablehttp.Client{
		HTTPClient:   inner,
		RetryWaitMin: waitMin,
		RetryWaitMax: waitMax,
		RetryMax:     attempts - 1,
		Backoff: func(least, most time.Duration, n int, resp *http.Response) time.Duration {
			if movesOn(resp) {
				closeIdle(transport)
			}
			return wait(least, most, n, resp)
		},
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (bool, error) {
			return policy.again(ctx, resp, err), nil
		},
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	return &http.Client{
		Transport:     &retryablehttp.RoundTripper{Client: client},
		CheckRedirect: inner.CheckRedirect,
	}
}

// movesOn reports whether the next try belongs on a new connection, as Graph
// advises (learn.microsoft.com/graph/best-practices-concept).
func movesOn(resp *http.Response) bool {
	return resp != nil && (resp.StatusCode == http.StatusServiceUnavailable || resp.StatusCode == http.StatusGatewayTimeout)
}

// again decides whether to try once more. It gives up at once when the wait
// would outlast the caller's context, so that the caller still sees the answer.
func (p Retry) again(ctx context.Context, resp *http.Response, err error) bool {
	if p == Effects || ctx.Err() != nil {
		return false
	}
	if err != nil {
		return true
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	case http.StatusNotFound, http.StatusGone:
		if p != identities {
			return false
		}
	default:
		return false
	}
	deadline, ok := ctx.Deadline()
	return !ok || time.Until(deadline) > max(min(retryAfter(resp), retryAfterMax), waitMax)
}

// wait is Retry-After, capped, or else exponential with jitter.
func wait(least, most time.Duration, n int, resp *http.Response) time.Duration {
	if after := retryAfter(resp); after > 0 {
		return min(after, retryAfterMax)
	}
	return jittered(least, most, n)
}

func jittered(least, most time.Duration, n int) time.Duration {
	full := retryablehttp.DefaultBackoff(least, most, n, nil)
	return full/2 + rand.N(full/2+1) //nolint:gosec // jitter
}

// Backoff is how long to wait before asking for an effect for the n-th time again
// (n from 1): what the service asked for, or else exponential with jitter.
func Backoff(n int, err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		return e.RetryAfter
	}
	return jittered(500*time.Millisecond, 4*time.Second, n-1)
}

// retryAfter reads the header in either of its forms, an hour at most; 0 if there
// is none.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil || resp.Header.Get("Retry-After") == "" {
		return 0
	}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
		return time.Duration(min(max(seconds, 0), int(retryAfterSane/time.Second))) * time.Second
	}
	date, err := http.ParseTime(resp.Header.Get("Retry-After"))
	if err != nil {
		return 0
	}
	return min(max(time.Until(date), 0), retryAfterSane)
}
