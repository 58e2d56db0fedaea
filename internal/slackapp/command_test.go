package slackapp

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseCommand(t *testing.T) {
	tests := []struct{ text, want, answer string }{
		{text: "mallory@contoso.com", want: "mallory@contoso.com"},
		{text: "  mallory@contoso.com  ", want: "mallory@contoso.com"},
		{text: "<mailto:mallory@contoso.com|mallory@contoso.com>", want: "mallory@contoso.com"},
		{text: "<mailto:mallory@contoso.com>", want: "mallory@contoso.com"},
		{text: "<mailto:Mallory@contoso.com|mallory@contoso.com>", want: "Mallory@contoso.com"},
		{text: "o'neil@contoso.com", want: "o'neil@contoso.com"},
		{text: "a_b-c.d~e^f!@sub.contoso.com", want: "a_b-c.d~e^f!@sub.contoso.com"},
		{text: "alice_fabrikam.com#EXT#@contoso.onmicrosoft.com", want: "alice_fabrikam.com#EXT#@contoso.onmicrosoft.com"},
		{text: "5D92F0B8-4a63-4c1e-b7d5-e6f8a1029c34", want: "5D92F0B8-4a63-4c1e-b7d5-e6f8a1029c34"},

		{text: "", answer: "signs a Microsoft 365 user out"},
		{text: "   ", answer: "signs a Microsoft 365 user out"},
		{text: "HELP", answer: "signs a Microsoft 365 user out"},
		{text: "a@contoso.com b@contoso.com", answer: "exactly one sign-in name"},
		{text: "<mailto:mallory@contoso.com|alice@contoso.com>", answer: "address and its label differ"},
		{text: "<@U012ABCDEF>", answer: "not a mention"},
		{text: "<https://contoso.com|mallory@contoso.com>", answer: "not a mention or a link"},
		{text: "mallory", answer: "We couldn't find the user mallory. Check for typos"},
		{text: "mallory@contoso", answer: "not the form of a sign-in name"},
		{text: "$dollar+x@contoso.com", want: "$dollar+x@contoso.com"},
		{text: "r&amp;d@contoso.com", want: "r&d@contoso.com"},
		{text: "mallory@contoso.com/x", answer: "not the form"},
		{text: "mаllory@contoso.com", answer: "not the form"}, // a Cyrillic а
		{text: "mallory@contoso.com\u200b", answer: "not the form"},
		{text: "&lt;!channel&gt;@contoso.com", answer: "not a mention"},
		{text: strings.Repeat("a", 300) + "@contoso.com", answer: "not the form"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := parseCommand(tt.text)
			if tt.answer == "" {
				if err != nil || got != tt.want {
					t.Errorf("parseCommand = %q, %v; want %q", got, err, tt.want)
				}
				return
			}
			u, ok := errors.AsType[*usage](err)
			if !ok || !strings.Contains(u.Answer, tt.answer) {
				t.Errorf("parseCommand = %q, %+v; want an answer with %q", got, err, tt.answer)
			}
		})
	}
}

// Whatever is typed, the parse either gives a name that is exactly the typed
// characters, or an answer that cannot mention, link, or flood.
func FuzzParseCommand(f *testing.F) {
	for _, s := range []string{
		"mallory@contoso.com", "<mailto:a@contoso.com|a@contoso.com>", "<@U1>", "&amp;@contoso.com", "help", "",
		"<mailto:|>", "<mailto:a@contoso.com|", "<!channel>", "“a@contoso.com”", "a@contoso.com -WhatIf",
		"5d92f0b8-4a63-4c1e-b7d5-e6f8a1029c34",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		user, err := parseCommand(text)
		if err == nil {
			if !strings.Contains(escaped.Replace(text), user) || !upn.MatchString(user) && !objectID.MatchString(user) || len(user) > maxUser {
				t.Errorf("parseCommand(%q) = %q, which was not typed like that", text, user)
			}
			return
		}
		u, ok := errors.AsType[*usage](err)
		if !ok || u.Answer == "" {
			t.Fatalf("parseCommand(%q) = %v, want an answer", text, err)
		}
		if strings.ContainsAny(u.Answer, "<") || !utf8.ValidString(u.Answer) || len(u.Answer) > 3000 {
			t.Errorf("parseCommand(%q) answers %q", text, u.Answer)
		}
	})
}
