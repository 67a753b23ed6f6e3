package conformance

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	btcaddress "github.com/btcsuite/btcd/address/v2"
	"github.com/btcsuite/btcd/btcjson"
	"github.com/btcsuite/btcd/chainhash/v2"
	"github.com/btcsuite/btcd/rpcclient"
	"github.com/btcsuite/btcd/wire/v2"
)

// ours is an address of ours where the client wants one of Bitcoin's.
type ours struct {
	btcaddress.Address
	text string
}

func (o ours) EncodeAddress() string { return o.text }
func (o ours) String() string        { return o.text }

// A call is one of the client's own functions.
type call struct {
	name string
	says string
	do   func(*rpcclient.Client) (any, error)
}

// btcd's rpcclient: what it reads in JSON it must read here. Where it takes or
// reads a transaction or a block in Bitcoin's encoding, which ours is not, the
// same method goes through RawRequest.
func TestRPCClient(t *testing.T) {
	s := set(t)
	c, err := rpcclient.New(&rpcclient.ConnConfig{
		Host: s.addr, User: user, Pass: password, HTTPPostMode: true, DisableTLS: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Shutdown()
	answered := 0
	for _, group := range [][]call{s.chainCalls(), s.txCalls(), s.poolCalls(), s.networkCalls(), s.miningCalls(), s.rawCalls()} {
		for _, call := range group {
			answer, err := call.do(c)
			if err != nil {
				t.Errorf("%s: %v", call.name, err)
				continue
			}
			b, err := json.Marshal(answer)
			if err != nil || !strings.Contains(string(b), call.says) {
				t.Errorf("%s: %v, %q is not in %s", call.name, err, call.says, b)
			}
			answered++
			show(t, "rpcclient "+call.name, string(b))
		}
	}
	s.quit()
	fmt.Printf("rpcclient: %d calls answered\n", answered)
}

func hashOf(t *testing.T, text string) *chainhash.Hash {
	t.Helper()
	h, err := chainhash.NewHashFromStr(text)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// nothing is the result of a function that has none.
func nothing(err error) (any, error) { return nil, err }

func (s *scene) chainCalls() []call {
	b2, b4 := hashOf(s.T, s.blocks[1]), hashOf(s.T, s.blocks[3])
	return []call{
		{"BackendVersion", "", func(c *rpcclient.Client) (any, error) {
			v, err := c.BackendVersion()
			return fmt.Sprint(v), err
		}},
		{"GetBestBlockHash", "", func(c *rpcclient.Client) (any, error) { return c.GetBestBlockHash() }},
		{"GetBlockCount", "4", func(c *rpcclient.Client) (any, error) { return c.GetBlockCount() }},
		{"GetBlockHash", "", func(c *rpcclient.Client) (any, error) { return c.GetBlockHash(2) }},
		{"GetBlockVerbose", b4.String()[:0], func(c *rpcclient.Client) (any, error) { return c.GetBlockVerbose(b2) }},
		{"GetBlockVerboseTx", address(1), func(c *rpcclient.Client) (any, error) { return c.GetBlockVerboseTx(b2) }},
		{"GetBlockHeader", `"Bits":545259519`, func(c *rpcclient.Client) (any, error) { return c.GetBlockHeader(b2) }},
		{"GetBlockHeaderVerbose", `"height":2`, func(c *rpcclient.Client) (any, error) { return c.GetBlockHeaderVerbose(b2) }},
		{"GetBlockChainInfo", `"blocks":4`, func(c *rpcclient.Client) (any, error) { return c.GetBlockChainInfo() }},
		{"GetBlockStats", `"avgfee":1000`, func(c *rpcclient.Client) (any, error) { return c.GetBlockStats(2, nil) }},
		{"GetBlockStats, two of them", `"txs":2`, func(c *rpcclient.Client) (any, error) { return c.GetBlockStats(*b2, &[]string{"txs", "ins"}) }},
		{"GetChainTxStats", `"txcount":6`, func(c *rpcclient.Client) (any, error) { return c.GetChainTxStats() }},
		{"GetChainTxStatsNBlocks", `"window_tx_count":4`, func(c *rpcclient.Client) (any, error) { return c.GetChainTxStatsNBlocks(3) }},
		{"VerifyChain", "true", func(c *rpcclient.Client) (any, error) { return c.VerifyChain() }},
		{"VerifyChainBlocks", "true", func(c *rpcclient.Client) (any, error) { return c.VerifyChainBlocks(4, 4) }},
		{"GetHeaders", `"Bits":545259519`, func(c *rpcclient.Client) (any, error) { return c.GetHeaders([]chainhash.Hash{*b2}, nil) }},
		{"GetChainTips", "active", func(c *rpcclient.Client) (any, error) { return c.GetChainTips() }},
		{"GetDifficulty", "4.65", func(c *rpcclient.Client) (any, error) { return c.GetDifficulty() }},
		{"GetTxOutSetInfo", `"height":4`, func(c *rpcclient.Client) (any, error) { return c.GetTxOutSetInfo() }},
	}
}

func (s *scene) txCalls() []call {
	paid := hashOf(s.T, s.paid.ID().String())
	return []call{
		{"GetRawTransactionVerbose", s.blocks[1], func(c *rpcclient.Client) (any, error) { return c.GetRawTransactionVerbose(paid) }},
		{"DecodeRawTransaction", paid.String(), func(c *rpcclient.Client) (any, error) { return c.DecodeRawTransaction(s.paid.Bytes()) }},
		{"GetTxOut", address(1), func(c *rpcclient.Client) (any, error) { return c.GetTxOut(paid, 0, true) }},
		{"GetTxOutProof", `"Transactions":2`, func(c *rpcclient.Client) (any, error) { return c.GetTxOutProof([]string{paid.String()}, nil) }},
		{"ValidateAddress", "true", func(c *rpcclient.Client) (any, error) { return c.ValidateAddress(ours{text: address(1)}) }},
	}
}

func (s *scene) poolCalls() []call {
	economical := btcjson.EstimateModeEconomical
	return []call{
		{"GetRawMempool", "", func(c *rpcclient.Client) (any, error) { return c.GetRawMempool() }},
		{"GetRawMempoolVerbose", s.child.ID().String(), func(c *rpcclient.Client) (any, error) { return c.GetRawMempoolVerbose() }},
		{"GetMempoolEntry", `"ancestorcount":2`, func(c *rpcclient.Client) (any, error) { return c.GetMempoolEntry(s.child.ID().String()) }},
		{"GetTxSpendingPrevOut", s.child.ID().String(), func(c *rpcclient.Client) (any, error) {
			return c.GetTxSpendingPrevOut([]wire.OutPoint{{Hash: *hashOf(s.T, s.parent.ID().String())}})
		}},
		{"EstimateSmartFee", "feerate", func(c *rpcclient.Client) (any, error) { return c.EstimateSmartFee(6, &economical) }},
	}
}

func (s *scene) networkCalls() []call {
	return []call{
		{"GetConnectionCount", "1", func(c *rpcclient.Client) (any, error) { return c.GetConnectionCount() }},
		{"GetPeerInfo", "subver", func(c *rpcclient.Client) (any, error) { return c.GetPeerInfo() }},
		{"GetNetworkInfo", "subversion", func(c *rpcclient.Client) (any, error) { return c.GetNetworkInfo() }},
		{"GetNetTotals", "totalbytesrecv", func(c *rpcclient.Client) (any, error) { return c.GetNetTotals() }},
		{"Ping", "", func(c *rpcclient.Client) (any, error) { return nothing(c.Ping()) }},
		{"AddNode add", "", func(c *rpcclient.Client) (any, error) { return nothing(c.AddNode(s.otherMultiaddr, rpcclient.ANAdd)) }},
		{"GetAddedNodeInfo", "connected", func(c *rpcclient.Client) (any, error) { return c.GetAddedNodeInfo(s.otherMultiaddr) }},
		{"GetAddedNodeInfoNoDNS", s.otherMultiaddr, func(c *rpcclient.Client) (any, error) { return c.GetAddedNodeInfoNoDNS(s.otherMultiaddr) }},
		{"GetNodeAddresses", "", func(c *rpcclient.Client) (any, error) { return c.GetNodeAddresses(nil) }},
		{"AddNode remove", "", func(c *rpcclient.Client) (any, error) {
			return nothing(c.AddNode(s.otherMultiaddr, rpcclient.ANRemove))
		}},
		{"AddNode onetry", "", func(c *rpcclient.Client) (any, error) {
			return nothing(c.AddNode(s.otherMultiaddr, rpcclient.ANOneTry))
		}},
	}
}

func (s *scene) miningCalls() []call {
	b3 := hashOf(s.T, s.blocks[2])
	return []call{
		{"GetMiningInfo", `"blocks":4`, func(c *rpcclient.Client) (any, error) { return c.GetMiningInfo() }},
		{"GetNetworkHashPS", "", func(c *rpcclient.Client) (any, error) { return c.GetNetworkHashPS() }},
		{"GetNetworkHashPS3", "", func(c *rpcclient.Client) (any, error) { return c.GetNetworkHashPS3(2, 3) }},
		{"GetGenerate", "false", func(c *rpcclient.Client) (any, error) { return c.GetGenerate() }},
		{"GetHashesPerSec", "", func(c *rpcclient.Client) (any, error) { return c.GetHashesPerSec() }},
		{"SetGenerate", "", func(c *rpcclient.Client) (any, error) { return nothing(c.SetGenerate(false, 1)) }},
		{"GetBlockTemplate", "previousblockhash", func(c *rpcclient.Client) (any, error) {
			return c.GetBlockTemplate(&btcjson.TemplateRequest{Mode: "template", Capabilities: []string{"coinbasetxn"}})
		}},
		{"GetWork", "target", func(c *rpcclient.Client) (any, error) { return c.GetWork() }},
		{"InvalidateBlock", "", func(c *rpcclient.Client) (any, error) { return nothing(c.InvalidateBlock(b3)) }},
		{"GetBlockCount after it", "2", func(c *rpcclient.Client) (any, error) { return c.GetBlockCount() }},
		{"ReconsiderBlock", "", func(c *rpcclient.Client) (any, error) { return nothing(c.ReconsiderBlock(b3)) }},
		{"GetBlockCount after it", "4", func(c *rpcclient.Client) (any, error) { return c.GetBlockCount() }},
		{"Generate", "", func(c *rpcclient.Client) (any, error) { return c.Generate(1) }},
		{"GenerateToAddress", "", func(c *rpcclient.Client) (any, error) {
			tries := int64(1_000_000)
			return c.GenerateToAddress(1, ours{text: address(9)}, &tries)
		}},
	}
}

// rawCalls are what the client has functions for that speak Bitcoin's encodings,
// and what it has none for.
func (s *scene) rawCalls() []call {
	ask := func(name, says string, args ...any) call {
		return call{"RawRequest " + name, says, func(c *rpcclient.Client) (any, error) {
			var list []json.RawMessage
			for _, a := range args {
				b, err := json.Marshal(a)
				if err != nil {
					return nil, err
				}
				list = append(list, b)
			}
			return c.RawRequest(name, list)
		}}
	}
	fresh := hex.EncodeToString(s.fresh.Bytes())
	return []call{
		ask("getblock", "01000000", s.blocks[1], 0),
		ask("getrawtransaction", raw(s.paid), s.paid.ID()),
		ask("testmempoolaccept", "true", []string{fresh, raw(s.orphan)}),
		ask("sendrawtransaction", s.fresh.ID().String(), fresh),
		ask("uptime", ""),
		ask("getmempoolinfo", "minrelaytxfee"),
		ask("setnetworkactive", "true", true),
		ask("waitforblockheight", "height", 5, 1000),
		ask("help", "getblock"),
		ask("stop", "stopping"),
	}
}
