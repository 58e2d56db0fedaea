package authz

import (
	"context"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Standing implements request.Directory. Whoever signs in needs no e-mail address.
func (d *Directory) Standing(ctx context.Context, who request.Origin) (request.Standing, request.Fault) {
	ctx, cancel := context.WithTimeout(ctx, lookupWithin)
	defer cancel()
	standing, _, fault := d.vouch(ctx, who)
	if standing == request.EmailMissing || standing == request.EmailUnconfirmed {
		standing = request.Member
	}
	return standing, fault
}
