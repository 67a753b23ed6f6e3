package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
)

func statusCommand() *cobra.Command {
	return query("status", "The node at a glance", words(), func(cmd *cobra.Command, node *rpc.Client, _ []string) error {
		raw, s, err := answer[rpc.Status](cmd.Context(), node, "getstatus")
		if err != nil {
			return err
		}
		return show(cmd, raw, func(out io.Writer) { sayStatus(out, &s) })
	})
}

// query is a command that asks a node one thing.
func query(use, short string, args cobra.PositionalArgs, run func(*cobra.Command, *rpc.Client, []string) error) *cobra.Command {
	return asking(&cobra.Command{
		Use: use, Short: short, Args: args,
		RunE: func(cmd *cobra.Command, args []string) error {
			node, err := dial(cmd)
			if err != nil {
				return err
			}
			return run(cmd, node, args)
		},
	})
}

func sayStatus(out io.Writer, s *rpc.Status) {
	var t table
	t.row("network", s.Network)
	t.row("height", fmt.Sprintf("%d%s", s.Height, behind(s)))
	t.row("tip", fmt.Sprintf("%v, of %s", s.Tip, moment(s.Time)))
	t.row("work", shortWork(s.Work))
	t.row("peers", fmt.Sprintf("%d%s", s.Peers, ifNot(s.Active, ", the network is off: `cairn peers on`")))
	t.row("mempool", fmt.Sprintf("%s, %d bytes", count(s.Pool.Count, "transaction", "transactions"), s.Pool.Bytes))
	sayDue(&t, s.Due)
	sayMining(&t, &s.Mining, s.Stratum)
	t.row("reorgs", reorgWords(&s.Reorgs))
	t.row("node", fmt.Sprintf("%s, version %s, up %s", rpc.Clean(s.ID), rpc.Clean(s.Version), span(time.Duration(s.Uptime)*time.Second)))
	for _, l := range s.Listen {
		t.row("listens", rpc.Clean(l))
	}
	for _, w := range s.Warnings {
		t.row("warning", rpc.Clean(w))
	}
	t.write(out, "")
}

func behind(s *rpc.Status) string {
	if !s.Syncing {
		return ""
	}
	words := fmt.Sprintf(" of %d, catching up", s.Headers)
	if s.Sync == nil || s.Sync.Left == nil {
		return words
	}
	return words + fmt.Sprintf(": %.0f blocks/s, %.0f transactions/s, %s left",
		s.Sync.Blocks, s.Sync.Txs, span(time.Duration(*s.Sync.Left)*time.Second))
}

// sayDueFrom is how many blocks behind the tip the indexes on disk are before a person is
// told: a few they always are, for a moment.
const sayDueFrom = 100

func sayDue(t *table, due *rpc.Due) {
	if due != nil && due.Blocks >= sayDueFrom {
		t.row("indexes", fmt.Sprintf("of the last %d blocks are still to be written, %.1f MB of memory", due.Blocks, float64(due.Bytes)/1e6))
	}
}

func ifNot(is bool, words string) string {
	if is {
		return ""
	}
	return words
}

// shortWork is total work without its leading zeros.
func shortWork(w chain.Work) string { return "0x" + w.Big().Text(16) }

// sayMining is our own search and, below it, other people's.
func sayMining(t *table, m *rpc.MiningStatus, guests *rpc.StratumStatus) {
	t.row("mining", miningWords(m))
	if guests == nil {
		return
	}
	t.row("stratum", fmt.Sprintf("%s, %s, %s%s; shares: %s", guests.Listen, count(guests.Connections, "connection", "connections"),
		rate(guests.Hashrate), foundWords(guests.Found, guests.Lost, guests.Expected), shareWords(guests.Shares)))
	for _, w := range busiest(guests.Workers) {
		t.row("", fmt.Sprintf("%s, %s, %s%s; shares: %s", rpc.Clean(w.Name), count(w.Connections, "connection", "connections"),
			rate(w.Hashrate), foundWords(w.Found, w.Lost, 0), shareWords(w.Shares)))
	}
}

// mostWorkers is how many people see; --json has them all.
const mostWorkers = 10

func busiest(workers []rpc.StratumWorker) []rpc.StratumWorker {
	list := slices.Clone(workers)
	slices.SortStableFunc(list, func(a, b rpc.StratumWorker) int { return cmp.Compare(b.Hashrate, a.Hashrate) })
	return list[:min(len(list), mostWorkers)]
}

func shareWords(s rpc.Shares) string {
	words := fmt.Sprintf("%d good", s.Accepted)
	for _, bad := range []struct {
		n    uint64
		word string
	}{{s.Stale, "stale"}, {s.Duplicate, "duplicate"}, {s.Low, "above the target"}, {s.Invalid, "invalid"}} {
		if bad.n > 0 {
			words += fmt.Sprintf(", %d %s", bad.n, bad.word)
		}
	}
	return words
}

