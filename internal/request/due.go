package request

import (
	"slices"
	"time"
)

// due derives the place in the due index from what there is to do, so that no
// transition can forget it.
func (r Request) due(now time.Time) time.Time {
	var wake []time.Time
	if len(r.Presses) > 0 {
		return now
	}
	if r.Unshown() {
		wake = append(wake, later(now, r.RetryAt))
	}
	switch r.State {
	case Approved:
		if r.mustShowFirst() && !r.Thread.Gone {
			return later(now, r.RetryAt)
		}
		wake = append(wake, later(now, r.RunAt))
	case Executing:
		wake = append(wake, later(now, r.RunAt))
	case Received:
		return later(now, r.RetryAt)
	case Pending:
		wake = append(wake, r.Expires)
		if !r.Card.LookAt.IsZero() {
			wake = append(wake, later(later(now, r.Card.LookAt), r.RetryAt))
		}
	case Finished, Settling:
		wake = append(wake, later(now, r.SettleAt))
	case Refused, Canceled, Expired:
		if !r.SettleAt.IsZero() {
			wake = append(wake, later(now, r.SettleAt))
		}
	case Noted:
		if !r.RetryAt.IsZero() {
			wake = append(wake, later(now, r.RetryAt))
		}
	case Done, Planned, Answered:
	}
	if len(wake) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(wake, time.Time.Compare)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
