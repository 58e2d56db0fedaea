package entra

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// NewCertificateCredential returns the credential of an app with a certificate.
// The file at path holds it with its RSA key, as PEM or as PFX (PKCS #12);
// password is the PFX's. The file may be replaced at any time: the next token is
// asked for with what is in it then. See NewSecretCredential for the rest.
func NewCertificateCredential(
	authority, tenant, clientID, path, password string, transport http.RoundTripper, log *slog.Logger,
) (*Credential, error) {
	file := &certificateFile{path: path, password: password, log: log}
	if _, err := file.load(); err != nil {
		return nil, fmt.Errorf("certificate file %s: %w", path, err)
	}
	return newCredential(&Credential{
		op:      "token",
		build:   app{authority, tenant, clientID, transport}.signInWith(func() confidential.Credential { return file.loaded.credential }),
		changed: file.changed,
	})
}

// certificateFile is a certificate on disk and what was last loaded of it. Not
// safe for concurrent use.
type certificateFile struct {
	path, password string
	log            *slog.Logger

	loaded keyPair
	seen   stamp     // of the file when it was last read, usable or not
	again  time.Time // if not zero: read it again then, even if it has not changed
}

// rereadAfter is when a file that could not be used is read again.
const rereadAfter = 30 * time.Second

// stamp is how a change is noticed without reading. It is zero without a file.
type stamp struct {
	modified time.Time
	size     int64
}

func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

// changed looks at the file and reports whether there is another usable
// certificate in it now. If what is there cannot be used it says so once, and the
// old one goes on working: perhaps the file is only half written.
func (f *certificateFile) changed() bool {
	now := stampOf(f.path)
	same := now.size == f.seen.size && now.modified.Equal(f.seen.modified)
	if same && (f.again.IsZero() || time.Now().Before(f.again)) {
		return false
	}
	other, err := f.load()
	if err != nil && f.again.IsZero() {
		f.again = time.Now().Add(rereadAfter) // it may become readable without changing
	}
	if err != nil && !same {
		f.log.Warn("certificate file cannot be used; the certificate loaded before stays in use", "path", f.path, "error", err)
	}
	return other
}

// load reads the file and reports whether it holds another certificate than
// before.
func (f *certificateFile) load() (bool, error) {
	f.seen, f.again = stampOf(f.path), time.Time{} // before reading: a change during it is a change
	blob, err := os.ReadFile(f.path)
	if err != nil {
		return false, err
	}
	pair, err := parseKeyPair(blob, f.password)
	if err != nil {
		return false, err
	}
	if err := pair.inForce(time.Now()); err != nil {
		if early, ok := errors.AsType[*notYetError](err); ok {
			f.again = early.from
		}
		return false, err
	}
	if f.loaded.leaf != nil && bytes.Equal(f.loaded.leaf.Raw, pair.leaf.Raw) {
		return false, nil
	}
	f.loaded = pair
	f.log.Info("certificate loaded", "thumbprint", pair.thumbprint(), "ends", day(pair.leaf.NotAfter))
	return true, nil
}
