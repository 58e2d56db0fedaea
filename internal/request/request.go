// Package request is the domain: one asked-for revocation, who may do what to it and
// what follows. It holds the only judgment in the program (gate.go, gate_press.go,
// gate_run.go, with what follows in transitions.go, commands.go, pressing.go, running.go
// and showing.go), the service that carries judgments out (service.go, worker.go,
// steps.go), what is kept beside requests (note.go: freeze.go, link.go, opencard.go,
// hourly.go) and the short wishes it has of the other rooms (the interfaces in service.go).
//
// It must not know Slack, Microsoft, Redis or HTTP: standard library only, and every
// fact arrives as a value (facts.go). Facts come from outside, judgment is made here.
package request

import (
	"slices"
	"time"
)

// ID names a request. It is opaque, unguessable for whoever has not seen the
// signed delivery it was derived from, and safe to show in message metadata.
type ID string

// State is where a request is in its life.
type State string

// The states in the order of a request's life. Done, Planned, Answered, Refused,
// Canceled and Expired are final; a request leaves the others only by a transition.
const (
	Received  State = "received"  // the command is stored, nobody has been looked up yet
	Pending   State = "pending"   // a card waits for other administrators
	Approved  State = "approved"  // claimed by the last valid Confirm that was needed
	Executing State = "executing" // written before the effect is attempted
	Finished  State = "finished"  // the outcome is written and not shown yet
	Settling  State = "settling"  // shown; passes again later to mend what arrived late
	Done      State = "done"
	Planned   State = "planned"  // a What-If command, answered with the plan
	Answered  State = "answered" // a command that asked for no revocation
	Noted     State = "noted"    // no request, but something that is kept beside them: see Note
	Refused   State = "refused"  // ended before anything could be confirmed
	Canceled  State = "canceled" // closed by a person
	Expired   State = "expired"  // closed by time
)

// Lease says who works on a request. The fence is random: a counter would
// repeat after a failover to an older replica of the store.
type Lease struct {
	Fence string
	Until time.Time
	At    time.Time // the store's time of the claim or of its last renewal
}

// Request is one asked-for revocation and its whole life. It is a value:
// transitions return a changed copy.
type Request struct {
	ID        ID        `json:"id"`
	State     State     `json:"state"`
	Command   Command   `json:"command,omitzero"`
	Origin    Origin    `json:"origin"`
	Received  time.Time `json:"received"`
	Expires   time.Time `json:"expires,omitzero"` // until when the card can be confirmed
	Requester Caller    `json:"requester,omitzero"`
	Target    Target    `json:"target,omitzero"`
	Plan      Plan      `json:"plan,omitzero"`
	Changes   []Change  `json:"changes,omitempty"` // of the plan, when it last changed under a card
	Refusal   Reason    `json:"refusal,omitempty"`
	OpenCard  OpenCard  `json:"other,omitzero"`   // whose card is open already, where that is the reason
	Frozen    bool      `json:"frozen,omitempty"` // what its card says of the freeze
	FrozenBy  SlackUser `json:"frozen_by,omitzero"`
	Note      Note      `json:"note,omitzero"`   // in the state Noted
	Closer    Caller    `json:"closer,omitzero"` // who canceled
	ClosedAt  time.Time `json:"closed_at,omitzero"`

	Approvals  int       `json:"approvals,omitempty"`  // how many others have to confirm; 0 is one
	Approvers  []Caller  `json:"approvers,omitempty"`  // who has confirmed, in that order
	ApprovedAt time.Time `json:"approved_at,omitzero"` // when it was allowed to run
	CheckedAt  time.Time `json:"checked_at,omitzero"`  // when both roles and the target were last read
	Attempts   int       `json:"attempts,omitempty"`   // how often Executing was entered
	BegunAt    time.Time `json:"begun_at,omitzero"`    // and when first
	Hold       Trouble   `json:"hold,omitempty"`       // why the current attempt may only look for an effect
	HoldFault  Fault     `json:"hold_fault,omitzero"`
	RunAt      time.Time `json:"run_at,omitzero"` // when to try again, where Microsoft throttles or does not answer
	SoFar      Outcome   `json:"so_far,omitzero"` // of the attempts before
	Outcome    Outcome   `json:"outcome,omitzero"`

	Card     Card      `json:"card,omitzero"`
	Thread   Thread    `json:"thread,omitzero"`
	Final    Final     `json:"final,omitzero"` // what the record says of the chat
	SettleAt time.Time `json:"settle_at,omitzero"`
	Passes   int       `json:"passes,omitempty"`   // settling passes made
	Failures int       `json:"failures,omitempty"` // showings in a row that did not succeed
	RetryAt  time.Time `json:"retry_at,omitzero"`

	Presses []Press `json:"presses,omitempty"` // received and not judged yet
	Judged  []Seen  `json:"judged,omitempty"`  // lately judged, so that a replay is not judged again
	Replies []Reply `json:"replies,omitempty"` // owed

	// Due is when somebody should look at this request again; zero is never.
	Due time.Time `json:"due,omitzero"`

	// Forget is when a request that needs nothing any more may be forgotten; zero is
	// never. Its records stay.
	Forget time.Time `json:"forget,omitzero"`

	// Head is the end of the audit chain right after the last step of this request that
	// has records. The store sets it in the write of that step. Sealed is Head as it was
	// when the outcome was written, which is what the result in the thread shows.
	Head   Head `json:"head,omitzero"`
	Sealed Head `json:"sealed,omitzero"`

	// Lease and Version belong to the store and are not part of the record.
	Lease   Lease `json:"-"`
	Version int64 `json:"-"`
}

