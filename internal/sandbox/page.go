package sandbox

import (
	"embed"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"slices"
)

//go:embed page
var pageFiles embed.FS

// pageHosts are the names by which a browser on this machine knows the page.
func pageHosts(address net.Addr) []string {
	_, port, _ := net.SplitHostPort(address.String())
	return []string{"127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port}
}

// pageHandler serves the page and its API to browsers on this machine.
func (s *Sandbox) pageHandler() http.Handler {
	files, err := fs.Sub(pageFiles, "page")
	if err != nil {
		panic(err) // cannot happen: the folder is embedded
	}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /api/state", s.pageState)
	mux.HandleFunc("GET /api/events", s.pageEvents)
	mux.HandleFunc("POST /api/say", action(s.pageSay))
	mux.HandleFunc("POST /api/press", action(s.pagePress))
	mux.HandleFunc("POST /api/fault", action(s.pageFault))
	mux.HandleFunc("POST /api/faults/clear", action(s.pageClearFaults))
	mux.HandleFunc("POST /api/role", action(s.pageRole))
	mux.HandleFunc("POST /api/enabled", action(s.pageEnabled))
	return s.guard(mux)
}

// guard keeps other web pages in the same browser from acting as the cast. A
// foreign name for this address (DNS rebinding) shows in Host, a foreign page in
// Origin and Sec-Fetch-Site, and a plain HTML form cannot send JSON.
func (s *Sandbox) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Frame-Options", "DENY")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")

		origin := r.Header.Get("Origin")
		site := r.Header.Get("Sec-Fetch-Site")
		switch {
		case !slices.Contains(s.pageHosts, r.Host):
			http.Error(w, "open this page as "+s.pageURL, http.StatusMisdirectedRequest)
			return
		case origin != "" && origin != "http://"+r.Host:
			http.Error(w, "requests from other pages are refused", http.StatusForbidden)
			return
		// "cross-site" with GET is a link that somebody follows to the page.
		case r.Method != http.MethodGet && site != "" && site != "same-origin" && site != "none":
			http.Error(w, "requests from other pages are refused", http.StatusForbidden)
			return
		}
		if r.Method == http.MethodPost {
			if mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); mediaType != "application/json" {
				http.Error(w, "send application/json", http.StatusUnsupportedMediaType)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
