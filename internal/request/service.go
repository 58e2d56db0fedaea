package request

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Errors of a Store.
var (
	ErrExists   = errors.New("request already exists")
	ErrNotFound = errors.New("no such request")
	// ErrNothingDue is returned by Claim when no request is due.
	ErrNothingDue = errors.New("no request is due")
	// ErrUnavailable says that the store could not be reached and that nothing was
	// written.
	ErrUnavailable = errors.New("store unavailable")
	// ErrNotReplicated says that a write was applied, but that fewer replicas than
	// the operator asks for have it: a failover could still undo it, so nothing may
	// be promised or done on the strength of it. Once a later write succeeds, this one
	// is as safe. Any other error of a write leaves open whether it was applied.
	ErrNotReplicated = errors.New("recorded, not yet replicated")
)

// UpdateFunc changes a request at the store's time now. It may run several
// times, does no I/O, and an error from it leaves everything unchanged.
type UpdateFunc func(r Request, now time.Time) (Request, []Record, error)

// Store keeps requests, their due index and the audit record. Implementations
// are safe for concurrent use, and pass one contract suite (store/contract_test.go).
//
//   - A write MUST be durable before the method returns, as far as the store can
//     promise that at all.
//   - The request, its place in the due index (Request.WakeAt) and the chained
//     records of the step MUST be one atomic write.
//   - That write MUST set Request.Head to the head of the chain after those records,
//     and leave it as it is where the step has none.
//   - There MUST be one clock for all replicas: now is the store's.
//   - An open request MUST never vanish by itself; one whose Forget time has come may.
type Store interface {
	// Create stores a new request and its first records. It returns ErrExists and
	// changes nothing if the id is taken, which is what makes a replayed delivery
	// harmless. The function sees the request as given.
	Create(ctx context.Context, r Request, fn UpdateFunc) error
	// Get returns the request as it stands, or ErrNotFound.
	Get(ctx context.Context, id ID) (Request, error)
	// Update is the only way to change a request: an atomic compare-and-swap.
	// It returns the request as written (Head and all), ErrNotFound, or fn's error unwrapped.
	Update(ctx context.Context, id ID, fn UpdateFunc) (Request, error)
	// Claim takes the request that has been due longest, pushing its due time
	// forward by lease under a new random fence. It returns ErrNothingDue if none is.
	Claim(ctx context.Context, lease time.Duration) (Request, error)
	// Open returns the ids of all requests that have a place in the due index.
	Open(ctx context.Context) ([]ID, error)
	// Sweep puts requests that have a WakeAt but are missing from the due index
	// back into it and returns how many there were. It drops those whose Forget time
	// has come, where that does not happen by itself.
	Sweep(ctx context.Context) (int, error)
	// Check reports whether the store can be written to now, and keep what it is
	// given. The note says what its operator might mend all the same.
	Check(ctx context.Context) (note string, err error)
}

// Directory knows people and accounts. Failed look-ups are facts too
// (Unverified, AccountUnknown): nobody is an administrator by default.
type Directory interface {
	// Caller says who a Slack user is and whether they hold the role now.
	Caller(ctx context.Context, by Origin) Caller
	// Again looks at the same person, by object id, once more.
	Again(ctx context.Context, c Caller) Caller
	// Target resolves a sign-in name or an object id to one account.
	Target(ctx context.Context, user string) Target
	// Standing says what Slack says of one of its users.
	Standing(ctx context.Context, who Origin) (Standing, Fault)
	// Mentioned resolves a Slack user to the one account behind their profile.
	Mentioned(ctx context.Context, who Origin) Target
}

// Attempt tells a revoker what went before.
type Attempt struct {
	// Before is the directory's time before the first attempt: sessions that count
	// only from later than that are proof of an effect.
	Before  time.Time
	Resumed bool    // an earlier attempt may have had its effect: look first, where there is a way to
	Hold    Trouble // not NoTrouble: only look, this is why
	Fault   Fault   // behind Hold
}

// Revoker ends sessions.
type Revoker interface {
	// Plan says what Revoke would do. It is pure.
	Plan(t Target) Plan
	// Revoke makes one attempt at a plan and always returns one documented result,
	// with RetryAfter where a later attempt may have a better one.
	Revoke(ctx context.Context, p Plan, a Attempt) Outcome
}

