package entra

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // not for security: the Entra portal shows certificates by it
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
	"software.sslmate.com/src/go-pkcs12"
)

// keyPair is a certificate with its private key.
type keyPair struct {
	leaf       *x509.Certificate
	credential confidential.Credential
}

// parseKeyPair reads PEM or PFX, whichever it is. Its errors quote nothing of
// the file.
func parseKeyPair(blob []byte, password string) (keyPair, error) {
	var certs []*x509.Certificate
	var key crypto.PrivateKey
	var err error
	switch {
	case len(blob) > 1 && blob[0] == 0x30 && blob[1]&0x80 != 0: // a DER sequence that is not short
		certs, key, err = fromPFX(blob, password)
	case bytes.Contains(blob, []byte("-----BEGIN ")):
		certs, key, err = fromPEM(blob)
	default:
		err = errors.New("it is neither PEM nor PFX (PKCS #12)")
	}
	if err != nil {
		return keyPair{}, err
	}
	private, ok := key.(*rsa.PrivateKey)
	if !ok {
		return keyPair{}, errNotRSA
	}
	credential, err := confidential.NewCredFromCert(certs, private)
	for _, cert := range certs {
		if err == nil && private.PublicKey.Equal(cert.PublicKey) {
			return keyPair{cert, credential}, nil
		}
	}
	return keyPair{}, errors.New("its private key does not belong to its certificate: put the two that belong together into one file")
}

var (
	errNotRSA = errors.New("its private key is not an RSA key, and the token request can be signed with no other: make an RSA certificate")
	errNoKey  = errors.New("it holds no private key: export the certificate together with its key")
)

func fromPEM(blob []byte) ([]*x509.Certificate, crypto.PrivateKey, error) {
	kinds := map[string]bool{}
	for block, rest := pem.Decode(blob); block != nil; block, rest = pem.Decode(rest) {
		kinds[block.Type] = true
		if block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "" {
			return nil, nil, errors.New("its private key is encrypted, which is supported in a PFX only: make one (openssl pkcs12 -export), " +
				"or an unencrypted key in a file that only the bot can read (openssl pkcs8 -topk8 -nocrypt)")
		}
	}
	switch {
	case !kinds["CERTIFICATE"]:
		return nil, nil, errors.New("it holds no certificate: put the certificate and its private key into one file")
	case kinds["EC PRIVATE KEY"]:
		return nil, nil, errNotRSA
	case !kinds["PRIVATE KEY"] && !kinds["RSA PRIVATE KEY"]:
		return nil, nil, errNoKey
	}
	certs, key, err := confidential.CertFromPEM(blob, "")
	if err != nil {
		return nil, nil, fmt.Errorf("reading PEM: %w", err)
	}
	return certs, key, nil
}

func fromPFX(blob []byte, password string) ([]*x509.Certificate, crypto.PrivateKey, error) {
	if _, err := x509.ParseCertificate(blob); err == nil {
		return nil, nil, errNoKey
	}
	key, leaf, others, err := pkcs12.DecodeChain(blob, password)
	switch {
	case errors.Is(err, pkcs12.ErrIncorrectPassword) && password == "":
		return nil, nil, errors.New("the PFX has a password, and none is set")
	case errors.Is(err, pkcs12.ErrIncorrectPassword), errors.Is(err, pkcs12.ErrDecryption):
		return nil, nil, errors.New("the password does not open the PFX")
	case err != nil:
		return nil, nil, fmt.Errorf("reading PFX: %w", err)
	}
	return append([]*x509.Certificate{leaf}, others...), key, nil
}

// thumbprint is the certificate's name in the Entra portal.
func (p keyPair) thumbprint() string {
	sum := sha1.Sum(p.leaf.Raw) //nolint:gosec // not for security
	return fmt.Sprintf("%X", sum)
}

// inForce returns an error if the certificate has ended or not begun.
func (p keyPair) inForce(now time.Time) error {
	if now.After(p.leaf.NotAfter) {
		return fmt.Errorf("certificate %s ended on %s: make a new one and upload it to the app registration", p.thumbprint(), day(p.leaf.NotAfter))
	}
	if now.Before(p.leaf.NotBefore) {
		return &notYetError{p.thumbprint(), p.leaf.NotBefore}
	}
	return nil
}

// notYetError is a certificate that will be good later.
type notYetError struct {
	thumbprint string
	from       time.Time
}

func (e *notYetError) Error() string {
	return fmt.Sprintf("certificate %s begins on %s only: wait, or set this machine's clock right", e.thumbprint, day(e.from))
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
