package request

import (
	"fmt"
	"time"
)

// Face is what a card shows. A card is brought up to date when its face changes.
type Face string

// The faces of a card.
const (
	NoFace       Face = ""
	FacePending  Face = "pending"
	FaceRunning  Face = "running"
	FaceWaiting  Face = "waiting" // confirmed, and Microsoft throttles or does not answer
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
	// Gone says that the card cannot be changed any more.
	Gone bool `json:"gone,omitempty"`
}

// Thread is what stands under the card.
type Thread struct {
	PlanWanted bool   `json:"plan_wanted,omitempty"`
	PlanFor    Origin `json:"plan_for,omitzero"` // who wanted it
	PlanTS     string `json:"plan_ts,omitempty"`
	ResultTS   string `json:"result_ts,omitempty"`   // the one message that ends up holding the result
	ResultDone bool   `json:"result_done,omitempty"` // it holds it
	// ResultDigest is the reporter's, of what the message says.
	ResultDigest string `json:"result_digest,omitempty"`
	// Gone says that nothing can be put there any more. The card may still be writable,
	// under which a thread was locked for instance.
	Gone bool `json:"gone,omitempty"`
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

// Unshown reports whether the chat does not yet say what the request says.
func (r Request) Unshown() bool {
	if len(r.Replies) > 0 {
		return true
	}
	behind := r.Face() != r.Card.Face || r.Face() == FacePending && r.Shows() != r.Card.Shows
	if r.Thread.Gone {
		return behind && r.CardAlone()
	}
	return behind ||
		r.Thread.PlanWanted && r.Thread.PlanTS == "" ||
		r.Authorized() && r.Thread.ResultTS == "" ||
		r.HasOutcome() && !r.Thread.ResultDone
}

// CardAlone reports whether the card can be changed although nothing can be put under it.
func (r Request) CardAlone() bool { return r.Thread.Gone && r.Card.TS != "" && !r.Card.Gone }

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
