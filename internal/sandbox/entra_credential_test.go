package sandbox

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"software.sslmate.com/src/go-pkcs12"
)

func TestCredentialsInEnv(t *testing.T) {
	common := []string{
		"AZURE_AUTHORITY_HOST", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "GRAPH_URL", "SHAREPOINT_ADMIN_URL",
		"SLACK_API_URL", "SLACK_BOT_TOKEN", "SLACK_SIGNING_SECRET",
	}
	for kind, own := range map[string][]string{
		"":                {"AZURE_CLIENT_SECRET"},
		bySecret:          {"AZURE_CLIENT_SECRET"},
		byCertificate:     {"AZURE_CLIENT_CERTIFICATE_PATH"},
		byPFX:             {"AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_CLIENT_CERTIFICATE_PATH"},
		byFederation:      {"AZURE_FEDERATED_TOKEN_FILE"},
		byManagedIdentity: {"AZURE_USE_MANAGED_IDENTITY", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"},
	} {
		t.Run(kind, func(t *testing.T) {
			s, err := Start(Options{Credential: kind})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			file := ""
			for _, kv := range s.Env() {
				name, value, _ := strings.Cut(kv, "=")
				names = append(names, name)
				if value == "" {
					t.Errorf("%s is empty", name)
				}
				if strings.HasSuffix(name, "_PATH") || strings.HasSuffix(name, "_FILE") {
					file = value
				}
			}
			slices.Sort(names)
			if diff := cmp.Diff(slices.Sorted(slices.Values(slices.Concat(common, own))), names); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
			if file != "" {
				if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("%s: got %v, %v, want mode 0600", file, info, err)
				}
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			if file != "" {
				if _, err := os.Stat(filepath.Dir(file)); !os.IsNotExist(err) {
					t.Errorf("the folder is still there after Close: %v", err)
				}
			}
		})
	}
}

func TestUnknownCredential(t *testing.T) {
	s, err := Start(Options{Credential: "password"})
	if err == nil {
		s.Close()
		t.Fatal("want an error")
	}
	for _, name := range []string{`"password"`, "secret", "certificate", "pfx", "federated", "managed-identity"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("got %q, want it to name %s", err, name)
		}
	}
}

func TestPFX(t *testing.T) {
	f := startWith(t, byPFX)
	certificate, key := f.keyPair()
	header, claims := f.assertion(certificate)
	if status, got := f.tokenByAssertion(signed(t, key, header, claims)); status != 200 {
		t.Errorf("got %d %v", status, got)
	}
	raw, err := os.ReadFile(f.env["AZURE_CLIENT_CERTIFICATE_PATH"])
	if err != nil {
		t.Fatal(err)
	}
	for _, password := range []string{"", "x"} {
		if _, _, err := pkcs12.Decode(raw, password); err == nil {
			t.Errorf("the file opens with password %q", password)
		}
	}
}

func TestReplaceCertificate(t *testing.T) {
	for _, kind := range []string{byCertificate, byPFX} {
		t.Run(kind, func(t *testing.T) {
			f := startWith(t, kind)
			certificate, key := f.keyPair()
			header, claims := f.assertion(certificate)
			_, got := f.tokenByAssertion(signed(t, key, header, claims), "scope", f.env["SHAREPOINT_ADMIN_URL"]+"/.default")
			token := got.text("access_token")

			path := f.env["AZURE_CLIENT_CERTIFICATE_PATH"]
			if err := f.ReplaceCertificate(); err != nil {
				t.Fatal(err)
			}
			header, claims = f.assertion(certificate)
			if status, got := f.tokenByAssertion(signed(t, key, header, claims)); status != 401 || !refused(got, "700027") {
				t.Errorf("old key: got %d %v", status, got)
			}
			renewed, renewedKey := f.keyPair()
			header, claims = f.assertion(renewed)
			if status, got := f.tokenByAssertion(signed(t, renewedKey, header, claims)); status != 200 {
				t.Errorf("new key: got %d %v", status, got)
			}
			if response, body := f.sharePoint(sharePointCall{token: token}); body != `{"State":4}` {
				t.Errorf("token from before: got %d %s", response.StatusCode, body)
			}
			if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
				t.Errorf("the folder holds %v, %v, want the one file", entries, err)
			}
		})
	}
	f := start(t)
	if err := f.ReplaceCertificate(); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("without a certificate: got %v", err)
	}
	if err := f.RotateFederatedToken(); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("without a federated token: got %v", err)
	}
}
