package rpc

import (
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"cairn/rpc/web"
)

// visitor is a browser that keeps cookies of one node and follows nothing.
type visitor struct {
	t       *testing.T
	base    string
	cookies []*http.Cookie
}

func (v *visitor) fetch(method, path, body string, change ...func(*http.Request)) (*http.Response, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.base+path, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	for _, c := range v.cookies {
		r.AddCookie(c)
	}
	for _, f := range change {
		f(r)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer, string(text)
}

// servePage starts a server, and gives the link to its page.
func servePage(t *testing.T) (s *Server, link string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), ".cookie")
	b := newWorld(t).backend()
	b.Events = NewFeed()
	s, err := Start(Config{Listen: "127.0.0.1:0", Cookie: path}, b)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(t.Context()); err != nil && t.Context().Err() == nil {
			t.Errorf("close: %v", err)
		}
	})
	if link, err = PageLink(s.Addr(), Cookie(path)); err != nil {
		t.Fatal(err)
	}
	return s, link
}

// enter opens the link as a browser does.
func enter(t *testing.T, s *Server, link string) *visitor {
	t.Helper()
	v := &visitor{t: t, base: "http://" + s.Addr()}
	answer, _ := v.fetch(http.MethodGet, strings.TrimPrefix(link, v.base), "")
	if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != "/" {
		t.Fatalf("the link: status %d to %q", answer.StatusCode, answer.Header.Get("Location"))
	}
	v.cookies = answer.Cookies()
	if len(v.cookies) != 1 || !v.cookies[0].HttpOnly || v.cookies[0].SameSite != http.SameSiteStrictMode {
		t.Fatalf("cookies: %+v", v.cookies)
	}
	return v
}

func fromItself(r *http.Request) {
	r.Header.Set(pageHeader, "1")
	r.Header.Set("Content-Type", "application/json")
}

const countCall = `{"jsonrpc":"2.0","id":1,"method":"getstatus"}`

func TestPageNeedsTheLink(t *testing.T) {
	s, link := servePage(t)
	stranger := &visitor{t: t, base: "http://" + s.Addr()}
	for _, path := range []string{"/", "/?token=", "/?token=guess", "/assets/x.js", "/events", "/index.html"} {
		if answer, text := stranger.fetch(http.MethodGet, path, ""); answer.StatusCode/100 == 2 || strings.Contains(text, "<html") {
			t.Errorf("a stranger's GET %s: status %d", path, answer.StatusCode)
		}
	}
	if answer, _ := stranger.fetch(http.MethodPost, "/", countCall, fromItself); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("a stranger's call: status %d", answer.StatusCode)
	}
	if answer, text := stranger.fetch(http.MethodGet, "/healthz", ""); answer.StatusCode != http.StatusOK || !strings.Contains(text, "ok") {
		t.Errorf("healthz: status %d, %s", answer.StatusCode, text)
	}
	other, _ := servePage(t)
	u, _ := url.Parse(link)
	elsewhere := &visitor{t: t, base: "http://" + other.Addr()}
	if answer, _ := elsewhere.fetch(http.MethodGet, "/?"+u.RawQuery, ""); answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("another node takes the link: status %d", answer.StatusCode)
	}
	if strings.Contains(link, cookieUser) || strings.Contains(link, s.cookie.text[len(cookieUser)+1:]) {
		t.Error("the link tells the cookie's secret")
	}
}

// A tab that stayed open while the node started again makes no browser ask for a
// password. Programs hear that one is wanted, and so does who opens /metrics.
func TestNoPasswordIsAskedForThePage(t *testing.T) {
	s, _ := servePage(t)
	v := &visitor{t: t, base: "http://" + s.Addr()}
	mode := func(mode string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Sec-Fetch-Mode", mode) }
	}
	const basic = `Basic realm="jsonrpc"`
	for what, c := range map[string]struct {
		method, path, want string
		change             func(*http.Request)
	}{
		"a call":             {http.MethodPost, "/", pageChallenge, fromItself},
		"events":             {http.MethodGet, "/events", pageChallenge, mode("cors")},
		"the page":           {http.MethodGet, "/", pageChallenge, mode("navigate")},
		"events in a tab":    {http.MethodGet, "/events", basic, mode("navigate")},
		"a program":          {http.MethodPost, "/", basic, func(*http.Request) {}},
		"a program's events": {http.MethodGet, "/events", basic, func(*http.Request) {}},
	} {
		answer, _ := v.fetch(c.method, c.path, countCall, c.change)
		if got := answer.Header.Get("WWW-Authenticate"); answer.StatusCode != http.StatusUnauthorized || got != c.want {
			t.Errorf("%s: status %d, %s", what, answer.StatusCode, got)
		}
	}
}

