// Package web is the page that a node serves: how deep each payment is on every
// node, now and before.
//
// Its sources are in src (TypeScript, Preact), built by `make web` into dist, which
// is committed and embedded: who builds the program needs no npm. The page asks
// its own node alone, by JSON-RPC and /events, and works offline.
package web

import (
	"embed"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed dist
var dist embed.FS

// Policy is the Content-Security-Policy of the page: nothing from elsewhere,
// nothing inline, in nobody's frame.
const Policy = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// What the parts are; the tables of some systems are wrong.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// Handler serves the page at / and its parts at /assets/.
func Handler() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is a constant
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "index.html"
		}
		raw, err := fs.ReadFile(files, name)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", types[path.Ext(name)])
		h.Set("Cache-Control", "no-cache")
		if strings.HasPrefix(name, "assets/") { // named by their content
			h.Set("Cache-Control", "private, max-age=31536000, immutable")
		}
		_, _ = w.Write(raw) // a reader that is gone misses nothing
	})
}

// Guard sets the headers that keep the page to itself. The link that opens it
// holds a token: nobody else is told where a reader came from.
func Guard(h http.Header) {
	h.Set("Content-Security-Policy", Policy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}