// Seen remembers a judged press for as long as its delivery could be replayed.
type Seen struct {
	Key string    `json:"key"`
	At  time.Time `json:"at"`
}

// WakeAt is the request's place in the due index: the end of its lease while
// somebody works on it, else Due. Zero means that it has no place there.
func (r Request) WakeAt() time.Time {
	if r.Lease.Fence != "" {
		return r.Lease.Until
	}
	return r.Due
}

// needed is how many others have to confirm.
func (r Request) needed() int { return max(1, r.Approvals) }

// Missing is how many more have to confirm.
func (r Request) Missing() int { return max(0, r.needed()-len(r.Approvers)) }

// Authorized reports whether the request was allowed to run: by a second
// administrator's Confirm, or by its requester alone where the operator allows that.
func (r Request) Authorized() bool { return !r.ApprovedAt.IsZero() }

// known reports whether r began as a command, and not as a press on a card that
// nobody knows.
func (r Request) known() bool { return r.Command != (Command{}) }

// mustShowFirst reports whether the channel has to see r before it may run: what
// no second person has seen is public before it has an effect.
func (r Request) mustShowFirst() bool {
	return r.State == Approved && r.Command.Unconfirmed && r.Card.TS == ""
}

// HasOutcome reports whether the outcome is written.
func (r Request) HasOutcome() bool { return r.Outcome.Result != NoResult }

// closed reports whether r ended with a card, or perhaps one, that holds no result.
func (r Request) closed() bool {
	return closedFaces[r.State] != NoFace && (r.Card.TS != "" || r.Card.Doubt)
}

func (r Request) seen(key string) bool {
	return slices.ContainsFunc(r.Presses, func(p Press) bool { return p.Key == key }) ||
		slices.ContainsFunc(r.Judged, func(s Seen) bool { return s.Key == key })
}

// clone makes the slices that transitions append to the copy's own.
func (r Request) clone() Request {
	r.Presses = slices.Clone(r.Presses)
	r.Judged = slices.Clone(r.Judged)
	r.Replies = slices.Clone(r.Replies)
	r.Changes = slices.Clone(r.Changes)
	r.Approvers = slices.Clone(r.Approvers)
	return r
}
