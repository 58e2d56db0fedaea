package slackapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/slack-go/slack"
)

// Slack's published example
// (docs.slack.dev/authentication/verifying-requests-from-slack).
const (
	exampleSecret    = "8f742231b10e8888abcd99yyyzzz85a5"
	exampleStamp     = "1531420618"
	exampleBody      = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
	exampleSignature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
)

func signed(stamp, signature string) http.Header {
	h := http.Header{}
	h.Set("X-Slack-Request-Timestamp", stamp)
	h.Set("X-Slack-Signature", signature)
	return h
}

// sign makes the headers of a body delivered at a time.
func sign(secret, body string, at time.Time) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	return signed(stamp, "v0="+hex.EncodeToString(mac.Sum(nil)))
}

func TestVerifyAcceptsSlacksExample(t *testing.T) {
	now := time.Unix(1531420618, 0)
	if _, err := verify(exampleSecret, signed(exampleStamp, exampleSignature), []byte(exampleBody), now); err != nil {
		t.Errorf("verify = %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	at := time.Unix(1531420618, 0)
	good := signed(exampleStamp, exampleSignature)
	tests := []struct {
		name   string
		header http.Header
		secret string
		body   string
		now    time.Time
		want   error
	}{
		{"299 s old", good, exampleSecret, exampleBody, at.Add(299 * time.Second), nil},
		{"299 s early", good, exampleSecret, exampleBody, at.Add(-299 * time.Second), nil},
		{"301 s old", good, exampleSecret, exampleBody, at.Add(301 * time.Second), errOldTimestamp},
		{"301 s early", good, exampleSecret, exampleBody, at.Add(-301 * time.Second), errOldTimestamp},
		{"another body", good, exampleSecret, exampleBody + " ", at, errBadSignature},
		{"another secret", good, exampleSecret + "x", exampleBody, at, errBadSignature},
		{"another timestamp", signed("1531420619", exampleSignature), exampleSecret, exampleBody, at, errBadSignature},
		{"no headers", http.Header{}, exampleSecret, exampleBody, at, errNoSignature},
		{"no signature", signed(exampleStamp, ""), exampleSecret, exampleBody, at, errNoSignature},
		{"no timestamp", signed("", exampleSignature), exampleSecret, exampleBody, at, errNoSignature},
		{"timestamp is no number", signed("now", exampleSignature), exampleSecret, exampleBody, at, errOldTimestamp},
		{"no version", signed(exampleStamp, exampleSignature[3:]), exampleSecret, exampleBody, at, errBadSignature},
		{"not hex", signed(exampleStamp, "v0=zz"), exampleSecret, exampleBody, at, errBadSignature},
		{"cut short", signed(exampleStamp, exampleSignature[:20]), exampleSecret, exampleBody, at, errBadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := verify(tt.secret, tt.header, []byte(tt.body), tt.now); !errors.Is(err, tt.want) {
				t.Errorf("verify = %v, want %v", err, tt.want)
			}
		})
	}
}

// slack-go's verifier is the second opinion, where its fixed clock allows one.
func TestVerifyAgreesWithSlackGo(t *testing.T) {
	now := time.Now()
	for _, secret := range []string{exampleSecret, "other"} {
		for _, body := range []string{"", "payload=%7B%7D", exampleBody} {
			for _, signWith := range []string{exampleSecret, "other"} {
				h := sign(signWith, body, now)
				_, ours := verify(secret, h, []byte(body), now)
				v, err := slack.NewSecretsVerifier(h, secret)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = v.Write([]byte(body))
				if theirs := v.Ensure(); (ours == nil) != (theirs == nil) {
					t.Errorf("secret %q, signed with %q: ours %v, slack-go's %v", secret, signWith, ours, theirs)
				}
			}
		}
	}
}
