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

// begin looks at what earlier attempts did, if there were any. It reports whether that
// is all there is to do now: the effect is proven, or it may not be asked for again, or
// nobody can see for now whether it took place, and asking again would be blind.
func (l *lookback) begin(ctx context.Context, id string, a request.Attempt, backoff Backoff) (o request.Outcome, ends bool) {
	o = request.Outcome{Result: request.Failed, At: time.Now().UTC()}
	var err error
	if a.Resumed {
		if o, err = l.once(ctx, id, a.Before, o); o.ReadBack {
			return lost(o), true
		}
	}
	switch {
	case a.Hold != request.NoTrouble:
		// That nothing was seen excludes nothing: the directory's copies lag, and
		// SharePoint's effect need not show there.
		o.Trouble, o.Fault, o.Unsure = a.Hold, a.Fault, a.Resumed
	case passes(err):
		r := failure(err, entra.Meta{}, request.Graph)
		o.Trouble, o.Fault, o.Unsure = r.trouble, r.fault, true
		o.RetryAfter = max(backoff(1, err), time.Second)
	default:
		return o, false
	}
	return o, true
}

// passes reports whether a look failed for a reason that may pass. Where Graph refuses
// it for good, asking again blindly is all that is left.
func passes(err error) bool {
	if err == nil {
		return false
	}
	v := failure(err, entra.Meta{}, request.Graph).verdict
	return v == later || v == unclear
}

// lost is the outcome where the effect is proven although its answer is missing.
func lost(o request.Outcome) request.Outcome {
	o.Result, o.Trouble, o.Fault, o.AnswerLost = request.SignedOutWithinHour, request.NoTrouble, request.Fault{}, true
	o.RetryAfter, o.Unsure = 0, false
	return o
}

// once looks, with the retries of a read. The error says why it could not see, which
// proves nothing either way.
func (l *lookback) once(ctx context.Context, id string, before time.Time, o request.Outcome) (request.Outcome, error) {
	return l.until(ctx, id, before, o, 1)
}

// until looks up to n times, until the time from which sessions count has moved
// past before. Its error is the last look's.
func (l *lookback) until(ctx context.Context, id string, before time.Time, o request.Outcome, n int) (_ request.Outcome, err error) {
	const what = "read back"
	for i := range n {
		if i > 0 && !pause(ctx, readPause) {
			return o, err
		}
		var u struct {
			ValidFrom time.Time `json:"signInSessionsValidFromDateTime"`
		}
		one, cancel := context.WithTimeout(ctx, request.LastLook)
		var meta entra.Meta
		meta, err = l.reads.Do(one, what, http.MethodGet, readBackPath(id), nil, &u)
		cancel()
		o.Steps = append(o.Steps, step(what, request.Graph, meta, err))
		if err != nil {
			continue
		}
		o = noted(o, meta)
		o.ValidFrom = u.ValidFrom
		if !before.IsZero() && u.ValidFrom.After(before) {
			o.ReadBack = true
			return o, nil
		}
	}
	return o, err
}
