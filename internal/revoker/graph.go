package revoker

import (
	"context"
	"net/http"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

// Bounds of one revocation; the caller's context bounds the whole.
const (
	maxSends   = 6
	readBacks  = 3 // directory replicas lag
	readPause  = 400 * time.Millisecond
	readWithin = request.LastLook
)

// Graph revokes with Microsoft Graph's revokeSignInSessions. A success is
// always result 3: refresh tokens and browser sessions end, issued access tokens
// live on, and Graph never says more. Safe for concurrent use.
type Graph struct {
	effects, reads *entra.API
}

// NewGraph returns a revoker that asks for effects and reads through APIs with
// the retries of those names.
func NewGraph(effects, reads *entra.API) *Graph { return &Graph{effects: effects, reads: reads} }

// Plan implements request.Revoker.
func (g *Graph) Plan(t request.Target) request.Plan {
	return request.Plan{
		Revoker: "Microsoft Graph",
		Target:  t,
		Calls: []request.Call{
			{Method: http.MethodPost, URL: g.effects.URL(revokePath(t.ObjectID)), Why: "ends refresh tokens and browser sessions"},
			{Method: http.MethodGet, URL: g.reads.URL(readBackPath(t.ObjectID)), Why: "reads back the time from which sessions count"},
		},
		DoesNotEnd: []string{
			"access tokens already issued: they work until they expire, usually 60 to 90 minutes after issue (minutes in apps with continuous access evaluation)",
			"sessions that apps keep for themselves",
			"the password and sign-in methods: whoever has them can sign in again, so reset or block them too",
		},
	}
}

func revokePath(id string) string { return segment(id) + "/revokeSignInSessions" }

func readBackPath(id string) string {
	return segment(id) + "?$select=id,signInSessionsValidFromDateTime"
}

// Revoke implements request.Revoker. After an answer that proves nothing it
// looks before it asks again: signInSessionsValidFromDateTime having moved past
// its value before the first attempt is proof, whatever was lost.
func (g *Graph) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	o := request.Outcome{Result: request.Failed, At: time.Now().UTC()}
	id := p.Target.ObjectID
	if a.Resumed {
		if o = g.readBack(ctx, id, a.Before, o, 1); o.ReadBack {
			return lost(o)
		}
	}
	if a.Hold != request.NoTrouble {
		o.Trouble, o.Fault = a.Hold, a.Fault
		if a.Resumed && o.ValidFrom.IsZero() { // could not look: an effect is not excluded
			o.Trouble = request.Unreachable
		}
		return o
	}
	doubt := a.Resumed // something may have happened that no answer told of
	var err error
	for try := range maxSends {
		if ctx.Err() != nil || try > 0 && !pause(ctx, entra.Backoff(try, err)) {
			break
		}
		var out struct {
			Value *bool `json:"value"`
		}
		var meta entra.Meta
		meta, err = g.effects.Do(ctx, "revoke sign-in sessions", http.MethodPost, revokePath(id), nil, &out)
		var v verdict
		v, o.Trouble, o.Fault = classify(err)
		if v == later {
			o.At = when(o, meta)
			continue
		}
		o = evidence(o, meta)
		if o.Fault.System != request.Entra { // without a token nothing was sent
			o.Sends++
		}
		if v == took && (out.Value == nil || *out.Value) {
			o.Result = request.SignedOutWithinHour
			return g.readBack(ctx, id, a.Before, o, readBacks)
		}
		if v == took {
			v, o.Trouble = refused, request.Declined
		}
		if v == refused {
			if !doubt {
				return refusal(o)
			}
			break
		}
		doubt = true
		if o = g.readBack(ctx, id, a.Before, o, 1); o.ReadBack {
			return lost(o)
		}
	}
	if !doubt {
		return refusal(o)
	}
	// One last look: the caller's time may have ended while an answer was awaited.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), readWithin)
	defer cancel()
	if o = g.readBack(last, id, a.Before, o, 1); o.ReadBack {
		return lost(o)
	}
	return refusal(o)
}

// refusal is the outcome where nothing speaks for an effect.
func refusal(o request.Outcome) request.Outcome {
	if o.Trouble == request.TargetGone {
		o.Result = request.NotFound
	}
	if o.Trouble == request.NoTrouble { // the time was over before anything was sent
		o.Trouble = request.Unreachable
	}
	return o
}

// lost is the outcome where the effect is proven although its answer is missing.
func lost(o request.Outcome) request.Outcome {
	o.Result, o.Trouble, o.Fault, o.AnswerLost = request.SignedOutWithinHour, request.NoTrouble, request.Fault{}, true
	return o
}

// readBack reads the user's signInSessionsValidFromDateTime up to n times, until
// it has moved past before.
func (g *Graph) readBack(ctx context.Context, id string, before time.Time, o request.Outcome, n int) request.Outcome {
	for i := range n {
		if i > 0 && !pause(ctx, readPause) {
			return o
		}
		var u struct {
			ValidFrom time.Time `json:"signInSessionsValidFromDateTime"`
		}
		one, cancel := context.WithTimeout(ctx, readWithin)
		meta, err := g.reads.Do(one, "read back", http.MethodGet, readBackPath(id), nil, &u)
		cancel()
		if err != nil {
			continue
		}
		o = evidence(o, meta)
		o.ValidFrom = u.ValidFrom
		if !before.IsZero() && u.ValidFrom.After(before) {
			o.ReadBack = true
			return o
		}
	}
	return o
}

func evidence(o request.Outcome, meta entra.Meta) request.Outcome {
	if meta.RequestID != "" {
		o.RequestIDs = append(o.RequestIDs, meta.RequestID)
	}
	o.At = when(o, meta)
	return o
}

// when is Microsoft's clock where it was told.
func when(o request.Outcome, meta entra.Meta) time.Time {
	if meta.Date.IsZero() {
		return o.At
	}
	return meta.Date.UTC()
}
