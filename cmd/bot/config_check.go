package main

import (
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
)

// check collects what is wrong with settings, by their names and never with the
// value of a secret.
type check struct{ problems []string }

func (k *check) wrong(name, format string, args ...any) {
	k.problems = append(k.problems, name+" "+fmt.Sprintf(format, args...))
}

func (k *check) need(name, value, what string) string {
	value = strings.TrimSpace(value)
	if value == "" {
		k.wrong(name, "is not set: %s", what)
	}
	return value
}

// address checks that a token can be sent to value, and returns it.
func (k *check) address(name, value string) string {
	u, err := url.Parse(value)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http":
		k.wrong(name, "must be an address such as https://host")
	case u.Scheme == "http" && name == "AZURE_AUTHORITY_HOST":
		k.wrong(name, "must begin with https://")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		k.wrong(name, "must begin with https://, because a token would travel in the clear (http:// is for this machine only)")
	}
	return value
}

// origin is address with nothing behind the host.
func (k *check) origin(name, value string) string {
	value = strings.TrimSuffix(strings.TrimSpace(value), "/")
	if u, err := url.Parse(value); err == nil && u.Host != "" && u.User == nil && value != u.Scheme+"://"+u.Host {
		k.wrong(name, "must end after the host, as in https://contoso-admin.sharepoint.com")
		return value
	}
	return k.address(name, value)
}

func (k *check) boolean(name, value string) bool {
	is, ok := parseBoolean(value)
	if !ok {
		k.wrong(name, "must be true or false")
	}
	return is
}

func parseBoolean(value string) (is, ok bool) {
	switch strings.ToLower(strings.TrimSpace(value)) {
	case "true", "1":
		return true, true
	case "", "false", "0":
		return false, true
	}
	return false, false
}

// oneOf returns value if it is one of the choices, of which the first is used
// where value is empty or wrong.
func (k *check) oneOf(name, value string, choices ...string) string {
	if strings.TrimSpace(value) == "" {
		return choices[0]
	}
	for _, choice := range choices {
		if strings.EqualFold(strings.TrimSpace(value), choice) {
			return choice
		}
	}
	last := len(choices) - 1
	k.wrong(name, "must be %s or %s", strings.Join(choices[:last], ", "), choices[last])
	return choices[0]
}

var (
	objectID   = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)
	signInName = regexp.MustCompile(`^[^@\s"<>]+@[^@\s"<>.]+(\.[^@\s"<>.]+)+$`)
)

// accounts returns the object ids and sign-in names that a setting lists.
func (k *check) accounts(name, value string) []string {
	var entries []string
	for entry := range strings.SplitSeq(value, ",") {
		entry = strings.TrimSpace(entry)
		switch {
		case entry == "":
		case objectID.MatchString(entry) || signInName.MatchString(entry):
			entries = append(entries, entry)
		default:
			k.wrong(name, "has %q, which is neither an object id (Entra admin center: Users or Groups > the account or group > Object ID) nor a sign-in name such as user@contoso.com; separate them by commas", entry)
		}
	}
	return entries
}

// file checks that the bot could read a file that a setting names.
func (k *check) file(name, path string) {
	f, err := os.Open(path) //nolint:gosec // the operator's choice
	if err != nil {
		k.wrong(name, "names a file that cannot be read: %v", err)
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.IsDir() {
		k.wrong(name, "names %s, which is not a file", path)
	}
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
