package sandbox

import (
	"slices"
	"strings"
)

func (s *Sandbox) authTest(call slackCall) map[string]any {
	return map[string]any{
		"ok": true, "url": "https://" + teamDomain + ".slack.com/", "team": teamName, "user": botName,
		"team_id": teamID, "user_id": botUserID, "bot_id": botID, "is_enterprise_install": false,
	}
}

func (s *Sandbox) usersInfo(call slackCall) map[string]any {
	id := call.args.Get("user")
	if id == botUserID {
		return map[string]any{"ok": true, "user": botUser()}
	}
	p := s.world.bySlackID(id)
	if p == nil {
		return slackError("user_not_found")
	}
	return map[string]any{"ok": true, "user": userObject(p, slices.Contains(call.scopes, "users:read.email"))}
}

// userObject is a person as users.info shows them. Of people of other
// organizations it shows less: no e-mail address and no e-mail confirmation.
func userObject(p *person, withEmail bool) map[string]any {
	profile := map[string]any{
		"title": p.slack.title, "phone": "", "skype": "", "real_name": p.slack.realName,
		"real_name_normalized": p.slack.realName, "display_name": p.name, "display_name_normalized": p.name,
		"status_text": "", "status_emoji": "", "status_emoji_display_info": []any{}, "status_expiration": 0,
		"avatar_hash": "g" + p.slack.color, "first_name": p.slack.realName, "last_name": "", "team": p.slack.team,
	}
	if withEmail && p.slack.email != "" {
		profile["email"] = p.slack.email
	}
	if p.slack.bot {
		profile["bot_id"], profile["api_app_id"], profile["always_active"] = "B0"+strings.ToUpper(p.name)+"042", "A0"+strings.ToUpper(p.name)+"042", false
	}
	user := map[string]any{
		"id": p.slack.id, "team_id": p.slack.team, "name": p.name, "deleted": p.slack.deleted, "color": p.slack.color,
		"real_name": p.slack.realName, "tz": "Europe/Berlin", "tz_label": "Central European Time", "tz_offset": 3600,
		"profile": profile, "is_admin": false, "is_owner": false, "is_primary_owner": false,
		"is_restricted": p.slack.restricted, "is_ultra_restricted": false, "is_bot": p.slack.bot, "is_app_user": false,
		"updated": p.slack.updated, "who_can_share_contact_card": "EVERYONE",
	}
	if p.slack.stranger {
		user["is_stranger"] = true
	} else {
		user["is_email_confirmed"] = !p.slack.bot
	}
	return user
}

func botUser() map[string]any {
	return map[string]any{
		"id": botUserID, "team_id": teamID, "name": botName, "deleted": false, "color": "757575",
		"real_name": botName, "is_bot": true, "is_app_user": false, "is_admin": false, "is_owner": false,
		"is_primary_owner": false, "is_restricted": false, "is_ultra_restricted": false, "is_email_confirmed": false,
		"updated": 1700000000,
		"profile": map[string]any{
			"real_name": botName, "real_name_normalized": botName, "display_name": "", "display_name_normalized": "",
			"bot_id": botID, "api_app_id": appID, "always_active": false, "team": teamID,
		},
	}
}

// visible finds the conversation a call names, as far as the bot can see it.
// kind is "read" or "history", the last word of the scope that is needed. A
// private conversation without the bot does not exist for it.
func (s *Sandbox) visible(call slackCall, kind string) (*channel, map[string]any) {
	c := s.world.channel(call.args.Get("channel"))
	if c == nil || (c.private && !c.botMember) {
		return nil, slackError("channel_not_found")
	}
	family := "channels:"
	switch {
	case c.direct:
		family = "im:"
	case c.private:
		family = "groups:"
	}
	if answer := call.missing(family + kind); answer != nil {
		return nil, answer
	}
	return c, nil
}

func (s *Sandbox) conversationsInfo(call slackCall) map[string]any {
	c, refusal := s.visible(call, "read")
	if refusal != nil {
		return refusal
	}
	info := map[string]any{
		"id": c.id, "created": 1700000000, "is_archived": c.archived, "is_im": c.direct, "is_org_shared": false,
		"context_team_id": teamID, "updated": 1700000000000, "priority": 0,
	}
	if c.direct {
		info["user"], info["is_user_deleted"], info["is_open"] = c.memberList[0], false, true
		return map[string]any{"ok": true, "channel": info}
	}
	shared := []string{teamID}
	if c.extShared {
		shared = append(shared, partnerTeamID)
	}
	for key, value := range map[string]any{
		"name": c.name, "name_normalized": strings.ToLower(c.name), "is_channel": !c.private, "is_group": c.private,
		"is_mpim": false, "is_private": c.private, "is_general": c.id == notMemberChannel, "unlinked": 0,
		"is_shared": c.extShared, "is_ext_shared": c.extShared, "is_pending_ext_shared": false,
		"pending_shared": []any{}, "pending_connected_team_ids": []any{}, "parent_conversation": nil,
		"creator": s.world.cast[0].slack.id, "is_member": c.botMember, "shared_team_ids": shared, "previous_names": []any{},
		"topic":   map[string]any{"value": "", "creator": "", "last_set": 0},
		"purpose": map[string]any{"value": "", "creator": "", "last_set": 0},
	} {
		info[key] = value
	}
	if c.extShared {
		info["connected_team_ids"], info["conversation_host_id"] = []string{partnerTeamID}, teamID
	}
	return map[string]any{"ok": true, "channel": info}
}
