package entra

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// maxBody bounds what is read of an answer; the few calls made return kilobytes.
const maxBody = 1 << 20

// API calls one Microsoft service. Safe for concurrent use.
type API struct {
	base       string
	credential *Credential
	client     *http.Client
	log        *slog.Logger
}

// NewAPI returns the API of the service at base (no trailing path), signed in
// with credential, with the given retries.
func NewAPI(base string, credential *Credential, transport http.RoundTripper, retry Retry, log *slog.Logger) *API {
	base = strings.TrimSuffix(base, "/")
	return &API{base: base, credential: credential, client: retrying(transport, retry), log: log}
}

// URL is the address of a path, as What-If shows it.
func (a *API) URL(path string) string { return a.base + path }

// Meta is what an answer's headers say.
type Meta struct {
	RequestID string
	Date      time.Time // the service's clock; zero if it did not say
}

// Do makes one call, with its retries. op names it in errors and logs, where
// paths, which hold people's names, must not appear. in and out are JSON, or
// nil. The error is an *Error.
//
// Headers and error bodies: learn.microsoft.com/graph/errors and
// /graph/best-practices-concept ("client-request-id").
func (a *API) Do(ctx context.Context, op, method, path string, in, out any) (Meta, error) {
	start := time.Now()
	clientID := uuid.NewString()
	meta, status, err := a.do(ctx, op, method, path, clientID, in, out)
	// A refusal had no effect, so asking once more with a new token is safe.
	if status == http.StatusUnauthorized && a.credential.forget(renewUnauthorized) ||
		status == http.StatusForbidden && a.credential.forget(renewForbidden) {
		meta, status, err = a.do(ctx, op, method, path, clientID, in, out)
	}
	attrs := []any{
		"op", op, "status", status, "request_id", meta.RequestID, "client_request_id", clientID,
		"took", time.Since(start).Round(time.Millisecond),
	}
	if err != nil && status != http.StatusNotFound { // which is an answer like any other
		a.log.Warn("call to Microsoft failed", append(attrs, "error", err)...)
	} else {
		a.log.Debug("call to Microsoft", attrs...)
	}
	return meta, err
}

func (a *API) do(ctx context.Context, op, method, path, clientID string, in, out any) (Meta, int, error) {
	fail := &Error{System: SystemGraph, Op: op}
	var body io.Reader
	if in != nil {
		blob, err := json.Marshal(in)
		if err != nil {
			return Meta{}, 0, fmt.Errorf("encoding %s: %w", op, err)
		}
		body = bytes.NewReader(blob)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, body)
	if err != nil {
		fail.Err = errors.New("malformed address")
		return Meta{}, 0, fail
	}
	r.Header.Set("Accept", "application/json")
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("client-request-id", clientID)
	token, err := a.credential.Token(ctx, a.base)
	if err != nil {
		return Meta{}, 0, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := a.client.Do(r)
	if err != nil {
		fail.Err = cause(err)
		return Meta{}, 0, fail
	}
	defer resp.Body.Close()
	meta := Meta{RequestID: resp.Header.Get("request-id")}
	meta.Date, _ = http.ParseTime(resp.Header.Get("Date")) // absent or odd: zero
	fail.Status, fail.RequestID, fail.RetryAfter = resp.StatusCode, meta.RequestID, retryAfter(resp)
	blob, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		fail.Code = errorCode(blob)
		return meta, resp.StatusCode, fail
	}
	if err != nil {
		fail.Err = errors.New("answer cut short")
		return meta, resp.StatusCode, fail
	}
	if out != nil && len(blob) > 0 {
		if err := json.Unmarshal(blob, out); err != nil {
			fail.Err = errors.New("answer is not the documented JSON")
			return meta, resp.StatusCode, fail
		}
	}
	return meta, resp.StatusCode, nil
}

// errorCode reads error.code; Microsoft asks to branch on nothing else.
func errorCode(body []byte) string {
	var e struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return e.Error.Code
}
