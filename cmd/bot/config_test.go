package main

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func complete() []string {
	return []string{
		"SLACK_BOT_TOKEN=xoxb-1", "SLACK_SIGNING_SECRET=s", "AZURE_TENANT_ID=contoso.onmicrosoft.com",
		"AZURE_CLIENT_ID=11111111-2222-3333-4444-555555555555", "AZURE_CLIENT_SECRET=canary-secret",
	}
}

func configOf(env ...string) (config, error) {
	var s settings
	s.assign(append(complete(), env...))
	return s.config()
}

func TestConfigDefaults(t *testing.T) {
	c, err := configOf()
	if err != nil {
		t.Fatal(err)
	}
	if c.slackURL != "https://slack.com/api/" || c.authority != "https://login.microsoftonline.com" ||
		c.graph != "https://graph.microsoft.com" || c.listen != ":8080" || c.ttl != 15*time.Minute ||
		c.stateFile != "revoke-session.db" || c.redisURL != "" || len(c.channels) != 0 ||
		c.credential != secretCredential || c.revoker != "graph" || c.sharePoint != "" || c.disabled || c.allowUnconfirmed {
		t.Errorf("config = %+v", c)
	}
}

func TestStateFile(t *testing.T) {
	dir := t.TempDir()
	tests := []struct {
		env  []string
		want string
	}{
		{nil, "revoke-session.db"},
		{[]string{"STATE_DIRECTORY=" + dir}, dir + "/revoke-session.db"},
		{[]string{"STATE_DIRECTORY=" + dir + ":/other"}, dir + "/revoke-session.db"},
		{[]string{"STATE_DIRECTORY=" + dir, "STATE_FILE=x.db"}, dir + "/x.db"},
		{[]string{"STATE_DIRECTORY=/nowhere", "STATE_FILE=" + dir + "/x.db"}, dir + "/x.db"},
		{[]string{"STATE_FILE=x.db"}, "x.db"},
	}
	for _, tt := range tests {
		c, err := configOf(tt.env...)
		if err != nil || filepath.ToSlash(c.stateFile) != tt.want {
			t.Errorf("%v: state file %q, %v; want %q", tt.env, c.stateFile, err, tt.want)
		}
	}
}

