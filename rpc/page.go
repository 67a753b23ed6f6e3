package rpc

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"net"
	"net/http"

	"cairn/rpc/web"
)

// The page is opened once with a link that holds a token, and keeps it in a cookie
// from then on. Whoever may read the node's own cookie can make the link; the
// token tells nothing of that.
const (
	tokenParam = "token"
	tokenFor   = "cairn: the page of this node"
	pageHeader = "X-Cairn-Page" // on every call of the page: forms of other sites cannot set it
	pageCookie = "cairn-page-"  // and the port: browsers do not tell ports of a host apart

	pageChallenge = `Cairn realm="page"` // no browser asks for a password then
)

// PageLink opens the page of the node at addr (host:port) in a browser.
func PageLink(addr string, auth Auth) (string, error) {
	_, password, err := auth.read()
	if err != nil {
		return "", err
	}
	return "http://" + addr + "/?" + tokenParam + "=" + pageToken(password), nil
}

func pageToken(password string) string {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte(tokenFor))
	return hex.EncodeToString(mac.Sum(nil)[:24])
}

// pageCalls are the methods that the page may ask for. Were it ever made to run
// other people's code, that could read and pass on signed payments, no more.
var pageCalls = map[string]bool{
	"getblock": true, "getblockheader": true, "getblockstats": true, "getblockhash": true, "getblockchaininfo": true,
	"getchaintips": true, "getconvergence": true, "getdepths": true, "getmempoolentry": true, "getmempoolinfo": true,
	"getmininginfo": true, "getnetworkinfo": true, "getpeerinfo": true, "getrawmempool": true, "getrawtransaction": true,
	"getreorgs": true, "getrisk": true, "getstatus": true, "gettimeline": true, "getaddresshistory": true,
	"getaddresscoins": true, "decoderawtransaction": true, "testmempoolaccept": true, "sendrawtransaction": true,
}

type fromPage struct{}

// byPage tells whether a call comes from the page.
func byPage(ctx context.Context) bool { return ctx.Value(fromPage{}) != nil }

// hasToken tells whether a request shows one of our tokens.
func (s *Server) hasToken(text string) bool {
	given, fits := sha256.Sum256([]byte(text)), 0
	for _, t := range s.tokens {
		want := sha256.Sum256([]byte(t))
		fits |= subtle.ConstantTimeCompare(want[:], given[:])
	}
	return fits == 1
}

// session tells whether a request comes from a page that was opened with a token.
// What is not just read must show that the page's own code sent it.
func (s *Server) session(r *http.Request) bool {
	c, err := r.Cookie(s.cookieName())
	if err != nil || !s.hasToken(c.Value) {
		return false
	}
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Header.Get(pageHeader) != ""
}

func (s *Server) cookieName() string {
	_, port, _ := net.SplitHostPort(s.Addr())
	return pageCookie + port
}

// page serves the page to whom it knows, and makes a token a cookie.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	web.Guard(w.Header())
	if token := r.URL.Query().Get(tokenParam); token != "" && r.URL.Path == "/" && s.hasToken(token) {
		http.SetCookie(w, &http.Cookie{Name: s.cookieName(), Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode})
		w.Header().Set("Cache-Control", "no-store")
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	if !s.session(r) && !s.hasPassword(r) {
		w.Header().Set("WWW-Authenticate", pageChallenge)
		refuse(w, http.StatusUnauthorized, "Open the link with ?token=… that this node printed at its start. Each start has a new one.")
		return
	}
	s.pages.ServeHTTP(w, r)
}
