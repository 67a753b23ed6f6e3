// Package cairn_test holds the law of floors: who may import whom, and what the pure packages must
// not do. floors_walk_test.go reads the tree against it, floors_bad_test.go shows that it bites.
package cairn_test

import (
	"slices"
	"strings"
	"testing"
)

// A room is a package with its sub-folders, and what it may lean on.
//
// A room imports only rooms on floors below, and its own sub-folders; a sub-folder never imports its
// parent or a sibling. Rooms on one floor never import each other. Tests may import what is below,
// and external tests (package x_test) upward as well. A folder named after its parent with "test"
// behind it (chain/chaintest) holds what tests share: it imports its parent, and only tests import it.
type room struct {
	dir    string
	floor  int
	pure   bool    // no goroutine, channel, lock, clock, chance, network, disk, log, float
	floats string  // why a pure room may use floats all the same
	ours   reasons // our own rooms
	theirs reasons // other people's modules, or folders of them, with all that lies below
}

// Reasons say, for everything that may be imported, why.
type reasons map[string]string

var floors = []room{
	{
		dir: "cmd/cairn", floor: 6,
		ours: reasons{
			"lab":           "cairn lab runs many real nodes",
			"lab/sim":       "cairn sim runs many imagined ones",
			"lab/byzantine": "the names of the traitors that lab and sim are asked for",
			"lab/judge":     "prints verdicts over histories",
			"daemon":        "cairn node is one daemon",
			"store":         "opens the disk for the daemon, and for cairn db",
			"p2p":           "opens the host for the daemon",
			"miner":         "cairn mine bench",
			"rpc":           "every command that asks a node",
			"node":          "names of verdicts and limits in flags",
			"converge":      "cairn risk, and the matrix of watch",
			"mempool":       "the limits of the pool in flags",
			"wallet":        "keys and payments stay on the person's side",
			"chain":         "amounts, addresses and networks as a person types them",
		},
		theirs: reasons{
			"github.com/spf13/cobra":               "commands and completion",
			"github.com/spf13/pflag":               "the flags that cobra hands out",
			"github.com/knadh/koanf":               "config file, environment and flags in one order",
			"charm.land/bubbletea/v2":              "the live view",
			"charm.land/lipgloss/v2":               "its colours",
			"github.com/schollz/progressbar/v3":    "progress of long reads",
			"github.com/libp2p/go-libp2p/core":     "host and peer ids for the daemon",
			"github.com/mdp/qrterminal/v3":         "a payment request that a telephone can read off the screen",
			"github.com/multiformats/go-multiaddr": "--listen and --peer",
			"github.com/prometheus/client_golang":  "the registry that --metrics serves",
			"golang.org/x/sync":                    "waits for whatever was started",
			"golang.org/x/term":                    "is this a terminal, and a passphrase without echo",
		},
	},
	{
		dir: "lab", floor: 5,
		ours: reasons{
			"lab/sim":       "sweeps of imagined worlds",
			"lab/byzantine": "starts traitors among real nodes",
			"lab/judge":     "judges what real nodes recorded",
			"daemon":        "a node in this process, where a process each would be too many",
			"store":         "the disk of such a node",
			"p2p":           "the links that are cut and healed",
			"rpc":           "asks its nodes as anyone would",
			"miner":         "finds the nonce of a lab's own genesis",
			"wallet":        "the prefunded purses",
			"converge":      "who agrees, and how deep",
			"node":          "what the nodes say",
			"chain":         "a genesis of its own",
		},
		theirs: reasons{
			"github.com/libp2p/go-libp2p/core":     "peer ids and keys of its nodes",
			"github.com/multiformats/go-multiaddr": "wires nodes to each other",
			"golang.org/x/sync":                    "waits for every process it started",
		},
	},
	{
		dir: "daemon", floor: 4,
		ours: reasons{
			"store":         "what the node remembers",
			"p2p":           "what it hears and says",
			"miner":         "its work",
			"rpc":           "the seams it fills for outsiders",
			"lab/byzantine": "a traitor stands between machine and driver",
			"lab/judge":     "the record of its history",
			"node":          "the machine it drives",
			"converge":      "depth on every peer",
			"mempool":       "what its pool says to outsiders",
			"chain":         "checks before it calls",
		},
		theirs: reasons{
			"github.com/libp2p/go-libp2p/core":     "the host is handed in",
			"github.com/multiformats/go-multiaddr": "addresses of peers",
			"github.com/prometheus/client_golang":  "what it counts",
			"github.com/prometheus/client_model":   "the names under which others count",
			"golang.org/x/sync":                    "waits for the goroutines it started",
		},
	},
	{
		dir: "lab/sim", floor: 4, pure: true,
		ours: reasons{
			"store":         "the in-memory twin",
			"lab/byzantine": "traitors among imagined nodes",
			"lab/judge":     "the record of a history, and the verdict",
			"node":          "the machine it drives",
			"converge":      "who agrees, and how deep",
			"mempool":       "what waits in imagined pools",
			"chain":         "checks before it calls",
		},
	},
	{
		dir: "store", floor: 3,
		ours: reasons{
			"node":  "implements node.Store",
			"chain": "encodings, and Remembered for what it wrote after a check",
		},
		theirs: reasons{
			"github.com/dgraph-io/badger/v4": "the disk",
			"golang.org/x/sys/unix":          "how much room the disk has",
			"golang.org/x/sys/windows":       "how much room the disk has",
		},
	},
	{
		dir: "p2p", floor: 3,
		ours: reasons{
			"node":  "every message is a type of node",
			"chain": "or of chain",
		},
		theirs: reasons{
			"github.com/libp2p":                   "the network",
			"github.com/multiformats":             "its addresses and varints",
			"github.com/prometheus/client_golang": "libp2p counts into a registry",
			"golang.org/x/sync":                   "waits for the goroutines it started",
			"golang.org/x/time":                   "how much one peer may ask",
		},
	},
	{
		dir: "miner", floor: 3,
		ours: reasons{
			"chain": "headers, targets and coinbases",
		},
		theirs: reasons{
			"github.com/klauspost/cpuid/v2": "which hash kernel this processor runs",
			"golang.org/x/sync":             "waits for the searching cores",
			"golang.org/x/sys/cpu":          "which hash kernel this processor runs",
			"golang.org/x/sys/unix":         "how nice a searching thread is",
			"golang.org/x/time":             "the cap on the hash rate",
		},
	},
	{
		dir: "rpc", floor: 3,
		ours: reasons{
			"node":     "what moved, and why a thing was refused",
			"converge": "depth on every peer",
			"mempool":  "what waits",
			"chain":    "what is asked for and sent",
		},
		theirs: reasons{
			"github.com/prometheus/client_golang": "/metrics",
			"golang.org/x/sync":                   "waits for the goroutines it started",
			"golang.org/x/time":                   "how much one caller may ask",
		},
	},
	{
		dir: "lab/byzantine", floor: 3, pure: true,
		ours: reasons{
			"node":  "bends what a Player says and hears",
			"chain": "forges what it says",
		},
	},
	{
		dir: "lab/judge", floor: 3, pure: true,
		ours: reasons{
			"node":     "verdicts and moves in a history",
			"converge": "agreement, said the same way as to people",
			"chain":    "ids and work in a history",
		},
	},
	{
		dir: "node", floor: 2, pure: true,
		ours: reasons{
			"mempool": "the pool is part of the player",
			"chain":   "the rules",
		},
	},
	{
		dir: "converge", floor: 2, pure: true, floats: "how safe a depth is, is a probability",
		ours: reasons{
			"chain": "ids, heights and work",
		},
	},
	{
		dir: "mempool", floor: 1, pure: true,
		ours: reasons{
			"chain": "Admit, and what a transaction spends",
		},
	},
	{
		dir: "wallet", floor: 1,
		ours: reasons{
			"chain": "builds and signs transactions",
		},
		theirs: reasons{
			"filippo.io/age":                              "the encrypted key file",
			"github.com/btcsuite/btcd/btcec/v2":           "BIP340 keys",
			"github.com/btcsuite/btcd/btcutil/hdkeychain": "BIP32 keys",
			"github.com/btcsuite/btcd/chaincfg":           "hdkeychain asks for a network",
			"github.com/gofrs/flock":                      "one program at a time uses a wallet file, on every system",
			"golang.org/x/text/unicode/norm":              "BIP39 normalises words and passphrase",
		},
	},
	{
		dir: "chain", floor: 0, pure: true,
		theirs: reasons{
			"github.com/btcsuite/btcd/btcec/v2":         "the curve of BIP340",
			"github.com/btcsuite/btcd/btcutil/bech32":   "addresses (BIP350)",
			"github.com/decred/dcrd/dcrec/secp256k1/v4": "the field and scalars under btcec",
			"github.com/holiman/uint256":                "targets and work",
		},
	},
}

