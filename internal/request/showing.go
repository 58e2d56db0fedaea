package request

import (
	"slices"
	"time"
)

// settlePasses is when a shown result is looked at again after it was shown.
var settlePasses = []time.Duration{time.Minute, 5 * time.Minute}

// lookForCopies is how long after a post whose answer was lost the channel is
// looked through for what Slack may have applied late.
const lookForCopies = time.Minute

// lookAfterPost is how long after the first post of a card the channel is looked
// through in any case: a worker that was frozen may have posted it as well, on a lease
// that had ended.
const lookAfterPost = 2 * time.Minute

// Shown is what a report brought to the chat, as far as it came.
type Shown struct {
	Card       Card
	PlanTS     string
	ResultTS   string
	ResultDone bool
	// ResultDigest is of what the result's message says.
	ResultDigest string
	Replied      []string // keys of the answers that arrived
	Gone         string   // the chat's error code, if nothing more can ever be shown there
	CardGone     bool     // nor can the card be changed
	Failed       bool     // something is still missing; try again
	Copies       bool     // of the card stand in the channel, to be deleted once it is on record which one it is
	RetryAfter   time.Duration
}

// reported notes what the chat shows now and says when to look again.
func reported(r Request, s Shown, now time.Time) (Request, []Record) {
	r = cardShown(r, s, now)
	if s.PlanTS != "" {
		r.Thread.PlanTS = s.PlanTS
	}
	if s.ResultTS != "" {
		r.Thread.ResultTS = s.ResultTS
	}
	if s.ResultDone {
		r.Thread.ResultDone, r.Thread.ResultDigest = true, s.ResultDigest
	}
	r, recs := answersShown(r, s, now)
	if s.Failed && r.Failures >= maxFailures && s.Gone == "" {
		s.Gone, s.CardGone = "not reachable for a day", true
	}
	if s.Gone != "" && !r.Thread.Gone {
		var more []Record
		r, more = threadGone(r, s.Gone, now)
		recs = append(recs, more...)
	}
	if s.CardGone && !r.Card.Gone {
		var more []Record
		r, more = cardGone(r, now)
		recs = append(recs, more...)
	}
	if s.Failed {
		r.Failures++
		r.RetryAt = now.Add(max(s.RetryAfter, pause(r.Failures)))
	} else {
		r.Failures, r.RetryAt = 0, time.Time{}
	}
	r = settle(r, s.Failed, now)
	if f, ok := r.final(); ok && f != r.Final {
		r.Final = f
		rec := r.record("shown", Caller{}, now)
		rec.Final = &f
		recs = append(recs, rec)
	}
	return r, recs
}

// cardShown notes where the card is, and when to look for copies of it.
func cardShown(r Request, s Shown, now time.Time) Request {
	if s.Card.TS != "" {
		if r.Card.TS == "" && r.Card.LookAt.IsZero() {
			r.Card.LookAt = now.Add(lookAfterPost)
		}
		r.Card.TS, r.Card.Face, r.Card.Shows, r.Card.Digest = s.Card.TS, s.Card.Face, s.Card.Shows, s.Card.Digest
	}
	switch {
	case s.Copies:
		r.Card.Doubt, r.Card.LookAt = true, now
	case s.Card.Doubt:
		r.Card.Doubt, r.Card.LookAt = true, now.Add(lookForCopies)
	case !s.Failed && r.CardLookDue():
		r.Card.LookAt = time.Time{}
	}
	return r
}

// answersShown drops the answers that arrived, and those that have become too late to be
// of use, which the record says.
func answersShown(r Request, s Shown, now time.Time) (Request, []Record) {
	var recs []Record
	r.Replies = slices.DeleteFunc(r.Replies, func(a Reply) bool {
		if slices.Contains(s.Replied, a.Key) {
			return true
		}
		late := now.Sub(a.At) > answerWithin && a.Reason != ResultByMessage || now.Sub(a.At) > resultWithin
		if late { // never silently
			recs = append(recs, r.record("answer not delivered", Caller{Slack: a.To.SlackUser}, now).about(a.Reason))
		}
		return late
	})
	return r, recs
}

