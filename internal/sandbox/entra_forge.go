package sandbox

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// forgeries are ways in which an ID token can be wrong by its claims.
func (s *Sandbox) forgeries() map[string]func(claims map[string]any) {
	move := func(claims map[string]any, by time.Duration) {
		for _, name := range []string{"iat", "nbf", "exp"} {
			claims[name] = claims[name].(int64) + int64(by.Seconds())
		}
	}
	return map[string]func(map[string]any){
		"expired":        func(c map[string]any) { move(c, -2*time.Hour) },
		"not-yet-valid":  func(c map[string]any) { move(c, 2*time.Hour) },
		"wrong-nonce":    func(c map[string]any) { c["nonce"] = randomHex(16) },
		"no-nonce":       func(c map[string]any) { delete(c, "nonce") },
		"wrong-audience": func(c map[string]any) { c["aud"] = newGUID() },
		"wrong-issuer":   func(c map[string]any) { c["iss"] = "https://login.fabrikam.com/" + tenantID + "/v2.0" },
		"wrong-tenant": func(c map[string]any) {
			c["tid"], c["iss"] = otherTenantID, s.issuer(otherTenantID)
		},
		"wrong-tid": func(c map[string]any) { c["tid"] = otherTenantID },
		"no-oid":    func(c map[string]any) { delete(c, "oid") },
		"stale":     func(c map[string]any) { c["auth_time"] = s.now().Add(-time.Hour).Unix() },
	}
}

// signatureForgeries are ways in which it can be wrong by its signature.
func signatureForgeries() []string { return []string{"alg-none", "wrong-key", "hs256"} }

// ForgeIDToken makes each ID token that Entra issues from now on wrong in one
// way, until kind is "". The kinds:
//
//   - "alg-none": no signature
//   - "wrong-key": signed by a key that is not published, under a key id that is
//   - "hs256": an HMAC whose secret is the published key, as PEM
//   - "expired", "not-yet-valid": an hour off on either side
//   - "wrong-nonce", "no-nonce"
//   - "wrong-audience", "wrong-issuer": of another app, of another host
//   - "wrong-tenant": tid and iss of Fabrikam's tenant, with a good signature
//   - "wrong-tid": Fabrikam's tid alone
//   - "no-oid"
//   - "stale": auth_time an hour ago
//
// It returns an error for any other kind.
func (s *Sandbox) ForgeIDToken(kind string) error {
	known := slices.Concat(slices.Sorted(maps.Keys(s.forgeries())), signatureForgeries())
	if kind != "" && !slices.Contains(known, kind) {
		return fmt.Errorf("forgery %q is not known; use one of: %s", kind, strings.Join(known, ", "))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.openID.forgery = kind
	s.touch()
	return nil
}

// forge issues a token that is wrong as told. The caller holds mu.
func (s *Sandbox) forge(key signingKey, header, claims map[string]any) (string, error) {
	switch kind := s.openID.forgery; kind {
	case "alg-none":
		header["alg"] = "none"
		compact, err := unsigned(header, claims)
		return compact + ".", err
	case "hs256":
		header["alg"] = "HS256"
		return signHS256(key, header, claims)
	case "wrong-key":
		other, err := newSigningKey()
		if err != nil {
			return "", err
		}
		return signRS256(other.private, header, claims)
	default:
		s.forgeries()[kind](claims)
		return signRS256(key.private, header, claims)
	}
}

func signHS256(key signingKey, header, claims map[string]any) (string, error) {
	compact, err := unsigned(header, claims)
	if err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.private.PublicKey)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(compact))
	return compact + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)), nil
}
