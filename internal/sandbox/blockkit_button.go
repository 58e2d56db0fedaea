package sandbox

import (
	"net/url"
	"slices"
)

func (c *blockChecker) button(at string, e any, ids map[string]bool) {
	b, ok := e.(map[string]any)
	if !ok || b["type"] != "button" {
		c.fail(at+"/type", "unsupported type: %v", b["type"])
		return
	}
	c.only(at, b, "text", "action_id", "url", "value", "style", "confirm", "accessibility_label")
	c.text(at+"/text", b["text"], 75, "plain_text")
	id := c.optionalString(at, b, "action_id", 255)
	if id == "" {
		id = randomHex(3)
		b["action_id"] = id
	}
	if ids[id] {
		c.fail(at+"/action_id", "action_id already exists [input:%s]", id)
	}
	ids[id] = true
	c.optionalString(at, b, "value", 2000)
	c.url(at, b)
	c.optionalString(at, b, "accessibility_label", 75)
	c.style(at, b)
	if confirm, ok := b["confirm"]; ok {
		c.confirm(at+"/confirm", confirm)
	}
}

// url is checked for being a web address at all; no source lists the schemes that
// Slack lets a button open.
func (c *blockChecker) url(at string, b map[string]any) {
	raw := c.optionalString(at, b, "url", 3000)
	if _, given := b["url"]; !given {
		return
	}
	if u, err := url.Parse(raw); err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		c.fail(at+"/url", "invalid url [input:%s]", raw)
	}
}

func (c *blockChecker) confirm(at string, v any) {
	d, ok := v.(map[string]any)
	if !ok {
		c.fail(at, "must be an object")
		return
	}
	for key := range d {
		if !slices.Contains([]string{"title", "text", "confirm", "deny", "style"}, key) {
			c.fail(at, "invalid additional property: %s", key)
		}
	}
	c.text(at+"/title", d["title"], 100, "plain_text")
	c.text(at+"/text", d["text"], 300, "plain_text", "mrkdwn")
	c.text(at+"/confirm", d["confirm"], 30, "plain_text")
	c.text(at+"/deny", d["deny"], 30, "plain_text")
	c.style(at, d)
}

func (c *blockChecker) style(at string, b map[string]any) {
	if style, ok := b["style"]; ok && style != "primary" && style != "danger" {
		c.fail(at+"/style", "failed to match allowed values: primary, danger [input:%v]", style)
	}
}
