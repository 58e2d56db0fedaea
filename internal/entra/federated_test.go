package entra

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFederatedTokenIsReadAtEveryUse(t *testing.T) {
	path := tempFile(t, []byte("eyJ-first\n"))
	m := start(t, ok)
	var sent []string
	m.proof = func(form url.Values) { sent = append(sent, form.Get("client_assertion")) }
	c, err := NewFederatedCredential(m.login.URL, tenant, clientID, path, m.transport)
	if err != nil {
		t.Fatal(err)
	}
	for i, content := range []string{"eyJ-first\n", "eyJ-second"} {
		put(t, path, i, []byte(content))
		for range 3 {
			if _, err := m.apiOf(c, Effects).Do(t.Context(), "try", "POST", "/v1.0/x", nil, nil); err != nil {
				t.Fatal(err)
			}
		}
		c.renew(m.service.URL, token, 0)
	}
	if got := strings.Join(sent, " "); got != "eyJ-first eyJ-second" {
		t.Errorf("assertions were %q, want each once", got)
	}
}

func TestFederatedTokenCannotBeRead(t *testing.T) {
	path := tempFile(t, []byte("canary"))
	m := start(t, ok)
	c, err := NewFederatedCredential(m.login.URL, tenant, clientID, path, m.transport)
	if err != nil {
		t.Fatal(err)
	}
	check := func(want string) {
		t.Helper()
		_, err := m.apiOf(c, Effects).Do(t.Context(), "try", "POST", "/v1.0/x", nil, nil)
		e := asError(t, err)
		if e.System != SystemEntra || e.Status != 0 || !strings.Contains(e.Error(), want) || strings.Contains(e.Error(), "canary") {
			t.Errorf("error = %v, want one of Entra that says %q", e, want)
		}
	}
	put(t, path, 1, []byte(" \n"))
	check("is empty")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	check("no such file")
	if n := m.tokenRequests(); n != 0 || len(m.seen()) != 0 {
		t.Errorf("%d token requests and %d calls, want none", n, len(m.seen()))
	}
	put(t, path, 2, []byte("canary"))
	m.proof = func(url.Values) {}
	if _, err := c.Token(t.Context(), m.service.URL); err != nil {
		t.Errorf("with the file back: %v", err)
	}
}

func TestFederatedTokenFileIsNeededAtStart(t *testing.T) {
	for path, want := range map[string]string{
		filepath.Join(t.TempDir(), "missing"): "no such file",
		tempFile(t, []byte("\n")):             "is empty",
		t.TempDir():                           "is a directory",
	} {
		_, err := NewFederatedCredential(PublicAuthority, tenant, clientID, path, &refuse{})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("error = %v, want %q and %s", err, want, path)
		}
	}
}

// Entra may well quote the assertion that it refuses.
func TestRefusedAssertionIsNotRepeated(t *testing.T) {
	m := start(t, ok)
	m.entra = says(401, `{"error":"invalid_client","error_description":"AADSTS700024: Client assertion canary is not within its valid time range."}`)
	c, err := NewFederatedCredential(m.login.URL, tenant, clientID, tempFile(t, []byte("canary")), m.transport)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.apiOf(c, Reads).Do(t.Context(), "try", "GET", "/v1.0/x", nil, nil)
	if e := asError(t, err); e.Code != "AADSTS700024" || strings.Contains(e.Error()+m.log.String(), "canary") {
		t.Errorf("error = %v, log %s; want the code and no assertion", e, m.log.String())
	}
}
