package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fileOf is a file that a setting can name.
func fileOf(t *testing.T, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func certificateFile(t *testing.T, ends time.Duration) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	plan := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(ends)}
	cert, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return fileOf(t, slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})))
}

func TestEveryCredential(t *testing.T) {
	certificate, assertion := certificateFile(t, time.Hour), fileOf(t, []byte("eyJ"))
	tests := []struct {
		name string
		env  []string
		want credentialKind
	}{
		{"secret", nil, secretCredential},
		{"certificate", []string{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_CERTIFICATE_PATH=" + certificate}, certificateCredential},
		{"certificate, REVOKER=both", []string{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_CERTIFICATE_PATH=" + certificate, "REVOKER=both"}, certificateCredential},
		{"federation", []string{"AZURE_CLIENT_SECRET=", "AZURE_FEDERATED_TOKEN_FILE=" + assertion}, federatedCredential},
		{"managed identity", []string{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_ID=", "AZURE_USE_MANAGED_IDENTITY=True"}, managedCredential},
		{"managed identity with a name", []string{"AZURE_CLIENT_SECRET=", "AZURE_USE_MANAGED_IDENTITY=1"}, managedCredential},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := configOf(tt.env...)
			if err != nil || c.credential != tt.want {
				t.Fatalf("credential = %q, %v; want %q", c.credential, err, tt.want)
			}
			if credential, err := newCredential(c, http.DefaultTransport, slog.New(slog.DiscardHandler)); credential == nil || err != nil {
				t.Errorf("newCredential = %v, %v", credential, err)
			}
		})
	}
}

func TestWrongCredentialsAreNamed(t *testing.T) {
	missing, file := filepath.Join(t.TempDir(), "missing"), fileOf(t, []byte("canary"))
	tests := []struct {
		name string
		env  []string
		want []string
	}{
		{
			"certificate is missing", []string{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_CERTIFICATE_PATH=" + missing},
			[]string{"AZURE_CLIENT_CERTIFICATE_PATH names a file that cannot be read: open " + missing},
		},
		{
			"certificate is a directory", []string{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_CERTIFICATE_PATH=" + filepath.Dir(file)},
			[]string{"AZURE_CLIENT_CERTIFICATE_PATH names " + filepath.Dir(file) + ", which is not a file"},
		},
		{
			"token file is missing", []string{"AZURE_CLIENT_SECRET=", "AZURE_FEDERATED_TOKEN_FILE=" + missing},
			[]string{"AZURE_FEDERATED_TOKEN_FILE names a file that cannot be read: open " + missing},
		},
		{
			"password alone", []string{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_CERTIFICATE_PASSWORD=canary"},
			[]string{"AZURE_CLIENT_CERTIFICATE_PASSWORD is set without AZURE_CLIENT_CERTIFICATE_PATH"},
		},
		{
			"all at once, for SharePoint",
			[]string{"AZURE_CLIENT_CERTIFICATE_PATH=" + file, "AZURE_FEDERATED_TOKEN_FILE=" + file, "AZURE_USE_MANAGED_IDENTITY=true", "REVOKER=both"},
			[]string{"AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE and AZURE_USE_MANAGED_IDENTITY are set: keep the one"},
		},
		{
			"nothing at all", []string{"AZURE_CLIENT_SECRET= ", "AZURE_CLIENT_ID="},
			[]string{"AZURE_CLIENT_ID is not set", "AZURE_CLIENT_SECRET is not set"},
		},
		{
			"managed identity, unclear", []string{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_ID=", "AZURE_USE_MANAGED_IDENTITY=system"},
			[]string{"AZURE_USE_MANAGED_IDENTITY must be true or false"},
		},
		{
			"no client id for a federation", []string{"AZURE_CLIENT_SECRET=", "AZURE_CLIENT_ID=", "AZURE_FEDERATED_TOKEN_FILE=" + file},
			[]string{"AZURE_CLIENT_ID is not set"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := configOf(tt.env...)
			wrong, ok := errors.AsType[*settingsError](err)
			if !ok || len(wrong.problems) != len(tt.want) {
				t.Fatalf("config = %v, want %d problems", err, len(tt.want))
			}
			for i, want := range tt.want {
				if !strings.HasPrefix(wrong.problems[i], want) {
					t.Errorf("problem %q, want %q", wrong.problems[i], want)
				}
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("a secret is shown: %v", err)
			}
		})
	}
}

// What only the credential itself can find wrong is named by its setting, too.
func TestUnusableCredentialIsNamed(t *testing.T) {
	tests := []struct{ env, want string }{
		{"AZURE_CLIENT_CERTIFICATE_PATH=" + fileOf(t, []byte("canary")), "AZURE_CLIENT_CERTIFICATE_PATH cannot be used: "},
		{"AZURE_CLIENT_CERTIFICATE_PATH=" + certificateFile(t, -24*time.Hour), "ended on " + time.Now().Add(-24*time.Hour).UTC().Format(time.DateOnly)},
		{"AZURE_FEDERATED_TOKEN_FILE=" + fileOf(t, nil), "AZURE_FEDERATED_TOKEN_FILE cannot be used: "},
	}
	for _, tt := range tests {
		c, err := configOf("AZURE_CLIENT_SECRET=", tt.env)
		if err != nil {
			t.Fatal(err)
		}
		_, err = newCredential(c, http.DefaultTransport, slog.New(slog.DiscardHandler))
		if _, ok := errors.AsType[*settingsError](err); !ok || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %q", tt.env, err, tt.want)
		}
	}
}

func TestClouds(t *testing.T) {
	type addresses struct{ Authority, Graph, SharePoint string }
	tests := []struct {
		env  []string
		want addresses
	}{
		{nil, addresses{"https://login.microsoftonline.com", "https://graph.microsoft.com", "https://contoso-admin.sharepoint.com"}},
		{
			[]string{"AZURE_CLOUD=usgov", "AZURE_TENANT_ID=Contoso.onmicrosoft.us"},
			addresses{"https://login.microsoftonline.us", "https://graph.microsoft.us", "https://contoso-admin.sharepoint.us"},
		},
		{
			[]string{"AZURE_CLOUD=usgov-dod", "AZURE_TENANT_ID=contoso.onmicrosoft.us"},
			addresses{"https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "https://contoso-admin.sharepoint-mil.us"},
		},
		{
			[]string{"AZURE_CLOUD=china", "AZURE_TENANT_ID=contoso.partner.onmschina.cn"},
			addresses{"https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn", "https://contoso-admin.sharepoint.cn"},
		},
		{
			[]string{"AZURE_CLOUD=usgov", "AZURE_AUTHORITY_HOST=https://login.contoso.com", "GRAPH_URL=https://graph.contoso.com", "SHAREPOINT_ADMIN_URL=https://admin.contoso.com/"},
			addresses{"https://login.contoso.com", "https://graph.contoso.com", "https://admin.contoso.com"},
		},
		{
			[]string{"GRAPH_URL=https://graph.contoso.com"},
			addresses{"https://login.microsoftonline.com", "https://graph.contoso.com", "https://contoso-admin.sharepoint.com"},
		},
	}
	for _, tt := range tests {
		c, err := configOf(append([]string{"AZURE_CLIENT_SECRET=", "AZURE_USE_MANAGED_IDENTITY=true", "REVOKER=sharepoint"}, tt.env...)...)
		if err != nil {
			t.Errorf("%v: %v", tt.env, err)
			continue
		}
		if diff := cmp.Diff(tt.want, addresses{c.authority, c.graph, c.sharePoint}); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.env, diff)
		}
	}
}

func TestSharePointHasToBeFound(t *testing.T) {
	for _, tenant := range []string{"72f988bf-86f1-41af-91ab-2d7cd011db47", "contoso.com", "a.contoso.onmicrosoft.com", "contoso.onmicrosoft.com.evil.fabrikam.com"} {
		env := []string{"AZURE_CLIENT_SECRET=", "AZURE_USE_MANAGED_IDENTITY=true", "AZURE_TENANT_ID=" + tenant}
		_, err := configOf(append(env, "REVOKER=both")...)
		wrong, ok := errors.AsType[*settingsError](err)
		if !ok || len(wrong.problems) != 1 || !strings.HasPrefix(wrong.problems[0], "SHAREPOINT_ADMIN_URL is not set") {
			t.Errorf("%s: %v, want one problem with SHAREPOINT_ADMIN_URL", tenant, err)
		}
		if _, err := configOf(env...); err != nil {
			t.Errorf("%s: %v, want none without SharePoint", tenant, err)
		}
		c, err := configOf(append(env, "REVOKER=both", "SHAREPOINT_ADMIN_URL=https://contoso-admin.sharepoint.com")...)
		if err != nil || c.sharePoint != "https://contoso-admin.sharepoint.com" {
			t.Errorf("%s: %q, %v", tenant, c.sharePoint, err)
		}
	}
}