// foundWords are the blocks of a miner, and when to expect the next.
func foundWords(found, lost uint64, expected float64) string {
	words := fmt.Sprintf(", %s found", count(int(found), "block", "blocks"))
	if lost > 0 {
		words += fmt.Sprintf(" and %d stale", lost)
	}
	if expected > 0 {
		words += fmt.Sprintf(", one in %s expected", lasting(expected))
	}
	return words
}

// lasting is a time in seconds, of whatever length.
func lasting(seconds float64) string {
	const year = 365.25 * 24 * 3600
	if seconds > 100*year {
		return fmt.Sprintf("%.3g years", seconds/year)
	}
	return span(time.Duration(seconds * float64(time.Second)))
}

func miningWords(m *rpc.MiningStatus) string {
	if !m.On {
		return "off" + foundWords(m.Found, m.Stale, 0)
	}
	s := fmt.Sprintf("on, %s with %s%s", rate(m.Hashrate), count(m.Threads, "thread", "threads"), foundWords(m.Found, m.Stale, m.Expected))
	if m.Limit > 0 {
		s += ", at most " + rate(m.Limit)
	}
	if m.Why != "" {
		s += "; it waits: " + rpc.Clean(m.Why)
	}
	return s
}

func reorgWords(r *rpc.Reorgs) string {
	if r.Count == 0 {
		return "none since the start"
	}
	return fmt.Sprintf("%d since the start, the deepest undid %s", r.Count, count(r.Deepest, "block", "blocks"))
}

func tipsCommand() *cobra.Command {
	return query("tips", "The end of every branch that the node knows", words(), func(cmd *cobra.Command, node *rpc.Client, _ []string) error {
		raw, tips, err := answer[[]rpc.Tip](cmd.Context(), node, "getchaintips")
		if err != nil {
			return err
		}
		return show(cmd, raw, func(out io.Writer) { sayTips(out, tips) })
	})
}

func sayTips(out io.Writer, tips []rpc.Tip) {
	var t table
	t.row("HEIGHT", "STATUS", "BRANCH", "WORK", "TIME", "BLOCK")
	for _, tip := range tips {
		t.row(tip.Height, tip.Status, tip.Branch, shortWork(tip.Work), moment(tip.Time), tip.Hash)
	}
	t.write(out, "")
}

func mempoolCommand() *cobra.Command {
	return query("mempool", "The transactions that wait for a block", words(), func(cmd *cobra.Command, node *rpc.Client, _ []string) error {
		info, err := ask[rpc.PoolInfo](cmd.Context(), node, "getmempoolinfo")
		if err != nil {
			return err
		}
		ids, err := ask[[]chain.Hash](cmd.Context(), node, "getrawmempool")
		if err != nil {
			return err
		}
		entries, err := ask[map[chain.Hash]rpc.PoolEntry](cmd.Context(), node, "getrawmempool", true)
		if err != nil {
			return err
		}
		p := pool{PoolInfo: info, Txs: []poolTx{}}
		for _, id := range ids { // best payers first
			if e, here := entries[id]; here {
				p.Txs = append(p.Txs, poolTx{id, e})
			}
		}
		return show(cmd, p, p.say)
	})
}

// pool is what the command mempool answers.
type pool struct {
	rpc.PoolInfo
	Txs []poolTx `json:"transactions"` // the best fee rate first
}

type poolTx struct {
	ID chain.Hash `json:"txid"`
	rpc.PoolEntry
}

func (p *pool) say(out io.Writer) {
	fmt.Fprintf(out, "%s, %d bytes, %v CRN of fees; %v CRN per 1000 bytes get in\n",
		count(p.Count, "transaction", "transactions"), p.Bytes, p.Fees, p.MinFee)
	if len(p.Txs) == 0 {
		return
	}
	var t table
	t.row("TRANSACTION", "BYTES", "FEE", "RATE", "WAITS", "")
	for _, e := range p.Txs {
		waits := time.Since(time.Unix(e.Time, 0))
		t.row(e.ID, e.VSize, e.Fees.Base, perKilobyte(e.Fees.Base, e.VSize), span(max(waits, 0)), strings.TrimSpace(own(e.Own)))
	}
	t.write(out, "")
}

// perKilobyte is a fee rate in grains per 1000 bytes.
func perKilobyte(fee rpc.Amount, size int) uint64 {
	if size < 1 {
		return 0
	}
	return uint64(fee) * 1000 / uint64(size)
}

func own(is bool) string {
	if is {
		return "sent here"
	}
	return ""
}
