package rpc

import (
	"strings"

	"cairn/chain"
)

func controlMethods() []method {
	return []method{
		define("getstatus", "The node at a glance.", getStatus),
		define("uptime", "Seconds since the node started.", uptime),
		define("getload", "What the process carries, and how long the node was busy with one thing at the most.", getLoad),
		define("help", "All methods, or one of them in full.", help,
			param{name: "command", kind: text, optional: true, doc: "a method's name", example: "getblock"}),
		define("stop", "Stops the node.", stop),
	}
}

// Status is the result of getstatus.
type Status struct {
	Network  string         `json:"network"`
	Version  string         `json:"version"`
	ID       string         `json:"peer_id"`
	Uptime   int64          `json:"uptime"` // seconds
	Height   uint64         `json:"height"`
	Tip      chain.Hash     `json:"tip"`
	Work     chain.Work     `json:"work"`
	Time     uint32         `json:"time"` // the tip's, seconds since 1970
	Bits     chain.Bits     `json:"bits"`
	Headers  uint64         `json:"headers"`        // height of the heaviest branch known
	Syncing  bool           `json:"syncing"`        // that branch is not ours yet
	Sync     *Sync          `json:"sync,omitempty"` // how far it is; only while syncing
	Peers    int            `json:"peers"`
	Active   bool           `json:"network_active"`
	Listen   []string       `json:"listen"` // multiaddrs
	Pool     StatusPool     `json:"mempool"`
	Due      *Due           `json:"due,omitempty"`
	Mining   MiningStatus   `json:"mining"`
	Stratum  *StratumStatus `json:"stratum,omitempty"`
	Reorgs   Reorgs         `json:"reorgs"`
	Warnings []string       `json:"warnings"`
}

// Sync is how far a node is on its way to the heaviest branch that it knows, and
// how fast it went in the last seconds.
type Sync struct {
	Height uint64  `json:"height"`
	Target uint64  `json:"target"` // height of that branch's last header known
	Blocks float64 `json:"blocks_per_second"`
	Txs    float64 `json:"transactions_per_second"` // in those blocks
	Left   *int64  `json:"seconds_left,omitempty"`  // at this pace; unknown while it stands still
}

// StatusPool is the pool in a Status.
type StatusPool struct {
	Count int `json:"count"`
	Bytes int `json:"bytes"`
}

// Due is what follows from blocks and is not in the indexes on disk yet, and what was
// written there since the start.
type Due struct {
	Blocks   int     `json:"blocks"`
	Bytes    int64   `json:"bytes"`    // of memory, about
	Flushes  uint64  `json:"flushes"`  // runs of blocks that were written
	Failures uint64  `json:"failures"` // of flushes
	Seconds  float64 `json:"seconds"`  // that all of them took
}

func getStatus(c *call) (*Status, error) {
	v, err := c.view()
	if err != nil {
		return nil, err
	}
	tip, err := v.Tip()
	if err != nil {
		return nil, err
	}
	best, err := heaviest(v, tip)
	if err != nil {
		return nil, err
	}
	s, local, pool := tip.State, c.Network.Local(), c.Pool.Info()
	return &Status{
		Network: c.Params.Name, Version: c.Control.Version(), ID: local.ID, Uptime: int64(c.Control.Uptime().Seconds()),
		Height: s.Height, Tip: s.ID, Work: s.Work, Time: s.Time, Bits: s.Bits,
		Headers: best.Height, Syncing: best.ID != s.ID, Sync: c.Branches.Sync(),
		Peers: len(c.Network.Peers()), Active: local.Active, Listen: list(local.Listen),
		Pool: StatusPool{Count: pool.Count, Bytes: pool.Bytes}, Due: c.Upkeep.Due(),
		Mining: c.mining(s), Stratum: c.stratum(s), Reorgs: c.Control.Reorgs(), Warnings: warnings(c.Control),
	}, nil
}

// warnings may quote peers.
func warnings(control Control) []string {
	said := control.Warnings()
	clean := make([]string, len(said))
	for i := range said {
		clean[i] = Clean(said[i])
	}
	return clean
}

// warning is all of them in one text, as clients of Bitcoin Core expect it there.
func warning(control Control) string { return strings.Join(warnings(control), "; ") }

func uptime(c *call) (int64, error) { return int64(c.Control.Uptime().Seconds()), nil }

// Load is the result of getload.
type Load struct {
	Goroutines int     `json:"goroutines"`
	Heap       uint64  `json:"heap"`         // bytes of Go's objects, those not yet collected among them
	LockWait   float64 `json:"lock_wait"`    // seconds that goroutines waited for locks since the start, summed over all
	Longest    float64 `json:"longest_step"` // seconds of the node's longest step in this minute and the one before: nobody else is served meanwhile
}

func getLoad(c *call) (Load, error) { return c.Control.Load(), nil }

func stop(c *call) (string, error) {
	c.Control.Stop()
	return "Cairn stopping", nil
}

func help(c *call) (string, error) {
	if c.args[0] == nil {
		return overview(), nil
	}
	m, ok := byName[arg[string](c, 0)]
	if !ok {
		name := arg[string](c, 0)
		return "", Errorf(Misc, "help: unknown command: %s%s", Clean(name), didYouMean(name))
	}
	return m.help(), nil
}
