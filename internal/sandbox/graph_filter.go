package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// condition tells whether a user passes a filter.
type condition func(properties map[string]any) bool

// filterParser reads the part of OData's $filter that looks people up: eq, and,
// or, parentheses, and any over a list. The rest is refused like a query that
// the directory does not support.
type filterParser struct {
	tokens   []string
	resource filterable
}

// filterable is what can be filtered by.
type filterable struct {
	name                string
	texts, flags, lists []string
}

func filterableUser() filterable {
	return filterable{
		name:  "User",
		texts: []string{"mail", "userPrincipalName", "id", "displayName", "userType", "creationType", "mailNickname", "jobTitle"},
		flags: []string{"accountEnabled"}, lists: []string{"proxyAddresses", "otherMails"},
	}
}

var filterToken = regexp.MustCompile(`^(?:'(?:[^']|'')*'|[A-Za-z][A-Za-z0-9]*(?:/any)?|[():,])`)

func parseFilter(raw string, resource filterable) (condition, error) {
	p := &filterParser{resource: resource}
	for rest := strings.TrimSpace(raw); rest != ""; rest = strings.TrimSpace(rest) {
		token := filterToken.FindString(rest)
		if token == "" {
			return nil, malformed(raw)
		}
		p.tokens = append(p.tokens, token)
		rest = rest[len(token):]
	}
	c, err := p.or()
	if err == nil && len(p.tokens) > 0 {
		err = malformed(strings.Join(p.tokens, " "))
	}
	return c, err
}

func malformed(near string) error {
	return badRequest("Invalid filter clause: Syntax error at or near '%s'.", near)
}

func (p *filterParser) unsupported(property string) error {
	return &graphError{http.StatusBadRequest, "Request_UnsupportedQuery", fmt.Sprintf("Unsupported or invalid query filter clause specified for property '%s' of resource '%s'.", property, p.resource.name)}
}

func (p *filterParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *filterParser) peek() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *filterParser) or() (condition, error) {
	left, err := p.and()
	for err == nil && p.peek() == "or" {
		p.next()
		var right condition
		first := left
		right, err = p.and()
		left = func(u map[string]any) bool { return first(u) || right(u) }
	}
	return left, err
}

func (p *filterParser) and() (condition, error) {
	left, err := p.term()
	for err == nil && p.peek() == "and" {
		p.next()
		var right condition
		first := left
		right, err = p.term()
		left = func(u map[string]any) bool { return first(u) && right(u) }
	}
	return left, err
}

func (p *filterParser) term() (condition, error) {
	name := p.next()
	if name == "(" {
		inner, err := p.or()
		if err == nil && p.next() != ")" {
			err = malformed(")")
		}
		return inner, err
	}
	if list, ok := strings.CutSuffix(name, "/any"); ok {
		return p.anyOf(list)
	}
	value, err := p.comparison(name)
	if err != nil {
		return nil, err
	}
	switch {
	case slices.Contains(p.resource.texts, name) && strings.HasPrefix(value, "'"):
		return func(u map[string]any) bool {
			s, _ := u[name].(string)
			return strings.EqualFold(s, unquote(value))
		}, nil
	case slices.Contains(p.resource.flags, name) && (value == "true" || value == "false"):
		return func(u map[string]any) bool { return u[name] == (value == "true") }, nil
	}
	return nil, p.unsupported(name)
}

// anyOf reads (p:p eq 'x') after the name of a list.
func (p *filterParser) anyOf(list string) (condition, error) {
	if !slices.Contains(p.resource.lists, list) {
		return nil, p.unsupported(list)
	}
	open, variable, colon := p.next(), p.next(), p.next()
	if open != "(" || colon != ":" || p.next() != variable {
		return nil, malformed(list + "/any")
	}
	value, err := p.comparison(list)
	if err != nil {
		return nil, err
	}
	if p.next() != ")" || !strings.HasPrefix(value, "'") {
		return nil, malformed(list + "/any")
	}
	return func(u map[string]any) bool {
		items, _ := u[list].([]any)
		return slices.ContainsFunc(items, func(item any) bool {
			s, _ := item.(string)
			return strings.EqualFold(s, unquote(value))
		})
	}, nil
}

// comparison reads "eq value" and returns the value.
func (p *filterParser) comparison(name string) (string, error) {
	operator, value := p.next(), p.next()
	switch {
	case slices.Contains([]string{"ne", "gt", "ge", "lt", "le", "in"}, operator):
		return "", p.unsupported(name)
	case operator != "eq" || value == "":
		return "", malformed(name)
	}
	return value, nil
}

func unquote(value string) string {
	return strings.ReplaceAll(value[1:len(value)-1], "''", "'")
}
