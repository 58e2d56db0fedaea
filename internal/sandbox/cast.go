package sandbox

import (
	"slices"
	"strings"
	"time"
)

// Identifiers of the invented organization. They have the length and alphabet
// of real ones, because length limits and parsers meet them.
const (
	teamID        = "T0CONTOSO"
	teamDomain    = "contoso"
	teamName      = "Contoso"
	partnerTeamID = "T0FABRIKAM"
	appID         = "A0REVOKE042"
	botID         = "B0REVOKE042"
	botUserID     = "U0REVOKEBOT"
	botName       = "revoke-session"
	command       = "/revoke-session"

	tenantID      = "7d0c8b2e-51f4-4a0b-9d62-3c1f5a9e8b47"
	otherTenantID = "b6f3d917-0e58-4c2a-8d41-97a5c0e2f138" // Fabrikam's
	clientID      = "e2b1f6c4-8a35-4f7d-b0c9-12d4a6e8f059"

	globalAdministratorTemplate = "62e90394-69f5-4237-9190-012177145e10"
	globalAdministratorRole     = "9f2b7c1a-6d3e-4c58-8a10-5b7e9d2f4c63"
	administratorsGroup         = "4b8d2f60-1c7a-4e93-b5d8-a0f3c6e91d24"

	helpdeskAdministratorTemplate = "729827e3-9c14-49f7-bb1b-9608f156bbb8"
	helpdeskAdministratorRole     = "d0a5e3b7-24c9-4f16-83ad-6e1b9c50f782"
)

// EmergencyAccessGroup is the id of the group "Emergency access", of which
// breakglass is a member once they have joined.
const EmergencyAccessGroup = "8e4f1c27-5d93-4ab0-9c36-f27a0d8b6e51"

// The channels of the workspace. Two are there to be refused: the bot is no
// member of general and cannot see the private leadership channel at all.
const (
	incidentChannel  = "C0INCIDENT"
	sharedChannel    = "C0SHARED"
	privateChannel   = "C0PRIVATE"
	notMemberChannel = "C0NOTMEMBER"
	hiddenChannel    = "C0HIDDEN"
)

// person is somebody of the cast, as Slack and as Entra know them.
type person struct {
	name  string // the short name people are called by in this package
	slack slackAccount
	entra *entraAccount // nil: no account in this tenant

	signsIn *entraAccount // what they sign in to at Entra if it is not entra
}

// signsInTo is the account that p has a password of; nil: none.
func (p *person) signsInTo() *entraAccount {
	if p.signsIn != nil {
		return p.signsIn
	}
	return p.entra
}

type slackAccount struct {
	id, team, realName, title, email, color string
	restricted, stranger, deleted, bot      bool
	updated                                 int64
	dm                                      string // the person's conversation with the bot
}

type entraAccount struct {
	id, upn, displayName, mail, userType, creationType string
	jobTitle                                           string
	enabled                                            bool
	role                                               bool     // holds the role directly
	roleByGroup                                        bool     // holds the role through the role-assignable group
	groupIsRoute                                       bool     // gains and loses the role through that group
	roles                                              []string // template ids of other roles, held directly
	eligible                                           []string // template ids of roles that can be activated
	groups                                             []string // ids of other groups
	sharePointState                                    int      // what SharePoint answers when it is to end the sessions
	created, validFrom                                 time.Time
	resets                                             int  // how often sessions were ended
	foreign                                            bool // of Fabrikam's tenant
}

// newMember is somebody with an account in the workspace and one in the tenant.
func newMember(joined time.Time, name, oid, realName, title string) *person {
	return &person{
		name: name,
		slack: slackAccount{
			id: "U0" + strings.ToUpper(name) + "042", team: teamID, realName: realName, title: title,
			email: name + "@contoso.com", updated: joined.Unix(), dm: "D0" + strings.ToUpper(name) + "042",
		},
		entra: &entraAccount{
			id: oid, upn: name + "@contoso.com", displayName: realName, mail: name + "@contoso.com",
			jobTitle: title, userType: "Member", enabled: true, created: joined, validFrom: joined,
			sharePointState: stateInstantaneous,
		},
	}
}

