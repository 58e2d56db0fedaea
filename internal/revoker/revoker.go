// Package revoker ends sessions: it makes the plan, which What-If prints, and
// runs it, which always ends in one of the five documented results. There are two
// ways, Microsoft Graph's (graph.go) and the cmdlet's own through SharePoint
// (sharepoint.go), and both together (both.go).
//
// It knows Microsoft's calls and their answers. Whether they may be made is
// decided elsewhere, before it is asked.
package revoker

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

// doesNotEnd is what goes on working after every kind of revocation.
var doesNotEnd = []string{
	"access tokens already issued: they work until they expire, usually 60 to 90 minutes after issue (minutes in apps with continuous access evaluation)",
	"sessions that apps keep for themselves",
	"the password and sign-in methods: whoever has them can sign in again, so reset or block them too",
}

// verdict is what an answer proves about the effect.
type verdict int

const (
	took    verdict = iota // it happened
	refused                // it did not, and asking again will not help
	later                  // it did not, and asking again later will help
	unclear                // it may have happened
)

// reply is an answer to a call that was to have an effect, read.
type reply struct {
	verdict verdict
	result  request.Result // where the verdict is took or refused
	trouble request.Trouble
	fault   request.Fault
	err     error // as it came, for how long to wait
	meta    entra.Meta
}

// failure reads the error of a call that was to have an effect.
func failure(err error, meta entra.Meta, system request.System) reply {
	r := reply{err: err, meta: meta, result: request.Failed, verdict: unclear, trouble: request.Unreachable}
	e, ok := errors.AsType[*entra.Error](err)
	if !ok {
		r.fault.System = system
		return r
	}
	r.fault = request.Fault{System: request.System(e.System), Status: e.Status, Code: e.Code, RequestID: e.RequestID}
	switch {
	case e.Status == http.StatusTooManyRequests,
		e.Status == http.StatusServiceUnavailable && e.System == entra.SystemSharePoint && e.RetryAfter > 0:
		// SharePoint throttles with both, and says so by Retry-After
		// (learn.microsoft.com/sharepoint/dev/general-development/how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online).
		r.verdict, r.trouble = later, request.Throttled
	case e.System == entra.SystemSharePoint && strings.Contains(e.Code, "UnauthorizedAccess"):
		r.verdict, r.trouble = refused, request.Forbidden // whatever its status
	case e.System == entra.SystemEntra && e.Status >= 400 && e.Status < 500, e.Status == http.StatusUnauthorized:
		r.verdict, r.trouble = refused, request.CredentialRejected
	case e.System == entra.SystemEntra:
		r.verdict = later // without a token nothing was sent
	case e.Status == http.StatusForbidden:
		r.verdict, r.trouble = refused, request.Forbidden
	case e.NotFound():
		r.verdict, r.trouble, r.result = refused, request.TargetGone, request.NotFound
	case e.Status >= 300 && e.Status < 500 && e.Status != http.StatusRequestTimeout:
		r.verdict, r.trouble = refused, request.Declined
	}
	return r
}

// step is a call as -Verbose and the record show it.
func step(what string, system request.System, meta entra.Meta, err error) request.Step {
	s := request.Step{
		What: what, System: system, Status: meta.Status, RequestID: meta.RequestID,
		ClientRequestID: meta.ClientRequestID, Took: meta.Took,
	}
	if e, ok := errors.AsType[*entra.Error](err); ok {
		s.Code = e.Code
		if e.System == entra.SystemEntra { // no token: the call itself was not made
			s.What, s.System, s.Status, s.RequestID = "sign in, to "+what, request.Entra, e.Status, e.RequestID
		}
	}
	return s
}

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
