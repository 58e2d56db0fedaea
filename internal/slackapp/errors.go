package slackapp

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/slack-go/slack"
)

type kind int

const (
	transient kind = iota // try again; the call may or may not have had its effect
	permanent             // will never work here
)

type problem struct {
	kind       kind
	code       string
	retryAfter time.Duration
}

// permanentCodes are the documented errors of chat.* that trying again does not
// mend (docs.slack.dev/reference/methods/chat.postMessage).
var permanentCodes = []string{
	"channel_not_found", "not_in_channel", "is_archived", "is_inactive", "user_not_in_channel", "user_not_found",
	"restricted_action", "restricted_action_read_only_channel", "restricted_action_thread_only_channel",
	"restricted_action_thread_locked", "restricted_action_non_threadable_channel", "cannot_reply_to_message",
	"message_not_found", "thread_not_found", "no_permission", "team_access_not_granted", "ekm_access_denied",
	"messages_tab_disabled", "cannot_dm_bot", "user_disabled", "invalid_blocks", "invalid_blocks_format", "msg_too_long",
	"msg_blocks_too_long", "no_text", "metadata_too_large", "invalid_arguments", "missing_scope",
}

func classify(err error) problem {
	if limited, ok := errors.AsType[*slack.RateLimitedError](err); ok {
		return problem{kind: transient, code: "ratelimited", retryAfter: min(limited.RetryAfter, time.Minute)}
	}
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok && slices.Contains(permanentCodes, e.Err) {
		return problem{kind: permanent, code: e.Err}
	}
	return problem{kind: transient}
}

// cannotChange reports whether a message exists no more, or will not change.
func cannotChange(err error) bool {
	e, ok := errors.AsType[slack.SlackErrorResponse](err)
	return ok && slices.Contains([]string{"message_not_found", "cant_update_message", "edit_window_closed"}, e.Err)
}

// cannotDelete reports whether a message of ours will never be deleted.
func cannotDelete(err error) bool {
	e, ok := errors.AsType[slack.SlackErrorResponse](err)
	return ok && slices.Contains([]string{"cant_delete_message", "compliance_exports_prevent_deletion"}, e.Err)
}

// cannotLook reports whether messages cannot be looked up at all, for want of a
// scope or of the method itself.
func cannotLook(err error) bool {
	if e, ok := errors.AsType[slack.SlackErrorResponse](err); ok {
		return slices.Contains([]string{"missing_scope", "unknown_method", "not_allowed_token_type", "method_deprecated"}, e.Err)
	}
	e, ok := errors.AsType[slack.StatusCodeError](err)
	return ok && e.Code == http.StatusNotFound
}
