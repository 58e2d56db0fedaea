// Package store keeps requests, their due index and the audit record: bolt.go
// for one process on one machine (the default), redis.go for several replicas,
// memory.go as the model that the others are measured against. All three keep
// the contract written on request.Store and pass one suite (contract_test.go).
//
// It knows how to swap one version of a request for the next and nothing of
// what the versions mean.
package store

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// row is a request as bolt and memory keep it: with what the JSON of a request
// leaves out.
type row struct {
	Version int64           `json:"version"`
	Fence   string          `json:"fence,omitempty"`
	Until   time.Time       `json:"until,omitzero"`
	At      time.Time       `json:"at,omitzero"`
	Request json.RawMessage `json:"request"`
}

func encode(r request.Request) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding request %s: %w", r.ID, err)
	}
	blob, err := json.Marshal(row{
		Version: r.Version, Fence: r.Lease.Fence, Until: r.Lease.Until, At: r.Lease.At, Request: body,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding row of request %s: %w", r.ID, err)
	}
	return blob, nil
}

func decode(blob []byte) (request.Request, error) {
	var w row
	if err := json.Unmarshal(blob, &w); err != nil {
		return request.Request{}, fmt.Errorf("decoding row: %w", err)
	}
	var r request.Request
	if err := json.Unmarshal(w.Request, &r); err != nil {
		return request.Request{}, fmt.Errorf("decoding request: %w", err)
	}
	r.Version = w.Version
	r.Lease = request.Lease{Fence: w.Fence, Until: w.Until, At: w.At}
	return r, nil
}

// forgotten reports whether a request's time to be forgotten has come.
func forgotten(r request.Request, now time.Time) bool {
	return !r.Forget.IsZero() && !now.Before(r.Forget) && r.WakeAt().IsZero()
}

// unchanged is the update that changes nothing but the request's place in the
// due index, if that was wrong.
func unchanged(r request.Request, _ time.Time) (request.Request, []request.Record, error) {
	return r, nil, nil
}

// newFence returns a fence that no other claim has or will have.
func newFence() string { return rand.Text() }
