// Command bot is Revoke Session: it signs a compromised Microsoft 365 user out
// everywhere, from the Slack channel in which the incident is handled, on the
// word of two administrators. This is the only package that knows every room.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK       = 0
	exitFailure  = 1
	exitSettings = 2 // the command line or the settings are wrong
)

type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the bot. All settings come from the environment."`
	Audit   auditCommand   `cmd:"" help:"Verify and export the record of what was decided and done."`
	Links   linksCommand   `cmd:"" help:"List and remove the links between Slack users and Entra accounts."`
	Thaw    thawCommand    `cmd:"" help:"End a freeze that somebody has typed in Slack."`
	Sandbox sandboxCommand `cmd:"" help:"Try the bot against stand-ins for Slack and Microsoft, on a page in your browser."`

	Version kong.VersionFlag `help:"Print the version and exit."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it parses args, runs the command and returns
// the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cmd commands
	exited := -1
	parser, err := kong.New(&cmd,
		kong.Name("bot"),
		kong.Description("Signs a compromised Microsoft 365 user out everywhere, from Slack, on the word of two administrators."),
		kong.Vars{"version": version()},
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.UsageOnError(),
	)
	if err != nil {
		fmt.Fprintln(stderr, "bot:", err)
		return exitFailure
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 { // --help and --version
		return exited
	}
	if err != nil {
		fmt.Fprintln(stderr, "bot:", err)
		return exitSettings
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	parsed.BindTo(stdout, (*io.Writer)(nil))
	err = parsed.Run(logTo{stderr})
	if wrong, ok := errors.AsType[*settingsError](err); ok {
		fmt.Fprint(stderr, wrong.Error())
		return exitSettings
	}
	if err != nil {
		fmt.Fprintln(stderr, "bot:", err)
		return exitFailure
	}
	return exitOK
}

// logTo is where logs go, as a type of its own for kong's bindings.
type logTo struct{ io.Writer }

// release is set by the linker (make build).
var release string

func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return info.Main.Version
}