// settle moves a shown result towards Done, and a closed card to where nobody has to
// look at it any more: the chat is looked at again after a minute and after five, to
// mend what Slack applied late, or a frozen worker did. A pass counts only where it was
// due when the report began: else nobody has looked.
func settle(r Request, failed bool, now time.Time) Request {
	switch {
	case r.closed():
		return settleClosed(r, failed, now)
	case r.State == Finished && !r.Unshown():
		r.State, r.SettleAt = Settling, now.Add(settlePasses[0])
	case r.State == Finished:
		r.SettleAt = r.RetryAt
	case r.State == Settling && r.SettlePassDue() && failed:
		r.SettleAt = r.RetryAt
	case r.State == Settling && r.SettlePassDue():
		r.Passes++
		if r.Passes >= len(settlePasses) || r.Thread.Gone && !r.CardAlone() {
			r.State, r.SettleAt = Done, time.Time{}
		} else {
			r.SettleAt = now.Add(settlePasses[r.Passes])
		}
	}
	return r
}

func settleClosed(r Request, failed bool, now time.Time) Request {
	due := r.SettlePassDue()
	switch {
	case r.Thread.Gone && !r.CardAlone():
		r.SettleAt = time.Time{}
	case r.SettleAt.IsZero() && r.Passes == 0 && !r.Unshown():
		r.SettleAt = now.Add(settlePasses[0])
	case due && failed:
		r.SettleAt = r.RetryAt
	case due:
		if r.Passes++; r.Passes < len(settlePasses) {
			r.SettleAt = now.Add(settlePasses[r.Passes])
		} else {
			r.SettleAt = time.Time{}
		}
	}
	return r
}

// threadGone ends what can no longer be shown under its card; the people concerned
// are owed a private answer instead.
func threadGone(r Request, code string, now time.Time) (Request, []Record) {
	r.Thread.Gone = true
	if r.Thread.PlanWanted && r.Thread.PlanTS == "" {
		r.Thread.PlanWanted = false
		to := r.Thread.PlanFor
		if to.User == "" { // stored by an earlier version
			to = r.Origin
		}
		for i, a := range r.Replies {
			if a.Reason == AlreadyPlanned {
				r.Replies[i].Reason = PlanShown
			}
		}
		r.Replies = append(r.Replies, Reply{Key: string(r.ID) + "/plan", To: to, Verb: WhatIf, Reason: PlanShown, At: now})
	}
	if r.HasOutcome() && !r.Thread.ResultDone {
		r.Card.Face = NoFace // it says that the rest is in the thread
		return oweResult(r, now), []Record{r.record("channel gone", Caller{}, now).about(ResultByMessage)}
	}
	if r.State != Pending && r.State != Approved || r.Card.TS != "" {
		return r, nil
	}
	r.State, r.Refusal, r.ClosedAt = Refused, CardNotPosted, now
	r.Replies = append(r.Replies, Reply{
		Key: string(r.ID), To: r.Origin, Reason: CardNotPosted, Fault: Fault{System: Slack, Code: code}, At: now,
	})
	return r, []Record{r.record("card", r.Requester, now).refused(CardNotPosted)}
}

// cardGone notes that the card stays as it is. Who asked is told how it ended, if not by
// the result, and whose press it does not show what came of that.
func cardGone(r Request, now time.Time) (Request, []Record) {
	r.Card.Gone = true
	owe := func(key string, to Origin, why Reason) {
		r.Replies = append(r.Replies, Reply{Key: string(r.ID) + "/" + key, To: to, Reason: why, At: now})
	}
	if n := len(r.Approvers); r.State == Pending && n > 0 && r.Shows() != r.Card.Shows {
		owe("confirmed", Origin{SlackUser: r.Approvers[n-1].Slack, Channel: r.Origin.Channel}, ConfirmedBefore)
		return r, nil
	}
	why := ended[r.State]
	if why == "" || r.Face() == r.Card.Face {
		return r, nil
	}
	owe("ended", r.Origin, why)
	if r.State == Canceled && r.Closer.Slack != r.Origin.SlackUser {
		owe("canceled", Origin{SlackUser: r.Closer.Slack, Channel: r.Origin.Channel}, why)
	}
	return r, []Record{r.record("channel gone", Caller{}, now).about(why)}
}

// ended is what a requester is told whose card can't be closed any more.
var ended = map[State]Reason{Canceled: AlreadyCanceled, Expired: AlreadyExpired}

func oweResult(r Request, now time.Time) Request {
	people := []SlackUser{r.Requester.Slack}
	for _, a := range r.Approvers {
		people = append(people, a.Slack)
	}
	for _, to := range people {
		r.Replies = append(r.Replies, Reply{
			Key: string(r.ID) + "/result/" + to.User, To: Origin{SlackUser: to, Channel: r.Origin.Channel},
			Reason: ResultByMessage, At: now,
		})
	}
	return r
}

// pause is the wait before the n-th try again: half a second, doubling, at most
// a minute.
func pause(n int) time.Duration {
	return min(500*time.Millisecond<<min(n-1, 10), time.Minute)
}
