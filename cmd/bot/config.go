package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/revoke-session/revoke-session/internal/audit"
	"github.com/revoke-session/revoke-session/internal/request"
	"github.com/revoke-session/revoke-session/internal/store"
)

// settings are bound by kong from the environment (or flags of the same names,
// secrets excepted). They stay text here, so that config can name everything
// that is wrong at once.
type settings struct {
	SlackBotToken      string `env:"SLACK_BOT_TOKEN" help:"Bot token of the Slack app (xoxb-...). Environment only." secret:""`
	SlackSigningSecret string `env:"SLACK_SIGNING_SECRET" help:"Signing secret of the Slack app. Environment only." secret:""`
	SlackAPIURL        string `name:"slack-api-url" env:"SLACK_API_URL" default:"https://slack.com/api/" help:"Slack Web API."`

	AzureTenantID                  string `env:"AZURE_TENANT_ID" help:"Entra tenant: its id or one of its domains."`
	AzureClientID                  string `env:"AZURE_CLIENT_ID" help:"Application (client) id of the app registration, or client id of a user-assigned managed identity."`
	AzureClientSecret              string `env:"AZURE_CLIENT_SECRET" help:"Client secret of the app registration. Environment only." secret:""`
	AzureClientCertificatePath     string `env:"AZURE_CLIENT_CERTIFICATE_PATH" help:"PEM or PFX file with a certificate of the app registration and its RSA key, instead of a secret."`
	AzureClientCertificatePassword string `env:"AZURE_CLIENT_CERTIFICATE_PASSWORD" help:"Password of the PFX file. Environment only." secret:""`
	AzureFederatedTokenFile        string `env:"AZURE_FEDERATED_TOKEN_FILE" help:"File with a token of an identity provider that the app registration trusts, instead of a secret."`
	AzureUseManagedIdentity        string `env:"AZURE_USE_MANAGED_IDENTITY" default:"false" help:"true: sign in as the Azure resource that the bot runs on, instead of with a secret."`

	AzureCloud         string `env:"AZURE_CLOUD" default:"public" help:"public, usgov, usgov-dod or china: where the three addresses below are."`
	AzureAuthorityHost string `env:"AZURE_AUTHORITY_HOST" help:"Login host, if not the cloud's (https://login.microsoftonline.com); any other than that switches instance discovery off."`
	GraphURL           string `env:"GRAPH_URL" help:"Microsoft Graph, if not the cloud's (https://graph.microsoft.com)."`
	SharePointAdminURL string `name:"sharepoint-admin-url" env:"SHAREPOINT_ADMIN_URL" help:"SharePoint's admin site, if it does not follow from a tenant named like contoso.onmicrosoft.com (https://contoso-admin.sharepoint.com)."`

	Revoker          string `env:"REVOKER" default:"graph" help:"Who ends the sessions: graph, sharepoint or both."`
	Disabled         string `env:"DISABLED" default:"false" help:"true: nothing is revoked; whoever asks or confirms is told the cmdlet's result 5."`
	AllowUnconfirmed string `env:"ALLOW_UNCONFIRMED" default:"false" help:"true: -Confirm:$false runs on one administrator's word, with a reason and a public message that says so loudly."`
	ProtectedUsers   string `env:"PROTECTED_USERS" help:"Accounts that are never signed out: object ids of users or groups, or sign-in names, separated by commas."`

	Identity            string `env:"IDENTITY" default:"email" help:"How Slack users are identified: email (the confirmed address of their Slack profile) or link (they sign in to Entra once)."`
	PublicURL           string `name:"public-url" env:"PUBLIC_URL" help:"Address at which browsers reach this bot, for IDENTITY=link, such as https://bot.contoso.com."`
	LinkKey             string `env:"LINK_KEY" help:"Random text of at least 32 characters that seals what passes through browsers, for IDENTITY=link; the same on all replicas. Unset: made of the client secret and the signing secret. Environment only." secret:""`
	StepUp              string `env:"STEP_UP" default:"never" help:"Whether Confirm asks for a fresh sign-in to Entra: never, privileged (for targets with a privileged role) or always."`
	StepUpContext       string `env:"STEP_UP_CONTEXT" help:"Authentication context that the fresh sign-in has to satisfy, such as c1. Empty: none."`
	Approvals           string `env:"APPROVALS" default:"1" help:"How many Global Administrators besides the requester have to confirm."`
	ApprovalsPrivileged string `env:"APPROVALS_PRIVILEGED" default:"1" help:"How many, where the target holds a privileged directory role."`
	HourlyRequests      string `env:"HOURLY_REQUESTS" default:"100" help:"How many requests one person may make in an hour. 0: any number."`
	Freeze              string `env:"FREEZE" default:"false" help:"true: nothing is revoked, and every open card says so."`

	RedisURL          string `env:"REDIS_URL" help:"redis://, redis+sentinel:// or redis+cluster:// (rediss for TLS) of the store that several replicas share. Unset: the embedded store. Environment only." secret:""`
	RedisWaitReplicas string `env:"REDIS_WAIT_REPLICAS" default:"0" help:"How many of Redis's replicas have to have each write before anything is promised or done on the strength of it."`
	StateFile         string `env:"STATE_FILE" default:"revoke-session.db" help:"File of the embedded store; a relative path is taken from STATE_DIRECTORY or the working directory."`
	StateDirectory    string `env:"STATE_DIRECTORY" help:"Directory of the embedded store, as systemd sets it."`

	AuditKey  string `env:"AUDIT_KEY" help:"Private key that signs the record's checkpoints, as bot audit key makes one. Environment only." secret:""`
	AuditFile string `env:"AUDIT_FILE" help:"File, of this process alone, that the record is copied to as it is written. Unset: none."`

	ListenAddr      string `env:"LISTEN_ADDR" default:":8080" help:"Address to listen on."`
	RequestTTL      string `name:"request-ttl" env:"REQUEST_TTL" default:"15m" help:"How long a card can be confirmed, from 1s to 24h."`
	AllowedChannels string `env:"ALLOWED_CHANNELS" help:"Channel ids, separated by commas, in which requests may be made. Empty: every channel the bot is in that is not shared with another organization."`
	Retention       string `env:"RETENTION" default:"2160h" help:"How long finished requests are kept; their records stay."`
	LogLevel        string `env:"LOG_LEVEL" default:"info" help:"debug, info, warn or error."`
}

