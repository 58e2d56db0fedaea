package entra

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// maxBody bounds what is read of an answer; the few calls made return kilobytes.
const maxBody = 1 << 20

// API calls one Microsoft service. Safe for concurrent use.
type API struct {
	service    Service
	credential *Credential
	transport  http.RoundTripper
	client     *http.Client
	log        *slog.Logger
}

// NewAPI returns the API of a service, signed in with credential, with the given
// retries.
func NewAPI(service Service, credential *Credential, transport http.RoundTripper, retry Retry, log *slog.Logger) *API {
	return &API{service: service, credential: credential, transport: transport, client: retrying(transport, retry), log: log}
}

// URL is the address of a path, as What-If shows it.
func (a *API) URL(path string) string { return a.service.base + path }

// Meta is what is known of a call beside its answer. It is filled as far as the
// call came, also if that ended in an error.
type Meta struct {
	ClientRequestID string        // ours, by which the service's support finds it; "" if nothing was sent
	RequestID       string        // the service's
	Status          int           // 0 without an answer
	Date            time.Time     // the service's clock; zero if it did not say
	Took            time.Duration // with all retries, and the token where one had to be fetched
}

// Do makes one call, with its retries. op names it in errors and logs, where
// paths, which hold people's names, must not appear. in and out are JSON, or
// nil. The error is an *Error.
func (a *API) Do(ctx context.Context, op, method, path string, in, out any) (Meta, error) {
	start := time.Now()
	clientID := uuid.NewString()
	meta, token, err := a.do(ctx, op, method, path, clientID, in, out)
	// A refusal had no effect, so asking once more with a new token is safe.
	refused := meta.Status == http.StatusUnauthorized || meta.Status == http.StatusForbidden
	if refused && a.credential.renew(a.service.base, token, renewAfter) {
		meta, _, err = a.do(ctx, op, method, path, clientID, in, out)
	}
	meta.Took = time.Since(start)
	attrs := []any{
		"op", op, "status", meta.Status, "request_id", meta.RequestID, "client_request_id", clientID,
		"took", meta.Took.Round(time.Millisecond),
	}
	if err != nil && meta.Status != http.StatusNotFound { // which is an answer like any other
		a.log.Warn("call to Microsoft failed", append(attrs, "error", err)...)
	} else {
		a.log.Debug("call to Microsoft", attrs...)
	}
	return meta, err
}

// do makes the call once and also returns the token that it was made with.
func (a *API) do(ctx context.Context, op, method, path, clientID string, in, out any) (meta Meta, token string, err error) {
	fail := &Error{System: a.service.system, Op: op}
	var body io.Reader
	if in != nil {
		blob, err := json.Marshal(in)
		if err != nil {
			return Meta{}, "", fmt.Errorf("encoding %s: %w", op, err)
		}
		body = bytes.NewReader(blob)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.URL(path), body)
	if err != nil {
		fail.Err = errors.New("malformed address")
		return Meta{}, "", fail
	}
	a.service.prepare(r.Header, method)
	r.Header.Set("client-request-id", clientID)
	token, err = a.credential.Token(ctx, a.service.base)
	if err != nil {
		return Meta{}, "", err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	meta = Meta{ClientRequestID: clientID}
	resp, err := a.client.Do(r)
	if err != nil {
		fail.Err = cause(err)
		return meta, token, fail
	}
	blob, err := a.read(resp)
	meta.Status = resp.StatusCode
	meta.Date, _ = http.ParseTime(resp.Header.Get("Date")) // absent or odd: zero
	for _, name := range a.service.requestID {
		meta.RequestID = cmp.Or(meta.RequestID, resp.Header.Get(name))
	}
	fail.Status, fail.RequestID, fail.RetryAfter = meta.Status, meta.RequestID, retryAfter(resp)
	if meta.Status < 200 || meta.Status > 299 {
		fail.Code = a.service.code(blob)
		return meta, token, fail
	}
	if err != nil {
		fail.Err = errors.New("answer cut short")
		return meta, token, fail
	}
	if out != nil && len(blob) > 0 {
		if err := json.Unmarshal(blob, out); err != nil {
			fail.Err = errors.New("answer is not the documented JSON")
			return meta, token, fail
		}
	}
	return meta, token, nil
}

// read reads the body of an answer. After those that may be due to the machine
// on the other side, whoever asks next gets another connection.
func (a *API) read(resp *http.Response) ([]byte, error) {
	blob, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	_ = resp.Body.Close() // first: a connection with a body open is not idle
	if movesOn(resp) {
		closeIdle(a.transport)
	}
	return blob, err
}
