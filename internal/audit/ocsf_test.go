package audit

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revoke-session/revoke-session/internal/request"
)

var update = flag.Bool("update", false, "write the golden files anew")

const goldenOCSF = "testdata/ocsf.jsonl"

func someRecords() []request.Record {
	alice := request.Actor{Slack: request.SlackUser{Team: "T1", User: "UALICE"}, ObjectID: "aaaaaaaa-0000-0000-0000-000000000001", Standing: "administrator"}
	bob := request.Actor{Slack: request.SlackUser{Team: "T1", User: "UBOB"}, ObjectID: "bbbbbbbb-0000-0000-0000-000000000002", Standing: "administrator"}
	at := func(second int) time.Time { return time.Date(2026, 11, 24, 3, 0, second, 123456789, time.UTC) }
	rec := func(second int, event string, actor request.Actor, state request.State) request.Record {
		return request.Record{
			Time: at(second), Request: "r1", Event: event, State: state, Actor: actor, Requester: alice,
			Target: "cccccccc-0000-0000-0000-000000000003", TargetUPN: "mallory@contoso.com", Plan: "p1", Channel: "C1", Message: "1.2",
		}
	}
	asked := rec(1, "command", alice, request.Pending)
	asked.Decision = "allowed"
	own := rec(2, "confirm", alice, request.Pending)
	own.Decision, own.Reason = "refused", request.OwnRequest
	confirmed := rec(3, "confirm", bob, request.Approved)
	confirmed.Decision, confirmed.Approvers = "allowed", []request.Actor{bob}
	done := rec(5, "result", alice, request.Finished)
	done.Outcome = &request.Outcome{Result: request.SignedOutWithinHour, Sends: 1, ReadBack: true}
	failed := done
	failed.Time, failed.Outcome = at(6), &request.Outcome{Result: request.Failed, Trouble: request.Forbidden, Sends: 1}
	alone := rec(7, "command", alice, request.Approved)
	alone.Decision, alone.Unconfirmed, alone.Justification = "allowed", true, "token theft"
	missing := request.Record{Time: at(8), Request: "r2", Event: "command", Decision: "refused", Reason: request.TargetMissing, State: request.Refused, Actor: alice, Requester: alice, Named: "malory"}
	stray := request.Record{Time: at(9), Request: "r3", Event: "confirm", Decision: "refused", Reason: request.UnknownCard, State: request.Refused, Actor: request.Actor{Slack: request.SlackUser{Team: "T1", User: "UEVE"}}}
	expired := rec(10, "expire", request.Actor{}, request.Expired)
	return []request.Record{asked, own, confirmed, rec(4, "execute", alice, request.Executing), done, failed, alone, missing, stray, expired}
}

func TestOCSFGolden(t *testing.T) {
	signer, _ := keys(t)
	lines, _, err := NewChain(signer)(request.Head{}, someRecords())
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	for _, line := range lines {
		event, err := OCSF(line, "v1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		if event != nil {
			got.Write(append(event, '\n'))
		}
	}
	if *update {
		if err := os.WriteFile(goldenOCSF, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenOCSF)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("events differ (-want +got), see go test -update:\n%s", diff)
	}
}

// What https://schema.ocsf.io/1.8.0/classes/account_change requires, and its objects.
func TestOCSFHasWhatTheClassRequires(t *testing.T) {
	lines, _, err := Chain(request.Head{}, append(someRecords(), request.Record{Time: time.Now(), Event: "freeze"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		text, err := OCSF(line, "")
		if err != nil {
			t.Fatal(err)
		}
		var e map[string]any
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid", "user"} {
			if e[name] == nil {
				t.Errorf("%s is missing: %s", name, text)
			}
		}
		if e["type_uid"] != 300199.0 || e["class_uid"] != 3001.0 || e["category_uid"] != 3.0 || e["activity_id"] != 99.0 || e["activity_name"] == "" {
			t.Errorf("classified as %v: %s", e["type_uid"], text)
		}
		if ms, ok := e["time"].(float64); !ok || ms < 1.6e12 || ms > 1e14 {
			t.Errorf("time %v is not in milliseconds", e["time"])
		}
		if e["status_id"] == 99.0 && e["status"] == "" {
			t.Errorf("status Other has no name: %s", text)
		}
		metadata := e["metadata"].(map[string]any)
		product := metadata["product"].(map[string]any)
		if metadata["version"] != "1.8.0" || product["name"] == nil {
			t.Errorf("metadata %v", metadata)
		}
		people := []any{e["user"]}
		if u := e["actor"].(map[string]any)["user"]; u != nil {
			people = append(people, u)
		}
		for _, u := range people { // at_least_one
			if u := u.(map[string]any); u["uid"] == nil && u["name"] == nil {
				t.Errorf("a user without uid and name: %s", text)
			}
		}
	}
}

func TestOCSFOfSomethingElse(t *testing.T) {
	if _, err := OCSF([]byte("{"), ""); err == nil {
		t.Error("accepted")
	}
}
