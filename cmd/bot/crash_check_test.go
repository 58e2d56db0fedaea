package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/sandbox"
	"github.com/revoke-session/revoke-session/internal/store"
)

// rest waits until the replicas have nothing left to do but to look again later.
// The embedded store cannot be looked into meanwhile, and need not: whoever starts next
// goes on at once.
func (c *crashCell) rest(ctx context.Context, card sandbox.Message) error {
	if c.redisURL == "" {
		return nil
	}
	st, err := store.OpenRedis(c.redisURL, 0, audit.Chain)
	if err != nil {
		return err
	}
	defer st.Close()
	return crashAwait(crashWithin, func() error {
		r, err := st.Get(ctx, crashRequest(card))
		if err == nil && (r.State != request.Settling || r.Lease.Fence != "") {
			err = fmt.Errorf("the request is %s, lease %+v", r.State, r.Lease)
		}
		return err
	})
}

// settle stops all processes, lets pass the minutes after which they would look at the
// chat again, and checks what must hold at the end.
func (c *crashCell) settle(ctx context.Context, card sandbox.Message) error {
	for _, m := range c.members {
		if l := m.now(); l.living() {
			if err := l.stop(patience); err != nil {
				return err
			}
		}
	}
	var set settings
	set.assign(append(c.world.Env(), "STATE_FILE="+filepath.Join(c.dir, "state.db"), "REDIS_URL="+c.redisURL))
	conf, err := set.config()
	if err != nil {
		return err
	}
	transport, err := trusting(c.world.CAPEM())
	if err != nil {
		return err
	}
	defer transport.CloseIdleConnections()
	st, err := openStore(conf)
	if err != nil {
		return err
	}
	defer st.Close()
	b, err := newBot(conf, st, transport, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	r, err := crashFinish(ctx, st, b.service, crashRequest(card))
	if err != nil {
		return err
	}
	return errors.Join(c.checkChat(card), c.checkRecord(ctx, st, r))
}

// crashFinish works on a request until it is done. What waits for its time is due now.
func crashFinish(ctx context.Context, st request.Store, service *request.Service, id request.ID) (request.Request, error) {
	for range 50 {
		r, err := st.Get(ctx, id)
		if err != nil || r.State == request.Done && r.WakeAt().IsZero() {
			return r, err
		}
		_, err = st.Update(ctx, id, func(r request.Request, now time.Time) (request.Request, []request.Record, error) {
			if r.Lease.Fence != "" {
				return r, nil, fmt.Errorf("the lease was not handed back: %+v", r.Lease)
			}
			if !r.SettleAt.IsZero() {
				r.SettleAt = now
			}
			r.RetryAt, r.Due = time.Time{}, now
			return r, nil, nil
		})
		if err != nil {
			return r, err
		}
		if _, err := service.Work(ctx); err != nil {
			return r, err
		}
	}
	return request.Request{}, fmt.Errorf("request %s is never done", id)
}

// checkChat checks what people see, and what Microsoft did.
func (c *crashCell) checkChat(card sandbox.Message) error {
	s := c.world.State()
	errs := []error{crashShown(s, card.TS)}
	wantThread := 1
	if c.long {
		wantThread++ // the plan
	}
	if n := len(crashThread(s, card.TS)); n != wantThread {
		errs = append(errs, fmt.Errorf("%d messages in the thread, want %d", n, wantThread))
	}
	for _, m := range s.Messages {
		if !isReply(m) && m.TS != card.TS {
			errs = append(errs, fmt.Errorf("another message: %s", m.Plain))
		}
	}
	// Also where an answer was lost: here, what is read back always shows the effect.
	n := s.Revoked[crashTarget]
	c.report.extra = max(n-1, 0)
	if n != 1 && (n != 2 || !c.mayRepeat) {
		errs = append(errs, fmt.Errorf("revoked %d times", n))
	}
	return errors.Join(errs...)
}

// checkRecord verifies the chain, and that it has one line for each thing that happened.
func (c *crashCell) checkRecord(ctx context.Context, st any, r request.Request) error {
	all := st.(interface { //nolint:forcetypeassert // both stores have it
		Records(ctx context.Context, from uint64) iter.Seq2[[]byte, error]
	}).Records(ctx, 1)
	var have []string
	_, err := audit.Against{}.Verify(func(yield func([]byte, error) bool) {
		all(func(line []byte, err error) bool {
			var e audit.Entry
			if json.Unmarshal(line, &e) == nil && e.Request == r.ID {
				have = append(have, strings.TrimSuffix(e.Event+":"+e.Decision, ":"))
			}
			return yield(line, err)
		})
	})
	want := []string{"command:allowed", "confirm:allowed"}
	if c.long {
		want = []string{"command:allowed", "confirm:refused", "what-if:allowed", "confirm:allowed"}
	}
	for range r.Attempts {
		want = append(want, "execute")
	}
	want = append(want, "result")
	if !slices.Contains(have, "shown") {
		err = errors.Join(err, errors.New("the record does not say where the result stands"))
	}
	have = slices.DeleteFunc(have, func(event string) bool { return event == "shown" }) // anew where a copy took its place
	// A press whose delivery failed is pressed again, and then refused.
	for _, again := range []string{"confirm:refused", "what-if:refused"} {
		have = crashFewer(have, again, strings.Count(strings.Join(want, " "), again))
	}
	if strings.Join(have, " ") != strings.Join(want, " ") {
		err = errors.Join(err, fmt.Errorf("the record says %v, want %v", have, want))
	}
	return err
}

// crashFewer leaves the first n of a kind.
func crashFewer(list []string, kind string, n int) []string {
	return slices.DeleteFunc(list, func(s string) bool {
		if s == kind {
			n--
		}
		return s == kind && n < 0
	})
}

// crashShown says what is missing until the chat is at its end: one result in the
// thread, the same on the card, no button anywhere.
func crashShown(s sandbox.State, cardTS string) error {
	var found []string
	for _, m := range crashThread(s, cardTS) {
		if sentences.MatchString(m.Plain) {
			line, _, _ := strings.Cut(m.Plain[sentences.FindStringIndex(m.Plain)[0]:], "\n")
			found = append(found, line)
		}
	}
	if len(found) != 1 {
		return fmt.Errorf("%d results in the thread", len(found))
	}
	for _, m := range s.Messages {
		if len(m.Buttons) > 0 {
			return errors.New("there are buttons left")
		}
		if m.TS == cardTS && !strings.Contains(m.Plain, found[0]) {
			return fmt.Errorf("the card does not say %q", found[0])
		}
	}
	return nil
}

func crashThread(s sandbox.State, cardTS string) (replies []sandbox.Message) {
	for _, m := range s.Messages {
		if isReply(m) && m.ThreadTS == cardTS {
			replies = append(replies, m)
		}
	}
	return replies
}

// crashTold counts private answers to a person that their delivery was taken for.
func crashTold(s sandbox.State, who, text string) (n int) {
	for _, e := range s.Ephemerals {
		if e.To == who && strings.Contains(e.Plain, text) && !strings.Contains(e.Plain, "Nothing was recorded") {
			n++
		}
	}
	return n
}

// crashRequest reads from a card whose it is.
func crashRequest(card sandbox.Message) request.ID {
	var meta struct {
		Payload struct{ Request request.ID } `json:"event_payload"`
	}
	_ = json.Unmarshal(card.Metadata, &meta) // what is not there is nobody's
	return meta.Payload.Request
}
