package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

const (
	crashTarget = "mallory@contoso.com"
	crashDoubt  = 10 * time.Second // how long somebody looks whether it was taken after all
)

// deliver hands what Slack delivers to one replica after the other, as a balancer of
// load does that knows who is dead. The response_url has to lead through the relays.
func (c *crashCell) deliver(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	l := c.whose()
	if err != nil || l == nil {
		http.Error(w, "no replica is ready", http.StatusServiceUnavailable)
		return
	}
	env := c.world.Env()
	slackURL := strings.TrimSuffix(crashSetting(env, "SLACK_API_URL"), "/api/")
	body = bytes.ReplaceAll(body, []byte(url.QueryEscape(slackURL)), []byte(url.QueryEscape(crashSlack)))
	mac := hmac.New(sha256.New, []byte(crashSetting(env, "SLACK_SIGNING_SECRET")))
	fmt.Fprintf(mac, "v0:%s:%s", r.Header.Get("X-Slack-Request-Timestamp"), body)

	what := "delivery " + path.Base(r.URL.Path)
	n, goesOn := c.watch.begin(l, what)
	if !goesOn {
		panic(http.ErrAbortHandler)
	}
	out, err := http.NewRequestWithContext(r.Context(), http.MethodPost, l.base+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	out.Header = r.Header.Clone()
	out.Header.Set("X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	resp, err := http.DefaultClient.Do(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	answer, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || !c.watch.pass(l, crashMoment{what, n, crashAfter}) {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", resp.Header.Get("Content-Type"))
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
	_ = http.NewResponseController(w).Flush()
	c.watch.pass(l, crashMoment{what, n, crashAnswered})
}

// whose is the replica whose turn it is, of those that are ready.
func (c *crashCell) whose() *crashLife {
	first := int(c.turn.Add(1)) - 1
	for i := range c.members {
		if l := c.members[(first+i)%len(c.members)].usable(); l != nil {
			return l
		}
	}
	return nil
}

// converse is what the people do. It returns the card once the chat is at its end.
func (c *crashCell) converse(ctx context.Context) (card sandbox.Message, err error) {
	there := func(s sandbox.State) bool {
		for _, m := range s.Messages {
			if len(m.Buttons) == 3 {
				card = m
				return true
			}
		}
		return false
	}
	if err := c.until(ctx, "alice", func() error { return c.ask(ctx, there) }, "the card", there); err != nil {
		return card, err
	}
	press := func(who, label, what string, seen func(sandbox.State) bool) {
		if err == nil {
			err = c.until(ctx, who, func() error { return c.press(ctx, who, card, label) }, what, seen)
		}
	}
	if c.long {
		press("alice", "Confirm", "the refusal", func(s sandbox.State) bool {
			return crashTold(s, "alice", "You asked for this yourself") > 0
		})
		press("bob", "What-If", "the plan", func(s sandbox.State) bool { return len(crashThread(s, card.TS)) > 0 })
	}
	press("bob", "Confirm", "the result", func(s sandbox.State) bool { return crashShown(s, card.TS) == nil })
	return card, err
}

// until does something until what should follow is seen. On a machine that has too
// much to do, look-ups take too long: then whoever asked is told to try again
// in a minute, or, where the store went back, in a moment.
func (c *crashCell) until(ctx context.Context, who string, act func() error, what string, seen func(sandbox.State) bool) error {
	for range 5 {
		putOff := crashTold(c.world.State(), who, "ry again in a m")
		if err := act(); err != nil {
			return err
		}
		wait, cancel := context.WithTimeout(ctx, crashWithin)
		state, err := c.world.Await(wait, func(s sandbox.State) bool {
			return seen(s) || crashTold(s, who, "ry again in a m") > putOff
		})
		cancel()
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if seen(state) {
			return nil
		}
	}
	return fmt.Errorf("%s never came: %s is put off again and again", what, who)
}

// ask sends the command until it is taken. Somebody whose command got an error looks
// for a card before they send it again.
func (c *crashCell) ask(ctx context.Context, there func(sandbox.State) bool) error {
	for range 5 {
		if err := c.ready(); err != nil {
			return err
		}
		d, err := c.world.Say(ctx, "alice", incident, "/revoke-session "+crashTarget)
		if err != nil || d.Err == nil && d.Status == http.StatusOK {
			return err
		}
		c.failed.Add(1)
		doubt, cancel := context.WithTimeout(ctx, crashDoubt)
		_, err = c.world.Await(doubt, there)
		cancel()
		if err == nil {
			return nil
		}
	}
	return errors.New("the command was refused again and again")
}

// press presses until the press is taken.
func (c *crashCell) press(ctx context.Context, who string, card sandbox.Message, label string) error {
	for try := range 20 {
		if err := c.ready(); err != nil {
			return err
		}
		if try > 0 {
			if err := crashPass(ctx, time.Second); err != nil {
				return err
			}
		}
		d, err := c.world.PressSeen(ctx, who, card, label)
		if err != nil {
			return err
		}
		if d.Err == nil && d.Status == http.StatusOK {
			return nil
		}
		c.failed.Add(1)
	}
	return fmt.Errorf("%s of %s was refused again and again", label, who)
}

// ready waits until somebody can take a delivery.
func (c *crashCell) ready() error {
	return crashAwait(patience, func() error {
		for _, m := range c.members {
			if m.usable() != nil {
				return nil
			}
		}
		return errors.New("no replica is ready")
	})
}
