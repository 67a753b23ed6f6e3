package conformance

import (
	"strings"
	"testing"
)

// A question is a call, and what its answer must hold.
type question struct {
	method string
	args   []any
	says   string
}

// questions is every method of ours that has Bitcoin's name, in an order that
// makes sense of their side effects; the last stops the node.
func (s *scene) questions() []question {
	q := func(method, says string, args ...any) question { return question{method, args, says} }
	b2, b4 := s.blocks[1], s.blocks[3]
	paid, parent, child := s.paid.ID().String(), s.parent.ID().String(), s.child.ID().String()
	fresh := s.fresh.ID().String()
	proof := ask[string](s.node, "gettxoutproof", []string{paid})
	return []question{
		q("help", "getblockcount"),
		q("help", "verbosity", "getblock"),
		q("uptime", ""),
		q("getrpcinfo", "active_commands"),
		q("logging", "p2p"),
		q("rpc.discover", "paramStructure"),
		q("getblockchaininfo", b4),
		q("getblockcount", "4"),
		q("getbestblockhash", b4),
		q("getdifficulty", "4.6"),
		q("getblockhash", b2, 2),
		q("getblock", "01000000", b2, 0),
		q("getblock", paid, b2),
		q("getblock", address(1), b2, 2),
		q("getblockheader", "01000000", b2, false),
		q("getblockheader", b4, s.blocks[2]),
		q("getblockstats", b2, 2),
		q("getchaintips", "active"),
		q("getchaintxstats", "txcount", 2, b4),
		q("verifychain", "true", 4, 0),
		q("getindexinfo", "txindex"),
		q("getheaders", "01000000", []string{b2}, b4),
		q("gettxoutproof", "01000000", []string{paid}, b2),
		q("verifytxoutproof", paid, proof),
		q("getrawtransaction", "01", paid),
		q("getrawtransaction", b2, paid, 1),
		q("decoderawtransaction", paid, raw(s.paid)),
		q("testmempoolaccept", "true", []string{raw(s.fresh), raw(s.orphan)}, 0.1), // btcctl leaves no rate out
		q("sendrawtransaction", fresh, raw(s.fresh)),
		q("getrawmempool", child),
		q("getrawmempool", "descendantcount", true),
		q("getmempoolentry", "ancestorcount", child),
		q("getmempoolancestors", parent, child),
		q("getmempooldescendants", child, parent),
		q("gettxspendingprevout", child, []any{map[string]any{"txid": parent, "vout": 0}}),
		q("getmempoolinfo", "minrelaytxfee"),
		q("savemempool", "filename"),
		q("gettxout", address(1), paid, 0),
		q("gettxoutsetinfo", "hash_serialized"),
		q("estimatesmartfee", "feerate", 6),
		q("validateaddress", "true", address(1)),
		q("addnode", "", s.otherMultiaddr, "add"),
		q("getaddednodeinfo", "connected", true, s.otherMultiaddr),
		q("getnodeaddresses", "", 8),
		q("getpeerinfo", "subver"),
		q("getconnectioncount", "1"),
		q("getnettotals", "totalbytesrecv"),
		q("ping", ""),
		q("getnetworkinfo", "relayfee"),
		q("addnode", "", s.otherMultiaddr, "remove"),
		q("disconnectnode", "", s.otherMultiaddr),
		q("setban", "", "192.0.2.7", "add", 3600),
		q("listbanned", "192.0.2.7"),
		q("clearbanned", ""),
		q("setnetworkactive", "false", false),
		q("setnetworkactive", "true", true),
		q("getmininginfo", "networkhashps"),
		q("getnetworkhashps", ""),
		q("getgenerate", "false"),
		q("gethashespersec", ""),
		q("setgenerate", "", false),
		q("getblocktemplate", "previousblockhash", map[string]any{"rules": []string{"segwit"}}),
		q("getwork", "target"),
		q("generate", "", 1),
		q("generatetoaddress", "", 1, address(9)),
		q("invalidateblock", "", s.blocks[2]),
		q("getbestblockhash", b2),
		q("reconsiderblock", "", s.blocks[2]),
		q("getblockcount", "6"),
		q("waitfornewblock", "height", 1),
		q("waitforblock", "height", b4, 1),
		q("waitforblockheight", "height", 5, 1000),
		q("stop", "stopping"),
	}
}

// own are the methods that are ours alone.
var own = []string{
	"getaddresscoins", "getaddresshistory", "getconvergence", "getdepths", "getload", "getnetworkparams", "getreorgs",
	"getrisk", "getstatus", "getstory", "gettimeline",
}

// Nothing with a name of others is left out: what clients know of is asked for.
func TestEveryMethodIsAskedFor(t *testing.T) {
	asked := map[string]bool{"submitblock": true} // a block that is good once: TestRPCClient and the node's own tests
	for _, name := range own {
		asked[name] = true
	}
	s := set(t)
	for _, q := range s.questions() {
		asked[q.method] = true
	}
	for line := range strings.Lines(ask[string](s.node, "help")) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" && name != "==" && !asked[name] {
			t.Errorf("%s is asked for by no client", name)
		}
	}
	ask[string](s.node, "stop")
	s.quit()
}
