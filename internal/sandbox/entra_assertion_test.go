package sandbox

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"
	"time"
)

func TestCertificateAssertions(t *testing.T) {
	f := startWith(t, byCertificate)
	certificate, key := f.keyPair()
	foreign, foreignKey, err := newClientCertificate(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	long, short, foreignSum := sha256.Sum256(certificate.Raw), sha1.Sum(certificate.Raw), sha256.Sum256(foreign.Raw)
	now := time.Now()
	type object = map[string]any
	for _, test := range []struct {
		name   string
		change func(header, claims object)
		number string // "" for a token
	}{
		{"PS256", func(_, _ object) {}, ""},
		{"RS256", func(h, _ object) { h["alg"] = "RS256" }, ""},
		{"both thumbprints", func(h, _ object) { h["x5t"] = base64.RawURLEncoding.EncodeToString(short[:]) }, ""},
		{"short thumbprint", func(h, _ object) {
			h["x5t"] = base64.RawURLEncoding.EncodeToString(short[:])
			delete(h, "x5t#S256")
		}, ""},
		{"plain base64", func(h, _ object) { h["x5t#S256"] = base64.StdEncoding.EncodeToString(long[:]) }, ""},
		{"short and plain", func(h, _ object) {
			h["x5t"] = base64.StdEncoding.EncodeToString(short[:])
			delete(h, "x5t#S256")
		}, ""},
		{"for the issuer", func(_, c object) { c["aud"] = f.env["AZURE_AUTHORITY_HOST"] + "/" + tenantID + "/v2.0" }, ""},
		{"clock behind", func(_, c object) { c["nbf"], c["exp"] = now.Add(4*time.Minute).Unix(), now.Add(14*time.Minute).Unix() }, ""},
		{"clock ahead", func(_, c object) {
			c["nbf"], c["exp"] = now.Add(-14*time.Minute).Unix(), now.Add(-4*time.Minute).Unix()
		}, ""},
		{"a day", func(_, c object) { c["exp"] = c["nbf"].(int64) + 24*60*60 }, ""},

		{"no algorithm", func(h, _ object) { h["alg"] = "none" }, "50027"},
		{"algorithm missing", func(h, _ object) { delete(h, "alg") }, "50027"},
		{"symmetric", func(h, _ object) { h["alg"] = "HS256" }, "50027"},
		{"stronger", func(h, _ object) { h["alg"] = "PS512" }, "50027"},
		{"not a JWT", func(h, _ object) { h["typ"] = "at+jwt" }, "50027"},
		{"critical header", func(h, _ object) { h["crit"] = []string{"b64"} }, "50027"},
		{"no thumbprint", func(h, _ object) { delete(h, "x5t#S256") }, "5002723"},
		{"thumbprint of another", func(h, _ object) { h["x5t#S256"] = base64.RawURLEncoding.EncodeToString(foreignSum[:]) }, "700027"},
		{"hexadecimal thumbprint", func(h, _ object) {
			h["x5t#S256"] = base64.RawURLEncoding.EncodeToString([]byte(hex.EncodeToString(long[:])))
		}, "700027"},
		{"thumbprints that disagree", func(h, _ object) { h["x5t"] = "AAAA" }, "700027"},
		{"thumbprint in another case", func(h, _ object) { h["X5T#S256"] = h["x5t#S256"]; delete(h, "x5t#S256") }, "5002723"},
		{"another subject", func(_, c object) { c["sub"] = "x" }, "50048"},
		{"another app", func(_, c object) { c["sub"], c["iss"] = "x", "x" }, "700021"},
		{"app in another case", func(_, c object) { c["Iss"] = c["iss"]; delete(c, "iss") }, "50048"},
		{"for Graph", func(_, c object) { c["aud"] = f.env["GRAPH_URL"] }, "700023"},
		{"for many", func(_, c object) { c["aud"] = []any{c["aud"]} }, "700023"},
		{"for nobody", func(_, c object) { delete(c, "aud") }, "700023"},
		{"expired", func(_, c object) {
			c["nbf"], c["exp"] = now.Add(-16*time.Minute).Unix(), now.Add(-6*time.Minute).Unix()
		}, "700024"},
		{"early", func(_, c object) { c["nbf"], c["exp"] = now.Add(6*time.Minute).Unix(), now.Add(16*time.Minute).Unix() }, "700024"},
		{"longer than a day", func(_, c object) { c["exp"] = c["nbf"].(int64) + 24*60*60 + 1 }, "700024"},
		{"ends before it begins", func(_, c object) { c["exp"] = c["nbf"].(int64) - 1 }, "700024"},
		{"beyond all time", func(_, c object) { c["exp"] = 1e300 }, "700024"},
		{"no end", func(_, c object) { delete(c, "exp") }, "90016"},
		{"no beginning", func(_, c object) { delete(c, "nbf") }, "90016"},
		{"end as text", func(_, c object) { c["exp"] = "4102444800" }, "90016"},
		{"no id", func(_, c object) { delete(c, "jti") }, "90016"},
		{"empty id", func(_, c object) { c["jti"] = "" }, "90016"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.t = t
			header, claims := f.assertion(certificate)
			test.change(header, claims)
			status, got := f.tokenByAssertion(signed(t, key, header, claims))
			if test.number == "" {
				if status != 200 || got.text("access_token") == "" {
					t.Errorf("got %d %v, want a token", status, got)
				}
			} else if status != 401 || got.text("error") != "invalid_client" || !refused(got, test.number) {
				t.Errorf("got %d %v, want AADSTS%s", status, got, test.number)
			}
		})
	}
	f.t = t

	header, claims := f.assertion(certificate)
	if _, got := f.tokenByAssertion(signed(t, foreignKey, header, claims)); !refused(got, "700027") {
		t.Errorf("signed by another key: got %v", got)
	}
	good := signed(t, key, header, claims)
	parts := strings.Split(good, ".")
	_, other := f.assertion(certificate)
	tampered := map[string]string{
		"other claims":    parts[0] + "." + segment(t, other) + "." + parts[2],
		"no signature":    parts[0] + "." + parts[1] + ".",
		"other algorithm": segment(t, map[string]any{"alg": "RS256", "typ": "JWT", "x5t#S256": header["x5t#S256"]}) + "." + parts[1] + "." + parts[2],
	}
	for name, assertion := range tampered {
		if _, got := f.tokenByAssertion(assertion); !refused(got, "700027") {
			t.Errorf("%s: got %v", name, got)
		}
	}
	// 256 bytes leave four bits of the last digit without a meaning.
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	loose := good[:len(good)-1] + string(digits[strings.IndexByte(digits, good[len(good)-1])+1])
	for _, assertion := range []string{"x", "a.b", parts[0] + "." + parts[1], good + ".", good + "=", loose, parts[0] + ".bnVsbA." + parts[2], "W10." + parts[1] + "." + parts[2]} {
		if _, got := f.tokenByAssertion(assertion); !refused(got, "50027") {
			t.Errorf("%s: got %v", assertion, got)
		}
	}

	// Requests refused for another reason use nothing up; the second use is one.
	if status, got := f.tokenByAssertion(good, "scope", "https://fabrikam.com/.default"); status != 400 || !refused(got, "500011") {
		t.Errorf("unknown resource: got %d %v", status, got)
	}
	if status, got := f.tokenByAssertion(good); status != 200 {
		t.Errorf("first use: got %d %v", status, got)
	}
	if status, got := f.tokenByAssertion(good); status != 401 || !refused(got, "50027") {
		t.Errorf("second use: got %d %v", status, got)
	}
	claims["exp"] = claims["exp"].(int64) + 1
	if status, got := f.tokenByAssertion(signed(t, key, header, claims)); status != 401 || !refused(got, "50027") {
		t.Errorf("another assertion with the same id: got %d %v", status, got)
	}

	f.later(31 * 24 * time.Hour)
	header, claims = f.assertion(certificate)
	claims["nbf"], claims["exp"] = now.Add(31*24*time.Hour).Unix(), now.Add(31*24*time.Hour+time.Minute).Unix()
	if _, got := f.tokenByAssertion(signed(t, key, header, claims)); !refused(got, "700027") || !strings.Contains(got.text("error_description"), "expired") {
		t.Errorf("expired certificate: got %v", got)
	}
}

