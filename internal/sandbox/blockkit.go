package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// errBlocksFormat is what is wrong with blocks that are no JSON array.
var errBlocksFormat = errors.New("invalid_blocks_format")

// blockChecker collects what is wrong with a set of blocks, in the words and
// with the JSON pointers that Slack uses. It knows the blocks and elements that
// a message with buttons needs and refuses the rest, so that nothing passes
// unchecked.
type blockChecker struct {
	problems []string
	blockIDs map[string]bool
}

// parseBlocks checks blocks as Slack does and fills in what Slack fills in. It
// returns errBlocksFormat if raw is not an array of objects, and the problems
// if Slack would refuse the blocks.
func parseBlocks(raw string) (blocks []any, problems []string, err error) {
	decoder := json.NewDecoder(bytes.NewReader([]byte(raw)))
	decoder.UseNumber()
	if err := decoder.Decode(&blocks); err != nil || decoder.More() {
		return nil, nil, errBlocksFormat
	}
	c := &blockChecker{blockIDs: map[string]bool{}}
	if len(blocks) > 50 {
		c.fail("/blocks", "no more than 50 items allowed [input:%d]", len(blocks))
	}
	for i, b := range blocks {
		block, ok := b.(map[string]any)
		if !ok {
			return nil, nil, errBlocksFormat
		}
		c.block(fmt.Sprintf("/blocks/%d", i), block)
	}
	return blocks, c.problems, nil
}

func (c *blockChecker) fail(pointer, format string, args ...any) {
	c.problems = append(c.problems, fmt.Sprintf("[ERROR] "+format+" [json-pointer:%s]", append(args, pointer)...))
}

func (c *blockChecker) block(at string, b map[string]any) {
	kind, _ := b["type"].(string)
	id := c.optionalString(at, b, "block_id", 255)
	if id == "" {
		id = randomHex(3)
		b["block_id"] = id
	}
	if c.blockIDs[id] {
		c.fail(at+"/block_id", "block_id already exists [input:%s]", id)
	}
	c.blockIDs[id] = true

	switch kind {
	case "header":
		c.only(at, b, "text")
		c.text(at+"/text", b["text"], 150, "plain_text")
	case "section":
		c.section(at, b)
	case "context":
		c.only(at, b, "elements")
		for i, e := range c.list(at+"/elements", b["elements"], 10) {
			c.contextElement(fmt.Sprintf("%s/elements/%d", at, i), e)
		}
	case "divider":
		c.only(at, b)
	case "actions":
		c.only(at, b, "elements")
		ids := map[string]bool{}
		for i, e := range c.list(at+"/elements", b["elements"], 25) {
			c.button(fmt.Sprintf("%s/elements/%d", at, i), e, ids)
		}
	case "image":
		c.only(at, b, "image_url", "alt_text", "title")
		c.image(at, b)
		if title, ok := b["title"]; ok {
			c.text(at+"/title", title, 2000, "plain_text")
		}
	case "markdown":
		c.only(at, b, "text")
		c.requiredString(at, b, "text", 12000)
	default:
		c.fail(at+"/type", "unsupported type: %s", kind)
	}
}

func (c *blockChecker) section(at string, b map[string]any) {
	c.only(at, b, "text", "fields", "accessory", "expand")
	text, hasText := b["text"]
	fields, hasFields := b["fields"]
	if !hasText && !hasFields {
		c.fail(at, "missing required field: text or fields")
	}
	if hasText {
		c.text(at+"/text", text, 3000, "plain_text", "mrkdwn")
	}
	if hasFields {
		for i, f := range c.list(at+"/fields", fields, 10) {
			c.text(fmt.Sprintf("%s/fields/%d", at, i), f, 2000, "plain_text", "mrkdwn")
		}
	}
	if accessory, ok := b["accessory"]; ok {
		if element, _ := accessory.(map[string]any); element["type"] == "image" {
			c.only(at+"/accessory", element, "image_url", "alt_text")
			c.image(at+"/accessory", element)
		} else {
			c.button(at+"/accessory", accessory, map[string]bool{})
		}
	}
}

func (c *blockChecker) contextElement(at string, e any) {
	if element, _ := e.(map[string]any); element["type"] == "image" {
		c.only(at, element, "image_url", "alt_text")
		c.image(at, element)
		return
	}
	c.text(at, e, 2000, "plain_text", "mrkdwn")
}

func (c *blockChecker) image(at string, b map[string]any) {
	c.requiredString(at, b, "image_url", 3000)
	c.requiredString(at, b, "alt_text", 2000)
}

// text checks a text object. The two types differ in what they may carry:
// emoji belongs to plain_text, verbatim to mrkdwn.
func (c *blockChecker) text(at string, v any, limit int, types ...string) {
	t, ok := v.(map[string]any)
	if !ok {
		c.fail(at, "missing required field or not an object")
		return
	}
	kind, _ := t["type"].(string)
	if !slices.Contains(types, kind) {
		c.fail(at+"/type", "must be one of: %s [input:%s]", strings.Join(types, ", "), kind)
		return
	}
	flag := map[string]string{"plain_text": "emoji", "mrkdwn": "verbatim"}[kind]
	c.only(at, t, "text", flag)
	if v, ok := t[flag]; !ok {
		t[flag] = kind == "plain_text"
	} else if _, ok := v.(bool); !ok {
		c.fail(at+"/"+flag, "must be a boolean")
	}
	c.requiredString(at, t, "text", limit)
}

func (c *blockChecker) list(at string, v any, limit int) []any {
	items, ok := v.([]any)
	switch {
	case !ok:
		c.fail(at, "missing required field or not an array")
	case len(items) == 0:
		c.fail(at, "no less than 1 items allowed [input:0]")
	case len(items) > limit:
		c.fail(at, "no more than %d items allowed [input:%d]", limit, len(items))
	}
	return items
}

func (c *blockChecker) requiredString(at string, b map[string]any, key string, limit int) {
	if s := c.optionalString(at, b, key, limit); s == "" {
		c.fail(at+"/"+key, "must be more than 0 characters")
	}
}

func (c *blockChecker) optionalString(at string, b map[string]any, key string, limit int) string {
	v, ok := b[key]
	if !ok {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		c.fail(at+"/"+key, "must be a string")
	}
	if utf8.RuneCountInString(s) > limit {
		c.fail(at+"/"+key, "must be less than %d characters", limit+1)
	}
	return s
}

func (c *blockChecker) only(at string, b map[string]any, keys ...string) {
	for key := range b {
		if key != "type" && key != "block_id" && !slices.Contains(keys, key) {
			c.fail(at, "invalid additional property: %s", key)
		}
	}
}
