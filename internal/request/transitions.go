package request

import (
	"errors"
	"time"
)

// Timings of a request's life.
const (
	// freshFor is how old the last look at both roles and the target may be when
	// the effect starts; anything older is looked up again first.
	freshFor = 10 * time.Second
	// runWithin is how long after its approval a revocation may still be started.
	// A restored backup or a long outage must not run yesterday's approval.
	runWithin = 15 * time.Minute
	// answerWithin is how long a private answer is tried, and resultWithin how long
	// one that holds the result.
	answerWithin = time.Hour
	resultWithin = 24 * time.Hour
	// judgeGrace is how long after a card's time a press that was in time is still
	// judged: a slow look-up or a restart must not turn it into a late one.
	judgeGrace = time.Minute
	// giveUpAfter is how long after its first attempt a revocation is tried again where
	// Microsoft throttles or does not answer. Then somebody has to do it by hand, and
	// should know soon.
	giveUpAfter = 40 * time.Second
	// waitForOther is how long a command waits for another one on the same target that
	// nobody has looked at yet.
	waitForOther = 2 * time.Second
	// ReplayWindow is how long judged presses are remembered; Slack's signature
	// is good for five minutes in both directions.
	ReplayWindow = 11 * time.Minute
)

const (
	maxPresses  = 200  // waiting on one request; more is not a few people pressing
	maxFailures = 1500 // showings in a row that failed: about a day
)

// Policy is what an operator decides about requests.
type Policy struct {
	TTL      time.Duration // how long a card can be confirmed
	Channels []string      // where requests may be made; empty is everywhere the bot is
	Disabled bool          // nothing is run
	// Retention is how long a request that needs nothing any more is kept.
	Retention time.Duration
	// AllowUnconfirmed lets a requester run alone what they give a reason for.
	AllowUnconfirmed bool
	// Approvals is how many besides the requester have to confirm, ApprovalsPrivileged
	// how many where the target holds a privileged role; 0 is one.
	Approvals, ApprovalsPrivileged int
	// StepUp says when a Confirm needs a fresh sign-in.
	StepUp StepUp
	// Hourly is how many requests one person may make in an hour; 0 is any number.
	Hourly int
	Frozen bool // by the operator's setting, whatever the store says
	// Links says that people are identified by a link to their Entra account.
	Links bool
}

// StepUp says for whom a Confirm needs a fresh sign-in.
type StepUp string

// The three choices; the empty one is never.
const (
	StepUpNever      StepUp = "never"
	StepUpPrivileged StepUp = "privileged" // for targets with a privileged role
	StepUpAlways     StepUp = "always"
)

// ErrTooMany is returned for a press on a request on which too many wait already.
var ErrTooMany = errors.New("too many presses are waiting")

// errNothingToDo is returned by Next for an event that does not apply any more,
// so that a step carried out twice changes nothing the second time.
var errNothingToDo = errors.New("nothing to do")

// Event is something that happened to a request.
type Event interface{ event() }

type (
	// CommandLookedUp carries the facts about a received command.
	CommandLookedUp struct {
		At       time.Time // when the look-ups began
		Caller   Caller
		Place    Place
		Fault    Fault // of the place
		Target   Target
		Plan     Plan
		Freeze   FreezeOf
		Over     bool     // the limit of requests is reached
		OpenCard OpenCard // whose card is open for the target
		Linked   bool     // there is a link to remove
		// Accused says that the caller's own account is to be signed out.
		Accused bool
	}
	// Waited says that a command cannot be decided before another one is.
	Waited struct{}
	// Pressed is a button press as received.
	Pressed struct{ Press Press }
	// PressLookedUp carries the facts about one received press.
	PressLookedUp struct {
		Key       string
		At        time.Time // when the look-ups began
		Caller    Caller
		Place     Place
		Fault     Fault // of the place
		Requester Caller
		Target    Target
		Plan      Plan // for Target, as it would be carried out now
		Freeze    FreezeOf
	}
	// Ticked says that time has passed.
	Ticked struct{}
	// Started is written before the effect. Evidence is nil when what was read at
	// the press is still fresh.
	Started struct {
		Plan     Plan // as it would be carried out now
		Evidence *Evidence
		Freeze   FreezeOf
	}
	// Executed carries the outcome of the effect.
	Executed struct{ Outcome Outcome }
	// Reported carries what was brought to the chat.
	Reported struct{ Shown Shown }
)

func (CommandLookedUp) event() {}
func (Waited) event()          {}
func (Pressed) event()         {}
func (PressLookedUp) event()   {}
func (Ticked) event()          {}
func (Started) event()         {}
func (Executed) event()        {}
func (Reported) event()        {}

// Evidence is what was read again just before the effect.
type Evidence struct {
	At        time.Time // when the look-ups began
	Requester Caller
	Approvers []Caller // as Request.Approvers
	Target    Target
}

// Next is the gate and the whole policy: what follows from an event, at a time.
// It is pure. Every decision, allowed or refused, is made and recorded here.
// It returns errNothingToDo for an event that does not apply.
func (p Policy) Next(r Request, e Event, now time.Time) (Request, []Record, error) {
	if r = r.clone(); r.HasOutcome() && r.Sealed == (Head{}) {
		r.Sealed = r.Head
	}
	var recs []Record
	var err error
	switch e := e.(type) {
	case CommandLookedUp:
		r, recs, err = p.verified(r, e, now)
	case Waited:
		r.RetryAt = now.Add(waitForOther)
	case Pressed:
		r, err = pressed(r, e.Press)
	case PressLookedUp:
		r, recs, err = p.judged(r, e, now)
	case Ticked:
		r, recs, err = ticked(r, now)
	case Started:
		r, recs, err = p.started(r, e, now)
	case Executed:
		r, recs, err = executed(r, e.Outcome, now)
	case Reported:
		r, recs = reported(r, e.Shown, now)
	case Linking, Unlinking, Rechecked, Freezing, Thawing, Spread, FreezeSeen:
		r, recs, err = p.noted(r, e, now)
	default:
		err = errors.New("unknown event")
	}
	if err != nil {
		return Request{}, nil, err
	}
	r.Due = r.due(now)
	if r.Forget = (time.Time{}); r.Due.IsZero() && !r.Note.Freeze.On {
		r.Forget = now.Add(p.Retention)
	}
	return r, recs, nil
}
