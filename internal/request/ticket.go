package request

import (
	"time"
)

// Ticket lets the person it is given to do one thing on the bot's own pages: link
// their Entra account, or sign in for a Confirm. What they had typed or pressed is
// carried on from there.
type Ticket struct {
	For     Purpose   `json:"for"`
	By      Origin    `json:"by"`
	Request ID        `json:"request"`         // of the command, or of the card
	Press   *Press    `json:"press,omitempty"` // nil: the command is carried on
	Expires time.Time `json:"expires"`
}

// Purpose is what a ticket is for.
type Purpose string

// The two purposes.
const (
	ToLink    Purpose = "link"
	ToConfirm Purpose = "confirm"
)

// TicketFor is how long a ticket can be used, from the answer that holds it.
const TicketFor = 10 * time.Minute

// Ticket is the way on from an answer that asks for a sign-in.
func (r Request) Ticket(a Reply) Ticket {
	t := Ticket{For: ToLink, By: a.To, Request: r.ID}
	if a.Reason == StepUpNeeded {
		t.For = ToConfirm
	}
	if a.Verb != "" {
		t.Press = &Press{Key: a.Key, Verb: a.Verb, By: a.To, MessageTS: a.MessageTS, Plan: a.Plan}
	}
	return t
}

// ProofFor is how old the sign-in behind a press may be.
const ProofFor = 5 * time.Minute

// Proof says that somebody has signed in to Entra for one press on one plan.
type Proof struct {
	Request  ID        `json:"request,omitempty"`
	Plan     string    `json:"plan,omitempty"`
	ObjectID string    `json:"object_id,omitempty"`
	At       time.Time `json:"at,omitzero"` // when they signed in, by Entra's clock
}

// proves reports whether p is c's, for r as it stands, and fresh at a time.
func (p Proof) proves(c Caller, r Request, at time.Time) bool {
	age := at.Sub(p.At)
	return p.ObjectID != "" && p.ObjectID == c.ObjectID && p.Request == r.ID && p.Plan == r.Plan.Code() &&
		age > -clockSkew && age <= ProofFor
}