func joinedAt(now time.Time) time.Time {
	return now.Add(-400 * 24 * time.Hour).Truncate(time.Second).UTC()
}

func newCast(now time.Time) []*person {
	joined := joinedAt(now)
	member := func(name, oid, realName, title string) *person { return newMember(joined, name, oid, realName, title) }
	alice := member("alice", "1f6b3c52-8e0d-4d7a-9b41-6a2c5e7f9d10", "Alice", "Identity administrator")
	alice.entra.role, alice.slack.color = true, "4bbe2e"
	bob := member("bob", "a84d1e97-2c5f-4b36-8d70-f1e9b3c6a528", "Bob", "Identity administrator")
	bob.entra.roleByGroup, bob.entra.groupIsRoute, bob.slack.color = true, true, "e7392d"
	heidi := member("heidi", "c35e9a70-7d14-4f82-a6b9-08d2c4f1e763", "Heidi", "Helpdesk")
	heidi.slack.color, heidi.entra.roles = "9f69e7", []string{helpdeskAdministratorTemplate}
	mallory := member("mallory", "5d92f0b8-4a63-4c1e-b7d5-e6f8a1029c34", "Mallory", "Sales")
	mallory.slack.color = "df3dc0"
	grace := member("grace", "e07a6d41-9b28-4e5c-8f13-b4c7d9e2a586", "Grace", "Consultant at Fabrikam")
	grace.slack.restricted, grace.slack.email, grace.slack.color = true, "grace@fabrikam.com", "3c989f"
	grace.entra.upn = "grace_fabrikam.com#EXT#@contoso.onmicrosoft.com"
	grace.entra.mail, grace.entra.userType, grace.entra.creationType = "grace@fabrikam.com", "Guest", "Invitation"
	oscar := &person{name: "oscar", slack: slackAccount{
		id: "U0OSCAR042", team: partnerTeamID, realName: "Oscar", title: "Fabrikam", stranger: true,
		color: "674b1b", updated: joined.Unix(),
	}}
	// Entra would refuse such an account at the endpoint of this tenant
	// (AADSTS50020). The stand-in lets it in, so that an app is found out that
	// believes every token.
	oscar.signsIn = &entraAccount{
		id: "2c9e47b5-f03d-4a68-91c7-d85e0b6f3a12", upn: "oscar@fabrikam.com", displayName: "Oscar", mail: "oscar@fabrikam.com",
		userType: "Member", enabled: true, created: joined, validFrom: joined, foreign: true,
	}
	return []*person{alice, bob, heidi, grace, oscar, mallory}
}

// channel is a conversation as the bot sees it through the API.
type channel struct {
	id, name   string
	private    bool
	extShared  bool
	direct     bool
	botMember  bool
	archived   bool
	memberList []string // Slack user ids
}

func (c *channel) has(userID string) bool { return slices.Contains(c.memberList, userID) }

func newChannels(cast []*person) []*channel {
	ids := func(names ...string) []string {
		var out []string
		for _, p := range cast {
			if slices.Contains(names, p.name) {
				out = append(out, p.slack.id)
			}
		}
		return out
	}
	channels := []*channel{
		{id: incidentChannel, name: "incident-042", botMember: true, memberList: ids("alice", "bob", "heidi", "grace", "oscar", "mallory")},
		{id: sharedChannel, name: "shared-with-fabrikam", extShared: true, botMember: true, memberList: ids("alice", "bob", "heidi", "grace", "oscar", "mallory")},
		{id: privateChannel, name: "sec-private", private: true, botMember: true, memberList: ids("alice", "bob", "heidi")},
		{id: notMemberChannel, name: "general", memberList: ids("alice", "bob", "heidi", "mallory")},
		{id: hiddenChannel, name: "leadership", private: true, memberList: ids("alice", "bob")},
	}
	for _, p := range cast {
		if p.slack.dm != "" {
			channels = append(channels, &channel{id: p.slack.dm, direct: true, botMember: true, memberList: []string{p.slack.id}})
		}
	}
	return channels
}
