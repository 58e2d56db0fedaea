package request

import (
	"time"
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

// Kind is what a command asks for.
type Kind string

// The tasks: a revocation is the one without a word of its own.
const (
	Revoke Kind = ""
	Freeze Kind = "freeze" // nothing is run any more until the operator thaws
	Link   Kind = "link"   // show or begin the link to an Entra account
	Unlink Kind = "unlink" // remove it
)

// Command is what a person typed, taken apart and not judged.
type Command struct {
	Kind        Kind   `json:"task,omitempty"`
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
	TargetChanged     Reason = "target-changed"    // the account is none that can be signed out here any more
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
	Key      string   `json:"key"` // of the press, or the request's id for a command
	To       Origin   `json:"to"`
	Verb     Verb     `json:"verb,omitempty"` // empty for a command
	Reason   Reason   `json:"reason"`
	Standing Standing `json:"standing,omitempty"`
	Fault    Fault    `json:"fault,omitzero"`
	Eligible bool     `json:"eligible,omitempty"` // could activate the role
	// Requester is the standing of who asked, where that is the reason.
	Requester Standing  `json:"requester,omitempty"`
	At        time.Time `json:"at"`
	// MessageTS and Plan are those of the press, which is carried on after a sign-in.
	MessageTS string `json:"message_ts,omitempty"`
	Plan      string `json:"plan,omitempty"`
}
