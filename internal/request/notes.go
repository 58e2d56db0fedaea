package request

import (
	"slices"
	"strings"
	"time"
)

// Note is something kept beside requests: in the store as a request in the state
// Noted, so that it has the same guarantees and its records are in the same chain. Its id
// tells which of its fields are used.
type Note struct {
	Link   Bound     `json:"link,omitzero"`
	Ended  ID        `json:"ended,omitempty"` // the command that last ended the link
	Freeze FreezeOf  `json:"freeze,omitzero"`
	Cards  []ID      `json:"cards,omitempty"` // the requests that were last seen open for a target
	Asked  []AskedAt `json:"asked,omitempty"` // by one requester, lately
}

// Bound is the Entra account that a Slack user signed in to.
type Bound struct {
	ObjectID string    `json:"object_id,omitempty"`
	At       time.Time `json:"at,omitzero"`
}

// FreezeOf says since when and by whom nothing is run.
type FreezeOf struct {
	On bool      `json:"on,omitempty"`
	By Actor     `json:"by,omitzero"`
	At time.Time `json:"at,omitzero"`
}

// AskedAt is one request that counts towards the hourly limit.
type AskedAt struct {
	Request ID        `json:"request"`
	At      time.Time `json:"at"`
}

// Other is the request whose card is open for the same target already.
type Other struct {
	Request   ID        `json:"request,omitempty"`
	Channel   string    `json:"channel,omitempty"`
	TS        string    `json:"ts,omitempty"`
	Requester SlackUser `json:"requester,omitzero"`
	Running   bool      `json:"running,omitempty"` // it is confirmed already
}

// Ids of notes. A request's own id has no slash.
const (
	notes      = "note/"
	freezeNote = ID(notes + "freeze")
	linkNotes  = notes + "link/"
)

func (id ID) isNote() bool { return strings.HasPrefix(string(id), notes) }

func linkNote(u SlackUser) ID {
	return ID(linkNotes + strings.Join([]string{u.Enterprise, u.Team, u.User}, "/"))
}

func cardNote(objectID string) ID { return ID("note/card/" + objectID) }

func askedNote(objectID string) ID { return ID("note/asked/" + objectID) }

// linkedUser is the Slack user that a link's note is about.
func linkedUser(id ID) (SlackUser, bool) {
	rest, ok := strings.CutPrefix(string(id), linkNotes)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return SlackUser{}, false
	}
	return SlackUser{Enterprise: parts[0], Team: parts[1], User: parts[2]}, true
}

// recheckLinks is how often a linked Slack user is looked at again: one who was
// deactivated has to link anew, also if nobody asked for them meanwhile.
const recheckLinks = time.Hour

// capWindow is the time that the limit of requests counts.
const capWindow = time.Hour

// count adds a request to those of the last hour, unless there are limit already. It
// reports whether the request is one of them.
func (n Note) count(id ID, limit int, now time.Time) (Note, bool) {
	n.Asked = slices.DeleteFunc(slices.Clone(n.Asked), func(a AskedAt) bool { return now.Sub(a.At) >= capWindow })
	if slices.ContainsFunc(n.Asked, func(a AskedAt) bool { return a.Request == id }) {
		return n, true
	}
	if len(n.Asked) >= limit {
		return n, false
	}
	n.Asked = append(n.Asked, AskedAt{Request: id, At: now})
	return n, true
}

// open reports whether a request has a card to join, or is about to, in the time that a
// command is good for.
func (r Request) open(now time.Time, ttl time.Duration) bool {
	switch r.State {
	case Received:
		return now.Sub(r.Received) <= ttl
	case Approved, Executing:
		return true
	case Pending:
		return now.Before(r.Expires)
	case Finished, Settling, Done, Planned, Answered, Noted, Refused, Canceled, Expired:
	}
	return false
}
