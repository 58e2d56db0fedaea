package sandbox

import (
	"bytes"
	"mime/multipart"
	"net/url"
)

// multipartArguments reads the fields of a multipart body into args and its
// token, if there is no other, into token. It returns Slack's error code for a
// body that is none.
func multipartArguments(body []byte, boundary string, args url.Values, token *string) string {
	form, err := multipart.NewReader(bytes.NewReader(body), boundary).ReadForm(maxRequestBody)
	if err != nil {
		return "invalid_form_data"
	}
	for key, values := range form.Value {
		args[key] = values
	}
	if *token == "" {
		*token = args.Get("token")
	}
	args.Del("token")
	return ""
}
