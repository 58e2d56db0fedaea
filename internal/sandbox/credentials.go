package sandbox

import (
	"crypto/rand"
	"encoding/hex"
)

// credentials are made anew for each sandbox, so that nothing can come to rely
// on a fixed secret.
type credentials struct {
	botToken, signingSecret, verificationToken string
}

func newCredentials() credentials {
	return credentials{
		botToken:          "xoxb-1000000000042-1000000000043-" + randomHex(12),
		signingSecret:     randomHex(16),
		verificationToken: randomHex(12),
	}
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails, by its contract
	return hex.EncodeToString(b)
}

func newGUID() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
