package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/revoke-session/revoke-session/internal/request"
)

// Account Change of OCSF 1.8.0 (https://schema.ocsf.io/1.8.0/classes/account_change):
// of the classes that have the account as their object, the only one whose required
// attributes a record has. API Activity wants a source endpoint, Authorize Session the
// privileges of a new session. None has an activity for ending sessions, which makes it
// Other, with its name beside it.
const (
	ocsfVersion  = "1.8.0"
	ocsfCategory = 3 // Identity & Access Management
	ocsfClass    = 3001
	ocsfActivity = 99
)

// Identifiers of OCSF's dictionary.
const (
	statusSuccess = 1
	statusFailure = 2
	statusOther   = 99

	severityInformational = 1
	severityLow           = 2
	severityMedium        = 3
)

type ocsfEvent struct {
	ActivityID   int          `json:"activity_id"`
	ActivityName string       `json:"activity_name"`
	CategoryUID  int          `json:"category_uid"`
	ClassUID     int          `json:"class_uid"`
	TypeUID      int          `json:"type_uid"`
	SeverityID   int          `json:"severity_id"`
	StatusID     int          `json:"status_id"`
	Status       string       `json:"status"`
	StatusCode   string       `json:"status_code,omitempty"`
	Time         int64        `json:"time"` // milliseconds since 1970
	Metadata     ocsfMetadata `json:"metadata"`
	Actor        ocsfActor    `json:"actor"`
	User         ocsfUser     `json:"user"`
	Unmapped     ocsfRest     `json:"unmapped"`
}

type ocsfMetadata struct {
	Version        string      `json:"version"`
	Product        ocsfProduct `json:"product"`
	OriginalUID    string      `json:"original_event_uid"`
	OriginalTime   string      `json:"original_time"`
	CorrelationUID string      `json:"correlation_uid,omitempty"` // the request
}

type ocsfProduct struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
	Version    string `json:"version,omitempty"`
}

type ocsfActor struct {
	User    *ocsfUser `json:"user,omitempty"`
	AppName string    `json:"app_name"`
}

type ocsfUser struct {
	UID    string `json:"uid,omitempty"`
	UIDAlt string `json:"uid_alt,omitempty"`
	Name   string `json:"name,omitempty"`
}

// ocsfRest is the record, and which line of the record it is.
type ocsfRest struct {
	Number uint64 `json:"number"`
	Hash   string `json:"hash"`
	request.Record
}

// OCSF words one line of the record as an event of OCSF 1.8.0, as one line of JSON.
// Version is the product's. A checkpoint is no event: then it returns nil.
func OCSF(line []byte, version string) ([]byte, error) {
	var e Entry
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("not a record: %w", err)
	}
	if e.Event == eventCheckpoint {
		return nil, nil
	}
	event := ocsfEvent{
		ActivityID: ocsfActivity, ActivityName: "Revoke Sessions: " + e.Event,
		CategoryUID: ocsfCategory, ClassUID: ocsfClass, TypeUID: 100*ocsfClass + ocsfActivity,
		Time: e.Time.UnixMilli(),
		Metadata: ocsfMetadata{
			Version: ocsfVersion, Product: ocsfProduct{Name: "Revoke Session", VendorName: "Revoke Session", Version: version},
			OriginalUID: strconv.FormatUint(e.Seq, 10), OriginalTime: e.Time.Format(time.RFC3339Nano),
			CorrelationUID: string(e.Request),
		},
		Actor:    actorOf(e.Record),
		User:     ocsfUser{UID: e.Target, Name: cmp.Or(e.TargetUPN, e.Named)},
		Unmapped: ocsfRest{Number: e.Seq, Hash: Hash(line), Record: e.Record},
	}
	if event.User == (ocsfUser{}) { // a user has to have one of them
		event.User.Name = "unknown"
	}
	event.StatusID, event.Status, event.StatusCode = statusOf(e.Record)
	event.SeverityID = severityOf(e.Record, event.StatusID)
	text, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encoding number %d: %w", e.Seq, err)
	}
	return text, nil
}

// actorOf is who acted: the bot itself where nobody did, or on somebody's behalf.
func actorOf(rec request.Record) ocsfActor {
	a := ocsfActor{AppName: "revoke-session"}
	switch id, slack := rec.Actor.ObjectID, rec.Actor.Slack.User; {
	case id != "":
		a.User = &ocsfUser{UID: id, UIDAlt: slack}
	case slack != "": // a user has to have uid or name
		a.User = &ocsfUser{UIDAlt: slack, Name: slack}
	}
	return a
}

func statusOf(rec request.Record) (id int, status, code string) {
	switch {
	case rec.Event == "result" && rec.Outcome != nil:
		code = cmp.Or(string(rec.Outcome.Trouble), strconv.Itoa(int(rec.Outcome.Result)))
		if r := rec.Outcome.Result; r == request.SignedOut || r == request.SignedOutWithinHour {
			return statusSuccess, "Success", code
		}
		return statusFailure, "Failure", code
	case rec.Decision == "allowed":
		return statusSuccess, "Success", string(rec.Reason)
	case rec.Decision == "refused":
		return statusFailure, "Failure", string(rec.Reason)
	}
	return statusOther, cmp.Or(string(rec.State), "other"), string(rec.Reason)
}

func severityOf(rec request.Record, status int) int {
	switch {
	case rec.Event == "result" && status == statusFailure, rec.Unconfirmed:
		return severityMedium
	case status == statusFailure:
		return severityLow
	}
	return severityInformational
}
