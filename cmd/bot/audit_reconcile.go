package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/alecthomas/kong"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/slackapp"
)

// errDiffers is returned where chat and record tell different stories.
var errDiffers = errors.New("the chat differs from the record")

type auditReconcileCommand struct {
	File string `arg:"" help:"File of lines: an AUDIT_FILE, or what bot audit export wrote; - is standard input."`

	SlackBotToken string `env:"SLACK_BOT_TOKEN" help:"As for bot serve. Environment only." secret:""`
	SlackAPIURL   string `name:"slack-api-url" env:"SLACK_API_URL" default:"https://slack.com/api/" help:"As for bot serve."`
}

// Run is kong's entry.
func (c *auditReconcileCommand) Run(ctx context.Context, parsed *kong.Context, stdout io.Writer) error {
	if err := refuseSecretFlags(parsed); err != nil {
		return err
	}
	var k check
	k.need("SLACK_BOT_TOKEN", c.SlackBotToken, "the bot token of the Slack app, to read the chat with")
	k.address("SLACK_API_URL", c.SlackAPIURL)
	if k.problems != nil {
		return &settingsError{k.problems}
	}
	in, err := openLines(c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	slack, err := slackapp.NewClient(c.SlackBotToken, c.SlackAPIURL, newTransport())
	if err != nil {
		return err
	}
	return reconcile(ctx, slack, audit.Lines(in), stdout)
}

// shownAs is where a request's card and result stand, as the record says.
type shownAs struct {
	request request.ID
	channel string
	at      time.Time
	request.Final
}

// reconcile compares what the record says of the chat with the chat. Lines that are no
// chain are refused: they prove nothing about anything.
func reconcile(ctx context.Context, slack *slackapp.Client, lines iter.Seq2[[]byte, error], out io.Writer) error {
	var order []request.ID
	shown, results := map[request.ID]shownAs{}, map[request.ID]bool{}
	collect := func(yield func([]byte, error) bool) {
		for line, err := range lines {
			var e audit.Entry
			if err == nil && json.Unmarshal(line, &e) == nil {
				results[e.Request] = results[e.Request] || e.Event == "result"
				if e.Event == "shown" && e.Final != nil {
					if _, known := shown[e.Request]; !known {
						order = append(order, e.Request)
					}
					shown[e.Request] = shownAs{e.Request, e.Channel, e.Time, *e.Final}
				}
			}
			if !yield(line, err) {
				return
			}
		}
	}
	if _, err := (audit.Against{Part: true}).Verify(collect); err != nil {
		return fmt.Errorf("verifying the record first: %w", err)
	}
	if _, err := slack.Check(ctx); err != nil {
		return err
	}
	differ, unread := 0, 0
	for _, id := range order {
		differences, err := compare(ctx, slack, shown[id])
		if err != nil {
			unread++
			fmt.Fprintf(out, "request %s in %s: its thread could not be read: %v\n", id, shown[id].channel, err)
		}
		for _, difference := range differences {
			differ++
			fmt.Fprintf(out, "request %s in %s of %s: %s\n", id, shown[id].channel, shown[id].at.UTC().Format("2006-01-02 15:04:05 MST"), difference)
		}
	}
	unshown := 0
	for id, has := range results {
		if _, is := shown[id]; has && !is {
			unshown++
		}
	}
	fmt.Fprintf(out, "%d requests compared, %d differences; %d results were sent by direct message or are still on their way\n", len(order)-unread, differ, unshown)
	switch {
	case differ > 0:
		return errDiffers
	case unread > 0:
		return fmt.Errorf("%d threads could not be read: invite the bot into their channels, or try again later", unread)
	}
	return nil
}

// compare names what differs in one thread.
func compare(ctx context.Context, slack *slackapp.Client, s shownAs) ([]string, error) {
	now, err := slack.Saying(ctx, s.channel, s.Card)
	if err != nil {
		return nil, err
	}
	var all []string
	look := func(what, ts, want string) {
		have, there := now[ts]
		switch {
		case ts == "":
		case !there:
			all = append(all, fmt.Sprintf("the %s (%s) has been deleted", what, ts))
		case have != want:
			all = append(all, fmt.Sprintf("the %s (%s) has been edited: it does not say what the bot wrote", what, ts))
		}
	}
	look("card", s.Card, s.CardDigest)
	look("result", s.Result, s.ResultDigest)
	return all, nil
}
