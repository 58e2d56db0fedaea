package slackapp

import (
	"fmt"
	"strings"
)

// parameter is one of the cmdlet's, a common one of PowerShell's, or ours.
type parameter struct {
	name, alias string
	toggle      bool // a switch: no value, or :$true and :$false
	noMeaning   bool // recognized, and without meaning in a chat
}

// parameters in the order in which ambiguous ones are named. Names and aliases:
// learn.microsoft.com/powershell/module/microsoft.online.sharepoint.powershell/revoke-spousersession
// and about_CommonParameters. Reason is ours.
var parameters = []parameter{
	{name: "User"},
	{name: "Reason"},
	{name: "Confirm", alias: "cf", toggle: true},
	{name: "WhatIf", alias: "wi", toggle: true},
	{name: "Verbose", alias: "vb", toggle: true},
	{name: "Debug", alias: "db", toggle: true},
	{name: "ErrorAction", alias: "ea", noMeaning: true},
	{name: "ErrorVariable", alias: "ev", noMeaning: true},
	{name: "InformationAction", alias: "infa", noMeaning: true},
	{name: "InformationVariable", alias: "iv", noMeaning: true},
	{name: "OutVariable", alias: "ov", noMeaning: true},
	{name: "OutBuffer", alias: "ob", noMeaning: true},
	{name: "PipelineVariable", alias: "pv", noMeaning: true},
	{name: "WarningAction", alias: "wa", noMeaning: true},
	{name: "WarningVariable", alias: "wv", noMeaning: true},
}

// binding gives parameters their values, the named ones first.
type binding struct {
	values  map[string]word
	on      map[string]bool
	ignored []string
	rest    []word
}

func (b *binding) bind(items []item) error {
	for n := 0; n < len(items); n++ {
		i := items[n]
		if !i.param {
			b.rest = append(b.rest, i.word)
			continue
		}
		p, err := findParameter(i)
		if err != nil {
			return err
		}
		if _, twice := b.values[p.name]; twice {
			return wrong(seeHelp, "Cannot bind parameter because parameter '%s' is specified more than once.", p.name)
		}
		if (!p.toggle || i.colon) && !i.attached {
			if p.toggle || n+1 == len(items) || items[n+1].param {
				return wrong("Give it a value: "+sampleOf(p), "Missing an argument for parameter '%s'. Specify a parameter of type 'System.String' and try again.", p.name)
			}
			n++
			i.word = items[n].word
		}
		if b.values[p.name] = i.word; p.toggle {
			if b.on[p.name], err = toggled(p, i); err != nil {
				return err
			}
		}
		if p.noMeaning {
			b.ignored = append(b.ignored, "-"+p.name)
		}
	}
	return b.position()
}

// position gives User, which is at position 0, its value where it was not named.
func (b *binding) position() error {
	for _, w := range b.rest {
		if value := strings.ToLower(w.text); value == "$true" || value == "$false" {
			return wrong("A switch takes its value behind a colon: `-Confirm:"+value+"`",
				"A positional parameter cannot be found that accepts argument '%s'.", shown(w.text))
		}
	}
	if _, named := b.values["User"]; !named && len(b.rest) > 0 {
		b.values["User"], b.rest = b.rest[0], b.rest[1:]
	}
	if len(b.rest) == 0 {
		return nil
	}
	return wrong("I take one user per command. "+quoteThis, "A positional parameter cannot be found that accepts argument '%s'.", shown(b.rest[0].text))
}

// findParameter finds a parameter by its name, alias, or any beginning of either
// that only one has, in any case and with any dashes in it.
func findParameter(i item) (parameter, error) {
	name := strings.ToLower(strings.Map(func(r rune) rune {
		if isDash(r) {
			return -1
		}
		return r
	}, i.name))
	var found []parameter
	for _, p := range parameters {
		full := strings.ToLower(p.name)
		if name == full || name == p.alias {
			return p, nil
		}
		if strings.HasPrefix(full, name) || strings.HasPrefix(p.alias, name) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return parameter{}, wrong(seeHelp, "A parameter cannot be found that matches parameter name '%s'.", shown(i.name))
	case 1:
		return found[0], nil
	}
	var names []string
	for _, p := range found {
		names = append(names, "-"+p.name)
	}
	return parameter{}, wrong("Write the one you mean in full.",
		"Parameter cannot be processed because the parameter name '%s' is ambiguous. Possible matches include: %s.", shown(i.name), strings.Join(names, " "))
}

func toggled(p parameter, i item) (bool, error) {
	if !i.attached {
		return true, nil
	}
	switch strings.ToLower(i.word.text) {
	case "$true", "true", "1":
		return true, nil
	case "$false", "false", "0":
		return false, nil
	}
	return false, wrong(fmt.Sprintf("Write `-%s`, `-%s:$true` or `-%s:$false`.", p.name, p.name, p.name),
		"Cannot convert value \"%s\" to type \"System.Management.Automation.SwitchParameter\". Boolean parameters accept only Boolean values and numbers, such as $True, $False, 1 or 0.", shown(i.word.text))
}

func sampleOf(p parameter) string {
	switch {
	case p.name == "User":
		return "`-User user@contoso.com`"
	case p.name == "Reason":
		return "`-Reason \"INC-42: token theft\"`"
	case p.toggle:
		return "`-" + p.name + ":$true`"
	}
	return "`-" + p.name + " …`"
}
