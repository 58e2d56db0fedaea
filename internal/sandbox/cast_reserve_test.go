package sandbox

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestJoin(t *testing.T) {
	f := start(t)
	if _, err := f.Say(t.Context(), "carol", incidentChannel, "hello"); err == nil || !strings.Contains(err.Error(), "not joined") {
		t.Errorf("before: got %v", err)
	}
	if a := f.api("users.info", "user", "U0CAROL042"); a.text("error") != "user_not_found" {
		t.Errorf("before: got %v", a)
	}
	if err := f.Join("carol", "judy"); err == nil {
		t.Error("judy: want an error")
	}
	if err := f.Join("carol"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Say(t.Context(), "carol", incidentChannel, "hello"); err != nil {
		t.Error(err)
	}
	if _, err := f.Say(t.Context(), "peggy", incidentChannel, "hello"); err == nil {
		t.Error("peggy has not joined: want an error")
	}
	for range 2 { // the second time nobody is left
		if err := f.Join(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Join("carol"); err != nil {
		t.Errorf("again: %v", err)
	}
	if got := len(f.world.cast); got != 13 {
		t.Errorf("got %d people", got)
	}
}

func TestReserveInSlack(t *testing.T) {
	f := start(t)
	if err := f.Join(); err != nil {
		t.Fatal(err)
	}
	for person, want := range map[string]struct {
		id, email    string
		deleted, bot bool
	}{
		"carol": {"U0CAROL042", "carol@contoso.com", false, false}, "peggy": {"U0PEGGY042", "peggy@contoso.com", false, false},
		"dave": {"U0DAVE042", "dave@contoso.com", true, false}, "trent": {"U0TRENT042", "trent@contoso.com", false, false},
		"alice2": {"U0ALICE2042", "alice.second@contoso.com", false, false}, "robot": {"U0ROBOT042", "", false, true},
	} {
		user, _ := f.api("users.info", "user", want.id)["user"].(map[string]any)
		got := answer(user)
		if got["deleted"] != want.deleted || got["is_bot"] != want.bot || got.text("profile", "email") != want.email || got.text("name") != person {
			t.Errorf("%s: got %v", person, got)
		}
		if _, err := f.Say(t.Context(), person, incidentChannel, "hello"); err != nil {
			t.Error(err)
		}
	}
	if _, err := f.Say(t.Context(), "breakglass", incidentChannel, "hello"); err == nil {
		t.Error("breakglass is not in Slack: want an error")
	}
	if a := f.api("chat.postEphemeral", "channel", incidentChannel, "user", "", "text", "x"); a.text("error") != "user_not_in_channel" {
		t.Errorf("nobody: got %v", a)
	}
	f.bot(nil)
	if got := f.world.escapeCommand("@breakglass @carol"); got != "@breakglass <@U0CAROL042|carol>" {
		t.Errorf("got %s", got)
	}
}

func TestReserveSignsIn(t *testing.T) {
	f := startOpenID(t)
	if err := f.Join(); err != nil {
		t.Fatal(err)
	}
	for person, oid := range map[string]string{
		"alice": "1f6b3c52-8e0d-4d7a-9b41-6a2c5e7f9d10", "alice2": "1f6b3c52-8e0d-4d7a-9b41-6a2c5e7f9d10",
		"carol": "6a0d9f35-b714-4e82-8c5b-3f91d7e2a460", "breakglass": "b05c3e98-d162-4a7f-8b24-70f9e6d1c5a3",
	} {
		if got := str(f.idTokenOf(person).claims, "oid"); got != oid {
			t.Errorf("%s: got %s, want %s", person, got, oid)
		}
	}
	for _, person := range []string{"trent", "robot"} {
		if redirect, err := f.SignIn(t.Context(), f.Browser(), f.authorizeURL(), person); err == nil {
			t.Errorf("%s: got %v", person, redirect)
		}
	}
}

func TestMemberObjects(t *testing.T) {
	f := start(t)
	if err := f.Join(); err != nil {
		t.Fatal(err)
	}
	const protected, securityAdministrator = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "194AE4CB-B126-40B2-BD5B-6091B380977D"
	token, unknown := f.graphToken(), newGUID()
	ids := []string{globalAdministratorTemplate, globalAdministratorRole, administratorsGroup, helpdeskAdministratorTemplate, helpdeskAdministratorRole, EmergencyAccessGroup, protected, securityAdministrator, unknown}
	holds := func(upn string) []any {
		t.Helper()
		response, got := f.graphRequest(token, "POST", "/v1.0/users/"+upn+"/checkMemberObjects", `{"ids":["`+strings.Join(ids, `","`)+`"]}`)
		value, ok := got["value"].([]any)
		if response.StatusCode != http.StatusOK || !ok {
			t.Fatalf("%s: got %v", upn, got)
		}
		return value
	}
	if err := f.SetMember("mallory", protected, true); err != nil {
		t.Fatal(err)
	}
	if err := f.SetDirectoryRole("mallory", securityAdministrator, true); err != nil {
		t.Fatal(err)
	}
	for person, want := range map[string][]any{
		"alice": {globalAdministratorTemplate, globalAdministratorRole}, "bob": {globalAdministratorTemplate, globalAdministratorRole, administratorsGroup},
		"heidi": {helpdeskAdministratorTemplate, helpdeskAdministratorRole}, "peggy": {}, "mallory": {protected, securityAdministrator},
		"carol": {globalAdministratorTemplate, globalAdministratorRole}, "trent": {globalAdministratorTemplate, globalAdministratorRole},
		"breakglass": {globalAdministratorTemplate, globalAdministratorRole, EmergencyAccessGroup},
	} {
		if diff := cmp.Diff(want, holds(person+"@contoso.com")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", person, diff)
		}
	}
	for _, err := range []error{
		f.SetMember("mallory", protected, false), f.SetDirectoryRole("mallory", securityAdministrator, false), f.SetDirectoryRole("heidi", helpdeskAdministratorTemplate, false),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, person := range []string{"mallory", "heidi"} {
		if got := holds(person + "@contoso.com"); len(got) != 0 {
			t.Errorf("%s: got %v", person, got)
		}
	}
	for _, err := range []error{
		f.SetMember("oscar", protected, true), f.SetMember("heidi", "a group", true), f.SetMember("heidi", administratorsGroup, true),
		f.SetDirectoryRole("heidi", globalAdministratorTemplate, true), f.SetEligible("robot", true),
	} {
		if err == nil {
			t.Error("want an error")
		}
	}
}
