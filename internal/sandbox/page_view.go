package sandbox

import (
	"encoding/json"
	"time"
)

// view is what the page shows. It holds no secret: no token, no signing secret
// and no response_url.
type view struct {
	Team       string          `json:"team"`
	Command    string          `json:"command"`
	BotReady   bool            `json:"botReady"`
	People     []personView    `json:"people"`
	Channels   []channelView   `json:"channels"`
	Messages   []messageView   `json:"messages"`
	Ephemerals []ephemeralView `json:"ephemerals"`
	Calls      []callView      `json:"calls"`
	Faults     []string        `json:"faults"`
}

type personView struct {
	Name       string       `json:"name"`
	SlackID    string       `json:"slackID"`
	Title      string       `json:"title"`
	Color      string       `json:"color"`
	Guest      bool         `json:"guest"`
	OtherOrg   bool         `json:"otherOrg"`
	Gone       bool         `json:"gone"` // deactivated in Slack
	Account    *accountView `json:"account"`
	MayCommand bool         `json:"mayCommand"`
}

type accountView struct {
	UPN                 string    `json:"upn"`
	Enabled             bool      `json:"enabled"`
	Guest               bool      `json:"guest"`
	GlobalAdministrator bool      `json:"globalAdministrator"`
	ByGroup             bool      `json:"byGroup"`
	ValidFrom           time.Time `json:"validFrom"`
	Revoked             int       `json:"revoked"`
	SharePointRevoked   int       `json:"sharePointRevoked"`
}

type channelView struct {
	ID        string   `json:"id"`
	Name      string   `json:"name"`
	Private   bool     `json:"private"`
	ExtShared bool     `json:"extShared"`
	Direct    bool     `json:"direct"`
	BotMember bool     `json:"botMember"`
	Members   []string `json:"members"`
}

type messageView struct {
	TS       string          `json:"ts"`
	ThreadTS string          `json:"threadTS,omitempty"`
	Channel  string          `json:"channel"`
	Author   string          `json:"author"` // a name of the cast, or the bot's
	Bot      bool            `json:"bot"`
	Text     string          `json:"text"`
	Blocks   json.RawMessage `json:"blocks,omitempty"`
	Edited   bool            `json:"edited,omitempty"`
	Deleted  bool            `json:"deleted,omitempty"`
}

type ephemeralView struct {
	messageView
	To  string `json:"to"`
	Via string `json:"via"`
}

type callView struct {
	Index  int       `json:"index"`
	System string    `json:"system"`
	Method string    `json:"method"`
	Path   string    `json:"path"`
	Status int       `json:"status"`
	Error  string    `json:"error,omitempty"`
	Fault  string    `json:"fault,omitempty"`
	Time   time.Time `json:"time"`
}

// shownCalls bounds the list of calls: the page is told everything each time.
const shownCalls = 150

// view copies what the page shows. The caller holds mu.
func (s *Sandbox) view() view {
	w := &s.world
	v := view{
		Team: teamName, Command: command, BotReady: w.botURL != "",
		Messages: []messageView{}, Ephemerals: []ephemeralView{}, Calls: []callView{}, Faults: []string{},
	}
	for _, p := range w.cast {
		person := personView{
			Name: p.name, SlackID: p.slack.id, Title: p.slack.title, Color: p.slack.color,
			Guest: p.slack.restricted, OtherOrg: p.slack.stranger, Gone: p.slack.deleted, MayCommand: !p.slack.stranger,
		}
		if a := p.entra; a != nil {
			person.Account = &accountView{
				UPN: a.upn, Enabled: a.enabled, Guest: a.guest(), GlobalAdministrator: a.globalAdministrator(),
				ByGroup: a.groupIsRoute, ValidFrom: a.validFrom, Revoked: w.revoked[a.upn],
				SharePointRevoked: w.sharePointRevoked[a.upn],
			}
		}
		v.People = append(v.People, person)
	}
	for _, c := range w.channels {
		channel := channelView{
			ID: c.id, Name: c.name, Private: c.private, ExtShared: c.extShared, Direct: c.direct, BotMember: c.botMember,
		}
		for _, id := range c.memberList {
			channel.Members = append(channel.Members, w.bySlackID(id).name)
		}
		v.Channels = append(v.Channels, channel)
	}
	for _, m := range w.messages {
		shown := w.messageView(m.ts, m.threadTS, m.channel, m.author, m.text, m.blocks)
		shown.Edited, shown.Deleted = m.editedTS != "", m.tombstone
		v.Messages = append(v.Messages, shown)
	}
	for _, e := range w.ephemerals {
		v.Ephemerals = append(v.Ephemerals, ephemeralView{
			messageView: w.messageView(e.ts, e.threadTS, e.channel, e.author, e.text, e.blocks),
			To:          e.to.name, Via: e.via,
		})
	}
	for i, c := range w.calls {
		if i >= len(w.calls)-shownCalls {
			v.Calls = append(v.Calls, callView{
				Index: i, System: c.System, Method: c.Method, Path: c.Path, Status: c.Status,
				Error: c.Error, Fault: c.Fault, Time: c.Time,
			})
		}
	}
	for _, f := range w.faults {
		v.Faults = append(v.Faults, f.Name)
	}
	return v
}

func (w *world) messageView(ts, threadTS, channelID, author, text string, blocks []any) messageView {
	m := messageView{
		TS: ts, ThreadTS: threadTS, Channel: channelID, Text: text, Blocks: rawBlocks(blocks),
		Author: "Slackbot", Bot: author == botUserID,
	}
	if m.Bot {
		m.Author = botName
	} else if p := w.bySlackID(author); p != nil {
		m.Author = p.name
	}
	return m
}
