package rpc

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// hosts are the names under which a caller may address us. A browser that was
// lured by DNS rebinding comes with the name of the page's own site.
type hosts struct {
	name string // that we listen on
	any  bool   // we listen on every address: any address is ours, but no name
}

func newHosts(listen string) hosts {
	name, _, _ := net.SplitHostPort(listen)
	ip, err := netip.ParseAddr(name)
	return hosts{name: name, any: name == "" || err == nil && ip.IsUnspecified()}
}

// allow judges a Host header. The port says nothing: a tunnel changes it.
func (h hosts) allow(header string) bool {
	name := header
	if n, _, err := net.SplitHostPort(header); err == nil {
		name = n
	}
	name = strings.TrimSuffix(strings.TrimPrefix(name, "["), "]")
	ip, err := netip.ParseAddr(name)
	if err == nil {
		return ip.IsLoopback() || h.any || name == h.name
	}
	return strings.EqualFold(name, "localhost") || name != "" && strings.EqualFold(name, h.name)
}

// guard refuses what a foreign web page makes a browser send.
func (h hosts) guard(next http.Handler) http.Handler {
	origin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.allow(r.Host) {
			refuse(w, http.StatusForbidden, "This node answers to its own address only: call localhost or 127.0.0.1, or let the node listen on the name that you use.")
			return
		}
		if err := origin.Check(r); err != nil {
			refuse(w, http.StatusForbidden, "A web page of another origin must not call this node: call from a program, or from the page that the node itself serves.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// refuse answers a request whose body is not read any more.
func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Connection", "close")
	http.Error(w, why, status)
}
