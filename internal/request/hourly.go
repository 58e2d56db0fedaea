package request

import (
	"context"
	"slices"
	"time"
)

// AskedAt is one request that counts towards the hourly limit.
type AskedAt struct {
	Request ID        `json:"request"`
	At      time.Time `json:"at"`
}

func askedNote(objectID string) ID { return ID("note/asked/" + objectID) }

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

// count adds a request to those of its requester. It reports whether there are too many.
func (s *Service) count(ctx context.Context, id ID, by Caller) (over bool, err error) {
	if s.policy.Hourly == 0 {
		return false, nil
	}
	_, err = s.note(ctx, askedNote(by.ObjectID), func(n Request, now time.Time) (Request, []Record, error) {
		next, counted := n.Note.count(id, s.policy.Hourly, now)
		n.Note, n.Forget, over = next, now.Add(capWindow), !counted
		return n, nil, nil
	})
	if err != nil { // the write may still be under way, and write over
		return false, err
	}
	return over, nil
}
