package request

import (
	"cmp"
	"time"
)

// Actor is the person a record is about: the Slack account that acted and the
// Entra account it was found to be.
type Actor struct {
	Slack    SlackUser `json:"slack,omitzero"`
	ObjectID string    `json:"object_id,omitempty"`
	Standing Standing  `json:"standing,omitempty"`
	// Identified is how the two were brought together.
	Identified Identified `json:"identified,omitempty"`
	Evidence   string     `json:"evidence,omitempty"` // request id of the last answer about their role
}

// Record is one entry of the audit record: a decision of the gate, or a step of
// the request's life. The store writes it in the same atomic write as the step.
type Record struct {
	Time      time.Time `json:"time"`
	Request   ID        `json:"request"`
	Event     string    `json:"event"`              // what was asked for or happened
	Decision  string    `json:"decision,omitempty"` // "allowed" or "refused" where the gate decided
	Reason    Reason    `json:"reason,omitempty"`
	State     State     `json:"state"` // after the step
	Actor     Actor     `json:"actor,omitzero"`
	Requester Actor     `json:"requester,omitzero"`
	Approvers []Actor   `json:"approvers,omitempty"` // who had confirmed by then
	Target    string    `json:"target,omitempty"`    // its object id
	TargetUPN string    `json:"target_upn,omitempty"`
	// TargetSlack is the target's Slack user id, where they were mentioned.
	TargetSlack string `json:"target_slack,omitempty"`
	Named       string `json:"named,omitempty"` // the target as typed, where no account was found for it
	Plan        string `json:"plan,omitempty"`  // the plan's code
	// Justification is the requester's -Reason.
	Justification string   `json:"justification,omitempty"`
	Unconfirmed   bool     `json:"unconfirmed,omitempty"` // no second person's word was needed
	Channel       string   `json:"channel,omitempty"`
	Message       string   `json:"message,omitempty"` // the card's timestamp
	Outcome       *Outcome `json:"outcome,omitempty"`
	Final         *Final   `json:"final,omitempty"` // with the event "shown"
}

// Final is how the chat stands in the end: the messages that hold card and result, and
// what they say, as digests.
type Final struct {
	Card         string `json:"card,omitempty"`
	CardDigest   string `json:"card_digest,omitempty"`
	Result       string `json:"result,omitempty"`
	ResultDigest string `json:"result_digest,omitempty"`
}

// final is how the chat stands, if it is as it will stay.
func (r Request) final() (Final, bool) {
	f := Final{Card: r.Card.TS, CardDigest: r.Card.Digest, Result: r.Thread.ResultTS, ResultDigest: r.Thread.ResultDigest}
	ended := r.State == Settling || r.State == Done || r.closed()
	return f, ended && !r.Unshown() && !r.Thread.Gone && f != (Final{})
}

// Head is the end of the audit chain: how many lines there are and the hash of
// the last. The zero Head is the beginning.
type Head struct {
	Count uint64 `json:"count"`
	Hash  string `json:"hash"`
}

// Chain turns records into the lines that follow head, each naming the hash of
// the line before it, and returns the new head. There may be lines of the chain's own
// behind them, such as a checkpoint. It is pure; the store calls it inside the atomic
// write, possibly several times.
type Chain func(head Head, records []Record) (lines [][]byte, next Head, err error)

func (c Caller) actor() Actor {
	return Actor{Slack: c.Slack, ObjectID: c.ObjectID, Standing: c.Standing, Identified: c.Identified, Evidence: c.Evidence}
}

func actors(callers []Caller) []Actor {
	var all []Actor
	for _, c := range callers {
		all = append(all, c.actor())
	}
	return all
}

// record begins the record of a step that led to r.
func (r Request) record(event string, actor Caller, now time.Time) Record {
	return Record{
		Time: now.UTC(), Request: r.ID, Event: event, State: r.State, Actor: actor.actor(),
		Requester: r.Requester.actor(), Approvers: actors(r.Approvers),
		Target: r.Target.ObjectID, TargetUPN: r.Target.UPN, TargetSlack: r.Command.Mention, Plan: r.Plan.Code(),
		Named: r.named(), Justification: r.Command.Reason, Unconfirmed: r.Command.Unconfirmed && r.Authorized(),
		Channel: r.Origin.Channel, Message: r.Card.TS,
	}
}

// named is whom the command meant, where that led to no account.
func (r Request) named() string {
	if r.Target.ObjectID != "" {
		return ""
	}
	return cmp.Or(r.Command.User, r.Command.Mention)
}

func (rec Record) allowed() Record {
	rec.Decision = "allowed"
	return rec
}

func (rec Record) about(why Reason) Record {
	rec.Reason = why
	return rec
}

func (rec Record) refused(why Reason) Record {
	rec.Decision, rec.Reason = "refused", why
	return rec
}
