package sandbox

import (
	"cmp"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // only for x5t
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

const (
	assertionSkew    = 5 * time.Minute
	assertionMaxLife = 24 * time.Hour // no source shows a limit of Entra's own; ten minutes are advised
)

// jwt is a token taken apart, before anything about it is believed.
type jwt struct {
	header, claims    map[string]any
	signed, signature []byte
}

// parseJWT takes apart a compact token. Names are kept as they were sent, since
// they are told apart by case.
func parseJWT(compact string) (jwt, error) {
	parts := strings.Split(compact, ".")
	if len(parts) != 3 {
		return jwt{}, errors.New("it does not have three parts")
	}
	var raw [3][]byte
	for i, part := range parts {
		var err error
		if raw[i], err = base64.RawURLEncoding.Strict().DecodeString(part); err != nil {
			return jwt{}, err
		}
	}
	t := jwt{signed: []byte(parts[0] + "." + parts[1]), signature: raw[2]}
	if err := errors.Join(json.Unmarshal(raw[0], &t.header), json.Unmarshal(raw[1], &t.claims)); err != nil {
		return jwt{}, err
	}
	if t.header == nil || t.claims == nil {
		return jwt{}, errors.New("a part of it is null")
	}
	return t, nil
}

// signedBy reports whether key made the signature, with the algorithm that the
// header names and that is among those allowed.
func (t jwt) signedBy(key *rsa.PublicKey, allowed ...string) bool {
	digest := sha256.Sum256(t.signed)
	switch alg := str(t.header, "alg"); {
	case !slices.Contains(allowed, alg):
		return false
	case alg == "RS256":
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], t.signature) == nil
	case alg == "PS256": // RFC 7518, 3.5: the salt is as long as the hash
		return rsa.VerifyPSS(key, crypto.SHA256, digest[:], t.signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
	default:
		return false
	}
}

// moment reads a NumericDate.
func (t jwt) moment(claim string) (time.Time, bool) {
	seconds, ok := t.claims[claim].(float64)
	return time.Unix(int64(seconds), 0).UTC(), ok
}

// badAssertion is Entra's refusal of a client assertion. The numbers are those
// of its list of error codes; texts are as others have met them.
func badAssertion(number int, format string, args ...any) *entraError {
	return &entraError{http.StatusUnauthorized, "invalid_client", number, fmt.Sprintf(format, args...)}
}

// acceptAssertion checks the assertion that stands in for a client secret. The
// caller holds mu.
func (s *Sandbox) acceptAssertion(fields url.Values) *entraError {
	switch given := fields.Get("client_assertion_type"); given {
	case assertionType:
	case "":
		return &entraError{http.StatusBadRequest, "invalid_request", 900144, "The request body must contain the following parameter: 'client_assertion_type'."}
	default: // no source shows which number Entra gives
		return &entraError{http.StatusBadRequest, "invalid_request", 90023, fmt.Sprintf("Unsupported 'client_assertion_type' value '%s'.", given)}
	}
	token, err := parseJWT(fields.Get("client_assertion"))
	if err != nil {
		return badAssertion(50027, "JWT token is invalid or malformed.")
	}
	if _, critical := token.header["crit"]; critical || str(token.header, "typ") != "JWT" {
		return badAssertion(50027, "JWT token is invalid or malformed.") // no source shows that Entra insists on typ
	}
	if s.material.kind == byFederation {
		return s.acceptClusterToken(fields.Get("client_assertion"), token)
	}
	return s.acceptCertificate(token)
}

