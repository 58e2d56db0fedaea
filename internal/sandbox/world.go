package sandbox

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// world is everything that can change. Sandbox.mu guards it.
type world struct {
	botURL       string
	cast         []*person
	reserve      []*person // have not joined
	channels     []*channel
	messages     []*message // in ts order
	ephemerals   []*ephemeral
	calls        []Call
	revoked      map[string]int
	faults       []Fault
	permissions  []string
	scopes       []string
	tokens       map[string]accessToken
	responseURLs map[string]*responseURL
	lastMicro    int64
	lastDelivery *delivery

	groups     []string // ids of the groups of the tenant
	unlicensed bool     // for Privileged Identity Management
	pageSize   int      // 0: as asked for

	sharePointRevoked    map[string]int
	sharePointDisabled   bool
	sharePointMovesGraph bool
}

// message is one message of a conversation.
type message struct {
	ts, threadTS, channel string
	author                string // Slack user id
	text                  string
	blocks                []any // nil: none
	metadata              json.RawMessage
	editedTS              string
	tombstone             bool // deleted, but its thread lives on
	locked                bool // nobody may write into its thread
	looks                 rendered
}

// ephemeral is a message that one person saw once.
type ephemeral struct {
	ts, threadTS, channel string
	to                    *person
	author                string
	text                  string
	blocks                []any
	via                   string
	looks                 rendered
}

func newWorld(now time.Time) world {
	cast := newCast(now)
	return world{
		cast:         cast,
		reserve:      newReserve(now, cast),
		groups:       []string{administratorsGroup, EmergencyAccessGroup},
		channels:     newChannels(cast),
		revoked:      map[string]int{},
		permissions:  []string{"User.Read.All", "User.RevokeSessions.All", "RoleManagement.Read.Directory", "GroupMember.Read.All", sitesFullControl},
		scopes:       []string{"commands", "chat:write", "users:read", "users:read.email", "channels:read", "groups:read", "channels:history", "groups:history"},
		tokens:       map[string]accessToken{},
		responseURLs: map[string]*responseURL{},

		sharePointRevoked: map[string]int{},
	}
}

// touch wakes whoever waits for a change. The caller holds mu.
func (s *Sandbox) touch() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (w *world) person(name string) (*person, error) {
	for _, p := range w.cast {
		if p.name == name {
			return p, nil
		}
	}
	if w.reserved(name) {
		return nil, fmt.Errorf("nobody here is called %q yet: they have not joined", name)
	}
	return nil, fmt.Errorf("nobody here is called %q", name)
}

func (w *world) bySlackID(id string) *person {
	for _, p := range w.cast {
		if id != "" && p.slack.id == id {
			return p
		}
	}
	return nil
}

// byEntraKey finds an account by object id or, whatever its case, by UPN.
func (w *world) byEntraKey(key string) *entraAccount {
	for _, p := range w.cast {
		if p.entra != nil && (strings.EqualFold(p.entra.id, key) || strings.EqualFold(p.entra.upn, key)) {
			return p.entra
		}
	}
	return nil
}

// bySignInName finds an account by UPN alone, whatever its case.
func (w *world) bySignInName(name string) *entraAccount {
	for _, p := range w.cast {
		if p.entra != nil && strings.EqualFold(p.entra.upn, name) {
			return p.entra
		}
	}
	return nil
}

// canSignIn finds the account with that object id that somebody can sign in to.
func (w *world) canSignIn(id string) *entraAccount {
	for _, p := range w.cast {
		if a := p.signsInTo(); a != nil && a.id == id {
			return a
		}
	}
	return nil
}

// channel finds a conversation by its id.
func (w *world) channel(id string) *channel {
	for _, c := range w.channels {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (w *world) message(channelID, ts string) *message {
	for _, m := range w.messages {
		if m.channel == channelID && m.ts == ts && !m.tombstone {
			return m
		}
	}
	return nil
}

func (w *world) replies(channelID, parentTS string) []*message {
	var out []*message
	for _, m := range w.messages {
		if m.channel == channelID && m.threadTS == parentTS && m.ts != parentTS {
			out = append(out, m)
		}
	}
	return out
}

func (w *world) post(m *message, now time.Time) {
	m.ts = w.nextTS(now)
	w.messages = append(w.messages, m)
}

// remove deletes m as Slack does: a parent leaves a tombstone while it has replies.
func (w *world) remove(m *message) {
	if m.threadTS == "" && len(w.replies(m.channel, m.ts)) > 0 {
		m.tombstone, m.text, m.blocks, m.metadata = true, "This message was deleted.", nil, nil
		return
	}
	w.messages = slices.DeleteFunc(w.messages, func(other *message) bool { return other == m })
}

// nextTS is the moment as a message timestamp. Timestamps name messages, so no
// two are alike and later ones sort later, whatever the clock does.
func (w *world) nextTS(now time.Time) string {
	w.lastMicro = max(now.UnixMicro(), w.lastMicro+1)
	return fmt.Sprintf("%010d.%06d", w.lastMicro/1e6, w.lastMicro%1e6)
}
