package entra

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

// Service is one of Microsoft's services: where it is, how it wants to be
// spoken to, and how it says no.
type Service struct {
	system    string
	base      string
	media     string            // type of what is sent and asked for
	header    map[string]string // that every request has
	requestID []string          // headers that can hold it
	code      func(body []byte) string
}

// GraphService is Microsoft Graph at base, such as https://graph.microsoft.com.
//
// Headers and error bodies: learn.microsoft.com/graph/errors and
// /graph/best-practices-concept ("client-request-id").
func GraphService(base string) Service {
	return Service{
		system:    SystemGraph,
		base:      strings.TrimSuffix(base, "/"),
		media:     "application/json",
		requestID: []string{"request-id"},
		code:      graphCode,
	}
}

// SharePointService is SharePoint's tenant administration at base, such as
// https://contoso-admin.sharepoint.com.
//
// How an app names itself: learn.microsoft.com/sharepoint/dev/general-development/
// how-to-avoid-getting-throttled-or-blocked-in-sharepoint-online. There is no
// odata-version header, because it leads to another, stricter, pipeline.
func SharePointService(base string) Service {
	return Service{
		system: SystemSharePoint,
		base:   strings.TrimSuffix(base, "/"),
		media:  "application/json;odata=nometadata",
		header: map[string]string{
			"User-Agent":                "NONISV|RevokeSession|RevokeSession/1.0",
			"X-ClientService-ClientTag": "RevokeSession:1.0", // 32 characters at most
		},
		requestID: []string{"SPRequestGuid", "request-id"},
		code:      sharePointCode,
	}
}

func (s Service) prepare(h http.Header, method string) {
	h.Set("Accept", s.media)
	if method == http.MethodPost {
		h.Set("Content-Type", s.media)
	}
	for name, value := range s.header {
		h.Set(name, value)
	}
}

// graphCode reads error.code; Microsoft asks to branch on nothing else.
func graphCode(body []byte) string {
	var e struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &e) != nil {
		return ""
	}
	return e.Error.Code
}

var (
	// sharePointCodes look like "-2147024891, System.UnauthorizedAccessException".
	sharePointCodes = regexp.MustCompile("^-?[0-9]{1,20}(, [A-Za-z0-9_.+`]{1,100})?$")
	// sharePointTexts are what it answers where it has no code, and what we call that.
	sharePointTexts = map[string]string{
		"unsupported app only token":  "unsupported app-only token",
		"unsupported security token":  "unsupported security token",
		"invalid issuer or signature": "invalid issuer or signature",
	}
)

// sharePointCode reads the code of either of SharePoint's JSON forms, or
// recognizes the few texts that its front door refuses tokens with. No other
// text is repeated.
func sharePointCode(body []byte) string {
	var e struct {
		Plain       json.RawMessage `json:"odata.error"`
		Verbose     json.RawMessage `json:"error"`
		Description string          `json:"error_description"`
	}
	if json.Unmarshal(body, &e) != nil {
		return knownText(string(body))
	}
	for _, form := range []json.RawMessage{e.Plain, e.Verbose} {
		var coded struct {
			Code string `json:"code"`
		}
		if json.Unmarshal(form, &coded) == nil && sharePointCodes.MatchString(coded.Code) {
			return coded.Code
		}
	}
	return knownText(e.Description)
}

func knownText(text string) string {
	return sharePointTexts[strings.ToLower(strings.Trim(text, "\ufeff \t\r\n\"."))]
}
