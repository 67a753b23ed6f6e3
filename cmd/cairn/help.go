package main

import "github.com/spf13/cobra"

// A guide is what help tells of a command beside its first line.
type guide struct{ long, example string }

// guides are those of commands that need no more than a few words.
var guides = map[string]guide{
	"cairn": {example: "  cairn node --mine            # in one terminal\n  cairn watch                  # in another"},
	"cairn block": {
		"Shows a block by its id or its height on the best chain: what it says of itself, how\ndeep it lies and what risk is left, and its transactions with their memos.",
		"  cairn block 0\n  cairn block 120 --json",
	},
	"cairn config":      {example: "  cairn config init"},
	"cairn config init": {example: "  cairn config init\n  cairn config init --config mine.toml"},
	"cairn lab":         {example: "  cairn lab up\n  cairn lab status\n  cairn lab send 2.5 --from node1 --to node3"},
	"cairn lab status":  {example: "  cairn lab status\n  cairn lab status --json"},
	"cairn mempool": {
		"Lists the transactions that wait for a block, the best payers first: what they pay, in\nall and in grains per 1000 bytes, and for how long they wait.",
		"  cairn mempool\n  cairn mempool --json",
	},
	"cairn mine":          {example: "  cairn mine start --threads 2\n  cairn mine status\n  cairn mine bench"},
	"cairn mine generate": {example: "  cairn mine generate 5\n  cairn mine generate 1 --to dcrn1…"},
	"cairn mine start":    {example: "  cairn mine start\n  cairn mine start --threads 2"},
	"cairn mine status":   {example: "  cairn mine status"},
	"cairn mine stop":     {example: "  cairn mine stop"},
	"cairn peers": {
		"Lists the peers that the node is connected to: who they are, what tip they claim and how\nlong ago. Its commands add peers, drop them and cut the node off.",
		"  cairn peers\n  cairn peers add /ip4/192.0.2.1/tcp/29421\n  cairn peers off",
	},
	"cairn peers add":    {example: "  cairn peers add /ip4/192.0.2.1/tcp/29421\n  cairn peers add /ip4/192.0.2.1/udp/29421/quic-v1/p2p/12D3KooW…"},
	"cairn peers banned": {example: "  cairn peers banned"},
	"cairn peers drop":   {example: "  cairn peers drop 12D3KooW…"},
	"cairn peers forget": {example: "  cairn peers forget /ip4/192.0.2.1/tcp/29421"},
	"cairn peers off": {
		"Closes every connection and makes none, until `cairn peers on`. The node goes on mining\nand taking payments: that is what a partition looks like from inside.",
		"  cairn peers off && sleep 60 && cairn peers on",
	},
	"cairn peers on":    {example: "  cairn peers on"},
	"cairn peers unban": {example: "  cairn peers unban 192.0.2.0/24"},
	"cairn status": {
		"Shows the chain that the node follows, its peers, pool and mining, and what it warns of.",
		"  cairn status\n  cairn status --data-dir second\n  cairn status --rpc 127.0.0.1:29422 --json",
	},
	"cairn tips": {
		"Lists the end of every branch: the active one, those that were left or never won\n(valid-fork, valid-headers), those without bodies (headers-only) and those that break a\nrule (invalid). BRANCH is how many blocks they have beside the best chain.",
		"  cairn tips",
	},
	"cairn tx": {
		"Shows a transaction, and how deep it is on each node that this one knows of, computed\nfrom the tips that they claim: ? is unknown, 0 not confirmed there yet, -1 ruled out\nthere. RISK is that an attacker ever undoes it; `cairn risk` tells more.",
		"  cairn tx TXID\n  cairn tx TXID --json",
	},
	"cairn version":        {example: "  cairn version --json"},
	"cairn wallet":         {example: "  cairn wallet create\n  cairn wallet balance\n  cairn wallet request 12.5 --label Rosa"},
	"cairn wallet address": {example: "  cairn wallet address\n  cairn wallet address --new"},
	"cairn wallet balance": {
		"Asks a node for the coins of every address of the wallet. Confirmed coins can be spent\nnow, immature ones were mined and can be in some blocks, unconfirmed ones wait.",
		"  cairn wallet balance\n  cairn wallet balance --wallet savings.json --json",
	},
	"cairn wallet create":  {example: "  cairn wallet create\n  cairn wallet create --network regtest --wallet play.json --no-passphrase"},
	"cairn wallet history": {example: "  cairn wallet history\n  cairn wallet history --limit 0 --json"},
	"cairn wallet list":    {example: "  cairn wallet list"},
}

// guided gives commands their guides.
func guided(root *cobra.Command) {
	eachCommand(root, func(cmd *cobra.Command) {
		g := guides[cmd.CommandPath()]
		if cmd.Long == "" {
			cmd.Long = g.long
		}
		if cmd.Example == "" {
			cmd.Example = g.example
		}
	})
}
