package slackapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Times for calls to Slack.
const (
	callWithin   = 8 * time.Second // one call, with its retries
	checkWithin  = 3 * time.Second // one question about the token
	recheckToken = time.Second     // how old an answer about the token may be
)

// Client is the bot's Slack account. Safe for concurrent use.
type Client struct {
	// reads may be repeated; writes may not: Slack has no idempotency key, and a
	// repeated post stands twice.
	reads, writes *slack.Client
	plain         *http.Client // for response_url, which takes no token
	base          *url.URL

	mu        sync.Mutex
	self      Self
	checkedAt time.Time
	checkErr  error
}

// Self is who the bot is, as Slack says.
type Self struct {
	Team, Enterprise string
	User, Bot        string
}

// NewClient returns a client of the Web API at base, such as
// https://slack.com/api/. It does no I/O.
func NewClient(token, base string, transport http.RoundTripper) (*Client, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, fmt.Errorf("Slack API address: %w", err)
	}
	hc := &http.Client{Transport: transport, Timeout: callWithin}
	retries := slack.RetryConfig{
		MaxRetries: readTries - 1, RetryAfterDuration: time.Second,
		BackoffInitial: readPause, BackoffMax: time.Second,
	}
	retries.Handlers = repeats(retries)
	at := slack.OptionAPIURL(strings.TrimSuffix(base, "/") + "/")
	return &Client{
		reads:  slack.New(token, slack.OptionHTTPClient(&http.Client{Transport: transport, Timeout: readWithin}), at, slack.OptionRetryConfig(retries)),
		writes: slack.New(token, slack.OptionHTTPClient(hc), at),
		plain:  hc,
		base:   u,
	}, nil
}

// whoAmI returns who the bot is, asking Slack once.
func (c *Client) whoAmI(ctx context.Context) (Self, error) {
	if self := c.known(); self.Team != "" {
		return self, nil
	}
	return c.Check(ctx)
}

// known returns who the bot is if Slack has said so already, else the zero Self.
func (c *Client) known() Self {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.self
}

// Check asks Slack whether the token is usable now. Answers are kept for a
// moment, so that a busy probe does not become a busy Slack.
func (c *Client) Check(ctx context.Context) (Self, error) {
	c.mu.Lock()
	if time.Since(c.checkedAt) < recheckToken {
		defer c.mu.Unlock()
		return c.self, c.checkErr
	}
	c.mu.Unlock()
	// The answer is kept for others, so it must not be that this caller went away.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkWithin)
	defer cancel()
	answer, err := c.writes.AuthTestContext(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.checkedAt, c.checkErr = time.Now(), nil
	if err != nil {
		c.checkErr = fmt.Errorf("asking Slack about the bot token: %w", safe(err))
		return c.self, c.checkErr
	}
	c.self = Self{Team: answer.TeamID, Enterprise: answer.EnterpriseID, User: answer.UserID, Bot: answer.BotID}
	return c.self, nil
}

// safe drops the address from an error of net/http: a response_url is a
// credential.
func safe(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return fmt.Errorf("no answer: %w", u.Err)
	}
	return err
}

// fault reduces a Slack error to what may be shown.
func fault(err error) request.Fault {
	f := request.Fault{System: request.Slack}
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		f.Code = e.Err
	}
	if e, ok := errors.AsType[slack.StatusCodeError](err); ok {
		f.Status = e.Code
	}
	if _, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		f.Status, f.Code = http.StatusTooManyRequests, "ratelimited"
	}
	return f
}
