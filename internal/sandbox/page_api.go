package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// action turns f into a handler of JSON requests. What f refuses is shown on
// the page as it stands.
func action[T any](f func(context.Context, T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var request T
		decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
		decoder.DisallowUnknownFields()
		status := http.StatusOK
		var answer any
		if err := decoder.Decode(&request); err != nil {
			status, answer = http.StatusBadRequest, map[string]string{"error": "the request is not understood: " + err.Error()}
		} else if answer, err = f(r.Context(), request); err != nil {
			status, answer = http.StatusUnprocessableEntity, map[string]string{"error": err.Error()}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(answer)
	}
}

// delivered is a Delivery for the page.
type delivered struct {
	Status int    `json:"status"`
	TookMS int64  `json:"tookMS"`
	Error  string `json:"error,omitempty"`
}

func newDelivered(d Delivery, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	out := delivered{Status: d.Status, TookMS: d.Took.Milliseconds()}
	switch {
	case d.Err != nil:
		out.Error = d.Err.Error()
	case d.Status != 0 && d.Status != http.StatusOK:
		out.Error = fmt.Sprintf("This app responded with status code %d.", d.Status)
	}
	return out, nil
}

type sayRequest struct {
	Person  string `json:"person"`
	Channel string `json:"channel"`
	Text    string `json:"text"`
}

func (s *Sandbox) pageSay(ctx context.Context, r sayRequest) (any, error) {
	return newDelivered(s.Say(ctx, r.Person, r.Channel, r.Text))
}

type pressRequest struct {
	Person string `json:"person"`
	TS     string `json:"ts"`
	Label  string `json:"label"`
}

func (s *Sandbox) pagePress(ctx context.Context, r pressRequest) (any, error) {
	return newDelivered(s.Press(ctx, r.Person, r.TS, r.Label))
}

type faultRequest struct {
	Name         string `json:"name"`
	On           bool   `json:"on"` // false ends the fault of that name
	System       string `json:"system"`
	Match        string `json:"match"`
	Status       int    `json:"status"`
	Code         string `json:"code"`
	RetryAfterMS int64  `json:"retryAfterMS"`
	DelayMS      int64  `json:"delayMS"`
	Drop         bool   `json:"drop"`
	Hang         bool   `json:"hang"`
	Times        int    `json:"times"`
}

func (s *Sandbox) pageFault(_ context.Context, r faultRequest) (any, error) {
	switch {
	case r.Name == "":
		return nil, errors.New("a fault needs a name")
	case !r.On:
		s.ClearFault(r.Name)
		return struct{}{}, nil
	}
	s.SetFault(Fault{
		Name: r.Name, System: r.System, Match: r.Match, Status: r.Status, Code: r.Code,
		RetryAfter: time.Duration(r.RetryAfterMS) * time.Millisecond, Delay: time.Duration(r.DelayMS) * time.Millisecond,
		Drop: r.Drop, Hang: r.Hang, Times: r.Times,
	})
	return struct{}{}, nil
}

func (s *Sandbox) pageClearFaults(context.Context, struct{}) (any, error) {
	s.ClearFaults()
	return struct{}{}, nil
}

type roleRequest struct {
	Person              string `json:"person"`
	GlobalAdministrator bool   `json:"globalAdministrator"`
}

func (s *Sandbox) pageRole(_ context.Context, r roleRequest) (any, error) {
	return struct{}{}, s.SetRole(r.Person, r.GlobalAdministrator)
}

type enabledRequest struct {
	Person  string `json:"person"`
	Enabled bool   `json:"enabled"`
}

func (s *Sandbox) pageEnabled(_ context.Context, r enabledRequest) (any, error) {
	return struct{}{}, s.SetEnabled(r.Person, r.Enabled)
}

func (s *Sandbox) pageState(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	view := s.view()
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(view)
}

const (
	eventPause     = 40 * time.Millisecond // changes that follow each other closely make one event
	eventKeepAlive = 20 * time.Second
)

// pageEvents sends the whole view at once and after each change.
func (s *Sandbox) pageEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	for {
		s.mu.Lock()
		view, changed := s.view(), s.changed
		s.mu.Unlock()
		raw, err := json.Marshal(view)
		if err != nil {
			s.log.Error("view cannot be written", "error", err)
			return
		}
		if _, err := fmt.Fprintf(w, "data: %s\n\n", raw); err != nil || control.Flush() != nil {
			return
		}
		if !waitForChange(r.Context(), w, control, changed) {
			return
		}
	}
}

// waitForChange reports false when the page has gone.
func waitForChange(ctx context.Context, w http.ResponseWriter, control *http.ResponseController, changed <-chan struct{}) bool {
	keepAlive := time.NewTicker(eventKeepAlive)
	defer keepAlive.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-keepAlive.C:
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil || control.Flush() != nil {
				return false
			}
		case <-changed:
			select {
			case <-ctx.Done():
				return false
			case <-time.After(eventPause):
				return true
			}
		}
	}
}
