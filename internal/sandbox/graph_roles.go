package sandbox

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// graphRoles answers who holds which role of the directory, and who could.
func (s *Sandbox) graphRoles(call graphCall, rest []string) (map[string]any, error) {
	switch {
	case len(rest) != 2 || rest[0] != "directory":
		return nil, badRequest("Resource not found for the segment '%s'.", strings.Join(rest, "/"))
	case call.r.Method != http.MethodGet:
		return nil, errMethod
	case rest[1] == "roleAssignments":
		return s.roleAssignments(call)
	case rest[1] == "roleEligibilityScheduleInstances":
		return s.roleEligibility(call)
	default:
		return nil, badRequest("Resource not found for the segment '%s'.", rest[1])
	}
}

// roleAssignments lists active assignments. A role that people hold through a
// group is assigned to the group. The real one takes $expand, too, and whether it
// takes $top no source says.
// https://learn.microsoft.com/graph/api/rbacapplication-list-roleassignments
func (s *Sandbox) roleAssignments(call graphCall) (map[string]any, error) {
	if err := call.may("RoleManagement.Read.Directory", "RoleManagement.Read.All", "Directory.Read.All", "RoleManagement.ReadWrite.Directory", "Directory.ReadWrite.All"); err != nil {
		return nil, err
	}
	if err := allowOptions(call.query, "$filter", "$select", "$skiptoken"); err != nil {
		return nil, err
	}
	assignment := func(template, principal string) map[string]any {
		return map[string]any{
			"id": roleRowID(template, principal) + "-1", "principalId": principal, "resourceScope": "/",
			"directoryScopeId": "/", "roleDefinitionId": template,
		}
	}
	rows := []map[string]any{assignment(globalAdministratorTemplate, administratorsGroup)}
	for _, p := range s.world.cast {
		if p.entra == nil {
			continue
		}
		for _, template := range p.entra.directRoles() {
			rows = append(rows, assignment(template, p.entra.id))
		}
	}
	kept, suffix, err := rowsOf(call, rows, filterable{name: "unifiedRoleAssignment", texts: []string{"id", "roleDefinitionId", "principalId", "directoryScopeId"}})
	if err != nil {
		return nil, err
	}
	return s.list(call, "roleManagement/directory/roleAssignments"+suffix, kept)
}

// roleEligibility lists who could activate which role. No source shows whether a
// missing license or a missing permission is told first.
// https://learn.microsoft.com/graph/api/rbacapplication-list-roleeligibilityscheduleinstances
func (s *Sandbox) roleEligibility(call graphCall) (map[string]any, error) {
	if err := call.may("RoleEligibilitySchedule.Read.Directory", "RoleEligibilitySchedule.ReadWrite.Directory", "RoleManagement.Read.All", "RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory"); err != nil {
		return nil, err
	}
	if s.world.unlicensed {
		return nil, &graphError{http.StatusBadRequest, "AadPremiumLicenseRequired", "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license."}
	}
	if err := allowOptions(call.query, "$filter", "$select", "$skiptoken"); err != nil {
		return nil, err
	}
	var rows []map[string]any
	for _, p := range s.world.cast {
		if p.entra == nil {
			continue
		}
		for _, template := range p.entra.eligible {
			rows = append(rows, map[string]any{
				"id": roleRowID(template, p.entra.id) + "-1-e", "principalId": p.entra.id, "roleDefinitionId": template,
				"directoryScopeId": "/", "appScopeId": nil, "startDateTime": p.entra.created.UTC().Format(time.RFC3339),
				"endDateTime": nil, "memberType": "Direct", "roleEligibilityScheduleId": p.entra.id,
			})
		}
	}
	kept, suffix, err := rowsOf(call, rows, filterable{
		name: "unifiedRoleEligibilityScheduleInstance", texts: []string{"principalId", "roleDefinitionId", "directoryScopeId", "memberType", "roleEligibilityScheduleId"},
	})
	if err != nil {
		return nil, err
	}
	return s.list(call, "roleManagement/directory/roleEligibilityScheduleInstances"+suffix, kept)
}

// roleRowID has the form of the ids in Microsoft's examples: both GUIDs as
// Windows lays them out, in base64.
func roleRowID(template, principal string) string {
	var raw []byte
	for _, id := range []string{template, principal} {
		b, _ := hex.DecodeString(strings.ReplaceAll(id, "-", "")) // ids of this package and checked ones
		if len(b) == 16 {
			slices.Reverse(b[0:4])
			slices.Reverse(b[4:6])
			slices.Reverse(b[6:8])
		}
		raw = append(raw, b...)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}
