package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// What Options.Credential may say.
const (
	bySecret          = "secret"
	byCertificate     = "certificate"
	byPFX             = "pfx"
	byFederation      = "federated"
	byManagedIdentity = "managed-identity"
)

// material is what the one app has to prove itself with: the half that the bot
// is given, and the half that Entra knows. Sandbox.mu guards it once the
// sandbox runs.
type material struct {
	kind        string
	folder      string            // holds the files, "" if there are none
	secret      string            // of the app, "" if it has none
	certificate *x509.Certificate // registered with the app; nil: none
	pfxPassword string

	clusterKey *rsa.PrivateKey // signs the tokens of the cluster that the app trusts
	newest     string          // the only token of the cluster that still counts

	identityHeader string // of the managed identity

	assertions map[string]time.Time // jti of each assertion accepted, with the end of its life
}

func newMaterial(kind string) (material, error) {
	if kind == "" {
		kind = bySecret
	}
	if known := []string{bySecret, byCertificate, byPFX, byFederation, byManagedIdentity}; !slices.Contains(known, kind) {
		return material{}, fmt.Errorf("credential %q is not known; use one of: %s", kind, strings.Join(known, ", "))
	}
	return material{kind: kind, assertions: map[string]time.Time{}}, nil
}

// make creates keys, secrets and files. It fills m as far as it gets, so that
// the folder can be removed in any case.
func (m *material) make(now time.Time) (err error) {
	switch m.kind {
	case bySecret:
		m.secret = "sbx8Q~" + randomHex(17)
		return nil
	case byManagedIdentity:
		m.identityHeader = strings.ToUpper(randomHex(16))
		return nil
	}
	if m.folder, err = os.MkdirTemp("", "revoke-session-sandbox-"); err != nil {
		return err
	}
	if m.kind == byFederation {
		if m.clusterKey, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
			return err
		}
		return m.rotate(now)
	}
	m.pfxPassword = randomHex(12)
	certificate, key, err := newClientCertificate(now)
	if err != nil {
		return err
	}
	return m.register(certificate, key)
}

func (m *material) path() string {
	return filepath.Join(m.folder, map[string]string{byCertificate: "client.pem", byPFX: "client.pfx", byFederation: "token"}[m.kind])
}

// env is what the bot is told about its credential, and no more.
func (m *material) env(identityURL string) []string {
	switch m.kind {
	case byCertificate:
		return []string{"AZURE_CLIENT_CERTIFICATE_PATH=" + m.path()}
	case byPFX:
		return []string{"AZURE_CLIENT_CERTIFICATE_PATH=" + m.path(), "AZURE_CLIENT_CERTIFICATE_PASSWORD=" + m.pfxPassword}
	case byFederation:
		return []string{"AZURE_FEDERATED_TOKEN_FILE=" + m.path()}
	case byManagedIdentity:
		return []string{
			"AZURE_USE_MANAGED_IDENTITY=true", "IDENTITY_ENDPOINT=" + identityURL + identityPath, "IDENTITY_HEADER=" + m.identityHeader,
		}
	default:
		return []string{"AZURE_CLIENT_SECRET=" + m.secret}
	}
}

// register writes the key pair to its file and knows the certificate from then
// on instead of the one before.
func (m *material) register(certificate *x509.Certificate, key *rsa.PrivateKey) error {
	var content []byte
	var err error
	if m.kind == byPFX {
		content, err = pkcs12.Modern.Encode(key, certificate, nil, m.pfxPassword)
	} else {
		content, err = pemFile(certificate, key)
	}
	if err != nil {
		return err
	}
	if err := replaceFile(m.path(), content); err != nil {
		return err
	}
	m.certificate = certificate
	return nil
}

func pemFile(certificate *x509.Certificate, key *rsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return slices.Concat(
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	), nil
}

// rotate writes a new token of the cluster to its file; the one before ends.
func (m *material) rotate(now time.Time) error {
	token, err := m.clusterToken(now)
	if err != nil {
		return err
	}
	if err := replaceFile(m.path(), []byte(token)); err != nil {
		return err
	}
	m.newest = token
	return nil
}

// ReplaceCertificate makes a new key pair, registers its certificate with the
// app instead of the old one, and puts it into the same file at once. The old
// key is refused from then on; tokens that were issued stay valid. It returns an
// error unless Options.Credential is "certificate" or "pfx".
func (s *Sandbox) ReplaceCertificate() error {
	s.mu.Lock()
	now := s.now()
	s.mu.Unlock()
	certificate, key, err := newClientCertificate(now) // takes its time
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.material.certificate == nil {
		return fmt.Errorf("the credential is %q: there is no certificate to replace", s.material.kind)
	}
	defer s.touch()
	return s.material.register(certificate, key)
}

// RotateFederatedToken puts a new token into the federated token file at once,
// as a cluster does before a token ends. Only the newest token is accepted. It
// returns an error unless Options.Credential is "federated".
func (s *Sandbox) RotateFederatedToken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.material.clusterKey == nil {
		return fmt.Errorf("the credential is %q: there is no token to rotate", s.material.kind)
	}
	defer s.touch()
	return s.material.rotate(s.now())
}

func newClientCertificate(now time.Time) (*x509.Certificate, *rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: botName + " in the sandbox"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(30 * 24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return certificate, key, err
}

// replaceFile changes path from its old content to the new one with nothing in
// between that a reader could see. The file is for its owner only.
func replaceFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".new-*") // made with mode 0600
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
