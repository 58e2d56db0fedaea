package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/revoke-session/revoke-session/internal/request"
)

// storeSettings are those of bot serve's settings that name its store, for commands
// that change something in it.
type storeSettings struct {
	RedisURL          string `env:"REDIS_URL" help:"As for bot serve. Environment only." secret:""`
	RedisWaitReplicas string `env:"REDIS_WAIT_REPLICAS" default:"0" help:"As for bot serve."`
	StateFile         string `env:"STATE_FILE" default:"revoke-session.db" help:"As for bot serve, which has to stand still where this is its store."`
	StateDirectory    string `env:"STATE_DIRECTORY" help:"As for bot serve."`
	AuditKey          string `env:"AUDIT_KEY" help:"As for bot serve. Environment only." secret:""`
}

func (s storeSettings) open(parsed *kong.Context) (closingStore, error) {
	if err := refuseSecretFlags(parsed); err != nil {
		return nil, err
	}
	return s.store()
}

func (s storeSettings) store() (closingStore, error) {
	all := settings{
		RedisURL: s.RedisURL, RedisWaitReplicas: s.RedisWaitReplicas, StateFile: s.StateFile,
		StateDirectory: s.StateDirectory, AuditKey: s.AuditKey,
	}
	var c config
	var k check
	all.state(&c, &k)
	all.audit(&c, &k)
	if k.problems != nil {
		return nil, &settingsError{k.problems}
	}
	if _, err := os.Stat(c.stateFile); c.redisURL == "" && err != nil { // opening it would make a new one
		return nil, fmt.Errorf("STATE_FILE: there is no store to look into: %w", err)
	}
	return openStore(c)
}

type thawCommand struct {
	storeSettings
}

// Run is kong's entry.
func (t *thawCommand) Run(ctx context.Context, parsed *kong.Context, stdout io.Writer) (err error) {
	st, err := t.open(parsed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	was, err := request.Thaw(ctx, st)
	if err != nil {
		return err
	}
	if !was {
		fmt.Fprintln(stdout, "Nothing was frozen by a command. (FREEZE=true is a setting of bot serve.)")
		return nil
	}
	fmt.Fprintln(stdout, "Thawed. Open cards say so within moments, wherever the bot runs.")
	return nil
}

type linksCommand struct {
	List   linksListCommand   `cmd:"" default:"withargs" help:"List which Slack users are linked to which Entra accounts."`
	Remove linksRemoveCommand `cmd:"" help:"Remove the link of a Slack user."`
}

type linksListCommand struct {
	storeSettings
}

// Run is kong's entry.
func (l *linksListCommand) Run(ctx context.Context, parsed *kong.Context, stdout io.Writer) (err error) {
	st, err := l.open(parsed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	all, err := request.LinksOf(ctx, st)
	if err != nil {
		return err
	}
	for _, link := range all {
		fmt.Fprintf(stdout, "%s\t%s\t%s\n", nameOf(link.User), link.ObjectID, link.At.UTC().Format("2006-01-02 15:04:05 MST"))
	}
	return nil
}

type linksRemoveCommand struct {
	User string `arg:"" help:"Slack user as bot links lists them: TEAM/USER, or ENTERPRISE/TEAM/USER."`
	storeSettings
}

// Run is kong's entry.
func (l *linksRemoveCommand) Run(ctx context.Context, parsed *kong.Context, stdout io.Writer) (err error) {
	parts := strings.Split(l.User, "/")
	if len(parts) == 2 {
		parts = slices.Insert(parts, 0, "")
	}
	if len(parts) != 3 || parts[1] == "" || parts[2] == "" {
		return wrongArguments("USER must be TEAM/USER or ENTERPRISE/TEAM/USER, as bot links lists them")
	}
	st, err := l.open(parsed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	was, err := request.RemoveLink(ctx, st, request.SlackUser{Enterprise: parts[0], Team: parts[1], User: parts[2]})
	if err != nil {
		return err
	}
	if !was {
		return fmt.Errorf("%s is not linked to any account", l.User)
	}
	fmt.Fprintln(stdout, "Removed. They are asked to link an account when they next use the bot.")
	return nil
}

func nameOf(u request.SlackUser) string {
	return strings.TrimPrefix(strings.Join([]string{u.Enterprise, u.Team, u.User}, "/"), "/")
}