func TestPageIsServedWhole(t *testing.T) {
	s, link := servePage(t)
	v := enter(t, s, link)
	answer, text := v.fetch(http.MethodGet, "/", "")
	if answer.StatusCode != http.StatusOK || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html") {
		t.Fatalf("status %d, %s", answer.StatusCode, answer.Header.Get("Content-Type"))
	}
	for name, want := range map[string]string{
		"Content-Security-Policy": web.Policy, "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := answer.Header.Get(name); got != want {
			t.Errorf("%s is %q", name, got)
		}
	}
	parts := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(text, -1)
	if len(parts) < 3 {
		t.Fatalf("the page names %d parts:\n%s", len(parts), text)
	}
	for _, part := range parts {
		if answer, _ := v.fetch(http.MethodGet, part[1], ""); answer.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", part[1], answer.StatusCode)
		}
	}
	if inline := regexp.MustCompile(`<script[^>]*>[^<]|<style|\son[a-z]+=|https?://`).FindString(text); inline != "" {
		t.Errorf("the page holds %q", inline)
	}
	for _, path := range []string{"/assets/", "/assets/../web.go", "/assets/%2e%2e/index.html", "/dist/index.html"} {
		if answer, text := v.fetch(http.MethodGet, path, ""); answer.StatusCode == http.StatusOK {
			t.Errorf("%s is served: %.80s", path, text)
		}
	}
}

func TestPageCallsAreItsOwn(t *testing.T) {
	s, link := servePage(t)
	v := enter(t, s, link)
	for what, c := range map[string]struct {
		body, want string
		status     int
		change     func(*http.Request)
	}{
		"its own":        {countCall, `"height"`, 200, fromItself},
		"a form":         {countCall, "", 401, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		"other origin":   {countCall, "", 403, func(r *http.Request) { fromItself(r); r.Header.Set("Origin", "http://evil.example") }},
		"cross-site":     {countCall, "", 403, func(r *http.Request) { fromItself(r); r.Header.Set("Sec-Fetch-Site", "cross-site") }},
		"rebound":        {countCall, "", 403, func(r *http.Request) { fromItself(r); r.Host = "evil.example" }},
		"stop":           {`{"jsonrpc":"2.0","id":1,"method":"stop"}`, "may not ask for stop", 200, fromItself},
		"invalidate":     {`{"jsonrpc":"2.0","id":1,"method":"invalidateblock","params":["` + strings.Repeat("0", 64) + `"]}`, "may not ask", 200, fromItself},
		"in a batch":     {`[` + countCall + `,{"jsonrpc":"2.0","id":2,"method":"addnode","params":["x","add"]}]`, "may not ask for addnode", 200, fromItself},
		"wrong password": {`{"jsonrpc":"2.0","id":1,"method":"stop"}`, "may not ask for stop", 200, func(r *http.Request) { fromItself(r); r.SetBasicAuth("x", "y") }},
		"a wrong cookie": {countCall, "", 401, func(r *http.Request) { fromItself(r); r.Header.Set("Cookie", v.cookies[0].Name+"=guess") }},
	} {
		if answer, text := v.fetch(http.MethodPost, "/", c.body, c.change); answer.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s: status %d, %s", what, answer.StatusCode, text)
		}
	}
	for name := range pageCalls {
		if byName[name] == nil {
			t.Errorf("the page may ask for %s, which does not exist", name)
		}
	}
}

func TestMetricsNeedThePassword(t *testing.T) {
	counted := prometheus.NewRegistry()
	things := prometheus.NewCounter(prometheus.CounterOpts{Name: "things_total", Help: "Things."})
	counted.MustRegister(things)
	things.Add(3)
	s, err := Start(Config{Listen: "127.0.0.1:0", User: testUser, Password: testPassword, Metrics: counted}, newWorld(t).backend())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	v := &visitor{t: t, base: "http://" + s.Addr()}
	if answer, text := v.fetch(http.MethodGet, "/metrics", ""); answer.StatusCode != http.StatusUnauthorized || strings.Contains(text, "things") {
		t.Errorf("a stranger: status %d", answer.StatusCode)
	}
	answer, text := v.fetch(http.MethodGet, "/metrics", "", func(r *http.Request) { r.SetBasicAuth(testUser, testPassword) })
	if answer.StatusCode != http.StatusOK || !strings.Contains(text, "things_total 3") {
		t.Errorf("status %d: %s", answer.StatusCode, text)
	}
}
