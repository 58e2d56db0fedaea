package authz

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/revoke-session/revoke-session/internal/entra"
)

// user holds the properties asked for with $select; accountEnabled, userType,
// creationType and signInSessionsValidFromDateTime come only when asked for
// (learn.microsoft.com/graph/api/resources/user).
type user struct {
	ID                      string    `json:"id"`
	UserPrincipalName       string    `json:"userPrincipalName"`
	DisplayName             string    `json:"displayName"`
	UserType                string    `json:"userType"`
	CreationType            string    `json:"creationType"`
	AccountEnabled          bool      `json:"accountEnabled"`
	SignInSessionsValidFrom time.Time `json:"signInSessionsValidFromDateTime"`

	readAt    time.Time // the directory's clock
	requestID string
}

const (
	callerFields = "id,userPrincipalName,displayName,userType,creationType,accountEnabled"
	targetFields = callerFields + ",signInSessionsValidFromDateTime"
	memberFields = "id,userPrincipalName,userType,creationType,accountEnabled"
)

// external reports whether the account signs in at another organization.
func (u user) external() bool {
	return strings.Contains(strings.ToUpper(u.UserPrincipalName), "#EXT#") || u.CreationType == "Invitation"
}

// user reads one user by object id or sign-in name.
func (d *Directory) user(ctx context.Context, key, fields string) (user, error) {
	var u user
	meta, err := d.graph.Do(ctx, "read user", http.MethodGet, userPath(key)+"?$select="+fields, nil, &u)
	if err != nil {
		return user{}, fmt.Errorf("reading user: %w", err)
	}
	if u.ID == "" || u.UserPrincipalName == "" {
		return user{}, incomplete("read user", meta)
	}
	u.readAt, u.requestID = meta.Date, meta.RequestID
	return u, nil
}

// incomplete is the error of an answer that lacks what was asked for: it proves
// nothing, whatever its status.
func incomplete(op string, meta entra.Meta) error {
	return &entra.Error{
		System: entra.SystemGraph, Op: op, Status: http.StatusOK, Code: "incomplete answer", RequestID: meta.RequestID,
	}
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9._@-]+$`)

// userPath addresses a user. The quoted form is for keys that a path segment
// cannot hold as they are: Graph reads a leading $ as an option, # starts a
// fragment, and a quote ends the key unless it is doubled.
func userPath(key string) string {
	if plainKey.MatchString(key) {
		return "/v1.0/users/" + key
	}
	return "/v1.0/users('" + url.PathEscape(strings.ReplaceAll(key, "'", "''")) + "')"
}

// usersByMail lists the users whose mail is exactly email; two are enough to
// know that it is not one.
func (d *Directory) usersByMail(ctx context.Context, email, fields string) ([]user, error) {
	filter := "mail eq '" + strings.ReplaceAll(email, "'", "''") + "'"
	var page struct {
		Value []user `json:"value"`
		Next  string `json:"@odata.nextLink"`
	}
	path := "/v1.0/users?$filter=" + url.QueryEscape(filter) + "&$select=" + fields
	const op = "find user by mail"
	meta, err := d.graph.Do(ctx, op, http.MethodGet, path, nil, &page)
	if err != nil {
		return nil, fmt.Errorf("finding user by mail: %w", err)
	}
	noID := slices.ContainsFunc(page.Value, func(u user) bool { return u.ID == "" })
	if page.Value == nil || noID || page.Next != "" {
		return nil, incomplete(op, meta)
	}
	for i := range page.Value {
		page.Value[i].readAt, page.Value[i].requestID = meta.Date, meta.RequestID
	}
	return page.Value, nil
}
