package sandbox

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// slackCall is one call of a Web API method after its token was accepted.
type slackCall struct {
	args   url.Values
	scopes []string
	host   string
}

// slackMethod answers a call. The caller holds mu.
type slackMethod struct {
	scope string // "" needs none; methods whose scope depends on the conversation check it themselves
	json  bool   // the method reads JSON bodies; others ignore them
	run   func(*Sandbox, slackCall) map[string]any
}

func slackMethods() map[string]slackMethod {
	return map[string]slackMethod{
		"auth.test":             {"", true, (*Sandbox).authTest},
		"users.info":            {"users:read", false, (*Sandbox).usersInfo},
		"conversations.info":    {"", false, (*Sandbox).conversationsInfo},
		"conversations.history": {"", false, (*Sandbox).conversationsHistory},
		"conversations.replies": {"", false, (*Sandbox).conversationsReplies},
		"chat.postMessage":      {"chat:write", true, (*Sandbox).chatPostMessage},
		"chat.update":           {"chat:write", true, (*Sandbox).chatUpdate},
		"chat.delete":           {"chat:write", true, (*Sandbox).chatDelete},
		"chat.postEphemeral":    {"chat:write", true, (*Sandbox).chatPostEphemeral},
		"chat.getPermalink":     {"", false, (*Sandbox).chatGetPermalink},
	}
}

// slackHandler answers the Web API under /api/ and the response_urls.
func (s *Sandbox) slackHandler() standIn {
	methods := slackMethods()
	return func(w *callWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/api/")
		if !ok {
			s.responseURL(w, r)
			return
		}
		method, known := methods[name]
		if !known {
			writeSlackJSON(w, http.StatusOK, slackError("unknown_method"))
			return
		}
		args, token, bad := slackArguments(r, method.json)
		if bad != "" {
			writeSlackJSON(w, http.StatusOK, slackError(bad))
			return
		}

		s.mu.Lock()
		defer s.mu.Unlock()
		call := slackCall{args: args, scopes: s.world.scopes, host: r.Host}
		w.Header().Set("X-OAuth-Scopes", strings.Join(call.scopes, ","))
		switch {
		case token == "":
			writeSlackJSON(w, http.StatusOK, slackError("not_authed"))
		case token != s.creds.botToken:
			writeSlackJSON(w, http.StatusOK, slackError("invalid_auth"))
		default:
			answer := call.missing(method.scope)
			if answer == nil {
				answer = method.run(s, call)
			}
			s.touch()
			writeSlackJSON(w, http.StatusOK, answer)
		}
	}
}

// slackArguments reads the arguments as Slack does: a token is taken from the
// form or the Authorization header, never from a URL or from JSON.
func slackArguments(r *http.Request, readsJSON bool) (args url.Values, token, bad string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, "", "request_timeout"
	}
	args = r.URL.Query()
	args.Del("token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		token = bearer
	}
	if r.Method != http.MethodPost || len(body) == 0 {
		return args, token, ""
	}
	mediaType, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch mediaType {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, "", "invalid_form_data"
		}
		for key, values := range form {
			args[key] = values
		}
		if formToken := args.Get("token"); token == "" {
			token = formToken
		}
		args.Del("token")
	case "multipart/form-data":
		bad = multipartArguments(body, params["boundary"], args, &token)
	case "application/json":
		if readsJSON {
			bad = jsonArguments(body, args)
		}
	case "":
		bad = "missing_post_type"
	default:
		bad = "invalid_post_type"
	}
	return args, token, bad
}

func jsonArguments(body []byte, args url.Values) string {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return "invalid_json"
	}
	delete(fields, "token")
	for key, raw := range fields {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			args.Set(key, text)
		} else {
			args.Set(key, string(raw))
		}
	}
	return ""
}

// missing is the answer to a call that lacks scope, or nil.
func (c slackCall) missing(scope string) map[string]any {
	if scope == "" || slices.Contains(c.scopes, scope) {
		return nil
	}
	answer := slackError("missing_scope")
	answer["needed"] = scope
	answer["provided"] = strings.Join(c.scopes, ",")
	return answer
}

// flag reads a boolean as Slack does. missing is the value without the argument.
func (c slackCall) flag(name string, missing bool) bool {
	switch c.args.Get(name) {
	case "":
		return missing
	case "1", "true", "True":
		return true
	default:
		return false
	}
}

func slackError(code string) map[string]any { return map[string]any{"ok": false, "error": code} }

func writeSlackJSON(w *callWriter, status int, answer map[string]any) {
	code, _ := answer["error"].(string)
	w.note(code)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("X-Slack-Req-Id", randomHex(16))
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(answer)
}
