package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// ackLimit is how long Slack waits for the bot.
const ackLimit = 3 * time.Second

// Delivery is what became of a request to the bot.
type Delivery struct {
	Status int    // 0 without an answer
	Body   string // the first 64 KiB
	Took   time.Duration
	Err    error // no answer within 3 s, or no connection; nil if there was an answer
}

// delivery is a request to the bot, kept for Replay.
type delivery struct {
	path, body string
	header     http.Header
}

type answered struct {
	Delivery
	contentType string
	timedOut    bool
}

func newDeliveryClient(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	return &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second, DialContext: dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Replay sends the last delivery of Say, Press, PressValue or an event once more, byte for
// byte with the same headers, as somebody could who recorded it. Its answer is
// shown to nobody. Replay returns an error if nothing was delivered yet.
func (s *Sandbox) Replay(ctx context.Context) (Delivery, error) {
	s.mu.Lock()
	last := s.world.lastDelivery
	s.mu.Unlock()
	if last == nil {
		return Delivery{}, errors.New("nothing was delivered yet")
	}
	return s.send(ctx, *last).Delivery, nil
}

// deliver signs a form and sends it to the bot.
func (s *Sandbox) deliver(ctx context.Context, path, body string) answered {
	return s.deliverAs(ctx, "application/x-www-form-urlencoded", path, body)
}

func (s *Sandbox) deliverAs(ctx context.Context, contentType, path, body string) answered {
	s.mu.Lock()
	d := delivery{path: path, body: body, header: http.Header{
		"Content-Type": {contentType},
		"User-Agent":   {"Slackbot 1.0 (+https://api.slack.com/robots)"},
		"Accept":       {"application/json,*/*"},
	}}
	sign(d.header, s.creds.signingSecret, s.now(), body)
	s.world.lastDelivery = &d
	s.mu.Unlock()
	return s.send(ctx, d)
}

func (s *Sandbox) send(ctx context.Context, d delivery) (result answered) {
	s.mu.Lock()
	botURL := s.world.botURL
	s.mu.Unlock()
	if botURL == "" {
		result.Err = errors.New("no bot listens yet")
		return result
	}
	start := time.Now()
	defer func() { result.Took = time.Since(start) }()

	limit, cancel := context.WithTimeout(ctx, ackLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(limit, http.MethodPost, botURL+d.path, strings.NewReader(d.body))
	if err != nil {
		result.Err = err
		return result
	}
	request.Header = d.header.Clone()
	response, err := s.client.Do(request)
	if err == nil {
		defer response.Body.Close()
		var body []byte
		body, err = io.ReadAll(io.LimitReader(response.Body, 64<<10))
		if err == nil {
			result.Status, result.Body = response.StatusCode, string(body)
			result.contentType = response.Header.Get("Content-Type")
			return result
		}
	}
	result.timedOut = errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
	result.Err = fmt.Errorf("the bot did not answer: %w", err)
	return result
}
