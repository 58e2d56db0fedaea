package request

import (
	"slices"
	"time"
)

// Result is one of the five documented results of the cmdlet.
type Result int

// The documented results, numbered as in its documentation.
const (
	NoResult Result = iota
	NotFound
	SignedOut
	SignedOutWithinHour
	Failed
	NotAvailable
)

// Trouble is why a result is Failed or NotFound.
type Trouble string

// Each trouble has its own remedy, worded in slackapp.
const (
	NoTrouble          Trouble = ""
	Forbidden          Trouble = "forbidden"           // Microsoft refuses this app
	CredentialRejected Trouble = "credential-rejected" // the app cannot sign in
	Throttled          Trouble = "throttled"
	Unreachable        Trouble = "unreachable" // no usable answer and no proof of an effect
	Declined           Trouble = "declined"    // answered, but not with success
	TargetGone         Trouble = "target-gone"
	NameNotKnown       Trouble = "name-not-known"   // SharePoint does not know the sign-in name, Entra does
	FeatureDisabled    Trouble = "feature-disabled" // SharePoint has the feature switched off for the tenant
	SwitchedOff        Trouble = "switched-off"     // the bot's operator has
	FrozenBefore       Trouble = "frozen"           // everything was frozen before it ran
	MoreNeeded         Trouble = "more-needed"      // than have confirmed, as things are now
	ProtectedNow       Trouble = "target-protected" // the operator protects the account now
	AloneForbidden     Trouble = "alone-forbidden"  // the operator no longer allows to run without a second person
	RoleLost           Trouble = "role-lost"        // requester or approver no longer an administrator
	RoleUnknown        Trouble = "role-unknown"     // their roles could not be read again
	TargetDiffers      Trouble = "target-differs"   // the account changed after it was confirmed
	TooOld             Trouble = "too-old"          // confirmed too long ago to be carried out
)

// result is that of a revocation which a trouble kept from being sent.
func (t Trouble) result() Result {
	if t == TargetGone {
		return NotFound
	}
	if t == SwitchedOff {
		return NotAvailable
	}
	return Failed
}

// retryAfter is how soon what could not be read again may be; zero where a trouble is
// what was read.
func (t Trouble) retryAfter() time.Duration {
	if t == RoleUnknown || t == Unreachable {
		return 2 * time.Second
	}
	return 0
}

// Step is one call that was made, for -Verbose and the record.
type Step struct {
	What            string        `json:"what"`
	System          System        `json:"system"`
	Status          int           `json:"status,omitempty"` // 0 if there was no answer
	Code            string        `json:"code,omitempty"`
	RequestID       string        `json:"request_id,omitempty"`
	ClientRequestID string        `json:"client_request_id,omitempty"` // ours
	Took            time.Duration `json:"took"`
}

// Outcome is what came of a revocation: one documented result with its evidence.
type Outcome struct {
	Result     Result    `json:"result"`
	Trouble    Trouble   `json:"trouble,omitempty"`
	Fault      Fault     `json:"fault,omitzero"`
	At         time.Time `json:"at,omitzero"`
	ValidFrom  time.Time `json:"valid_from,omitzero"` // read back; zero if it could not be
	ReadBack   bool      `json:"read_back,omitempty"` // ValidFrom has moved, which is proof
	AnswerLost bool      `json:"answer_lost,omitempty"`
	Sends      int       `json:"sends"` // how often it was asked for in a way that could have had the effect
	RequestIDs []string  `json:"request_ids,omitempty"`
	Steps      []Step    `json:"steps,omitempty"`
	// Parts are the outcomes of the single revokers where more than one was asked.
	Parts []Part `json:"parts,omitempty"`
	// Unsure says that something was sent whose effect is neither proven nor excluded.
	Unsure bool `json:"unsure,omitempty"`
	// RetryAfter is not zero where asking again, that much later, can help.
	RetryAfter time.Duration `json:"retry_after,omitempty"`
}

// Part is what one of several revokers answered.
type Part struct {
	System  System  `json:"system"`
	Result  Result  `json:"result"`
	Trouble Trouble `json:"trouble,omitempty"`
	Fault   Fault   `json:"fault,omitzero"`
	// AnswerLost says that the effect was read back and not answered.
	AnswerLost bool `json:"answer_lost,omitempty"`
	Unsure     bool `json:"unsure,omitempty"` // as the outcome's
}

// after is o with what the attempts before it have shown.
func (o Outcome) after(before Outcome) Outcome {
	o.Sends += before.Sends
	o.RequestIDs = append(slices.Clone(before.RequestIDs), o.RequestIDs...)
	o.Steps = append(slices.Clone(before.Steps), o.Steps...)
	return o
}
