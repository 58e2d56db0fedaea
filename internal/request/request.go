// Package request is the domain: one asked-for revocation, who may do what to
// it and what follows. It holds the only judgment in the program (gate.go, with
// what follows from it in transitions.go, running.go and showing.go), the service that carries
// judgments out (service.go, worker.go, steps.go) and the short wishes it has of
// the other rooms (the interfaces in service.go).
//
// It must not know Slack, Microsoft, Redis or HTTP: standard library only, and
// every fact arrives as a value (facts.go). Facts come from outside, judgment is
// made here.
package request

import (
	"fmt"
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
	Pending   State = "pending"   // a card waits for a second administrator
	Approved  State = "approved"  // claimed by one valid Confirm
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

// Verb is what a button asks for.
type Verb string

// The three buttons.
const (
	Confirm Verb = "confirm"
	Cancel  Verb = "cancel"
	WhatIf  Verb = "what-if"
)

var verbs = []Verb{Confirm, Cancel, WhatIf}

// Press is one press of a button as it was received, before anybody has
// looked at who pressed.
type Press struct {
	Key       string    `json:"key"` // the same for a replayed delivery
	Verb      Verb      `json:"verb"`
	By        Origin    `json:"by"`
	MessageTS string    `json:"message_ts"`
	Plan      string    `json:"plan,omitempty"` // code of the plan on the card that was pressed, as far as it said
	Proof     Proof     `json:"proof,omitzero"` // of a sign-in for this press; never from Slack
	At        time.Time `json:"at"`
}

// Task is what a command asks for.
type Task string

// The tasks: a revocation is the one without a word of its own.
const (
	Revoke Task = ""
	Freeze Task = "freeze" // nothing is run any more until the operator thaws
	Link   Task = "link"   // show or begin the link to an Entra account
	Unlink Task = "unlink" // remove it
)

// Command is what a person typed, taken apart and not judged.
type Command struct {
	Task        Task   `json:"task,omitempty"`
	User        string `json:"user,omitempty"`        // sign-in name or object id, as typed
	Mention     string `json:"mention,omitempty"`     // or the Slack user id of a mention
	WhatIf      bool   `json:"what_if,omitempty"`     // -WhatIf: show the plan, run nothing
	Unconfirmed bool   `json:"unconfirmed,omitempty"` // -Confirm:$false, without -WhatIf
	Verbose     bool   `json:"verbose,omitempty"`     // -Verbose: show each step
	Reason      string `json:"reason,omitempty"`      // why the requester asks
}

// Reason is why a person is answered privately.
type Reason string

// Reasons; slackapp words each in one switch.
const (
	NotVerified       Reason = "not-verified" // the caller's Standing says more
	NotAdministrator  Reason = "not-administrator"
	OwnRequest        Reason = "own-request"
	ConfirmedBefore   Reason = "confirmed-before"  // by the same person; others have to
	StepUpNeeded      Reason = "step-up-needed"    // a fresh sign-in has to come with the press
	IsFrozen          Reason = "frozen"            // nothing is run until the operator thaws
	TargetProtected   Reason = "target-protected"  // the operator's PROTECTED_USERS
	AskedBefore       Reason = "asked-before"      // another card for the same target is open
	TooManyRequests   Reason = "too-many-requests" // of one requester in an hour
	FrozenNow         Reason = "frozen-now"        // the answer to freeze
	LinkShown         Reason = "link-shown"        // the answers to link and unlink
	LinkEnded         Reason = "link-ended"
	NothingLinked     Reason = "nothing-linked"
	LinkNotUsed       Reason = "link-not-used"     // people are identified by e-mail here
	LinkedToAnother   Reason = "linked-to-another" // account, which has to be unlinked first
	AccountUnfit      Reason = "account-unfit"     // to be linked: no enabled member of the tenant
	OwnAccount        Reason = "own-account"
	RequesterNotAdmin Reason = "requester-not-administrator"
	AlreadyConfirmed  Reason = "already-confirmed"
	AlreadyDone       Reason = "already-done"
	AlreadyCanceled   Reason = "already-canceled"
	AlreadyExpired    Reason = "already-expired"
	AlreadyRefused    Reason = "already-refused"
	AlreadyPlanned    Reason = "already-planned"
	StillChecking     Reason = "still-checking"
	UnknownCard       Reason = "unknown-card"
	OtherCard         Reason = "other-card" // a copy of the request's card
	TargetMissing     Reason = "target-missing"
	TargetGuest       Reason = "target-guest"
	TargetUnknown     Reason = "target-unknown"
	TargetUnresolved  Reason = "target-unresolved" // a mention that leads to no one account; the target's Standing says more
	TargetChanged     Reason = "target-changed"    // the account can no longer be signed out at all
	PlanChanged       Reason = "plan-changed"      // the card was brought up to date; asked anew
	PlanShown         Reason = "plan-shown"        // the answer to a What-If command
	CommandDisabled   Reason = "command-disabled"  // the operator has disabled the command
	ConfirmRequired   Reason = "confirm-required"  // -Confirm:$false is not allowed here
	ReasonRequired    Reason = "reason-required"   // -Confirm:$false without a reason
	ChannelShared     Reason = "channel-shared"
	ChannelDirect     Reason = "channel-direct"
	ChannelNotAllowed Reason = "channel-not-allowed"
	ChannelUnreadable Reason = "channel-unreadable"
	ChannelUnknown    Reason = "channel-unknown"
	CardNotPosted     Reason = "card-not-posted"
	CommandTooOld     Reason = "command-too-old"
	ResultByMessage   Reason = "result-by-message" // the channel is gone; here is the result
)

// Reply is one private answer that a person is owed.
type Reply struct {
	Key      string    `json:"key"` // of the press, or the request's id for a command
	To       Origin    `json:"to"`
	Verb     Verb      `json:"verb,omitempty"` // empty for a command
	Reason   Reason    `json:"reason"`
	Standing Standing  `json:"standing,omitempty"`
	Fault    Fault     `json:"fault,omitzero"`
	Eligible bool      `json:"eligible,omitempty"` // could activate the role
	At       time.Time `json:"at"`
	// MessageTS and Plan are those of the press, which is carried on after a sign-in.
	MessageTS string `json:"message_ts,omitempty"`
	Plan      string `json:"plan,omitempty"`
}

// Face is what a card shows. A card is brought up to date when its face changes.
type Face string

// The faces of a card.
const (
	NoFace       Face = ""
	FacePending  Face = "pending"
	FaceRunning  Face = "running"
	FaceWaiting  Face = "waiting" // running, and Microsoft asks to come back later
	FaceDone     Face = "done"
	FaceCanceled Face = "canceled"
	FaceExpired  Face = "expired"
	FaceRefused  Face = "refused"
)

// Card is the message with the buttons as it was last seen in the channel.
type Card struct {
	TS    string `json:"ts,omitempty"`
	Face  Face   `json:"face,omitempty"`
	Shows string `json:"shows,omitempty"` // besides its face: Request.Shows
	// Digest is the reporter's, of what the message says.
	Digest string `json:"digest,omitempty"`
	// Fence is that of the claim in which the card became wanted: a later claim
	// has to look whether an earlier one posted it.
	Fence string `json:"fence,omitempty"`
	// Doubt says that a post was tried whose answer was lost: a copy may stand, or
	// still appear.
	Doubt bool `json:"doubt,omitempty"`
	// LookAt is when to look for such a copy while the card still waits.
	LookAt time.Time `json:"look_at,omitzero"`
}

// Thread is what stands under the card.
type Thread struct {
	PlanWanted bool   `json:"plan_wanted,omitempty"`
	PlanTS     string `json:"plan_ts,omitempty"`
	ResultTS   string `json:"result_ts,omitempty"`   // the one message that ends up holding the result
	ResultDone bool   `json:"result_done,omitempty"` // it holds it
	// ResultDigest is the reporter's, of what the message says.
	ResultDigest string `json:"result_digest,omitempty"`
	Gone         bool   `json:"gone,omitempty"` // nothing can be shown there any more
}

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
	Other     Other     `json:"other,omitzero"`   // whose card is open already, where that is the reason
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
	RunAt      time.Time `json:"run_at,omitzero"` // when to ask again, where Microsoft said to come back later
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

// Face is what the card should show.
func (r Request) Face() Face {
	switch r.State {
	case Received:
		return NoFace
	case Pending:
		return FacePending
	case Approved, Executing:
		if !r.RunAt.IsZero() {
			return FaceWaiting
		}
		return FaceRunning
	case Finished, Settling, Done:
		return FaceDone
	case Planned, Answered, Noted:
		return NoFace
	case Canceled, Expired, Refused:
		if r.Card.TS == "" { // a card that was never posted is not posted to say that it is closed
			return NoFace
		}
		return closedFaces[r.State]
	}
	return NoFace
}

var closedFaces = map[State]Face{Canceled: FaceCanceled, Expired: FaceExpired, Refused: FaceRefused}

// Shows names what a waiting card shows besides its face, so that it is brought up to
// date when that changes.
func (r Request) Shows() string {
	shows := fmt.Sprintf("%s %d/%d", r.Plan.Code(), len(r.Approvers), r.needed())
	if r.Frozen {
		shows += " frozen by " + r.FrozenBy.User
	}
	return shows
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

// Unshown reports whether the chat does not yet say what the request says.
func (r Request) Unshown() bool {
	if len(r.Replies) > 0 {
		return true
	}
	if r.Thread.Gone {
		return false
	}
	return r.Face() != r.Card.Face ||
		r.Face() == FacePending && r.Shows() != r.Card.Shows ||
		r.Thread.PlanWanted && r.Thread.PlanTS == "" ||
		r.Authorized() && r.Thread.ResultTS == "" ||
		r.HasOutcome() && !r.Thread.ResultDone
}

// CardMayExist reports whether a card may have been posted without our knowing.
func (r Request) CardMayExist() bool {
	return r.Card.TS == "" && (r.Failures > 0 || r.Card.Fence != r.Lease.Fence)
}

// CardLookDue reports whether a waiting card's channel should be looked through for
// a copy now.
func (r Request) CardLookDue() bool {
	return r.State == Pending && !r.Card.LookAt.IsZero() && !r.Lease.At.Before(r.Card.LookAt)
}

// SettlePassDue reports whether what ended and was shown should be looked at again
// now.
func (r Request) SettlePassDue() bool {
	return (r.State == Settling || r.closed()) && !r.SettleAt.IsZero() && !r.Lease.At.Before(r.SettleAt)
}

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
