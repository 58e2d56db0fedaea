package sandbox

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// keyPair reads what the bot is given, as the bot would.
func (f *fixture) keyPair() (*x509.Certificate, *rsa.PrivateKey) {
	f.t.Helper()
	raw, err := os.ReadFile(f.env["AZURE_CLIENT_CERTIFICATE_PATH"])
	if err != nil {
		f.t.Fatal(err)
	}
	var key any
	var certificate *x509.Certificate
	if password, isPFX := f.env["AZURE_CLIENT_CERTIFICATE_PASSWORD"]; isPFX {
		key, certificate, err = pkcs12.Decode(raw, password)
	} else {
		first, rest := pem.Decode(raw)
		second, _ := pem.Decode(rest)
		if first == nil || second == nil || first.Type != "CERTIFICATE" || second.Type != "PRIVATE KEY" {
			f.t.Fatalf("not a certificate and a PKCS#8 key:\n%s", raw)
		}
		if certificate, err = x509.ParseCertificate(first.Bytes); err == nil {
			key, err = x509.ParsePKCS8PrivateKey(second.Bytes)
		}
	}
	if err != nil {
		f.t.Fatal(err)
	}
	rsaKey, ok := key.(*rsa.PrivateKey)
	if !ok || !rsaKey.PublicKey.Equal(certificate.PublicKey) {
		f.t.Fatalf("key %T does not belong to the certificate", key)
	}
	return certificate, rsaKey
}

func segment(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// signed makes a token of header and claims, with the algorithm of the header
// or, for one that is not RSA, with no signature.
func signed(t *testing.T, key *rsa.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	compact := segment(t, header) + "." + segment(t, claims)
	digest := sha256.Sum256([]byte(compact))
	var signature []byte
	var err error
	switch header["alg"] {
	case "RS256":
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case "PS256":
		signature, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
	}
	if err != nil {
		t.Fatal(err)
	}
	return compact + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// assertion is a good header and good claims.
func (f *fixture) assertion(certificate *x509.Certificate) (header, claims map[string]any) {
	sum := sha256.Sum256(certificate.Raw)
	header = map[string]any{"alg": "PS256", "typ": "JWT", "x5t#S256": base64.RawURLEncoding.EncodeToString(sum[:])}
	now := time.Now()
	return header, map[string]any{
		"aud": f.env["AZURE_AUTHORITY_HOST"] + "/" + tenantID + "/oauth2/v2.0/token", "iss": clientID, "sub": clientID,
		"jti": newGUID(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
	}
}

func (f *fixture) tokenByAssertion(assertion string, pairs ...string) (int, answer) {
	f.t.Helper()
	return f.tokenFor(append([]string{"client_assertion_type", assertionType, "client_assertion", assertion}, pairs...)...)
}

// refused reports whether Entra refused with that number.
func refused(a answer, number string) bool {
	return strings.HasPrefix(a.text("error_description"), "AADSTS"+number+": ") && a.text("access_token") == ""
}
