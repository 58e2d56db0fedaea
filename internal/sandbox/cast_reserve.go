package sandbox

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// newReserve is people whom most stories do without. They are nowhere until
// they join: alice and bob are all the Global Administrators there are.
func newReserve(now time.Time, cast []*person) []*person {
	joined := joinedAt(now)
	carol := newMember(joined, "carol", "6a0d9f35-b714-4e82-8c5b-3f91d7e2a460", "Carol", "Identity administrator")
	carol.slack.color, carol.entra.role = "2b8a3e", true
	peggy := newMember(joined, "peggy", "f4b82c16-3e9d-4705-a1f8-5c60d9e7b32a", "Peggy", "Identity engineer")
	peggy.slack.color, peggy.entra.eligible = "c2255c", []string{globalAdministratorTemplate}
	dave := newMember(joined, "dave", "92e57d0b-6c48-4f31-b0a9-e81d3f5c7426", "Dave", "Identity administrator")
	dave.slack.color, dave.slack.deleted, dave.entra.role = "e67700", true, true
	trent := newMember(joined, "trent", "3d71a8f4-05b2-49ce-97e6-1a4c8b0f6d53", "Trent", "Identity administrator")
	trent.slack.color, trent.entra.role, trent.entra.enabled = "5f3dc4", true, false

	alice2 := &person{name: "alice2", signsIn: cast[0].entra, slack: slackAccount{
		id: "U0ALICE2042", team: teamID, realName: "Alice", title: "Second account of Alice", email: "alice.second@contoso.com",
		color: "66a80f", updated: joined.Unix(), dm: "D0ALICE2042",
	}}
	robot := &person{name: "robot", slack: slackAccount{
		id: "U0ROBOT042", team: teamID, realName: "Robot", title: "An app", bot: true, color: "868e96", updated: joined.Unix(),
	}}
	breakglass := newMember(joined, "breakglass", "b05c3e98-d162-4a7f-8b24-70f9e6d1c5a3", "Break glass", "Emergency access")
	breakglass.slack, breakglass.entra.mail = slackAccount{}, ""
	breakglass.entra.role, breakglass.entra.groups = true, []string{EmergencyAccessGroup}
	return []*person{carol, peggy, dave, trent, alice2, robot, breakglass}
}

// Join brings people into the tenant, the workspace and the incident channel;
// with no name it brings everybody there is. Somebody who has joined stays as
// they are. The people:
//
//   - carol: Global Administrator, directly
//   - peggy: no role; eligible for Global Administrator
//   - dave: Global Administrator whose Slack account is deactivated. What he
//     types and presses is delivered, as it was under way when that happened
//   - trent: Global Administrator whose Entra account is blocked
//   - alice2: a second Slack account of alice, with an address that no Entra
//     account has; at Entra they sign in to alice's account
//   - robot: a bot user, with no Entra account
//   - breakglass: Global Administrator in the group EmergencyAccessGroup, with no
//     Slack account
//
// Two hold Global Administrator before anybody joins, alice and bob; carol, dave,
// trent and breakglass are one more each, blocked or not. Join returns an error
// for a name that nobody has.
func (s *Sandbox) Join(people ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.world
	for _, name := range people {
		named := func(p *person) bool { return p.name == name }
		if !slices.ContainsFunc(w.cast, named) && !slices.ContainsFunc(w.reserve, named) {
			return fmt.Errorf("nobody is called %q", name)
		}
	}
	var staying []*person
	for _, p := range w.reserve {
		if len(people) > 0 && !slices.Contains(people, p.name) {
			staying = append(staying, p)
			continue
		}
		w.cast = append(w.cast, p)
		if p.slack.id == "" {
			continue
		}
		incident := w.channel(incidentChannel)
		incident.memberList = append(incident.memberList, p.slack.id)
		if p.slack.dm != "" {
			w.channels = append(w.channels, &channel{id: p.slack.dm, direct: true, botMember: true, memberList: []string{p.slack.id}})
		}
	}
	w.reserve = staying
	s.touch()
	return nil
}

// reserved reports whether name is somebody who has not joined.
func (w *world) reserved(name string) bool {
	return slices.ContainsFunc(w.reserve, func(p *person) bool { return strings.EqualFold(p.name, name) })
}
