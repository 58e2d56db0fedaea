package main

import (
	"bytes"
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/revoke-session/revoke-session/internal/sandbox"
)

// The operator's commands work on the store of a bot that stands still, and say so of
// one that runs.
func TestThawAndLinks(t *testing.T) {
	s := newStory(t.TempDir())
	s.extra = []string{"IDENTITY=link"}
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	say := func(text string) {
		t.Helper()
		if d, err := s.world.Say(ctx, "bob", incident, text); err != nil || d.Status != http.StatusOK {
			t.Fatalf("%s: %+v, %v", text, d, err)
		}
	}
	say("/revoke-session freeze")
	ticket := ""
	if _, err := s.world.Await(ctx, func(state sandbox.State) bool { ticket = ticketOf(state, "bob", "Link"); return ticket != "" }); err != nil {
		t.Fatal(err)
	}
	v := visitor{s.world, s.world.Browser()}
	page, err := v.signIn(ctx, ticket, "bob")
	if err != nil {
		t.Fatal(err)
	}
	if page, err = v.agree(s.base, page); err != nil || !strings.Contains(page.text, "Linked") {
		t.Fatalf("%s, %v", page.text, err)
	}
	if _, err := s.world.Await(ctx, func(state sandbox.State) bool {
		for _, e := range state.Ephemerals {
			if strings.Contains(e.Plain, "Frozen: nothing is run any more") {
				return true
			}
		}
		return false
	}); err != nil {
		t.Fatalf("the freeze was not carried on after the link: %v", err)
	}

	operate := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		code := run(ctx, append(args, "--state-file="+filepath.Join(s.dir, "state.db")), &out, &errs)
		return code, out.String() + errs.String()
	}
	if code, out := operate("thaw"); code != exitFailure || !strings.Contains(out, "in use by another process") {
		t.Errorf("thaw beside a running bot: exit %d, %s", code, out)
	}
	if err := s.halt(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(ctx, []string{"thaw", "--state-file=" + filepath.Join(t.TempDir(), "other.db")}, &out, &out); code != exitFailure || !strings.Contains(out.String(), "there is no store to look into") {
		t.Errorf("thaw of nothing: exit %d, %s", code, &out)
	}
	bob := "T0CONTOSO/U0BOB042"
	for _, step := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"thaw"}, exitOK, "Thawed."},
		{[]string{"thaw"}, exitOK, "Nothing was frozen"},
		{[]string{"links"}, exitOK, bob + "\ta84d1e97-2c5f-4b36-8d70-f1e9b3c6a528\t"},
		{[]string{"links", "remove", "BOB"}, exitSettings, "USER must be"},
		{[]string{"links", "remove", bob}, exitOK, "Removed."},
		{[]string{"links", "remove", bob}, exitFailure, "is not linked"},
		{[]string{"links", "list"}, exitOK, ""},
	} {
		if code, out := operate(step.args...); code != step.code || !strings.Contains(out, step.want) || step.want == "" && out != "" {
			t.Errorf("bot %s: exit %d, %q; want %d, %q", strings.Join(step.args, " "), code, out, step.code, step.want)
		}
	}
	lines, err := s.records()
	if err != nil {
		t.Fatal(err)
	}
	record := string(bytes.Join(lines, nil))
	for _, event := range []string{`"event":"freeze"`, `"event":"thaw"`, `"event":"link"`, `"event":"unlink"`} {
		if strings.Count(record, event) != 1 {
			t.Errorf("%d lines of %s", strings.Count(record, event), event)
		}
	}
}

// A store in which nothing was ever frozen has nothing to thaw.
func TestThawOfAWarmStore(t *testing.T) {
	s := newStory(t.TempDir())
	if err := s.begin(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.close() })
	if err := s.halt(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"thaw", "--state-file=" + filepath.Join(s.dir, "state.db")}, &out, &out); code != exitOK || !strings.Contains(out.String(), "Nothing was frozen") {
		t.Errorf("exit %d, %s", code, &out)
	}
}
