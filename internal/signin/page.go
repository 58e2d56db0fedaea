package signin

import (
	"crypto/sha256"
	"encoding/base64"
	"html/template"
	"net/http"
)

// page is all that the pages can hold. Text from outside is only ever a value in it.
type page struct {
	Title string
	Facts []fact
	Text  []string
	Grant string // of the form; "" for no form
	Agree string // its button
}

type fact struct{ Name, Value string }

const style = `body{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem;color:#1d1c1d;background:#fff}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem;margin:1.5rem 0}dt{color:#616061}dd{margin:0;overflow-wrap:anywhere;font-weight:600}
button{font:inherit;font-weight:600;padding:.75rem 1.5rem;border:0;border-radius:.5rem;background:#b3261e;color:#fff}
@media(prefers-color-scheme:dark){body{background:#1a1d21;color:#e8e8e8}dt{color:#ababad}}`

// styleHash lets the pages' one style through their content security policy.
var styleHash = func() string {
	sum := sha256.Sum256([]byte(style))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}()

var pages = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>` + style + `</style>
<h1>{{.Title}}</h1>
{{with .Facts}}<dl>{{range .}}<dt>{{.Name}}</dt><dd>{{.Value}}</dd>{{end}}</dl>{{end}}
{{range .Text}}<p>{{.}}</p>{{end}}
{{with .Grant}}<form method="post" action="/link/confirm"><input type="hidden" name="grant" value="{{.}}"><button>{{$.Agree}}</button></form>{{end}}
</html>
`))

func (h *Handler) page(w http.ResponseWriter, status int, p page) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	if err := pages.Execute(w, p); err != nil {
		h.Log.Warn("writing a page", "error", err)
	}
}

func (h *Handler) fail(w http.ResponseWriter, status int, title, text string) {
	h.page(w, status, page{Title: title, Text: []string{text}})
}
