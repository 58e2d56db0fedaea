package slackapp

import (
	"context"
	"slices"
	"strings"

	"github.com/slack-go/slack"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Vouch says what Slack knows of a user: Member with their confirmed e-mail
// address if they are a full member of the bot's own workspace (or Grid
// organization), else why not. It is an authz.Vouch.
func (c *Client) Vouch(ctx context.Context, by request.Origin) (request.Standing, string, request.Fault) {
	self, err := c.whoAmI(ctx)
	if err != nil {
		return request.Unverified, "", fault(err)
	}
	sameOrg := self.Enterprise != "" && by.Enterprise == self.Enterprise
	if by.Team != "" && by.Team != self.Team && !sameOrg || by.Home != "" && by.Home != self.Team && self.Enterprise == "" {
		return request.SlackOutsider, "", request.Fault{} // a user's id alone does not say of which workspace
	}
	u, err := read(ctx, func() (*slack.User, error) { return c.reads.GetUserInfoContext(ctx, by.User) })
	if err != nil {
		f := fault(err)
		if f.Code == "user_not_found" || f.Code == "user_not_visible" || f.Code == "users_not_found" {
			return request.SlackOutsider, "", f
		}
		return request.Unverified, "", f
	}
	if standing := slackStanding(u, by.User, self); standing != request.Member {
		return standing, "", request.Fault{}
	}
	return request.Member, u.Profile.Email, request.Fault{}
}

// Name describes a user to somebody who has to recognize them: name, address and id.
func (c *Client) Name(ctx context.Context, who request.Origin) (string, error) {
	u, err := read(ctx, func() (*slack.User, error) { return c.reads.GetUserInfoContext(ctx, who.User) })
	if err != nil {
		return "", safe(err)
	}
	parts := []string{clean(u.Profile.RealName), clean(u.Profile.Email), u.ID}
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), " · "), nil
}

// slackStanding judges a user object. Only a full member with a confirmed
// address is Member (docs.slack.dev/reference/objects/user-object).
func slackStanding(u *slack.User, id string, self Self) request.Standing {
	switch {
	case u.ID != id || u.IsStranger || !belongs(u, self):
		return request.SlackOutsider
	case u.Deleted:
		return request.SlackDeactivated
	case u.IsBot || u.IsWorkflowBot || u.IsConnectorBot || u.ID == "USLACKBOT":
		return request.SlackBot
	case u.IsRestricted || u.IsUltraRestricted || u.IsInvitedUser:
		return request.SlackGuest
	case u.Profile.Email == "":
		return request.EmailMissing
	case !u.IsEmailConfirmed:
		return request.EmailUnconfirmed
	}
	return request.Member
}

// belongs reports whether u is of the bot's workspace, or of its Grid
// organization and a member of that workspace there.
func belongs(u *slack.User, self Self) bool {
	if u.TeamID != "" && u.TeamID == self.Team {
		return true
	}
	return self.Enterprise != "" && u.Enterprise.EnterpriseID == self.Enterprise &&
		slices.Contains(u.Enterprise.Teams, self.Team)
}
