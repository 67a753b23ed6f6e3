package main

// What stands in a data directory.
const (
	configFile  = "cairn.toml"
	cookieFile  = ".cookie"
	walletFile  = "wallet.json"
	rpcAddrFile = "rpc.addr" // where the node answers, while it runs
	hostKeyFile = "node.key" // the node's identity among its peers
	peersFile   = "peers.json"
	bansFile    = "bans.json"
)

// defaultNetwork stands until there is a public one.
const defaultNetwork = "dev"
