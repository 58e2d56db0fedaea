package sandbox

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// entraError is a refusal of the token endpoint.
type entraError struct {
	status  int
	code    string
	number  int
	message string
}

func (e *entraError) write(w *callWriter, r *http.Request) {
	writeEntraError(w, r, e.status, e.code, e.number, e.message)
}

func unknownApp(id string) *entraError {
	return &entraError{http.StatusBadRequest, "unauthorized_client", 700016, fmt.Sprintf("Application with identifier '%s' was not found in the directory 'Contoso'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.", id)}
}

func entraErrorForStatus(status int) string {
	switch {
	case status == http.StatusUnauthorized:
		return "invalid_client"
	case status == http.StatusTooManyRequests, status >= 500:
		return "temporarily_unavailable"
	default:
		return "invalid_request"
	}
}

// entraTrace is what Entra lets a refusal be found again by.
type entraTrace struct{ id, correlation, time string }

// describe is a refusal in words, with its number and its trace.
func describe(r *http.Request, number int, message string) (entraTrace, string) {
	t := entraTrace{newGUID(), r.Header.Get("client-request-id"), time.Now().UTC().Format("2006-01-02 15:04:05Z")}
	if t.correlation == "" {
		t.correlation = newGUID()
	}
	return t, fmt.Sprintf("AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", number, message, t.id, t.correlation, t.time)
}

func writeEntraError(w *callWriter, r *http.Request, status int, code string, number int, message string) {
	w.note(code)
	trace, description := describe(r, number, message)
	writeJSON(w, status, map[string]any{
		"error": code, "error_description": description,
		"error_codes": []int{number}, "timestamp": trace.time,
		"trace_id": trace.id, "correlation_id": trace.correlation,
		"error_uri": fmt.Sprintf("https://login.microsoftonline.com/error?code=%d", number),
	})
}

func writeJSON(w *callWriter, status int, answer map[string]any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store, no-cache")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(answer)
}
