package revoker

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/revoke-session/revoke-session/internal/entra"
	"github.com/revoke-session/revoke-session/internal/request"
)

// SharePoint revokes the way the cmdlet does, with Office365Tenant's
// RevokeAllUserSessions in SharePoint's tenant administration. It takes the
// sign-in name, since the call knows no object id. Safe for concurrent use.
//
// Whether the call accepts an app without a signed-in administrator is not
// documented anywhere; Connect-SPOService has app-only parameter sets, and the
// cmdlet's own page asks for a Global Administrator.
type SharePoint struct {
	effects *entra.API
	look    *lookback
	tenant  string
	backoff Backoff
}

// NewSharePoint returns a revoker that asks for effects through an API of
// SharePoint, which must not repeat them by itself, and reads back from Graph.
func NewSharePoint(effects, graphReads *entra.API, tenant string, backoff Backoff) *SharePoint {
	return &SharePoint{effects: effects, look: &lookback{graphReads}, tenant: tenant, backoff: backoff}
}

// revokeAll and the body's shape: FunctionImport RevokeAllUserSessions(userName)
// of SharePoint's $metadata, as pnpjs calls it.
const revokeAll = "/_api/Microsoft.Online.SharePoint.TenantManagement.Office365Tenant/RevokeAllUserSessions"

// Plan implements request.Revoker.
func (s *SharePoint) Plan(t request.Target) request.Plan {
	return request.Plan{
		Revoker: string(request.SharePoint), Tenant: s.tenant, Target: t,
		Calls: []request.Call{
			{Method: http.MethodPost, URL: s.effects.URL(revokeAll), Why: "what the cmdlet calls: signs the sign-in name out everywhere"},
			s.look.call(t.ObjectID),
		},
		DoesNotEnd: doesNotEnd,
	}
}

// Revoke implements request.Revoker. No source shows that the call moves
// signInSessionsValidFromDateTime: where it has moved, that is proof; where not, it
// proves nothing. Asking again after an unclear answer is safe, because signing
// out twice is the same as once.
func (s *SharePoint) Revoke(ctx context.Context, p request.Plan, a request.Attempt) request.Outcome {
	t := attempt{
		look: s.look, target: p.Target, readBacks: 1,
		what: "revoke all user sessions", system: request.SharePoint, backoff: s.backoff,
	}
	t.send = func(ctx context.Context) reply {
		in := map[string]string{"userName": p.Target.UPN}
		var out json.RawMessage
		meta, err := s.effects.Do(ctx, t.what, http.MethodPost, revokeAll, in, &out)
		if err != nil {
			return failure(err, meta, t.system)
		}
		return fromState(out, meta)
	}
	return t.run(ctx, a)
}

// fromState maps SPOUserSessionRevocationState, as PnP documents its values, to
// the documented results.
func fromState(body []byte, meta entra.Meta) reply {
	r := reply{meta: meta, verdict: refused, result: request.Failed, trouble: request.Declined}
	state, ok := revocationState(body)
	switch {
	case !ok:
		r.fault.Code = "no State"
	case state == 0: // FeatureDisabled
		r.result, r.trouble = request.NotAvailable, request.FeatureDisabled
	case state == 1: // UserNotFound
		r.result, r.trouble = request.NotFound, request.NameNotKnown
	case state == 3: // NonInstantaneousSuccess
		r.verdict, r.result, r.trouble = took, request.SignedOutWithinHour, request.NoTrouble
	case state == 4: // InstantaneousSuccess
		r.verdict, r.result, r.trouble = took, request.SignedOut, request.NoTrouble
	default: // 2 is Failure; what is unknown is no success either
		r.fault.Code = fmt.Sprintf("State %d", state)
	}
	if r.verdict == refused {
		r.fault.System, r.fault.Status, r.fault.RequestID = request.SharePoint, meta.Status, meta.RequestID
	}
	return r
}

// revocationState reads State from an answer in each of SharePoint's JSON forms:
// without and with minimal metadata at the top, verbose under d, there possibly
// under the call's name; a number, or one in quotes.
func revocationState(body []byte) (int, bool) {
	type entity struct {
		State json.RawMessage `json:"State"`
	}
	var answer struct {
		entity
		D struct {
			entity
			Named entity `json:"RevokeAllUserSessions"`
		} `json:"d"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return 0, false
	}
	for _, raw := range []json.RawMessage{answer.State, answer.D.State, answer.D.Named.State} {
		if len(raw) > 0 {
			n, err := strconv.Atoi(string(bytes.Trim(raw, `"`)))
			return n, err == nil
		}
	}
	return 0, false
}
