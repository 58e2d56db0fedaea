package request

import (
	"time"
)

// Call is one call a plan makes.
type Call struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Why    string `json:"why"`
}

// Plan is what a revocation would do. What-If prints it and the revoker runs it.
type Plan struct {
	Revoker    string   `json:"revoker"`
	Target     Target   `json:"target"`
	Calls      []Call   `json:"calls"`
	DoesNotEnd []string `json:"does_not_end"` // what goes on working afterwards
}

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
	RoleLost           Trouble = "role-lost"      // requester or approver no longer an administrator
	RoleUnknown        Trouble = "role-unknown"   // their roles could not be read again
	TargetDiffers      Trouble = "target-differs" // the account changed after it was confirmed
	TooOld             Trouble = "too-old"        // confirmed too long ago to be carried out
)

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
}