func TestClientMustProveItselfOnce(t *testing.T) {
	f := startWith(t, byCertificate)
	certificate, key := f.keyPair()
	fresh := func() string {
		header, claims := f.assertion(certificate)
		return signed(t, key, header, claims)
	}
	for _, test := range []struct {
		name   string
		pairs  []string
		status int
		number string
	}{
		{"secret as well", []string{"client_secret", "x"}, 400, "90023"},
		{"no type", []string{"client_assertion_type", ""}, 400, "900144"},
		{"other type", []string{"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"}, 400, "90023"},
		{"type alone", []string{"client_assertion", ""}, 401, "7000216"},
		{"secret instead", []string{"client_assertion", "", "client_assertion_type", "", "client_secret", "x"}, 401, "7000215"},
		{"other app", []string{"client_id", newGUID()}, 400, "700016"},
	} {
		if status, got := f.tokenByAssertion(fresh(), test.pairs...); status != test.status || !refused(got, test.number) {
			t.Errorf("%s: got %d %v, want %d AADSTS%s", test.name, status, got, test.status, test.number)
		}
	}
	if status, got := f.tokenByAssertion(fresh(), "client_id", strings.ToUpper(clientID)); status != 200 {
		t.Errorf("good: got %d %v", status, got)
	}

	// An app without a certificate is not known by one.
	g := start(t)
	header, claims := g.assertion(certificate)
	if _, got := g.tokenByAssertion(signed(t, key, header, claims)); !refused(got, "700027") {
		t.Errorf("app with a secret: got %v", got)
	}
	if _, got := g.tokenByAssertion(signed(t, key, header, claims), "client_secret", g.env["AZURE_CLIENT_SECRET"]); !refused(got, "90023") {
		t.Errorf("good secret and an assertion: got %v", got)
	}
}
