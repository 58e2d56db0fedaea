package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/revoke-session/revoke-session/internal/request"
)

// everybodyAdministers is a directory in which each member holds the role.
type everybodyAdministers struct{ request.Directory }

func (d everybodyAdministers) Caller(ctx context.Context, by request.Origin) request.Caller {
	c := d.Directory.Caller(ctx, by)
	c.Administrator = c.Standing == request.Member
	return c
}

func (d everybodyAdministers) Again(ctx context.Context, was request.Caller) request.Caller {
	c := d.Directory.Again(ctx, was)
	c.Administrator = c.Standing == request.Member
	return c
}

// neverAgain believes what was so once.
type neverAgain struct{ request.Directory }

func (d neverAgain) Again(_ context.Context, was request.Caller) request.Caller { return was }

// strangers takes whoever it looks up for somebody that it has not seen before.
type strangers struct {
	request.Directory
	seen *atomic.Int64
}

func (d strangers) Caller(ctx context.Context, by request.Origin) request.Caller {
	c := d.Directory.Caller(ctx, by)
	if c.ObjectID != "" {
		c.ObjectID = fmt.Sprintf("%s?%d", c.ObjectID, d.seen.Add(1))
	}
	return c
}

func (d strangers) Again(ctx context.Context, was request.Caller) request.Caller {
	known := was
	known.ObjectID, _, _ = strings.Cut(was.ObjectID, "?")
	c := d.Directory.Again(ctx, known)
	c.ObjectID = was.ObjectID
	return c
}

// allGone takes whatever cannot be written any more for the end of the whole channel.
type allGone struct{ request.Reporter }

func (g allGone) Report(ctx context.Context, r request.Request) request.Shown {
	s := g.Reporter.Report(ctx, r)
	s.CardGone = s.Gone != ""
	return s
}

// onlyOnce is a reporter that takes every private answer for delivered.
type onlyOnce struct{ request.Reporter }

func (rp onlyOnce) Report(ctx context.Context, r request.Request) request.Shown {
	shown := rp.Reporter.Report(ctx, r)
	shown.Replied = nil
	for _, a := range r.Replies {
		shown.Replied = append(shown.Replied, a.Key)
	}
	return shown
}

// mutantWire is a way to Slack that does something on its own.
type mutantWire struct {
	next                http.RoundTripper
	blind, repeat, keep bool
}

// RoundTrip implements http.RoundTripper.
func (w *mutantWire) RoundTrip(r *http.Request) (*http.Response, error) {
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	switch {
	case w.blind && (method == "conversations.replies" || method == "conversations.history"):
		return saying(r, `{"ok":true,"messages":[],"has_more":false}`), nil
	case w.keep && method == "chat.delete":
		return saying(r, `{"ok":true}`), nil
	case w.repeat && method == "chat.postMessage":
		return w.twice(r)
	}
	return w.next.RoundTrip(r)
}

func saying(r *http.Request, body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: r}
}

// twice posts again where the first answer is not a success.
func (w *mutantWire) twice(r *http.Request) (*http.Response, error) {
	blob, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	again := r.Clone(r.Context())
	r.Body, again.Body = io.NopCloser(strings.NewReader(string(blob))), io.NopCloser(strings.NewReader(string(blob)))
	resp, err := w.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusOK {
		answer, _ := io.ReadAll(resp.Body)
		if strings.Contains(string(answer), `"ok":true`) {
			resp.Body = io.NopCloser(strings.NewReader(string(answer)))
			return resp, nil
		}
	}
	return w.next.RoundTrip(again)
}
