package sandbox

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"math/big"
	"net/http"
	"slices"
)

// signingKey is a key of Entra's that signs ID tokens.
type signingKey struct {
	id      string
	private *rsa.PrivateKey
}

func newSigningKey() (signingKey, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return signingKey{}, err
	}
	// The key id is a thumbprint, which the app takes as it is.
	sum := sha256.Sum256(private.N.Bytes())
	return signingKey{base64.RawURLEncoding.EncodeToString(sum[:20]), private}, nil
}

// currentKey makes the first key when it is needed: most sandboxes need none,
// and it takes its time. The caller holds mu.
func (s *Sandbox) currentKey() (signingKey, error) {
	if len(s.openID.keys) == 0 {
		key, err := newSigningKey()
		if err != nil {
			return signingKey{}, err
		}
		s.openID.keys = []signingKey{key}
	}
	return s.openID.keys[0], nil
}

// RotateSigningKey lets Entra sign with a new key from now on. The one before
// stays published, so that tokens it signed go on counting; older ones do not.
func (s *Sandbox) RotateSigningKey() error {
	key, err := newSigningKey()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.currentKey(); err != nil {
		return err
	}
	s.openID.keys = []signingKey{key, s.openID.keys[0]}
	s.touch()
	return nil
}

// publishKeys answers the JWKS endpoint. Entra adds the certificate of each key
// as x5c and x5t.
func (s *Sandbox) publishKeys(w *callWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.currentKey(); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	var keys []any
	for _, key := range s.openID.keys {
		keys = append(keys, map[string]any{
			"kty": "RSA", "use": "sig", "kid": key.id,
			"n":      base64.RawURLEncoding.EncodeToString(key.private.N.Bytes()),
			"e":      base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.private.E)).Bytes()),
			"issuer": s.issuer(tenantID),
		})
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": keys})
}

func (s *Sandbox) issuer(tenant string) string { return s.entraURL + "/" + tenant + "/v2.0" }

// idToken issues the ID token that belongs to code. The caller holds mu.
func (s *Sandbox) idToken(code *authorizationCode) (string, error) {
	key, err := s.currentKey()
	if err != nil {
		return "", err
	}
	header := map[string]any{"typ": "JWT", "alg": "RS256", "kid": key.id}
	claims := s.idClaims(code)
	if s.openID.forgery != "" {
		return s.forge(key, header, claims)
	}
	return signRS256(key.private, header, claims)
}

// idClaims are the claims of a v2.0 ID token.
// https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference
func (s *Sandbox) idClaims(code *authorizationCode) map[string]any {
	now, a, q := s.now(), code.account, code.request
	subject := sha256.Sum256([]byte(clientID + a.tenant() + a.id))
	claims := map[string]any{
		"ver": "2.0", "aud": clientID, "iss": s.issuer(a.tenant()), "tid": a.tenant(),
		"sub": base64.RawURLEncoding.EncodeToString(subject[:]), // pairwise: of this app and person
		"iat": now.Add(-idTokenBackdate).Unix(), "nbf": now.Add(-idTokenBackdate).Unix(), "exp": now.Add(idTokenLife).Unix(),
		"aio": randomHex(40), "rh": "1." + randomHex(20) + ".", "uti": randomHex(11),
	}
	if slices.Contains(q.scopes, "profile") { // which oid needs, too
		claims["oid"], claims["name"], claims["preferred_username"] = a.id, a.displayName, a.upn
	}
	if slices.Contains(q.scopes, "email") && a.mail != "" {
		claims["email"] = a.mail
	}
	if q.nonce != "" {
		claims["nonce"] = q.nonce
	}
	// auth_time is documented as an optional claim, which the app's manifest asks
	// for; that max_age brings it is OpenID Connect Core, 2, and no source shows
	// that Entra keeps to it.
	if q.maxAge != nil || s.openID.authTimeClaim {
		claims["auth_time"] = code.authTime.Unix()
	}
	// A list in Microsoft's samples. Each context counts as satisfied here: there
	// are no policies.
	if len(q.acrs) > 0 {
		claims["acrs"] = q.acrs
	}
	return claims
}
