package request

import (
	"time"
)

// SlackUser names a person's Slack account. Slack's display names and user
// names can be changed by their owners and are never used.
type SlackUser struct {
	Enterprise string `json:"enterprise,omitempty"`
	Team       string `json:"team"`
	User       string `json:"user"`
}

// is reports whether u and other are one account: in a Grid organization a user's id is
// the same in each workspace.
func (u SlackUser) is(other SlackUser) bool {
	sameOrg := u.Enterprise != "" && u.Enterprise == other.Enterprise
	return u.User != "" && u.User == other.User && (u.Team == other.Team || sameOrg)
}

// Origin is where a command or press came from.
type Origin struct {
	SlackUser
	Channel string `json:"channel"`
	// Home is the user's own workspace as the delivery states it, where it does:
	// through Slack Connect it is not the workspace of the channel.
	Home string `json:"home,omitempty"`
}

// Standing says how far a Slack user could be identified.
type Standing string

// Only Member is somebody; every other standing is nobody, with the reason.
const (
	Member           Standing = "member" // one enabled Entra member, found and vouched for
	SlackGuest       Standing = "slack-guest"
	SlackBot         Standing = "slack-bot"
	SlackDeactivated Standing = "slack-deactivated"
	SlackOutsider    Standing = "slack-outsider" // another workspace or organization
	EmailMissing     Standing = "email-missing"
	EmailUnconfirmed Standing = "email-unconfirmed"
	EntraMissing     Standing = "entra-missing"
	EntraAmbiguous   Standing = "entra-ambiguous"
	EntraDisabled    Standing = "entra-disabled"
	EntraGuest       Standing = "entra-guest"
	NotLinked        Standing = "not-linked" // has not proven yet which Entra account is theirs
	Unverified       Standing = "unverified" // a look-up failed; see Fault
)

// System names the other side of a failed call.
type System string

// The systems the bot depends on.
const (
	Slack System = "Slack"
	Entra System = "Microsoft Entra ID"
	Graph System = "Microsoft Graph"
	// SharePoint is where the cmdlet itself goes.
	SharePoint System = "SharePoint Online"
)

// Fault is why a look-up or a call failed, in terms that can be looked up.
type Fault struct {
	System    System `json:"system,omitempty"`
	Status    int    `json:"status,omitempty"` // HTTP status, 0 if there was no answer
	Code      string `json:"code,omitempty"`   // the system's own error code
	RequestID string `json:"request_id,omitempty"`
}

// Identified is how a Slack user was found to be an Entra account.
type Identified string

// The two ways.
const (
	ByLink  Identified = "link"  // they signed in to it once
	ByEmail Identified = "email" // the confirmed address of their Slack profile is its sign-in name or mail
)

// Caller is the verified person behind a command or press, or the reason why
// nobody could be verified. People are compared by ObjectID only.
type Caller struct {
	Slack    SlackUser `json:"slack"`
	ObjectID string    `json:"object_id,omitempty"`
	UPN      string    `json:"upn,omitempty"`
	Name     string    `json:"name,omitempty"`
	Standing Standing  `json:"standing,omitempty"`
	// Identified is empty for nobody.
	Identified    Identified `json:"identified,omitempty"`
	Administrator bool       `json:"administrator,omitempty"` // holds Global Administrator now
	Eligible      bool       `json:"eligible,omitempty"`      // does not, and could activate it in PIM
	Evidence      string     `json:"evidence,omitempty"`      // request id of the answer about the role
	Fault         Fault      `json:"fault,omitzero"`
	// Proven says that a fresh sign-in came with what they did.
	Proven bool `json:"proven,omitempty"`
	// Took is how long the look-up took.
	Took time.Duration `json:"took,omitempty"`
}

// Is reports whether c and other are the same human. Nobody is the same as
// somebody unknown.
func (c Caller) Is(other Caller) bool { return c.ObjectID != "" && c.ObjectID == other.ObjectID }

// Account says what kind of account a target is.
type Account string

// Sessions are revocable for AccountMember only.
const (
	AccountMember   Account = "member"
	AccountGuest    Account = "guest"
	AccountExternal Account = "external member" // a member who signs in at another organization
	AccountMissing  Account = "missing"
	AccountUnknown  Account = "unknown" // the look-up failed; see Fault
	// AccountUnresolved is that of a Slack mention which leads to no one account; see Standing.
	AccountUnresolved Account = "unresolved"
)

// Target is the account whose sessions are to end, as the directory has it.
type Target struct {
	ObjectID  string    `json:"object_id,omitempty"`
	UPN       string    `json:"upn,omitempty"`
	Name      string    `json:"name,omitempty"`
	Account   Account   `json:"account,omitempty"`
	Enabled   bool      `json:"enabled,omitempty"`
	ValidFrom time.Time `json:"valid_from,omitzero"` // signInSessionsValidFromDateTime when looked up
	AsOf      time.Time `json:"as_of,omitzero"`      // the directory's own time of the look-up
	Standing  Standing  `json:"standing,omitempty"`  // of a mentioned Slack user
	// Roles are the names of the privileged directory roles that the account holds now,
	// separated by commas.
	Roles string `json:"roles,omitempty"`
	// RolesUnknown says that they could not be read, where nothing depends on them.
	RolesUnknown bool `json:"roles_unknown,omitempty"`
	// Administrators is how many active Global Administrators there are, where the
	// account is one of them and they could be counted; 0 otherwise.
	Administrators int `json:"administrators,omitempty"`
	// Protected is the operator's entry that keeps the account from being signed out.
	Protected string `json:"protected,omitempty"`
	Evidence  string `json:"evidence,omitempty"` // request id of the answer
	Fault     Fault  `json:"fault,omitzero"`
	// Took is how long the look-up took.
	Took time.Duration `json:"took,omitempty"`
}

// clockSkew is how far Microsoft's machines may disagree about the time, besides
// telling it in whole seconds. Being too strict here is worse than too lenient: an
// effect that is not recognized is asked for again and reported as missing.
const clockSkew = time.Minute

// mark is the time after which ValidFrom is due to us: later than the value that
// was read, and not much older than the reading, because that value may have come
// from a directory copy that lagged behind somebody else's change.
func (t Target) mark() time.Time {
	if seen := t.AsOf.Add(-clockSkew); !t.AsOf.IsZero() && seen.After(t.ValidFrom) {
		return seen
	}
	return t.ValidFrom
}

// Place is what Slack says about a channel.
type Place string

// Requests live only in an Ours channel.
const (
	Ours         Place = "ours"
	Shared       Place = "shared" // with another organization, or about to be
	Direct       Place = "direct" // a conversation in which no second person could see the card
	Unreadable   Place = "unreadable"
	PlaceUnknown Place = "unknown" // the look-up failed
)