// Modules of their own: what they need never reaches the program.
var modules = reasons{
	"tools":             "what lints and measures the tree",
	"conformance":       "other people's clients, tried on our node",
	"miner/sha256d/gen": "writes the hash kernels in assembly",
}

// Any test may use these; nothing else may.
var testTools = reasons{
	"pgregory.net/rapid":                    "random cases that shrink",
	"go.uber.org/goleak":                    "no goroutine is left behind",
	"github.com/rogpeppe/go-internal":       "testscript: the program as people type it",
	"github.com/marcopolo/simnet":           "real hosts in virtual time",
	"github.com/libp2p/go-libp2p/x":         "the same",
	"github.com/btcsuite/btcd":              "an independent reading of Bitcoin's formats",
	"github.com/prometheus/client_golang":   "reads what was counted",
	"github.com/santhosh-tekuri/jsonschema": "holds a document against its published schema",
	"golang.org/x/sys/unix":                 "stops a process at the calls that a crash would tear",
}

// Nobody looks away: whatever the tree holds, it holds by the law.
func TestFloors(t *testing.T) {
	breaches, files := walk(t, ".")
	if files == 0 {
		t.Fatal("found no Go file to read")
	}
	for _, breach := range breaches {
		t.Error(breach)
	}
}

// The law contradicts itself if it allows what its own floors forbid.
func TestFloorsTableIsSound(t *testing.T) {
	for i, r := range floors {
		if slices.ContainsFunc(floors[:i], func(other room) bool { return other.dir == r.dir }) {
			t.Errorf("%s has two rows", r.dir)
		}
		for path, why := range r.ours {
			below, known := roomOf(path)
			if !known || below.dir != path || below.floor >= r.floor {
				t.Errorf("%s (floor %d) is allowed %s, which is no room on a floor below", r.dir, r.floor, path)
			}
			if strings.TrimSpace(why) == "" {
				t.Errorf("%s is allowed %s without a reason", r.dir, path)
			}
		}
		for path, why := range r.theirs {
			if strings.TrimSpace(why) == "" {
				t.Errorf("%s is allowed %s without a reason", r.dir, path)
			}
		}
	}
}
