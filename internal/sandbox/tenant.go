package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// tenant is the tenant that a lives in.
func (a *entraAccount) tenant() string {
	if a.foreign {
		return otherTenantID
	}
	return tenantID
}

func (a *entraAccount) globalAdministrator() bool { return a.role || a.roleByGroup }

func (a *entraAccount) guest() bool { return a.userType == "Guest" }

// directRoles are the template ids of the roles that a holds directly now.
func (a *entraAccount) directRoles() []string {
	roles := slices.Clone(a.roles)
	if a.role {
		roles = append(roles, globalAdministratorTemplate)
	}
	return roles
}

// memberGroups are the ids of the groups that a is a member of.
func (a *entraAccount) memberGroups() []string {
	groups := slices.Clone(a.groups)
	if a.roleByGroup {
		groups = append(groups, administratorsGroup)
	}
	return groups
}

// memberObjects are the ids of everything that a is a member of now: of groups,
// and of roles by both of the ids that a role has. An eligible role is not among
// them until it is activated.
func (a *entraAccount) memberObjects() []string {
	objects := append(a.memberGroups(), a.directRoles()...)
	if a.roleByGroup && !a.role {
		objects = append(objects, globalAdministratorTemplate)
	}
	for template, role := range map[string]string{
		globalAdministratorTemplate: globalAdministratorRole, helpdeskAdministratorTemplate: helpdeskAdministratorRole,
	} {
		if slices.Contains(objects, template) {
			objects = append(objects, role)
		}
	}
	return objects
}

// SetDirectoryRole gives person another role than Global Administrator, directly,
// or takes it. A role is named by its template id.
func (s *Sandbox) SetDirectoryRole(person, template string, holds bool) error {
	template = strings.ToLower(template)
	if !guid.MatchString(template) || template == globalAdministratorTemplate {
		return fmt.Errorf("%q is not the template id of another role; use SetRole for Global Administrator", template)
	}
	return s.changeAccount(person, func(a *entraAccount) { a.roles = toggled(a.roles, template, holds) })
}

// SetEligible lets person activate Global Administrator, or no longer. That they
// activate it is SetRole.
func (s *Sandbox) SetEligible(person string, eligible bool) error {
	return s.changeAccount(person, func(a *entraAccount) {
		a.eligible = toggled(a.eligible, globalAdministratorTemplate, eligible)
	})
}

// SetMember puts person into a group, or takes them out. A group that does not
// exist is made. Of the role-assignable group, SetRole of bob is the way in.
func (s *Sandbox) SetMember(person, group string, member bool) error {
	group = strings.ToLower(group)
	if !guid.MatchString(group) || group == administratorsGroup {
		return fmt.Errorf("%q is not the id of a group that people are put into", group)
	}
	return s.changeAccount(person, func(a *entraAccount) {
		a.groups = toggled(a.groups, group, member)
		if !slices.Contains(s.world.groups, group) {
			s.world.groups = append(s.world.groups, group)
		}
	})
}

// SetPremium says whether the tenant has a license for Privileged Identity
// Management, without which Graph tells nothing of eligible roles. It has one.
func (s *Sandbox) SetPremium(licensed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.unlicensed = !licensed
	s.touch()
}

// SetPageSize makes Graph answer lists in pages of at most n, whatever it is
// asked for; 0 ends that.
func (s *Sandbox) SetPageSize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.pageSize = n
	s.touch()
}

// Withdraw takes application permissions from the app, at once.
func (s *Sandbox) Withdraw(permissions ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.world.permissions = slices.DeleteFunc(slices.Clone(s.world.permissions), func(p string) bool {
		return slices.Contains(permissions, p)
	})
	s.touch()
}

func toggled(list []string, item string, in bool) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(other string) bool { return other == item })
	if in {
		list = append(list, item)
	}
	return list
}
