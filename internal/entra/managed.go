package entra

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/managedidentity"
)

// NewManagedIdentityCredential returns the credential of the Azure resource that
// the process runs on: its system-assigned identity, or the user-assigned one
// that clientID names. Where the token comes from (App Service, Azure Arc, the
// virtual machine's metadata service, ...) MSAL finds out from the environment.
// It does no I/O beyond that.
//
// That endpoint keeps tokens of its own, which nobody can make it forget, so a
// permission granted after a refusal can take hours to show
// (learn.microsoft.com/entra/identity/managed-identities-azure-resources/
// managed-identity-best-practice-recommendations).
func NewManagedIdentityCredential(clientID string, transport http.RoundTripper) (*Credential, error) {
	source, err := managedidentity.GetSource()
	if err != nil {
		return nil, fmt.Errorf("managed identity: %w", err)
	}
	if source == managedidentity.ServiceFabric {
		// MSAL pins its endpoint's certificate on a bare http.Transport, which ours,
		// with retries around it, is not.
		return nil, errors.New("managed identity: Service Fabric is not supported; use a certificate or a federated token")
	}
	id := managedidentity.SystemAssigned()
	if clientID != "" {
		id = managedidentity.UserAssignedClientID(clientID)
	}
	client := retrying(direct(transport), identities)
	return newCredential(&Credential{op: "managed identity token", build: func() (signIn, error) {
		msal, err := managedidentity.New(id, managedidentity.WithHTTPClient(client), managedidentity.WithRetryPolicyDisabled())
		return &managedSignIn{client: msal, has: map[string]bool{}}, err
	}})
}

// direct is transport without a proxy: the endpoint is on this machine or on its
// link, and the request's header must not travel further.
func direct(transport http.RoundTripper) http.RoundTripper {
	plain, ok := transport.(*http.Transport)
	if !ok {
		return transport
	}
	plain = plain.Clone()
	plain.Proxy = nil
	return plain
}

// managedSignIn hides that MSAL has one cache of managed identities' tokens for
// the whole process: what a scope is first asked for passes it by.
type managedSignIn struct {
	client managedidentity.Client

	mu  sync.Mutex
	has map[string]bool // by scope: MSAL's cache holds a token that this fetched
}

func (s *managedSignIn) token(ctx context.Context, scope string) (string, bool, error) {
	s.mu.Lock()
	has := s.has[scope]
	s.mu.Unlock()
	var options []managedidentity.AcquireTokenOption
	if !has {
		// Any claims make MSAL ask anew, and it sends them nowhere; these claim nothing.
		options = append(options, managedidentity.WithClaims("{}"))
	}
	got, err := s.client.AcquireToken(ctx, scope, options...)
	if err != nil {
		return "", false, err
	}
	s.mu.Lock()
	s.has[scope] = true
	s.mu.Unlock()
	return got.AccessToken, got.Metadata.TokenSource == managedidentity.TokenSourceIdentityProvider, nil
}
