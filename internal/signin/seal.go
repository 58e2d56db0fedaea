package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Tickets makes the addresses under which tickets are used, and seals what passes
// through browsers: AES-256-GCM, with the kind as associated data, so that one kind
// cannot stand in for another. Safe for concurrent use.
type Tickets struct {
	public string
	aead   cipher.AEAD
	now    func() time.Time
}

// NewTickets returns the tickets of pages that browsers see at public, such as
// https://bot.contoso.com. The key is derived from secret, so that all replicas that
// share it read each other's.
func NewTickets(public, secret string) (*Tickets, error) {
	key, err := hkdf.Key(sha256.New, []byte(secret), nil, "revoke-session sign-in v1", 32)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of tickets: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of tickets: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("deriving the key of tickets: %w", err)
	}
	return &Tickets{public: strings.TrimSuffix(public, "/"), aead: aead, now: time.Now}, nil
}

// URL is where a ticket can be used, from now on for its time.
func (t *Tickets) URL(ticket request.Ticket) string {
	ticket.Expires = t.now().Add(request.TicketFor)
	return t.public + "/link/start?ticket=" + url.QueryEscape(t.seal("ticket", ticket))
}

func (t *Tickets) redirectURI() string { return t.public + "/link/callback" }

// secure reports whether browsers reach the pages over https.
func (t *Tickets) secure() bool { return strings.HasPrefix(t.public, "https://") }

func (t *Tickets) seal(kind string, value any) string {
	text, err := json.Marshal(value)
	if err != nil { // our own types always encode
		panic(fmt.Sprintf("encoding a %s: %v", kind, err))
	}
	return base64.RawURLEncoding.EncodeToString(t.aead.Seal(nil, nil, text, []byte(kind))) //nolint:gosec // G407: this AEAD draws its nonce itself
}

// open reports whether a text was sealed by seal as the same kind, and reads it.
func (t *Tickets) open(kind, sealed string, value any) bool {
	blob, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return false
	}
	text, err := t.aead.Open(nil, nil, blob, []byte(kind))
	return err == nil && json.Unmarshal(text, value) == nil
}
