package revoker

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

const readPause = 400 * time.Millisecond

// lookback reads from Graph since when a user's sessions count.
type lookback struct{ reads *entra.API }

func userPath(id string) string { return "/v1.0/users/" + url.PathEscape(id) }

func readBackPath(id string) string {
	return userPath(id) + "?$select=id,signInSessionsValidFromDateTime"
}

// call is the look as What-If prints it.
func (l *lookback) call(id string) request.Call {
	return request.Call{Method: http.MethodGet, URL: l.reads.URL(readBackPath(id)), Why: "reads back the time from which sessions count"}
}

func (l *lookback) once(ctx context.Context, id string, before time.Time, o request.Outcome) request.Outcome {
	return l.until(ctx, id, before, o, 1)
}

// until looks up to n times, until the time from which sessions count has moved
// past before.
func (l *lookback) until(ctx context.Context, id string, before time.Time, o request.Outcome, n int) request.Outcome {
	const what = "read back"
	for i := range n {
		if i > 0 && !pause(ctx, readPause) {
			return o
		}
		var u struct {
			ValidFrom time.Time `json:"signInSessionsValidFromDateTime"`
		}
		one, cancel := context.WithTimeout(ctx, request.LastLook)
		meta, err := l.reads.Do(one, what, http.MethodGet, readBackPath(id), nil, &u)
		cancel()
		o.Steps = append(o.Steps, step(what, request.Graph, meta, err))
		if err != nil {
			continue
		}
		o = noted(o, meta)
		o.ValidFrom = u.ValidFrom
		if !before.IsZero() && u.ValidFrom.After(before) {
			o.ReadBack = true
			return o
		}
	}
	return o
}
