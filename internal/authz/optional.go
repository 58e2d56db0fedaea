package authz

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
)

// refusedFor is how long an optional question is not asked again after it was
// refused: a permission or license that is not there will hardly come, and each
// refusal costs a new token.
const refusedFor = time.Hour

var errRefusedBefore = errors.New("refused a short while ago: the permission or the license is missing")

// optional is a question that the bot can do without an answer to.
type optional struct{ refused atomic.Int64 }

func (o *optional) worthAsking() bool {
	return time.Since(time.Unix(o.refused.Load(), 0)) > refusedFor
}

func (o *optional) answered(err error) {
	e, ok := errors.AsType[*entra.Error](err)
	if ok && (e.Status == http.StatusForbidden || e.Status == http.StatusBadRequest) {
		o.refused.Store(time.Now().Unix())
	}
}
