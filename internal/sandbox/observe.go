package sandbox

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

const maxRequestBody = 1 << 20

// callWriter is the answer to a request together with its line in State.Calls.
type callWriter struct {
	http.ResponseWriter
	call Call
}

func (w *callWriter) WriteHeader(status int) {
	if w.call.Status == 0 {
		w.call.Status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *callWriter) Write(b []byte) (int, error) {
	if w.call.Status == 0 {
		w.call.Status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// note keeps the error code of the answer for State.Calls.
func (w *callWriter) note(code string) { w.call.Error = code }

// standIn answers one request. The body is read already.
type standIn func(w *callWriter, r *http.Request)

// observe records each request in State.Calls and applies faults to it.
func (s *Sandbox) observe(system string, answer standIn) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(rw, r.Body, maxRequestBody))
		if err != nil {
			http.Error(rw, "request body cannot be read", http.StatusRequestEntityTooLarge)
			return
		}
		// net/http notices that a client has gone only once the body is read.
		r.Body = io.NopCloser(bytes.NewReader(body))

		w := &callWriter{ResponseWriter: rw, call: Call{
			System: system, Method: r.Method, Path: publicPath(r), ClientRequestID: r.Header.Get("client-request-id"),
		}}
		fault, index := s.arrive(w)
		answered := s.apply(fault, w, r, answer)
		s.leave(index, w.call, answered)
		if !answered {
			panic(http.ErrAbortHandler) // cuts the connection without an answer
		}
	})
}

func (s *Sandbox) arrive(w *callWriter) (Fault, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.call.Time = s.now()
	fault, ok := s.world.takeFault(w.call.System, w.call.Method+" "+w.call.Path)
	if ok {
		w.call.Fault = fault.Name
	}
	s.world.calls = append(s.world.calls, w.call)
	s.touch()
	return fault, len(s.world.calls) - 1
}

func (s *Sandbox) leave(index int, call Call, answered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !answered {
		call.Status = 0
	}
	s.world.calls[index] = call
	s.touch()
}

// apply answers r, or reports false if the connection is to be cut.
func (s *Sandbox) apply(f Fault, w *callWriter, r *http.Request, answer standIn) bool {
	if f.Hang {
		<-r.Context().Done()
		return false
	}
	if f.Drop && f.Delay > 0 {
		s.applyLate(f, w, r, answer)
		return false
	}
	if f.Delay > 0 {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-r.Context().Done():
			return false
		}
	}
	if f.Drop {
		answer(&callWriter{ResponseWriter: discardWriter{}, call: w.call}, r)
		return false
	}
	if f.refuses() {
		f.answer(w, r)
		return true
	}
	answer(w, r)
	return true
}

// applyLate lets r take effect long after its client has given up on it.
func (s *Sandbox) applyLate(f Fault, w *callWriter, r *http.Request, answer standIn) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // cut short by the client: there is nothing to take effect
	}
	late := r.Clone(context.WithoutCancel(r.Context()))
	late.Body = io.NopCloser(bytes.NewReader(body))
	call := w.call
	time.AfterFunc(f.Delay, func() {
		if s.ctx.Err() == nil {
			answer(&callWriter{ResponseWriter: discardWriter{}, call: call}, late)
		}
	})
}

// discardWriter swallows the answer that a dropped connection loses.
type discardWriter struct{}

func (discardWriter) Header() http.Header         { return http.Header{} }
func (discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (discardWriter) WriteHeader(int)             {}

// publicPath is the path of r without what would let a reader use it: the end
// of a response_url is its only protection.
func publicPath(r *http.Request) string {
	path := r.URL.EscapedPath()
	for _, prefix := range []string{"/commands/", "/actions/"} {
		if strings.HasPrefix(path, prefix) {
			return prefix + teamID + "/…"
		}
	}
	return path
}
