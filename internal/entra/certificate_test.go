package entra

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

func (m *microsoft) certificate(path, password string) *Credential {
	m.t.Helper()
	c, err := NewCertificateCredential(m.login.URL, tenant, clientID, path, password, m.transport, m.logger())
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

func thumbprintOf(cert *x509.Certificate) string { return fmt.Sprintf("%X", sha1.Sum(cert.Raw)) }

// signedBy checks a token request's assertion against a certificate, without
// MSAL's or a JWT library's help.
// learn.microsoft.com/entra/identity-platform/certificate-credentials
func (m *microsoft) signedBy(form url.Values, cert *x509.Certificate) {
	m.t.Helper()
	if form.Get("client_secret") != "" || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
		m.t.Errorf("token request is not one with an assertion: %v", form)
	}
	parts := strings.Split(form.Get("client_assertion"), ".")
	if len(parts) != 3 {
		m.t.Fatalf("assertion has %d parts, want 3", len(parts))
	}
	var header struct{ Alg, Typ, X5t string }
	var rawHeader map[string]any
	var claims struct {
		Aud, Iss, Sub, Jti string
		Exp, Nbf           int64
	}
	decode := func(part string, out any) {
		blob, err := base64.RawURLEncoding.DecodeString(part)
		if err == nil {
			err = json.Unmarshal(blob, out)
		}
		if err != nil {
			m.t.Errorf("assertion: %v", err)
		}
	}
	decode(parts[0], &header)
	decode(parts[0], &rawHeader)
	decode(parts[1], &claims)
	sum := sha256.Sum256(cert.Raw)
	if got, want := rawHeader["x5t#S256"], base64.StdEncoding.EncodeToString(sum[:]); header.Alg != "PS256" || got != want {
		m.t.Errorf("assertion is %s of the certificate %v, want PS256 of %s", header.Alg, got, want)
	}
	if endpoint := m.login.URL + "/" + tenant + "/oauth2/v2.0/token"; claims.Aud != endpoint || claims.Iss != clientID || claims.Sub != clientID || claims.Jti == "" {
		m.t.Errorf("assertion claims %+v, want %s for %s", claims, clientID, endpoint)
	}
	if now := time.Now().Unix(); claims.Nbf > now || claims.Exp <= now || claims.Exp > now+15*60 {
		m.t.Errorf("assertion lasts from %d to %d, now is %d", claims.Nbf, claims.Exp, now)
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		m.t.Errorf("assertion: %v", err)
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPSS(cert.PublicKey.(*rsa.PublicKey), crypto.SHA256, digest[:], signature, nil); err != nil {
		m.t.Errorf("assertion: %v", err)
	}
}

func TestCertificateSignsTheTokenRequest(t *testing.T) {
	cert := good(t)
	ca := issue(t, anotherKey(), -time.Hour, time.Hour)
	pkcs1 := pemBlock("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(oneKey()))
	tests := []struct {
		name, password string
		blob           []byte
	}{
		{"PEM", "", pairPEM(t, cert, oneKey())},
		{"PEM, key first and in the old form", "", slices.Concat(pkcs1, certPEM(cert))},
		{"PEM, with words and a chain", "", slices.Concat([]byte("0 Bag Attributes\n"), certPEM(ca), pairPEM(t, cert, oneKey()))},
		{"PFX", password, pfx(t, pkcs12.Modern, cert, oneKey(), password)},
		{"PFX in the old form", password, pfx(t, pkcs12.Legacy, cert, oneKey(), password)},
		{"PFX without a password", "", pfx(t, pkcs12.Modern, cert, oneKey(), "")},
		{"PFX with a chain", password, pfx(t, pkcs12.Modern, cert, oneKey(), password, ca)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := start(t, ok)
			m.proof = func(form url.Values) { m.signedBy(form, cert) }
			c := m.certificate(tempFile(t, tt.blob), tt.password)
			for range 3 {
				if _, err := m.apiOf(c, Reads).Do(t.Context(), "try", "GET", "/v1.0/x", nil, nil); err != nil {
					t.Fatal(err)
				}
			}
			if m.tokens != 1 {
				t.Errorf("%d tokens fetched for 3 calls, want 1", m.tokens)
			}
			if log := m.log.String(); !strings.Contains(log, thumbprintOf(cert)) || !strings.Contains(log, day(cert.NotAfter)) || strings.Contains(log, password) {
				t.Errorf("log lacks the thumbprint or the end, or has the password: %s", log)
			}
		})
	}
}

func TestCertificateIsReplacedWhileRunning(t *testing.T) {
	first, second := good(t), issue(t, anotherKey(), -time.Hour, 48*time.Hour)
	path := tempFile(t, pairPEM(t, first, oneKey()))
	m := start(t, ok)
	want := first
	m.proof = func(form url.Values) { m.signedBy(form, want) }
	c := m.certificate(path, password)
	steps := []struct {
		name   string
		blob   []byte // nil: no file
		cert   *x509.Certificate
		tokens int
		warned int
	}{
		{"as it was", pairPEM(t, first, oneKey()), first, 1, 0},
		{"half written", pairPEM(t, second, anotherKey())[:1500], first, 1, 1},
		{"empty", []byte{}, first, 1, 2},
		{"gone", nil, first, 1, 3},
		{"written, as PFX", pfx(t, pkcs12.Modern, second, anotherKey(), password), second, 2, 3},
		{"over", pairPEM(t, issue(t, oneKey(), -2*time.Hour, -time.Hour), oneKey()), second, 2, 4},
		{"back", pairPEM(t, first, oneKey()), first, 3, 4},
	}
	for i, step := range steps {
		if step.blob == nil {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else {
			put(t, path, i, step.blob)
		}
		want = step.cert
		for range 3 { // what is broken is said once
			if _, err := c.Token(t.Context(), m.service.URL); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
		}
		if got := m.tokenRequests(); got != step.tokens {
			t.Errorf("%s: %d tokens fetched so far, want %d", step.name, got, step.tokens)
		}
		if got := strings.Count(m.log.String(), "level=WARN"); got != step.warned {
			t.Errorf("%s: %d warnings so far, want %d:\n%s", step.name, got, step.warned, m.log.String())
		}
	}
	if log := m.log.String(); !strings.Contains(log, thumbprintOf(second)) || strings.Contains(log, password) || strings.Contains(log, "BEGIN") {
		t.Errorf("log lacks the second thumbprint or has a secret: %s", log)
	}
}

// Clocks differ: a certificate can be here a moment before it begins.
func TestCertificateThatBeginsLaterIsUsedThen(t *testing.T) {
	first, key := oneKey(), anotherKey() // outside the bubble, whose time stands still meanwhile
	synctest.Test(t, func(t *testing.T) {
		m := microsoft{t: t}
		path := tempFile(t, pairPEM(t, issue(t, first, -time.Hour, 24*time.Hour), first))
		file := &certificateFile{path: path, log: m.logger()}
		if loaded, err := file.load(); !loaded || err != nil {
			t.Fatalf("load = %v, %v", loaded, err)
		}
		next := issue(t, key, time.Minute, 48*time.Hour)
		put(t, path, 1, pairPEM(t, next, key))
		for range 2 {
			if file.changed() {
				t.Error("a certificate was used before it begins")
			}
		}
		time.Sleep(time.Minute)
		if !file.changed() || !file.loaded.leaf.Equal(next) || file.changed() {
			t.Error("the certificate was not used once when it began")
		}
		if log := m.log.String(); strings.Count(log, "level=WARN") != 1 {
			t.Errorf("want one warning: %s", log)
		}
	})
}

func TestCertificateIsRefused(t *testing.T) {
	cert := good(t)
	ec := newECKey(t)
	ecCert := issue(t, ec, -time.Hour, time.Hour)
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	over, early := issue(t, oneKey(), -48*time.Hour, -24*time.Hour), issue(t, oneKey(), 24*time.Hour, 48*time.Hour)
	oldCipher := []byte("-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n")
	tests := []struct {
		name, password string
		blob           []byte
		want           string
	}{
		{"over", "", pairPEM(t, over, oneKey()), "certificate " + thumbprintOf(over) + " ended on " + day(over.NotAfter)},
		{"not begun", "", pairPEM(t, early, oneKey()), "certificate " + thumbprintOf(early) + " begins on " + day(early.NotBefore)},
		{"wrong password", "canary", pfx(t, pkcs12.Modern, cert, oneKey(), password), "the password does not open the PFX"},
		{"wrong password, old form", "canary", pfx(t, pkcs12.Legacy, cert, oneKey(), password), "the password does not open the PFX"},
		{"no password", "", pfx(t, pkcs12.Modern, cert, oneKey(), password), "the PFX has a password, and none is set"},
		{"PFX cut short", password, pfx(t, pkcs12.Modern, cert, oneKey(), password)[:1000], "reading PFX"},
		{"PEM cut short", "", pairPEM(t, cert, oneKey())[:1500], "no private key"},
		{"PEM without a key", "", certPEM(cert), "no private key"},
		{"DER without a key", "", cert.Raw, "no private key"},
		{"key without a certificate", "", keyPEM(t, oneKey()), "no certificate"},
		{"key of another", "", pairPEM(t, cert, anotherKey()), "does not belong to its certificate"},
		{"PFX with the key of another", "", pfx(t, pkcs12.Modern, cert, anotherKey(), ""), "does not belong to its certificate"},
		{"EC", "", pairPEM(t, ecCert, ec), "not an RSA key"},
		{"EC in the old form", "", slices.Concat(certPEM(ecCert), pemBlock("EC PRIVATE KEY", sec1)), "not an RSA key"},
		{"EC in a PFX", "", pfx(t, pkcs12.Modern, ecCert, ec, ""), "not an RSA key"},
		{"encrypted PEM", password, slices.Concat(certPEM(cert), pemBlock("ENCRYPTED PRIVATE KEY", []byte{1})), "make one (openssl pkcs12 -export)"},
		{"encrypted PEM in the old form", password, slices.Concat(certPEM(cert), oldCipher), "make one (openssl pkcs12 -export)"},
		{"damaged key", "", slices.Concat(certPEM(cert), pemBlock("PRIVATE KEY", []byte("canary"))), "reading PEM"},
		{"something else", "", []byte("canary"), "neither PEM nor PFX"},
		{"empty", "", nil, "neither PEM nor PFX"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := tempFile(t, tt.blob)
			m := microsoft{t: t}
			_, err := NewCertificateCredential(PublicAuthority, tenant, clientID, path, tt.password, &refuse{}, m.logger())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error = %v, want %q and the path", err, tt.want)
			}
			if said := fmt.Sprint(err, m.log.String()); strings.Contains(said, "canary") || strings.Contains(said, password) || strings.Contains(said, "BEGIN") {
				t.Errorf("a secret is in %q", said)
			}
		})
	}
	missing := filepath.Join(t.TempDir(), "missing.pfx")
	m := microsoft{t: t}
	if _, err := NewCertificateCredential(PublicAuthority, tenant, clientID, missing, "", &refuse{}, m.logger()); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("error = %v, want one that names %s", err, missing)
	}
	if _, err := NewCertificateCredential("http://login", tenant, clientID, tempFile(t, pairPEM(t, cert, oneKey())), "", &refuse{}, m.logger()); err == nil {
		t.Error("an authority without TLS was accepted")
	}
}
