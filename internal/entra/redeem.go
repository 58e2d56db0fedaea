package entra

import (
	"context"
	"errors"

	"github.com/AzureAD/microsoft-authentication-library-for-go/apps/confidential"
)

// ErrNoApp is returned by Redeem for a credential that is no app registration's.
var ErrNoApp = errors.New("a managed identity cannot sign people in: use a secret, a certificate or a federated token")

// redeemer is a signIn of an app registration.
type redeemer interface {
	redeem(ctx context.Context, code, redirectURI, verifier string) (string, error)
}

// Redeem exchanges the code of a person's sign-in for their ID token, as Entra sent it:
// nothing in it is verified. A code can be redeemed once. Its error is an *Error of
// SystemEntra, or ErrNoApp.
func (c *Credential) Redeem(ctx context.Context, code, redirectURI, verifier string) (idToken string, err error) {
	r, ok := c.current().(redeemer)
	if !ok {
		return "", ErrNoApp
	}
	if idToken, err = r.redeem(ctx, code, redirectURI, verifier); err != nil {
		return "", tokenError("redeem code", err)
	}
	return idToken, nil
}

func (s appSignIn) redeem(ctx context.Context, code, redirectURI, verifier string) (string, error) {
	got, err := s.client.AcquireTokenByAuthCode(ctx, code, redirectURI, []string{"openid", "profile"}, confidential.WithChallenge(verifier))
	if err != nil {
		return "", err
	}
	_ = s.client.RemoveAccount(ctx, got.Account) // who the person is, is all that is wanted of them
	return got.IDToken.RawToken, nil
}
