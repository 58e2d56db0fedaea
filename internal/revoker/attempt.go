package revoker

import (
	"context"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

// longPause is from what length on a wait is left to the caller, who need not hold
// anything for so long. The caller's context bounds the whole attempt.
const longPause = 2 * time.Second

// attempt asks for an effect until an answer is clear, and looks at what happened
// before it asks again.
type attempt struct {
	look   *lookback
	target request.Target
	what   string // names the call
	system request.System
	send   func(ctx context.Context) reply
	// readBacks is how often to look for the effect after it was said to have taken
	// place: directory replicas lag.
	readBacks int
	backoff   Backoff
}

// Backoff says how long to wait before asking for the n-th time again (n from 1)
// after err, as entra.Backoff does.
type Backoff func(n int, err error) time.Duration

// run makes the attempt. After an answer that proves nothing it looks before it asks
// again: sessions that count only from later than before the first attempt are proof
// of an effect, whatever was lost.
func (t *attempt) run(ctx context.Context, a request.Attempt) request.Outcome {
	o, ends := t.look.begin(ctx, t.target.ObjectID, a, t.backoff)
	if ends {
		return o
	}
	doubt := a.Resumed // something may have happened that no answer told of
	o, doubt = t.ask(ctx, a, o, doubt)
	if o.ReadBack || !doubt {
		return o
	}
	// One last look: the caller's time may have ended while an answer was awaited.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), request.LastLook)
	defer cancel()
	if o, _ = t.look.once(last, t.target.ObjectID, a.Before, o); o.ReadBack {
		return lost(o)
	}
	o.Unsure = true
	return o
}

// ask sends until the answer is clear or the time is over. It reports whether
// something may have happened that no answer told of.
func (t *attempt) ask(ctx context.Context, a request.Attempt, o request.Outcome, doubt bool) (request.Outcome, bool) {
	o.Trouble = request.Unreachable // until there is an answer
	wait := time.Duration(0)
	for try := 1; !over(ctx) && (try == 1 || wait < longPause && pause(ctx, wait)); try++ {
		if try > 1 && doubt {
			var err error
			if o, err = t.look.once(ctx, t.target.ObjectID, a.Before, o); o.ReadBack {
				return lost(o), doubt
			}
			if passes(err) { // nobody sees what the last send did
				break
			}
		}
		r := t.send(ctx)
		wait = t.backoff(try, r.err)
		o.Result, o.Trouble, o.Fault = r.result, r.trouble, r.fault
		o.Steps = append(o.Steps, step(t.what, t.system, r.meta, r.err))
		o.At = when(o, r.meta)
		if r.verdict == later {
			continue
		}
		o = noted(o, r.meta)
		if o.Fault.System != request.Entra { // without a token nothing was sent
			o.Sends++
		}
		switch r.verdict {
		case took:
			o, _ = t.look.until(ctx, t.target.ObjectID, a.Before, o, t.readBacks)
			return o, false
		case refused:
			return o, doubt
		case unclear:
			doubt = true
		case later:
		}
	}
	o.Result, o.RetryAfter = request.Failed, max(wait, time.Second)
	return o, doubt
}

// over reports whether the time is over, also in a process that was frozen and
// whose timers have yet to notice.
func over(ctx context.Context) bool {
	deadline, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(deadline)
}

// noted is o with the answer's request id and time.
func noted(o request.Outcome, meta entra.Meta) request.Outcome {
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
