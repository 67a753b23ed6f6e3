package rpc

import (
	"net"
	"strconv"
	"strings"
	"time"
)

func networkMethods() []method {
	return []method{
		define("getpeerinfo", "The connected peers.", getPeerInfo),
		define("getconnectioncount", "How many peers are connected.", getConnectionCount),
		define("getnettotals", "Bytes that went to and came from peers since the start.", getNetTotals),
		define("ping", "Does nothing: round trips are measured all the time, and getpeerinfo shows them.", func(*call) (any, error) { return nil, nil }),
		define("getnetworkinfo", "Our own side of the network.", getNetworkInfo),
		slowly(define("disconnectnode", "Closes the connection to a peer.", disconnectNode,
			param{name: "address", kind: text, optional: true, doc: "its multiaddr or peer id, as getpeerinfo shows them"},
			param{name: "nodeid", kind: number, optional: true, doc: "or its number there"})),
		slowly(define("setban", "Bans a peer, an IP address or a subnet, or takes the ban back.", setBan,
			param{name: "subnet", kind: text, doc: "a peer id as getpeerinfo shows it, an IP address, or a subnet like 192.0.2.0/24"},
			param{name: "command", kind: text, doc: "add or remove"},
			param{name: "bantime", kind: number, optional: true, doc: "seconds that the ban lasts, or when it ends; 0 is a day"},
			param{name: "absolute", kind: boolean, optional: true, doc: "bantime is when the ban ends, in seconds since 1970"})),
		define("listbanned", "Who is kept out, and until when.", listBanned),
		slowly(define("clearbanned", "Takes every ban back.", clearBanned)),
		slowly(define("setnetworkactive", "Switches the whole network on or off.", setNetworkActive,
			param{name: "state", kind: boolean, doc: "false closes every connection and opens none"})),
	}
}

func getPeerInfo(c *call) ([]Peer, error) {
	peers := list(c.Network.Peers())
	for i := range peers {
		p := &peers[i]
		p.Address, p.Bind, p.Agent = Clean(p.Address), Clean(p.Bind), Clean(p.Agent)
		p.Whole = int64(time.Duration(p.Offset) / time.Second)
	}
	return peers, nil
}

func getConnectionCount(c *call) (int, error) { return len(c.Network.Peers()), nil }

// NetTotals is the result of getnettotals.
type NetTotals struct {
	Received uint64 `json:"totalbytesrecv"`
	Sent     uint64 `json:"totalbytessent"`
	Time     int64  `json:"timemillis"` // since 1970
}

func getNetTotals(c *call) (*NetTotals, error) {
	local := c.Network.Local()
	return &NetTotals{Received: local.Received, Sent: local.Sent, Time: time.Now().UnixMilli()}, nil
}

// protocolVersion is the last number in our protocols' names.
const protocolVersion = 1

// NetworkInfo is the result of getnetworkinfo.
type NetworkInfo struct {
	Version   int            `json:"version"` // 10000 × major + 100 × minor + patch
	Agent     string         `json:"subversion"`
	Protocol  int            `json:"protocolversion"`
	Services  string         `json:"localservices"`
	Names     []string       `json:"localservicesnames"`
	Relay     bool           `json:"localrelay"`
	Offset    int64          `json:"timeoffset"` // seconds that the peers' clocks are ahead of ours
	Active    bool           `json:"networkactive"`
	Peers     int            `json:"connections"`
	In        int            `json:"connections_in"`
	Out       int            `json:"connections_out"`
	RelayFee  Amount         `json:"relayfee"` // CRN per 1000 bytes
	Increment Amount         `json:"incrementalfee"`
	ID        string         `json:"peer_id"`
	Listen    []string       `json:"listen"`   // multiaddrs
	Networks  []string       `json:"networks"` // none has a switch of its own
	Addresses []LocalAddress `json:"localaddresses"`
	Warnings  string         `json:"warnings"`
}

// LocalAddress is a place where peers can reach us.
type LocalAddress struct {
	Address string `json:"address"`
	Port    int    `json:"port"`
	Score   int    `json:"score"`
}

