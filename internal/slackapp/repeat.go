package slackapp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/slack-go/slack"
)

// Times of a read. The call that it is for has callWithin, whatever is left to try.
const (
	readWithin = 3500 * time.Millisecond // one try
	readTries  = 3
	readPause  = 200 * time.Millisecond // before the second try; then longer
)

// repeats are the failures after which slack-go tries a read again.
func repeats(cfg slack.RetryConfig) []slack.RetryHandler {
	return []slack.RetryHandler{
		slack.NewConnectionErrorRetryHandler(),
		slack.NewServerErrorRetryHandler(cfg),
		inTime{slack.NewRateLimitErrorRetryHandler(cfg)},
		unanswered{},
	}
}

// inTime does not wait where the wait would outlast the call: who waits for the answer is
// told the reason instead.
type inTime struct{ slack.RetryHandler }

func (h inTime) ShouldRetry(state *slack.RetryState, req *http.Request, resp *http.Response, err error) (bool, time.Duration) {
	again, wait := h.RetryHandler.ShouldRetry(state, req, resp, err)
	if end, ok := req.Context().Deadline(); ok && time.Until(end) <= wait {
		return false, 0
	}
	return again, wait
}

// unanswered tries again, on the rest of the call's time, where one try got no answer.
type unanswered struct{}

func (unanswered) ShouldRetry(state *slack.RetryState, req *http.Request, _ *http.Response, err error) (bool, time.Duration) {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout() && req.Context().Err() == nil && state.Attempt < state.MaxRetries, 0
}

// passingCodes are errors of any method that say nothing about the call
// (docs.slack.dev/reference/methods/users.info).
var passingCodes = []string{"internal_error", "fatal_error", "service_unavailable"}

// read reads, and again after Slack's own errors that come with a 200: slack-go's
// handlers do not see those.
func read[T any](ctx context.Context, call func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		answer, err := call()
		e, ok := errors.AsType[slack.SlackErrorResponse](err)
		if !ok || !slices.Contains(passingCodes, e.Err) || try == readTries {
			return answer, err
		}
		select {
		case <-time.After(time.Duration(try) * readPause):
		case <-ctx.Done():
			return answer, err
		}
	}
}