// Reporter is the chat.
type Reporter interface {
	// Place says what a channel is; the fault is set when it is PlaceUnknown.
	Place(ctx context.Context, at Origin) (Place, Fault)
	// Report brings card, thread and private answers to what the request says. It
	// can be repeated at any time and says how far it came.
	Report(ctx context.Context, r Request) Shown
}

// Service carries out what the policy decides. Its methods are safe for
// concurrent use; any number of replicas may share one store.
type Service struct {
	store     Store
	directory Directory
	revoker   Revoker
	reporter  Reporter
	policy    Policy
	together  Together
	log       *slog.Logger
	nudge     chan struct{}
}

// Together runs functions and returns when all have ended.
type Together func(fns ...func())

// SideBySide runs them at the same time.
func SideBySide(fns ...func()) {
	var wg sync.WaitGroup
	for _, fn := range fns {
		wg.Go(fn)
	}
	wg.Wait()
}

// NewService wires a service. Nothing runs until Run or Work is called. What it
// does at the same time for one request is done by together.
func NewService(st Store, d Directory, rv Revoker, rp Reporter, p Policy, together Together, log *slog.Logger) *Service {
	return &Service{
		store: st, directory: d, revoker: rv, reporter: rp, policy: p, together: together, log: log,
		nudge: make(chan struct{}, 1),
	}
}

// Ask stores a command as received. When it returns nil the command cannot be
// lost; a delivery seen before is accepted and changes nothing.
// It returns ErrUnavailable if certainly nothing was recorded, and ErrNotReplicated
// if a failover could still lose it.
func (s *Service) Ask(ctx context.Context, id ID, c Command, by Origin) error {
	err := s.create(ctx, Request{ID: id, State: Received, Command: c, Origin: by})
	if err != nil {
		return fmt.Errorf("recording command: %w", err)
	}
	return nil
}

// Press stores a press on the request it names. When it returns nil the press
// cannot be lost and somebody will answer it, also when there is no such
// request: then the press is kept as a request of its own, to be refused.
// It returns ErrUnavailable or ErrTooMany if certainly nothing was recorded, and
// ErrNotReplicated if a failover could still lose it.
func (s *Service) Press(ctx context.Context, id ID, press Press) error {
	err := ErrNotFound
	if !id.isNote() { // what is kept beside requests has no buttons
		_, err = s.store.Update(ctx, id, s.pressed(&press))
	}
	if errors.Is(err, ErrNotFound) {
		err = s.create(ctx, Request{ID: ID(press.Key), State: Received, Origin: press.By, Presses: []Press{press}})
	}
	if err != nil {
		return fmt.Errorf("recording press: %w", err)
	}
	s.wake()
	return nil
}

func (s *Service) pressed(press *Press) UpdateFunc {
	return func(r Request, now time.Time) (Request, []Record, error) {
		press.At = now
		next, recs, err := s.policy.Next(r, Pressed{*press}, now)
		if errors.Is(err, errNothingToDo) {
			return unchanged(r, now)
		}
		return next, recs, err
	}
}

func (s *Service) create(ctx context.Context, r Request) error {
	err := s.store.Create(ctx, r, func(r Request, now time.Time) (Request, []Record, error) {
		r.Received, r.Due = now, now
		for i := range r.Presses {
			r.Presses[i].At = now
		}
		return r, nil, nil
	})
	if errors.Is(err, ErrExists) {
		_, err = s.store.Update(ctx, r.ID, unchanged)
	}
	if err != nil {
		return err
	}
	s.wake()
	return nil
}

// unchanged writes a request as it stands: for a delivery that came before, whose
// first writing may not be as safe yet as its acknowledgment promises.
func unchanged(r Request, _ time.Time) (Request, []Record, error) { return r, nil, nil }

// Check reports whether commands can be recorded now, with a note for the operator.
func (s *Service) Check(ctx context.Context) (note string, err error) { return s.store.Check(ctx) }

// wake tells a worker of this process that something is due. Other processes
// and missed wakes are served by polling.
func (s *Service) wake() {
	select {
	case s.nudge <- struct{}{}:
	default:
	}
}