func TestWrongSettingsAreNamed(t *testing.T) {
	tests := []struct{ setting, want string }{
		{"SLACK_BOT_TOKEN=", "SLACK_BOT_TOKEN is not set"},
		{"SLACK_BOT_TOKEN=xapp-1", "SLACK_BOT_TOKEN is not a bot token"},
		{"SLACK_SIGNING_SECRET= ", "SLACK_SIGNING_SECRET is not set"},
		{"SLACK_API_URL=slack.com", "SLACK_API_URL must be an address"},
		{"SLACK_API_URL=http://contoso.com/api/", "SLACK_API_URL must begin with https://"},
		{"AZURE_TENANT_ID=", "AZURE_TENANT_ID is not set"},
		{"AZURE_TENANT_ID=common", "AZURE_TENANT_ID must name one tenant"},
		{"AZURE_TENANT_ID=a/b", "AZURE_TENANT_ID must name one tenant"},
		{"AZURE_CLIENT_ID=", "AZURE_CLIENT_ID is not set"},
		{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_SECRET is not set: a client secret of the app registration, or else one of AZURE_CLIENT_CERTIFICATE_PATH"},
		{"AZURE_CLIENT_CERTIFICATE_PASSWORD=canary", "AZURE_CLIENT_CERTIFICATE_PASSWORD is set without AZURE_CLIENT_CERTIFICATE_PATH"},
		{"AZURE_CLIENT_CERTIFICATE_PATH=config.go", "AZURE_CLIENT_SECRET and AZURE_CLIENT_CERTIFICATE_PATH are set: keep the one"},
		{"AZURE_USE_MANAGED_IDENTITY=true", "AZURE_CLIENT_SECRET and AZURE_USE_MANAGED_IDENTITY are set: keep the one"},
		{"AZURE_USE_MANAGED_IDENTITY=yes", "AZURE_USE_MANAGED_IDENTITY must be true or false"},
		{"AZURE_CLOUD=germany", "AZURE_CLOUD must be public, usgov, usgov-dod or china"},
		{"SHAREPOINT_ADMIN_URL=contoso-admin.sharepoint.com", "SHAREPOINT_ADMIN_URL must be an address"},
		{"SHAREPOINT_ADMIN_URL=https://contoso-admin.sharepoint.com/_api", "SHAREPOINT_ADMIN_URL must end after the host"},
		{"SHAREPOINT_ADMIN_URL=https://contoso-admin.sharepoint.com#", "SHAREPOINT_ADMIN_URL must end after the host"},
		{"SHAREPOINT_ADMIN_URL=https://contoso-admin.sharepoint.com?x=1", "SHAREPOINT_ADMIN_URL must end after the host"},
		{"SHAREPOINT_ADMIN_URL=http://contoso-admin.sharepoint.com", "SHAREPOINT_ADMIN_URL must begin with https://"},
		{"REVOKER=exchange", "REVOKER must be graph, sharepoint or both"},
		{"REVOKER=both", "REVOKER is both: SharePoint accepts no token obtained with a client secret (it answers 'Unsupported app only token')"},
		{"DISABLED=off", "DISABLED must be true or false"},
		{"ALLOW_UNCONFIRMED=2", "ALLOW_UNCONFIRMED must be true or false"},
		{"PROTECTED_USERS=mallory", `PROTECTED_USERS has "mallory", which is neither an object id`},
		{"PROTECTED_USERS=mallory@contoso.com alice@contoso.com", "PROTECTED_USERS has "},
		{"PROTECTED_USERS=00000000-0000-0000-0000-00000000000a,@contoso.com", `PROTECTED_USERS has "@contoso.com"`},
		{"PROTECTED_USERS=mallory@contoso", `PROTECTED_USERS has "mallory@contoso"`},
		{"PROTECTED_USERS=00000000-0000-0000-0000-00000000000", "PROTECTED_USERS has "},
		{"AZURE_AUTHORITY_HOST=http://127.0.0.1:1", "AZURE_AUTHORITY_HOST must begin with https://"},
		{"GRAPH_URL=http://graph.contoso.com", "GRAPH_URL must begin with https://"},
		{"GRAPH_URL=ftp://graph.contoso.com", "GRAPH_URL must be an address"},
		{"REDIS_URL=localhost:6379", "REDIS_URL must be redis://"},
		{"REDIS_URL=http://localhost", "REDIS_URL must be redis://"},
		{"REDIS_URL=redis+sentinel://a:1,b:2", "REDIS_URL must be redis://"},
		{"REDIS_URL=redis+sentinel://a,b:2/master", "REDIS_URL must be redis://"},
		{"REDIS_URL=redis+sentinel://a:1/master/x", "REDIS_URL must be redis://"},
		{"REDIS_URL=redis+cluster://a:1/3", "REDIS_URL must be redis://"},
		{"REDIS_URL=redis+socket://a:1", "REDIS_URL must be redis://"},
		{"REDIS_WAIT_REPLICAS=1", "REDIS_WAIT_REPLICAS is set without REDIS_URL"},
		{"REDIS_WAIT_REPLICAS=one", "REDIS_WAIT_REPLICAS must be a number"},
		{"RETENTION=1m", "RETENTION must be a duration"},
		{"LISTEN_ADDR=8080", "LISTEN_ADDR must be an address"},
		{"LISTEN_ADDR=127.0.0.1:99999", "LISTEN_ADDR must be an address"},
		{"STATE_DIRECTORY=/nowhere", "STATE_DIRECTORY names the directory /nowhere, which does not exist"},
		{"STATE_FILE=/nowhere/x.db", "STATE_FILE names the directory /nowhere, which does not exist"},
		{"REQUEST_TTL=soon", "REQUEST_TTL must be a duration"},
		{"REQUEST_TTL=0s", "REQUEST_TTL must be a duration"},
		{"REQUEST_TTL=48h", "REQUEST_TTL must be a duration"},
		{"ALLOWED_CHANNELS=#incident", `ALLOWED_CHANNELS has "#incident"`},
		{"LOG_LEVEL=loud", "LOG_LEVEL must be"},
	}
	for _, tt := range tests {
		t.Run(tt.setting, func(t *testing.T) {
			_, err := configOf(tt.setting)
			wrong, ok := errors.AsType[*settingsError](err)
			if !ok || len(wrong.problems) != 1 || !strings.HasPrefix(wrong.problems[0], tt.want) {
				t.Errorf("config = %v, want one problem: %s", err, tt.want)
			}
		})
	}
}

func TestRightSettings(t *testing.T) {
	for _, setting := range []string{
		"SLACK_API_URL=http://127.0.0.1:9/api/", "GRAPH_URL=http://localhost:1", "REDIS_URL=rediss://u:p@redis.contoso.com:6380/0",
		"REDIS_URL=redis+sentinel://u:p@a:26379,b:26379/mymaster/1", "REDIS_URL=rediss+sentinel://a:26379/m?sentinel_password=x",
		"REDIS_URL=redis+cluster://a:1,b:2", "REDIS_URL=redis://a:1?master_name=m&addr=b:2", "REDIS_URL=redis://a:1?addr=b:2",
		"LISTEN_ADDR=127.0.0.1:0", "REQUEST_TTL=24h", "ALLOWED_CHANNELS=C01,G02 C03", "LOG_LEVEL=DEBUG",
		"AZURE_TENANT_ID=72f988bf-86f1-41af-91ab-2d7cd011db47", "AZURE_USE_MANAGED_IDENTITY=0", "AZURE_CLOUD= UsGov ", "REVOKER=Graph",
		"SHAREPOINT_ADMIN_URL=https://contoso-admin.sharepoint.com/", "SHAREPOINT_ADMIN_URL=http://127.0.0.1:9",
		"DISABLED=", "DISABLED= TRUE ", "ALLOW_UNCONFIRMED=1", "PROTECTED_USERS= ,",
	} {
		if _, err := configOf(setting); err != nil {
			t.Errorf("%s: %v", setting, err)
		}
	}
	c, _ := configOf("ALLOWED_CHANNELS=C01, G02")
	if strings.Join(c.channels, "|") != "C01|G02" {
		t.Errorf("channels %q", c.channels)
	}
	const breakGlass = "6E7B768E-07E2-4810-8459-485F84F8F204"
	if c, _ := configOf("PROTECTED_USERS=" + breakGlass + " , o'neil@contoso.com,,Break.Glass@contoso.onmicrosoft.com"); strings.Join(c.protected, "|") != breakGlass+"|o'neil@contoso.com|Break.Glass@contoso.onmicrosoft.com" {
		t.Errorf("protected %q", c.protected)
	}
}

func TestAllProblemsAreNamedAtOnceWithoutSecrets(t *testing.T) {
	_, err := configOf("SLACK_BOT_TOKEN=xapp-canary", "REQUEST_TTL=x", "REDIS_URL=redis//:canary@x", "GRAPH_URL=https://canary:canary@contoso.com",
		"AZURE_CLIENT_CERTIFICATE_PASSWORD=canary", "SHAREPOINT_ADMIN_URL=https://canary:canary@contoso.com", "AZURE_CLOUD=x", "DISABLED=x")
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"SLACK_BOT_TOKEN", "REQUEST_TTL", "REDIS_URL", "GRAPH_URL",
		"AZURE_CLIENT_CERTIFICATE_PASSWORD", "SHAREPOINT_ADMIN_URL", "AZURE_CLOUD", "DISABLED"} {
		if strings.Count(err.Error(), "\n  "+name+" ") != 1 {
			t.Errorf("%s is not named once in:\n%v", name, err)
		}
	}
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("a secret is shown:\n%v", err)
	}
}
