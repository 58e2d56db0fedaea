// Package revoker ends sessions: it makes the plan, which What-If prints, and
// runs it, which always ends in one of the five documented results.
//
// It knows Microsoft's calls and their answers. Whether they may be made is
// decided elsewhere, before it is asked.
package revoker

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

// verdict is what an answer proves about the effect.
type verdict int

const (
	took    verdict = iota // it happened
	refused                // it did not, and asking again will not help
	later                  // it did not, and asking again later will help
	unclear                // it may have happened
)

// classify reads the error of a call that was to have an effect.
func classify(err error) (verdict, request.Trouble, request.Fault) {
	if err == nil {
		return took, request.NoTrouble, request.Fault{}
	}
	e, ok := errors.AsType[*entra.Error](err)
	if !ok {
		return unclear, request.Unreachable, request.Fault{System: request.Graph}
	}
	f := request.Fault{System: request.System(e.System), Status: e.Status, Code: e.Code, RequestID: e.RequestID}
	switch {
	case e.Status == http.StatusTooManyRequests && e.System == entra.SystemEntra:
		return refused, request.Throttled, f // which has had its retries
	case e.Status == http.StatusTooManyRequests:
		return later, request.Throttled, f
	case e.System == entra.SystemEntra && e.Status >= 400 && e.Status < 500, e.Status == http.StatusUnauthorized:
		return refused, request.CredentialRejected, f
	case e.System == entra.SystemEntra:
		return refused, request.Unreachable, f // without a token nothing was sent
	case e.Status == http.StatusForbidden:
		return refused, request.Forbidden, f
	case e.NotFound():
		return refused, request.TargetGone, f
	case e.Status >= 300 && e.Status < 500 && e.Status != http.StatusRequestTimeout:
		return refused, request.Declined, f
	}
	return unclear, request.Unreachable, f
}

func segment(id string) string { return "/v1.0/users/" + url.PathEscape(id) }

// pause waits, or returns false: at once if ctx will not last that long.
func pause(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
