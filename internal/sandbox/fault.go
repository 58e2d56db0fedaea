package sandbox

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault makes a stand-in fail. The first fault set that matches a request is
// applied to it.
type Fault struct {
	Name       string        // free; SetFault replaces the fault of the same name
	System     string        // "slack", "graph", "entra" or "sharepoint"
	Match      string        // part of method + " " + path, such as "POST /v1.0/users/" or "chat.postMessage"; "" matches all
	Status     int           // answer with this status and the body the real service gives with it
	Code       string        // Slack's error, given with 200 unless Status says otherwise; Graph's error.code; Entra's error; SharePoint's code
	RetryAfter time.Duration // answered in whole seconds, rounded up
	Delay      time.Duration // answer late
	Drop       bool          // take effect, then cut the connection without an answer; with Delay, cut at once and take effect that much later
	Hang       bool          // neither take effect nor answer until the client gives up
	Times      int           // how often; 0 until cleared
}

// SetFault adds a fault, or replaces the one of the same name.
func (s *Sandbox) SetFault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.dropFault(f.Name)
	s.world.faults = append(s.world.faults, f)
	s.touch()
}

// ClearFault removes the fault of that name, if there is one.
func (s *Sandbox) ClearFault(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.dropFault(name)
	s.touch()
}

// ClearFaults ends all faults. Requests that hang already go on hanging.
func (s *Sandbox) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.faults = nil
	s.touch()
}

func (w *world) dropFault(name string) {
	w.faults = slices.DeleteFunc(w.faults, func(f Fault) bool { return f.Name == name })
}

// takeFault finds the fault for a request and uses it up by one.
func (w *world) takeFault(system, request string) (Fault, bool) {
	for i, f := range w.faults {
		if !strings.EqualFold(f.System, system) || !strings.Contains(request, f.Match) {
			continue
		}
		if f.Times == 1 {
			w.faults = slices.Delete(w.faults, i, i+1)
		} else if f.Times > 1 {
			w.faults[i].Times--
		}
		return f, true
	}
	return Fault{}, false
}

// answer writes the refusal that f describes, in the shape of the system.
func (f Fault) answer(w *callWriter, r *http.Request) {
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int((f.RetryAfter+time.Second-1)/time.Second)))
	}
	switch w.call.System {
	case "Slack":
		f.answerSlack(w)
	case "SharePoint":
		f.answerSharePoint(w, r)
	case "Entra":
		status := cmp.Or(f.Status, http.StatusBadRequest)
		if w.call.Path == identityPath {
			// no source at hand shows the text
			writeIdentityError(w, status, "An unexpected error occurred while fetching the AAD Token.")
			return
		}
		writeEntraError(w, r, status, cmp.Or(f.Code, entraErrorForStatus(status)), 90033,
			"A transient error has occurred. Please try again.")
	default:
		status := cmp.Or(f.Status, http.StatusBadRequest)
		code, message := graphErrorForStatus(status)
		writeGraphError(w, r, status, cmp.Or(f.Code, code), message)
	}
}

func (f Fault) answerSlack(w *callWriter) {
	switch {
	case f.Status == http.StatusTooManyRequests:
		writeSlackJSON(w, f.Status, slackError(cmp.Or(f.Code, "ratelimited")))
	case f.Code != "":
		writeSlackJSON(w, cmp.Or(f.Status, http.StatusOK), slackError(f.Code))
	default:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.note(http.StatusText(f.Status))
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte("<!DOCTYPE html><html><head><title>Server Error</title></head><body><h1>Server Error</h1>" +
			"<p>It seems like there’s a problem connecting to our servers, and we’re investigating the issue.</p></body></html>"))
	}
}

// refuses reports whether f replaces the answer instead of only delaying it.
func (f Fault) refuses() bool { return f.Status != 0 || f.Code != "" }