// config is settings after they were found right.
type config struct {
	slackToken, slackSecret, slackURL string
	tenant, clientID                  string
	credential                        credentialKind
	clientSecret                      string // of secretCredential
	certificate, certificatePassword  string // of certificateCredential: a path, and what opens it
	tokenFile                         string // of federatedCredential
	authority, graph                  string
	sharePoint                        string // origin of the admin site; "" if revoker has no use for it and it was not given
	revoker                           string // graph, sharepoint or both
	disabled, allowUnconfirmed        bool
	links                             bool // people are identified by IDENTITY=link
	publicURL, stepUpContext          string
	linkKey                           string // "": no secret that Slack does not know
	stepUp                            request.StepUp
	approvals, approvalsPrivileged    int
	hourly                            int
	frozen                            bool
	protected                         []string // sign-in names, and object ids of users and groups
	redisURL, stateFile, listen       string
	waitReplicas                      int // of Redis's, for each write
	ttl, retention                    time.Duration
	channels                          []string
	level                             slog.Level
	auditSigner                       audit.Signer // nil: checkpoints are not signed, so there are none
	auditFile                         string       // "" is none
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

var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]+$`)

// config checks everything and reports all problems together.
func (s *settings) config() (config, error) {
	var c config
	var k check
	s.slack(&c, &k)
	s.microsoft(&c, &k)
	s.people(&c, &k)
	s.state(&c, &k)
	s.audit(&c, &k)
	c.disabled = k.boolean("DISABLED", s.Disabled)
	c.allowUnconfirmed = k.boolean("ALLOW_UNCONFIRMED", s.AllowUnconfirmed)
	c.protected = k.accounts("PROTECTED_USERS", s.ProtectedUsers)
	c.listen = s.ListenAddr
	_, port, err := net.SplitHostPort(c.listen)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil {
		k.wrong("LISTEN_ADDR", "must be an address such as :8080 or 127.0.0.1:8080")
	}
	ttl, err := time.ParseDuration(s.RequestTTL)
	if err != nil || ttl < time.Second || ttl > 24*time.Hour {
		k.wrong("REQUEST_TTL", "must be a duration from 1s to 24h, such as 15m")
	}
	c.ttl = ttl
	if err := c.level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		k.wrong("LOG_LEVEL", "must be debug, info, warn or error")
	}
	if k.problems != nil {
		return config{}, &settingsError{k.problems}
	}
	return c, nil
}

func (s *settings) slack(c *config, k *check) {
	c.slackToken = k.need("SLACK_BOT_TOKEN", s.SlackBotToken, "the bot token of the Slack app (OAuth & Permissions)")
	c.slackSecret = k.need("SLACK_SIGNING_SECRET", s.SlackSigningSecret, "the signing secret of the Slack app (Basic Information)")
	c.slackURL = k.address("SLACK_API_URL", s.SlackAPIURL)
	if strings.HasPrefix(c.slackToken, "xapp-") || strings.HasPrefix(c.slackToken, "xoxp-") {
		k.wrong("SLACK_BOT_TOKEN", "is not a bot token: those begin with xoxb-")
	}
	for _, id := range strings.FieldsFunc(s.AllowedChannels, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !channelID.MatchString(id) {
			k.wrong("ALLOWED_CHANNELS", "has %q, which is not a channel id: ids look like C0123456789 (in Slack: channel name > About > Channel ID)", id)
		}
		c.channels = append(c.channels, id)
	}
}

func (s *settings) state(c *config, k *check) {
	c.redisURL = s.RedisURL
	if s.RedisURL != "" {
		if err := store.CheckRedisURL(s.RedisURL); err != nil {
			k.wrong("REDIS_URL", "%v", err)
		}
	}
	replicas, err := strconv.Atoi(cmp.Or(strings.TrimSpace(s.RedisWaitReplicas), "0"))
	switch {
	case err != nil || replicas < 0 || replicas > 10:
		k.wrong("REDIS_WAIT_REPLICAS", "must be a number from 0 to 10: how many of Redis's replicas have to have each write")
	case replicas > 0 && s.RedisURL == "":
		k.wrong("REDIS_WAIT_REPLICAS", "is set without REDIS_URL: the embedded store has no replicas")
	}
	c.waitReplicas = replicas
	if c.retention, err = time.ParseDuration(cmp.Or(s.Retention, "2160h")); err != nil || c.retention < time.Hour {
		k.wrong("RETENTION", "must be a duration of at least 1h, such as 2160h")
	}
	c.stateFile = s.StateFile
	if dir, _, _ := strings.Cut(s.StateDirectory, ":"); !filepath.IsAbs(c.stateFile) { // systemd separates several by colons
		c.stateFile = filepath.Join(cmp.Or(dir, "."), cmp.Or(c.stateFile, "revoke-session.db"))
	}
	if dir := filepath.Dir(c.stateFile); c.redisURL == "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			k.wrong(cmp.Or(stateDirName(s), "STATE_FILE"), "names the directory %s, which does not exist", dir)
		}
	}
}

// audit reads the record's settings.
func (s *settings) audit(c *config, k *check) {
	if strings.TrimSpace(s.AuditKey) != "" {
		signer, err := audit.ParseSigner(s.AuditKey)
		if err != nil {
			k.wrong("AUDIT_KEY", "%v", err)
		}
		c.auditSigner = signer
	}
	c.auditFile = s.AuditFile
	if info, err := os.Stat(filepath.Dir(c.auditFile)); c.auditFile != "" && (err != nil || !info.IsDir()) {
		k.wrong("AUDIT_FILE", "names the directory %s, which does not exist", filepath.Dir(c.auditFile))
	}
}

// stateDirName is the setting that the state file's directory comes from.
func stateDirName(s *settings) string {
	if s.StateDirectory != "" && !filepath.IsAbs(s.StateFile) {
		return "STATE_DIRECTORY"
	}
	return ""
}