// acceptCertificate checks an assertion that the app signed itself.
// https://learn.microsoft.com/entra/identity-platform/certificate-credentials
func (s *Sandbox) acceptCertificate(token jwt) *entraError {
	if refusal := checkKey(s.material.certificate, token, s.now()); refusal != nil {
		return refusal
	}
	issuer, subject, base := str(token.claims, "iss"), str(token.claims, "sub"), s.entraURL+"/"+tenantID
	switch audience := str(token.claims, "aud"); {
	case issuer != subject:
		return badAssertion(50048, "Subject must match the issuer claim in the client assertion.")
	case issuer != clientID:
		return badAssertion(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
	case audience != base+"/oauth2/v2.0/token" && audience != base+"/v2.0":
		return badAssertion(700023, "Client assertion audience claim does not match Realm issuer. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .")
	}
	if refusal := checkLife(token, s.now()); refusal != nil {
		return refusal
	}
	return s.checkFirstUse(token)
}

// checkKey finds out whether the certificate that is registered made token.
func checkKey(certificate *x509.Certificate, token jwt, now time.Time) *entraError {
	// no source shows what Entra says of another algorithm.
	if alg := str(token.header, "alg"); alg != "PS256" && alg != "RS256" {
		return badAssertion(50027, "Invalid JWT token. The signing algorithm '%s' is not supported.", alg)
	}
	long, short := str(token.header, "x5t#S256"), str(token.header, "x5t")
	if long == "" && short == "" { // Entra takes a key id, too; the stand-in knows none
		return badAssertion(5002723, "Invalid JWT token. No certificate SHA-1 thumbprint, certificate SHA-256 thumbprint, nor keyId specified in token header.")
	}
	if certificate == nil || !hasThumbprints(certificate, long, short) {
		return badAssertion(700027, "The certificate with identifier used to sign the client assertion is not registered on application. [Reason - The key was not found., Thumbprint of key used by client: '%s']", hexThumbprint(cmp.Or(long, short)))
	}
	if now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
		return badAssertion(700027, "Client assertion contains an invalid signature. [Reason - The key used is expired.]")
	}
	key, ok := certificate.PublicKey.(*rsa.PublicKey)
	if !ok || !token.signedBy(key, "PS256", "RS256") {
		return badAssertion(700027, "Client assertion contains an invalid signature. [Reason - The key was not able to verify the signature.]")
	}
	return nil
}

// hasThumbprints compares every thumbprint that is given, "" being none.
func hasThumbprints(certificate *x509.Certificate, long, short string) bool {
	sum256 := sha256.Sum256(certificate.Raw)
	sum1 := sha1.Sum(certificate.Raw) //nolint:gosec // x5t is a SHA-1 thumbprint by RFC 7515; it finds the key, it proves nothing
	return (long == "" || urlForm(long) == base64.RawURLEncoding.EncodeToString(sum256[:])) &&
		(short == "" || urlForm(short) == base64.RawURLEncoding.EncodeToString(sum1[:]))
}

// urlForm is encoded in the alphabet for URLs and without padding. RFC 7515 asks
// for that; Microsoft's own libraries send plain base64, too, and Entra takes it:
// https://github.com/MicrosoftDocs/azure-docs/pull/95348
func urlForm(encoded string) string {
	return strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(encoded), "=")
}

// hexThumbprint is a thumbprint as Entra shows it.
func hexThumbprint(encoded string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(urlForm(encoded)) // what is no base64 shows as far as it is
	return strings.ToUpper(hex.EncodeToString(raw))
}

func checkLife(token jwt, now time.Time) *entraError {
	from, hasFrom := token.moment("nbf")
	until, hasUntil := token.moment("exp")
	if !hasFrom || !hasUntil {
		return badAssertion(90016, "The required claim 'nbf' or 'exp' is missing from the client assertion.")
	}
	if now.Add(assertionSkew).Before(from) || now.Add(-assertionSkew).After(until) || until.Sub(from) > assertionMaxLife || !until.After(from) {
		return outsideLife(now, from, until)
	}
	return nil
}

func outsideLife(now, from, until time.Time) *entraError {
	const layout = "2006-01-02T15:04:05.0000000Z"
	return badAssertion(700024, "Client assertion is not within its valid time range. Current time: %s, assertion valid from %s, expiry time of assertion %s. Review the documentation at https://learn.microsoft.com/entra/identity-platform/certificate-credentials .",
		now.UTC().Format(layout), from.Format(layout), until.Format(layout))
}

// checkFirstUse lets each assertion through once. Entra documents jti without
// saying what becomes of a second use; no source shows that it refuses one.
func (s *Sandbox) checkFirstUse(token jwt) *entraError {
	id := str(token.claims, "jti")
	if id == "" {
		return badAssertion(90016, "The required claim 'jti' is missing from the client assertion.")
	}
	if _, used := s.material.assertions[id]; used {
		return badAssertion(50027, "Invalid JWT token. The client assertion was used before.")
	}
	until, _ := token.moment("exp")
	s.material.assertions[id] = until
	return nil
}
