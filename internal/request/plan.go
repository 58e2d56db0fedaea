package request

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
)

// Call is one call a plan makes.
type Call struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Why    string `json:"why"`
}

// Plan is what a revocation would do. What-If prints it and the revoker runs it.
type Plan struct {
	Revoker    string   `json:"revoker"`
	Tenant     string   `json:"tenant,omitempty"`
	Target     Target   `json:"target"`
	Calls      []Call   `json:"calls"`
	DoesNotEnd []string `json:"does_not_end"` // what goes on working afterwards
}

// codeAlphabet leaves out what is taken for something else when read aloud or typed.
var codeAlphabet = base32.NewEncoding("ABCDEFGHJKLMNPQRSTUVWXYZ23456789").WithPadding(base32.NoPadding)

// Code is a short name of what is bound by a confirmation: the account, its
// sign-in name, the revoker and the tenant. Two people can compare it; the gate
// compares the plans themselves. It is empty for no plan.
func (p Plan) Code() string {
	if p.Revoker == "" {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "revoke-session plan v1\n%q\n%q\n%q\n%q\n",
		p.Target.ObjectID, p.Target.UPN, p.Revoker, p.Tenant))
	code := codeAlphabet.EncodeToString(sum[:5])
	return code[:4] + "-" + code[4:]
}

// Change is one way in which a plan differs from the one that was shown.
type Change struct {
	What string `json:"what"`
	Was  string `json:"was"`
	Is   string `json:"is"`
}

// changes lists how now differs from what was shown, in what a confirmation binds.
func (p Plan) changes(now Plan) []Change {
	var all []Change
	for _, c := range []Change{
		{"object id", p.Target.ObjectID, now.Target.ObjectID},
		{"sign-in name", p.Target.UPN, now.Target.UPN},
		{"revoker", p.Revoker, now.Revoker},
		{"tenant", p.Tenant, now.Tenant},
	} {
		if c.Was != c.Is {
			all = append(all, c)
		}
	}
	return all
}
