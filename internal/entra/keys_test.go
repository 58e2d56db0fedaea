package entra

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

const password = "p4ssw0rd~of~the~pfx"

// Keys are slow to make, so all tests share these.
var (
	oneKey     = sync.OnceValue(newRSAKey)
	anotherKey = sync.OnceValue(newRSAKey)
)

func newRSAKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

func newECKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue returns a self-signed certificate that begins and ends so long from now.
func issue(t *testing.T, key crypto.Signer, begins, ends time.Duration) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	plan := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Revoke Session"},
		NotBefore: now.Add(begins), NotAfter: now.Add(ends),
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func good(t *testing.T) *x509.Certificate {
	t.Helper()
	return issue(t, oneKey(), -time.Hour, 24*time.Hour)
}

func pemBlock(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func certPEM(cert *x509.Certificate) []byte { return pemBlock("CERTIFICATE", cert.Raw) }

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pemBlock("PRIVATE KEY", der)
}

// pairPEM is a certificate with its key, as the file of a setting.
func pairPEM(t *testing.T, cert *x509.Certificate, key crypto.Signer) []byte {
	t.Helper()
	return slices.Concat(certPEM(cert), keyPEM(t, key))
}

func pfx(t *testing.T, encoder *pkcs12.Encoder, cert *x509.Certificate, key crypto.Signer, password string, others ...*x509.Certificate) []byte {
	t.Helper()
	blob, err := encoder.Encode(key, cert, others, password)
	if err != nil {
		t.Fatal(err)
	}
	return blob
}

// put writes a file; each version has a time of its own, however fast they follow.
func put(t *testing.T, path string, version int, blob []byte) {
	t.Helper()
	if err := os.WriteFile(path, blob, 0o600); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 1, 0, version, 0, 0, time.UTC)
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func tempFile(t *testing.T, blob []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	put(t, path, 0, blob)
	return path
}
