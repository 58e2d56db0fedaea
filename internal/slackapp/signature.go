package slackapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxSkew is how far a delivery's timestamp may lie from our clock, both ways
// (docs.slack.dev/authentication/verifying-requests-from-slack).
const maxSkew = 5 * time.Minute

// Errors of verify.
var (
	errNoSignature  = errors.New("signature headers are missing")
	errOldTimestamp = errors.New("timestamp is more than five minutes away from this machine's clock")
	errBadSignature = errors.New("signature does not match: is SLACK_SIGNING_SECRET this app's?")
)

// verify checks Slack's signature over the raw body and returns it: HMAC-SHA256
// under the signing secret of "v0:" + timestamp + ":" + body. slack-go's verifier
// does the same but has no clock to inject, so that Slack's published example
// could not be tested with it.
func verify(secret string, h http.Header, body []byte, now time.Time) ([]byte, error) {
	stamp, signature := h.Get("X-Slack-Request-Timestamp"), h.Get("X-Slack-Signature")
	if stamp == "" || signature == "" {
		return nil, errNoSignature
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > maxSkew {
		return nil, errOldTimestamp
	}
	digits, ok := strings.CutPrefix(signature, "v0=")
	got, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return nil, errBadSignature
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":"))
	mac.Write(body)
	want := mac.Sum(nil)
	if !hmac.Equal(got, want) {
		return nil, errBadSignature
	}
	return want, nil
}
