package sandbox

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const assignments, eligibility = "/v1.0/roleManagement/directory/roleAssignments", "/v1.0/roleManagement/directory/roleEligibilityScheduleInstances"

// rows reads every page of a list.
func (f *fixture) rows(token, path string, header ...string) (rows []answer, pages int) {
	f.t.Helper()
	for path != "" {
		request, err := http.NewRequestWithContext(f.t.Context(), http.MethodGet, f.env["GRAPH_URL"]+path, nil)
		if err != nil {
			f.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+token)
		for i := 0; i < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		response, err := f.tls.Do(request)
		if err != nil {
			f.t.Fatal(err)
		}
		got := decode(f.t, response.Body)
		response.Body.Close()
		value, ok := got["value"].([]any)
		if !ok {
			f.t.Fatalf("%s: got %v", path, got)
		}
		for _, row := range value {
			row, _ := row.(map[string]any)
			rows = append(rows, row)
		}
		pages++
		path = strings.TrimPrefix(got.text("@odata.nextLink"), f.env["GRAPH_URL"])
	}
	return rows, pages
}

func filtered(path, filter string) string { return path + "?$filter=" + url.QueryEscape(filter) }

func TestRoleAssignments(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	ofAdministrators := filtered(assignments, "roleDefinitionId eq '"+globalAdministratorTemplate+"'")
	principals := func(path string) (out []string) {
		t.Helper()
		rows, _ := f.rows(token, path)
		for _, row := range rows {
			if row.text("directoryScopeId") != "/" || row.text("resourceScope") != "/" || row.text("id") == "" {
				t.Errorf("got %v", row)
			}
			out = append(out, row.text("principalId"))
		}
		return out
	}
	alice := "1f6b3c52-8e0d-4d7a-9b41-6a2c5e7f9d10"
	if diff := cmp.Diff([]string{administratorsGroup, alice}, principals(ofAdministrators)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := principals(filtered(assignments, "roleDefinitionId eq '"+helpdeskAdministratorTemplate+"'")); len(got) != 1 {
		t.Errorf("helpdesk: got %v", got)
	}
	if got := principals(filtered(assignments, "principalId eq '"+strings.ToUpper(alice)+"' and roleDefinitionId eq '"+globalAdministratorTemplate+"'")); len(got) != 1 {
		t.Errorf("of alice: got %v", got)
	}
	if err := f.Join(); err != nil {
		t.Fatal(err)
	}
	f.SetPageSize(2)
	if rows, pages := f.rows(token, ofAdministrators); len(rows) != 6 || pages != 3 {
		t.Errorf("got %d rows on %d pages", len(rows), pages)
	}
	// The example of Microsoft's documentation.
	if got := roleRowID(globalAdministratorTemplate, "f1847572-48aa-47aa-96a3-2ec61904f41f"); got != "lAPpYvVpN0KRkAEhdxReEHJ1hPGqSKpHlqMuxhkE9B8" {
		t.Errorf("id: got %s", got)
	}
}

func TestRoleEligibility(t *testing.T) {
	f := start(t)
	if err := f.Join("peggy"); err != nil {
		t.Fatal(err)
	}
	token := f.graphToken()
	of := func(oid string) string {
		return filtered(eligibility, "principalId eq '"+oid+"' and roleDefinitionId eq '"+globalAdministratorTemplate+"'")
	}
	const peggy = "f4b82c16-3e9d-4705-a1f8-5c60d9e7b32a"
	rows, _ := f.rows(token, of(peggy))
	if len(rows) != 1 || rows[0].text("memberType") != "Direct" || !strings.HasSuffix(rows[0].text("id"), "-1-e") || rows[0]["endDateTime"] != nil {
		t.Errorf("got %v", rows)
	}
	if rows, _ := f.rows(token, of("1f6b3c52-8e0d-4d7a-9b41-6a2c5e7f9d10")); len(rows) != 0 {
		t.Errorf("alice is active, not eligible: got %v", rows)
	}
	if err := f.SetEligible("peggy", false); err != nil {
		t.Fatal(err)
	}
	if rows, _ := f.rows(token, of(peggy)); len(rows) != 0 {
		t.Errorf("no longer: got %v", rows)
	}
	f.SetPremium(false)
	if response, got := f.graphRequest(token, "GET", of(peggy), ""); response.StatusCode != 400 || got.text("error", "code") != "AadPremiumLicenseRequired" {
		t.Errorf("no license: got %v", got)
	}
	f.SetPremium(true)
	if rows, _ := f.rows(token, eligibility); len(rows) != 0 {
		t.Errorf("got %v", rows)
	}
}

func TestRolesAndGroupsRefuse(t *testing.T) {
	f := start(t)
	token := f.graphToken()
	for _, test := range []struct {
		name, method, path string
		status             int
		code               string
	}{
		{"other provider", "GET", "/v1.0/roleManagement/entitlementManagement/roleAssignments", 400, "BadRequest"},
		{"other list", "GET", "/v1.0/roleManagement/directory/roleDefinitions", 400, "BadRequest"},
		{"POST", "POST", assignments, 405, "Request_BadRequest"},
		{"other operator", "GET", filtered(assignments, "principalId ne 'x'"), 400, "Request_UnsupportedQuery"},
		{"property of a user", "GET", filtered(assignments, "mail eq 'x'"), 400, "Request_UnsupportedQuery"},
		{"unknown property", "GET", assignments + "?$select=shoeSize", 400, "BadRequest"},
		{"expand", "GET", eligibility + "?$expand=principal", 400, "BadRequest"},
		{"cast without the header", "GET", "/v1.0/groups/" + EmergencyAccessGroup + "/transitiveMembers/microsoft.graph.user?$count=true", 400, "Request_UnsupportedQuery"},
		{"other cast", "GET", "/v1.0/groups/" + EmergencyAccessGroup + "/transitiveMembers/microsoft.graph.group", 400, "BadRequest"},
		{"no such group", "GET", "/v1.0/groups/" + newGUID() + "/transitiveMembers", 404, "Request_ResourceNotFound"},
		{"group by name", "GET", "/v1.0/groups/Emergency/transitiveMembers", 400, "Request_BadRequest"},
		{"the group itself", "GET", "/v1.0/groups/" + EmergencyAccessGroup, 400, "BadRequest"},
		{"POST of members", "POST", "/v1.0/groups/" + EmergencyAccessGroup + "/transitiveMembers", 405, "Request_BadRequest"},
	} {
		if response, got := f.graphRequest(token, test.method, test.path, ""); response.StatusCode != test.status || got.text("error", "code") != test.code {
			t.Errorf("%s: got %d %v, want %d %s", test.name, response.StatusCode, got, test.status, test.code)
		}
	}
	f.Withdraw("RoleManagement.Read.Directory", "GroupMember.Read.All")
	for _, path := range []string{assignments, eligibility, "/v1.0/groups/" + EmergencyAccessGroup + "/transitiveMembers"} {
		if response, got := f.graphRequest(token, "GET", path, ""); response.StatusCode != 403 || got.text("error", "code") != "Authorization_RequestDenied" {
			t.Errorf("%s: got %v", path, got)
		}
	}
	if response, _ := f.graphRequest(token, "GET", "/v1.0/users/alice@contoso.com", ""); response.StatusCode != 200 {
		t.Errorf("what was not withdrawn: got %d", response.StatusCode)
	}
}

func TestTransitiveMembers(t *testing.T) {
	f := start(t)
	if err := f.Join("breakglass", "carol"); err != nil {
		t.Fatal(err)
	}
	token := f.graphToken()
	for _, person := range []string{"heidi", "carol"} {
		if err := f.SetMember(person, EmergencyAccessGroup, true); err != nil {
			t.Fatal(err)
		}
	}
	f.SetPageSize(2)
	path := "/v1.0/groups/" + strings.ToUpper(EmergencyAccessGroup) + "/transitiveMembers"
	rows, pages := f.rows(token, path+"/microsoft.graph.user?$count=true&$select=userPrincipalName,accountEnabled", "ConsistencyLevel", "eventual")
	want := []answer{
		{"userPrincipalName": "heidi@contoso.com", "accountEnabled": true}, {"userPrincipalName": "breakglass@contoso.com", "accountEnabled": true},
		{"userPrincipalName": "carol@contoso.com", "accountEnabled": true},
	}
	if diff := cmp.Diff(want, rows, cmp.Transformer("sorted", sortedByUPN)); diff != "" || pages != 2 {
		t.Errorf("%d pages (-want +got):\n%s", pages, diff)
	}
	rows, _ = f.rows(token, "/v1.0/groups/"+administratorsGroup+"/transitiveMembers?$select=id,mail")
	bob := answer{"@odata.type": "#microsoft.graph.user", "id": "a84d1e97-2c5f-4b36-8d70-f1e9b3c6a528", "mail": "bob@contoso.com"}
	if diff := cmp.Diff([]answer{bob}, rows); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	f.Withdraw("User.Read.All")
	rows, _ = f.rows(token, "/v1.0/groups/"+administratorsGroup+"/transitiveMembers?$select=id,mail")
	bob["mail"] = nil
	if diff := cmp.Diff([]answer{bob}, rows); diff != "" {
		t.Errorf("limited (-want +got):\n%s", diff)
	}
}

func sortedByUPN(rows []answer) map[string]any {
	out := map[string]any{}
	for _, row := range rows {
		out[row.text("userPrincipalName")] = row["accountEnabled"]
	}
	return out
}
