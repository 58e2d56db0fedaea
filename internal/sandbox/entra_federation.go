package sandbox

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// What the app trusts in place of a secret of its own: tokens that a cluster
// issues for one service account.
const (
	clusterIssuer   = "https://oidc.cluster-042.contoso.com/"
	clusterSubject  = "system:serviceaccount:incident:revoke-session"
	clusterAudience = "api://AzureADTokenExchange"
	clusterKeyID    = "cluster-042"
	clusterLife     = time.Hour
)

// clusterToken is a projected service account token as Kubernetes writes them:
// the audience is a list. No two are alike.
func (m *material) clusterToken(now time.Time) (string, error) {
	return signRS256(m.clusterKey,
		map[string]any{"alg": "RS256", "typ": "JWT", "kid": clusterKeyID},
		map[string]any{
			"iss": clusterIssuer, "sub": clusterSubject, "aud": []string{clusterAudience}, "jti": newGUID(),
			"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(clusterLife).Unix(),
		})
}

func signRS256(key *rsa.PrivateKey, header, claims map[string]any) (string, error) {
	compact, err := unsigned(header, claims)
	if err != nil {
		return "", err
	}
	digest := sha256.Sum256([]byte(compact))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	return compact + "." + base64.RawURLEncoding.EncodeToString(signature), err
}

// unsigned is the part of a compact token that is signed.
func unsigned(header, claims map[string]any) (string, error) {
	var parts []string
	for _, part := range []map[string]any{header, claims} {
		raw, err := json.Marshal(part)
		if err != nil {
			return "", err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	return strings.Join(parts, "."), nil
}

// acceptClusterToken checks a token of the cluster that the app trusts. Unlike
// an assertion of the app's own it may be used again until its life ends.
// https://learn.microsoft.com/entra/workload-id/workload-identity-federation
func (s *Sandbox) acceptClusterToken(compact string, token jwt) *entraError {
	const advice = "Check your federated identity credential Subject, Audience and Issuer against the presented assertion. https://learn.microsoft.com/entra/workload-id/workload-identity-federation"
	issuer, subject := str(token.claims, "iss"), str(token.claims, "sub")
	switch {
	case issuer != clusterIssuer:
		return badAssertion(700211, "No matching federated identity record found for presented assertion issuer '%s'. %s", issuer, advice)
	// no source shows the number that Entra gives with a foreign key of a trusted issuer.
	case str(token.header, "kid") != clusterKeyID || !token.signedBy(&s.material.clusterKey.PublicKey, "RS256"):
		return badAssertion(50013, "Assertion failed signature validation. [Reason - The key was not found.]")
	case !slices.Equal(audiences(token), []string{clusterAudience}):
		return badAssertion(700212, "No matching federated identity record found for presented assertion audience '%v'. %s", token.claims["aud"], advice)
	case subject != clusterSubject:
		return badAssertion(700213, "No matching federated identity record found for presented assertion subject '%s'. %s", subject, advice)
	}
	if refusal := checkLife(token, s.now()); refusal != nil {
		return refusal
	}
	// Entra cannot know that the cluster has moved on. The stand-in ends a token
	// early, as if its hour were over, so that a client that never reads the file
	// again is found out.
	if compact != s.material.newest {
		from, _ := token.moment("nbf")
		return outsideLife(s.now(), from, s.now())
	}
	return nil
}

// audiences reads aud, which may be one name or a list of them.
func audiences(token jwt) []string {
	switch aud := token.claims["aud"].(type) {
	case string:
		return []string{aud}
	case []any:
		var names []string
		for _, name := range aud {
			text, _ := name.(string)
			names = append(names, text)
		}
		return names
	default:
		return nil
	}
}
