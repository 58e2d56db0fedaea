package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// settings are bound by kong from the environment (or flags of the same names,
// secrets excepted). They stay text here, so that config can name everything
// that is wrong at once.
type settings struct {
	SlackBotToken      string `env:"SLACK_BOT_TOKEN" help:"Bot token of the Slack app (xoxb-...). Environment only." secret:""`
	SlackSigningSecret string `env:"SLACK_SIGNING_SECRET" help:"Signing secret of the Slack app. Environment only." secret:""`
	SlackAPIURL        string `name:"slack-api-url" env:"SLACK_API_URL" default:"https://slack.com/api/" help:"Slack Web API."`

	AzureTenantID      string `env:"AZURE_TENANT_ID" help:"Entra tenant: its id or one of its domains."`
	AzureClientID      string `env:"AZURE_CLIENT_ID" help:"Application (client) id of the app registration."`
	AzureClientSecret  string `env:"AZURE_CLIENT_SECRET" help:"Client secret of the app registration. Environment only." secret:""`
	AzureAuthorityHost string `env:"AZURE_AUTHORITY_HOST" default:"https://login.microsoftonline.com" help:"Login host; any other than the default switches instance discovery off."`
	GraphURL           string `env:"GRAPH_URL" default:"https://graph.microsoft.com" help:"Microsoft Graph."`

	RedisURL       string `env:"REDIS_URL" help:"redis:// or rediss:// of the store that several replicas share. Unset: the embedded store. Environment only." secret:""`
	StateFile      string `env:"STATE_FILE" default:"revoke-session.db" help:"File of the embedded store; a relative path is taken from STATE_DIRECTORY or the working directory."`
	StateDirectory string `env:"STATE_DIRECTORY" help:"Directory of the embedded store, as systemd sets it."`

	ListenAddr      string `env:"LISTEN_ADDR" default:":8080" help:"Address to listen on."`
	RequestTTL      string `name:"request-ttl" env:"REQUEST_TTL" default:"15m" help:"How long a card can be confirmed, from 1s to 24h."`
	AllowedChannels string `env:"ALLOWED_CHANNELS" help:"Channel ids, separated by commas, in which requests may be made. Empty: every channel the bot is in that is not shared with another organization."`
	LogLevel        string `env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
}

// config is settings after they were found right.
type config struct {
	slackToken, slackSecret, slackURL string
	tenant, clientID, clientSecret    string
	authority, graph                  string
	redisURL, stateFile, listen       string
	ttl                               time.Duration
	channels                          []string
	level                             slog.Level
}

// settingsError lists everything that is wrong, by environment name.
type settingsError struct{ problems []string }

func (e *settingsError) Error() string {
	return fmt.Sprintf("bot: these settings need attention:\n  %s\n", strings.Join(e.problems, "\n  "))
}

// refuseSecretFlags keeps secrets off the command line, where every user of the
// machine can read them.
func refuseSecretFlags(parsed *kong.Context) error {
	var problems []string
	for _, p := range parsed.Path {
		if p.Flag != nil && !p.Resolved && p.Flag.Tag.Has("secret") {
			problems = append(problems, fmt.Sprintf("%s must come from the environment: the command line can be read by everybody on the machine", p.Flag.Envs[0]))
		}
	}
	if problems != nil {
		return &settingsError{problems}
	}
	return nil
}

// assign sets the settings named in env, which has the form of os.Environ.
func (s *settings) assign(env []string) {
	values := map[string]string{}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		values[name] = value
	}
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		if value, ok := values[tag.Get("env")]; ok {
			v.Field(i).SetString(value)
		} else if v.Field(i).String() == "" {
			v.Field(i).SetString(tag.Get("default"))
		}
	}
}

var (
	channelID = regexp.MustCompile(`^[CGD][A-Z0-9]+$`)
	tenant    = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)
)

// config checks everything and reports all problems together.
func (s *settings) config() (config, error) {
	var problems []string
	wrong := func(name, format string, args ...any) {
		problems = append(problems, name+" "+fmt.Sprintf(format, args...))
	}
	need := func(name, value, what string) string {
		value = strings.TrimSpace(value)
		if value == "" {
			wrong(name, "is not set: %s", what)
		}
		return value
	}
	c := config{
		slackToken:   need("SLACK_BOT_TOKEN", s.SlackBotToken, "the bot token of the Slack app (OAuth & Permissions)"),
		slackSecret:  need("SLACK_SIGNING_SECRET", s.SlackSigningSecret, "the signing secret of the Slack app (Basic Information)"),
		tenant:       need("AZURE_TENANT_ID", s.AzureTenantID, "the tenant id of your Entra tenant"),
		clientID:     need("AZURE_CLIENT_ID", s.AzureClientID, "the application (client) id of the app registration"),
		clientSecret: need("AZURE_CLIENT_SECRET", s.AzureClientSecret, "a client secret of the app registration"),
		redisURL:     s.RedisURL,
	}
	if strings.HasPrefix(c.slackToken, "xapp-") || strings.HasPrefix(c.slackToken, "xoxp-") {
		wrong("SLACK_BOT_TOKEN", "is not a bot token: those begin with xoxb-")
	}
	if c.tenant != "" && (!tenant.MatchString(c.tenant) || c.tenant == "common" || c.tenant == "organizations" || c.tenant == "consumers") {
		wrong("AZURE_TENANT_ID", "must name one tenant: its id or one of its domains")
	}
	address := func(name, value string) string {
		u, err := url.Parse(value)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http":
			wrong(name, "must be an address such as https://host")
		case u.Scheme == "http" && name == "AZURE_AUTHORITY_HOST":
			wrong(name, "must begin with https://")
		case u.Scheme == "http" && !isLoopback(u.Hostname()):
			wrong(name, "must begin with https://, because a token would travel in the clear (http:// is for this machine only)")
		}
		return value
	}
	c.slackURL = address("SLACK_API_URL", s.SlackAPIURL)
	c.authority = address("AZURE_AUTHORITY_HOST", s.AzureAuthorityHost)
	c.graph = address("GRAPH_URL", s.GraphURL)
	if u, err := url.Parse(s.RedisURL); s.RedisURL != "" && (err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Host == "") {
		wrong("REDIS_URL", "must be redis://[user:password@]host:port/db, or rediss:// for TLS")
	}
	c.stateFile = s.StateFile
	if dir, _, _ := strings.Cut(s.StateDirectory, ":"); !filepath.IsAbs(c.stateFile) { // systemd separates several by colons
		c.stateFile = filepath.Join(cmp.Or(dir, "."), cmp.Or(c.stateFile, "revoke-session.db"))
	}
	if dir := filepath.Dir(c.stateFile); c.redisURL == "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			wrong(cmp.Or(stateDirName(s), "STATE_FILE"), "names the directory %s, which does not exist", dir)
		}
	}
	c.listen = s.ListenAddr
	_, port, err := net.SplitHostPort(c.listen)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
		wrong("LISTEN_ADDR", "must be an address such as :8080 or 127.0.0.1:8080")
	}
	ttl, err := time.ParseDuration(s.RequestTTL)
	if err != nil || ttl < time.Second || ttl > 24*time.Hour {
		wrong("REQUEST_TTL", "must be a duration from 1s to 24h, such as 15m")
	}
	c.ttl = ttl
	for _, id := range strings.FieldsFunc(s.AllowedChannels, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !channelID.MatchString(id) {
			wrong("ALLOWED_CHANNELS", "has %q, which is not a channel id: ids look like C0123456789 (in Slack: channel name > About > Channel ID)", id)
		}
		c.channels = append(c.channels, id)
	}
	if err := c.level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		wrong("LOG_LEVEL", "must be debug, info, warn or error")
	}
	if problems != nil {
		return config{}, &settingsError{problems}
	}
	return c, nil
}

// stateDirName is the setting that the state file's directory comes from.
func stateDirName(s *settings) string {
	if s.StateDirectory != "" && !filepath.IsAbs(s.StateFile) {
		return "STATE_DIRECTORY"
	}
	return ""
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
