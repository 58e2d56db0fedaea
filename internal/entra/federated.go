package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// NewFederatedCredential returns the credential of an app that trusts another
// identity provider (workload identity federation): tokenFile holds a token of
// that provider, which is exchanged for one of Entra's. Whoever writes the file
// replaces it often, so it is read every time it is needed. See
// NewSecretCredential for the rest.
func NewFederatedCredential(authority, tenant, clientID, tokenFile string, transport http.RoundTripper) (*Credential, error) {
	if _, err := readAssertion(tokenFile); err != nil {
		return nil, err
	}
	cred := confidential.NewCredFromAssertionCallback(
		func(context.Context, confidential.AssertionRequestOptions) (string, error) {
			return readAssertion(tokenFile)
		})
	return newCredential(&Credential{
		op:    "token",
		build: app{authority, tenant, clientID, transport}.signInWith(func() confidential.Credential { return cred }),
	})
}

func readAssertion(path string) (string, error) {
	blob, err := os.ReadFile(path) //nolint:gosec // the operator's choice
	if err != nil {
		return "", &fileError{"federated token file cannot be read", err}
	}
	assertion := strings.TrimSpace(string(blob))
	if assertion == "" {
		return "", &fileError{"federated token file is of no use", errors.New(path + " is empty")}
	}
	return assertion, nil
}

// fileError is a file that could not be used. It names the file and quotes
// nothing of it, so it may be shown.
type fileError struct {
	what string
	err  error
}

func (e *fileError) Error() string { return fmt.Sprintf("%s: %v", e.what, e.err) }

func (e *fileError) Unwrap() error { return e.err }