func getNetworkInfo(c *call) (*NetworkInfo, error) {
	local, peers, pool := c.Network.Local(), c.Network.Peers(), c.Pool.Info()
	info := &NetworkInfo{
		Version: versionNumber(c.Control.Version()), Agent: Clean(local.Agent), Protocol: protocolVersion, Relay: true,
		Services: "0000000000000000", Names: []string{}, Networks: []string{},
		Offset: int64(time.Duration(local.Offset) / time.Second), Active: local.Active, Peers: len(peers),
		RelayFee: pool.RelayFee, Increment: pool.Increment, ID: local.ID, Listen: list(local.Listen),
		Addresses: []LocalAddress{}, Warnings: warning(c.Control),
	}
	for _, p := range peers {
		if p.Inbound {
			info.In++
		} else {
			info.Out++
		}
	}
	for _, l := range local.Listen {
		if host, port, ok := hostPort(l); ok {
			info.Addresses = append(info.Addresses, LocalAddress{Address: host, Port: port, Score: 1})
		}
	}
	return info, nil
}

// hostPort is the address and port in a multiaddr like /ip4/127.0.0.1/tcp/9421.
func hostPort(multiaddr string) (host string, port int, ok bool) {
	parts := strings.Split(multiaddr, "/")
	if len(parts) < 5 || parts[1] != "ip4" && parts[1] != "ip6" || net.ParseIP(parts[2]) == nil {
		return "", 0, false
	}
	port, err := strconv.Atoi(parts[4])
	return parts[2], port, err == nil
}

// versionNumber is a version like v1.2.3 as Bitcoin Core writes it, 0 if it is
// none.
func versionNumber(version string) int {
	number := 0
	release, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.Split(release, ".")
	if len(parts) != 3 {
		return 0
	}
	for _, part := range parts {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || n > 99 {
			return 0
		}
		number = number*100 + n
	}
	return number
}

func disconnectNode(c *call) (any, error) {
	address, number := argOr(c, 0, ""), argOr(c, 1, int64(-1))
	if (address == "") == (c.args[1] == nil) {
		return nil, Errorf(InvalidParams, "Only one of address and nodeid should be provided.")
	}
	for _, p := range c.Network.Peers() {
		if int64(p.Number) == number || address != "" && (p.Address == address || p.ID == address) {
			return nil, c.Network.Disconnect(p.ID)
		}
	}
	return nil, Errorf(NotConnected, "Node not found in connected nodes")
}

func setNetworkActive(c *call) (bool, error) {
	state := arg[bool](c, 0)
	return state, c.Network.SetActive(c.ctx, state)
}

// banTime is how long a ban lasts unless told otherwise, in seconds.
const banTime = 24 * 60 * 60

func setBan(c *call) (any, error) {
	whom := arg[string](c, 0)
	switch arg[string](c, 1) {
	case "remove":
		return nil, c.Bans.Lift(whom)
	case "add":
	default:
		return nil, Errorf(Misc, "command is add or remove\n\n%s", c.method.help())
	}
	now := time.Now()
	seconds, absolute := argOr(c, 2, int64(0)), argOr(c, 3, false)
	until := time.Unix(seconds, 0)
	switch {
	case seconds <= 0 && !absolute:
		until = now.Add(banTime * time.Second)
	case !absolute:
		until = time.Unix(now.Unix()+min(seconds, maxBanTime), 0)
	case until.Before(now):
		return nil, Errorf(InvalidParameter, "Error: Absolute timestamp is in the past")
	}
	return nil, c.Bans.Ban(whom, until)
}

// maxBanTime bounds a ban in seconds, so that its end can be told: a hundred years.
const maxBanTime = 100 * 365 * banTime

func listBanned(c *call) ([]Ban, error) {
	bans := list(c.Bans.List())
	now := time.Now().Unix()
	for i := range bans {
		b := &bans[i]
		b.Address, b.Reason = Clean(b.Address), Clean(b.Reason)
		b.Duration, b.Remaining = b.Until-b.Created, b.Until-now
	}
	return bans, nil
}

func clearBanned(c *call) (any, error) {
	c.Bans.Clear()
	return nil, nil
}
