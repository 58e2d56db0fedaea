package main

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/revoke-session/revoke-session/internal/request"
)

var contextID = regexp.MustCompile(`^c[1-9][0-9]?$`)

// people reads who counts as whom, and how many of them are needed.
func (s *settings) people(c *config, k *check) {
	c.links = k.oneOf("IDENTITY", s.Identity, "email", "link") == "link"
	c.stepUp = request.StepUp(k.oneOf("STEP_UP", s.StepUp, "never", "privileged", "always"))
	c.approvals = k.number("APPROVALS", s.Approvals, 1, 5, 1)
	c.approvalsPrivileged = k.number("APPROVALS_PRIVILEGED", s.ApprovalsPrivileged, 1, 5, 1)
	c.hourly = k.number("HOURLY_REQUESTS", s.HourlyRequests, 0, 1000, 100)
	c.frozen = k.boolean("FREEZE", s.Freeze)
	if s.StepUpContext = strings.TrimSpace(s.StepUpContext); s.StepUpContext != "" && !contextID.MatchString(s.StepUpContext) {
		k.wrong("STEP_UP_CONTEXT", "must be the id of an authentication context, c1 to c99")
	}
	c.stepUpContext = s.StepUpContext
	if c.stepUp != request.StepUpNever && !c.links {
		k.wrong("STEP_UP", "needs IDENTITY=link: without it nobody knows whose sign-in to ask for")
	}
	if c.links {
		s.link(c, k)
	}
}

// link checks what signing people in needs.
func (s *settings) link(c *config, k *check) {
	if strings.TrimSpace(s.PublicURL) == "" {
		k.wrong("PUBLIC_URL", "is not set: IDENTITY=link needs the address at which browsers reach this bot, such as https://bot.contoso.com")
		return
	}
	c.publicURL = k.origin("PUBLIC_URL", s.PublicURL)
	c.linkKey = strings.TrimSpace(s.LinkKey)
	if c.linkKey != "" && len(c.linkKey) < 32 {
		k.wrong("LINK_KEY", "must have at least 32 characters, such as the output of openssl rand -hex 32")
	}
	if c.linkKey == "" && c.credential == secretCredential { // one that Slack does not know
		c.linkKey = c.clientSecret + "\n" + c.slackSecret
	}
	if c.credential == managedCredential {
		k.wrong("IDENTITY", "link signs people in through an app registration, which a managed identity has none of: use a secret, a certificate or a federated token")
	}
}

// number reads a whole number from least to most; usual is what an empty one means.
func (k *check) number(name, value string, least, most, usual int) int {
	if strings.TrimSpace(value) == "" {
		return usual
	}
	n, err := strconv.Atoi(strings.TrimSpace(value))
	if err != nil || n < least || n > most {
		k.wrong(name, "must be a number from %d to %d", least, most)
	}
	return n
}
