package sandbox

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
)

// State is what there is to see: the conversations as they stand, the private
// answers people got, and what the services were asked. It shares no memory
// with the sandbox.
type State struct {
	Messages   []Message      // of every conversation, threads included, in ts order
	Ephemerals []Ephemeral    // in the order in which they were shown
	Calls      []Call         // in the order in which they arrived
	Revoked    map[string]int // UPN to the number of revocations by Graph that took effect

	SignIns []SignIn // those that ended in a code, in their order

	SharePointRevoked map[string]int // UPN to the number of revocations by SharePoint that it called a success
}

// Message is a message as it stands now.
type Message struct {
	TS, ThreadTS, Channel, User, Text string

	Blocks   json.RawMessage // nil without blocks
	Buttons  []Button
	Edited   bool // Slack shows "(edited)"
	Metadata json.RawMessage
	Plain    string // all visible text, entities unescaped
}

// Button is a button of a message.
type Button struct {
	ActionID, BlockID, Value, Text, Style string

	URL     string         // of a link button; Slack opens it and delivers the press, too
	Confirm *ConfirmDialog // nil: a press counts at once
}

// ConfirmDialog is what Slack asks before it counts a press.
type ConfirmDialog struct {
	Title, Text, Confirm, Deny, Style string
}

// Ephemeral is an answer that one person saw.
type Ephemeral struct {
	To            string // short name of the cast
	Channel, Text string
	Plain         string // all visible text, entities unescaped
	Via           string // "command", "response_url", "chat.postEphemeral", or "slack" for Slack's own complaint about the bot

	TS, ThreadTS string
	Blocks       json.RawMessage
	Buttons      []Button
}

// Call is one request that a stand-in received. It appears when the request
// arrives, with Status 0, and keeps that status if no answer went out.
type Call struct {
	System          string // "Slack", "Entra", "Graph" or "SharePoint"
	Method, Path    string // without query and with the secret part of a response_url removed
	Status          int
	Error           string // Slack's error, or the error code of the others
	Fault           string // name of the fault that was applied
	Time            time.Time
	ClientRequestID string
}

// State returns a deep copy of what there is to see.
func (s *Sandbox) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state()
}

// Await returns the first state for which cond holds, looking again after each
// change. It returns the last state and an error wrapping ctx's cause when ctx
// ends first, or when the sandbox is closed. cond must not call the sandbox.
func (s *Sandbox) Await(ctx context.Context, cond func(State) bool) (State, error) {
	for {
		s.mu.Lock()
		state, changed := s.state(), s.changed
		s.mu.Unlock()
		if cond(state) {
			return state, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return state, fmt.Errorf("sandbox never got there: %w", context.Cause(ctx))
		case <-s.ctx.Done():
			return state, fmt.Errorf("sandbox is closed: %w", context.Cause(s.ctx))
		}
	}
}

// state copies what there is to see. The caller holds mu.
func (s *Sandbox) state() State {
	state := s.world.state()
	state.SignIns = slices.Clone(s.openID.signIns)
	return state
}

func (w *world) state() State {
	state := State{
		Calls: slices.Clone(w.calls), Revoked: maps.Clone(w.revoked), SharePointRevoked: maps.Clone(w.sharePointRevoked),
	}
	for _, m := range w.messages {
		if !m.tombstone {
			raw, buttons, plain := m.looks.of(m.text, m.blocks)
			state.Messages = append(state.Messages, Message{
				TS: m.ts, ThreadTS: m.threadTS, Channel: m.channel, User: m.author, Text: m.text,
				Blocks: raw, Buttons: buttons, Edited: m.editedTS != "",
				Metadata: slices.Clone(m.metadata), Plain: plain,
			})
		}
	}
	for _, e := range w.ephemerals {
		raw, buttons, plain := e.looks.of(e.text, e.blocks)
		state.Ephemerals = append(state.Ephemerals, Ephemeral{
			To: e.to.name, Channel: e.channel, Text: e.text, Plain: plain, Via: e.via,
			TS: e.ts, ThreadTS: e.threadTS, Blocks: raw, Buttons: buttons,
		})
	}
	return state
}

// SetRole gives person the Global Administrator role or takes it, at once. Bob
// has it through a role-assignable group, the others directly. It returns an
// error for somebody who has no account in the tenant.
func (s *Sandbox) SetRole(person string, globalAdministrator bool) error {
	return s.changeAccount(person, func(a *entraAccount) {
		if a.groupIsRoute {
			a.roleByGroup = globalAdministrator
		} else {
			a.role = globalAdministrator
		}
	})
}

// SetEnabled sets accountEnabled of person's Entra account. It returns an error
// for somebody who has no account in the tenant.
func (s *Sandbox) SetEnabled(person string, enabled bool) error {
	return s.changeAccount(person, func(a *entraAccount) { a.enabled = enabled })
}

// SetUPN renames person's Entra account; its object id stays. It returns an error
// for somebody who has no account in the tenant, or if the name is taken.
func (s *Sandbox) SetUPN(person, upn string) error {
	s.mu.Lock()
	taken := s.world.byEntraKey(upn) != nil
	s.mu.Unlock()
	if taken {
		return fmt.Errorf("%s is taken", upn)
	}
	return s.changeAccount(person, func(a *entraAccount) { a.upn = upn })
}

// SetPermissions replaces the application permissions that the tenant has
// granted: those of Graph, and Sites.FullControl.All of SharePoint. Tokens carry what was granted when they were issued, so a grant
// needs a new token; a withdrawal is felt at once.
func (s *Sandbox) SetPermissions(permissions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.permissions = slices.Clone(permissions)
	s.touch()
}

// ExpireTokens ends the life of every access token that was issued.
func (s *Sandbox) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value, token := range s.world.tokens {
		token.expires = s.now()
		s.world.tokens[value] = token
	}
	s.touch()
}

// SetScopes replaces the OAuth scopes of the bot token.
func (s *Sandbox) SetScopes(scopes ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.scopes = slices.Clone(scopes)
	s.touch()
}

func (s *Sandbox) changeAccount(name string, change func(*entraAccount)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := s.world.person(name)
	if err != nil {
		return err
	}
	if p.entra == nil {
		return fmt.Errorf("%s has no account in the tenant", name)
	}
	change(p.entra)
	s.touch()
	return nil
}

// LockThread has an administrator of Slack lock a message's thread. The message itself
// can still be edited. It returns an error if there is no such message.
func (s *Sandbox) LockThread(channel, ts string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.world.messages {
		if m.channel == channel && m.ts == ts {
			m.locked = true
			s.touch()
			return nil
		}
	}
	return fmt.Errorf("there is no message %s", ts)
}
