package rpc

import (
	"slices"
	"strings"
)

func bookMethods() []method {
	return []method{
		slowly(define("addnode", "Stays connected to a peer, stops that, or tries one once.", addNode,
			param{name: "node", kind: text, doc: "its multiaddr, like /ip4/192.0.2.1/tcp/9421/p2p/12D3…", example: "/ip4/127.0.0.1/tcp/29421"},
			param{name: "command", kind: text, doc: "add (it is dialled until it answers, and again whenever it is lost), remove, or onetry", example: "add"})),
		define("getaddednodeinfo", "The peers that addnode or --peer asked for, and whether they are connected.", getAddedNodeInfo,
			param{name: "node", kind: nodeOrDNS, optional: true, doc: "one of them; default: all. Older clients put a boolean first: false asks for addresses alone", example: "/ip4/127.0.0.1/tcp/29421"},
			param{name: "older", kind: text, optional: true, doc: "one of them, behind such a boolean"}),
		define("getnodeaddresses", "Addresses of peers that this node remembers, those where it met one lately first.", getNodeAddresses,
			param{name: "count", kind: number, optional: true, doc: "at most so many; 0 is all; default 1", example: "8"},
			param{name: "network", kind: text, optional: true, doc: "only of ipv4, ipv6 or dns"}),
	}
}

func addNode(c *call) (any, error) {
	address := arg[string](c, 0)
	switch arg[string](c, 1) {
	case "add":
		return nil, c.Book.Add(address)
	case "onetry":
		return nil, c.Network.Connect(c.ctx, address)
	case "remove":
		return nil, c.Book.Forget(address)
	}
	return nil, Errorf(Misc, "command is add, remove or onetry\n\n%s", c.method.help())
}

func getAddedNodeInfo(c *call) (any, error) {
	name, _ := c.args[0].(string)
	full, older := c.args[0].(bool)
	if older {
		name = argOr(c, 1, "")
	}
	added := list(c.Book.Added())
	if name != "" {
		if added = slices.DeleteFunc(added, func(a AddedNode) bool { return a.Address != name }); len(added) == 0 {
			return nil, Errorf(NotAdded, "Error: Node has not been added.")
		}
	}
	names := make([]string, len(added))
	for i := range added {
		a := &added[i]
		a.Address, a.Reason, a.Addresses = Clean(a.Address), Clean(a.Reason), list(a.Addresses)
		names[i] = a.Address
	}
	if older && !full {
		return names, nil
	}
	return added, nil
}

func getNodeAddresses(c *call) ([]KnownNode, error) {
	count, network := argOr(c, 0, int64(1)), argOr(c, 1, "")
	switch {
	case count < 0:
		return nil, Errorf(InvalidParameter, "Address count out of range")
	case network != "" && !slices.Contains([]string{"ipv4", "ipv6", "dns"}, network):
		return nil, Errorf(InvalidParameter, "Network not recognized: %s", Clean(network))
	}
	known := []KnownNode{}
	for _, k := range c.Book.Known() {
		k.place()
		if network == "" || k.Network == network {
			known = append(known, k)
		}
	}
	if count > 0 {
		known = known[:min(count, int64(len(known)))]
	}
	return known, nil
}

// place fills in what the multiaddr says.
func (k *KnownNode) place() {
	k.Multiaddr = Clean(k.Multiaddr)
	k.Network = "dns"
	if host, port, ok := hostPort(k.Multiaddr); ok {
		k.Address, k.Port, k.Network = host, port, "ipv4"
		if strings.Contains(host, ":") {
			k.Network = "ipv6"
		}
	}
}
