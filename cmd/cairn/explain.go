package main

import (
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
)

func explainCommand() *cobra.Command {
	cmd := query("explain {TXID | BLOCK | fork}", "What happened, in plain sentences", words("TXID, BLOCK or fork"), runExplain)
	cmd.Long = "Tells what happened to a transaction or a block, as the node lived it: when it heard\n" +
		"of it and from whom, in which blocks on which branches it stands, which\n" +
		"reorganisation undid it, what rules it out, and why the branch that won did.\n" +
		"`cairn explain fork` tells of the last reorganisation, and of the branches that lie\n" +
		"beside the best chain now. Every node tells its own side: ask several."
	cmd.Example = "  cairn explain TXID\n  cairn explain 1204\n  cairn explain fork --json"
	return cmd
}

func runExplain(cmd *cobra.Command, node *rpc.Client, args []string) error {
	params := []any{}
	if args[0] != "fork" {
		id, err := blockID(cmd, node, args[0])
		if err != nil {
			return err
		}
		params = append(params, id)
	}
	raw, s, err := answer[rpc.Story](cmd.Context(), node, "getstory", params...)
	if absent(err) {
		return &unknownError{fmt.Errorf("the node has never seen %s: is the id right, and the network the same?", args[0])}
	}
	if err != nil {
		return err
	}
	return show(cmd, raw, func(out io.Writer) {
		for _, sentence := range narrate(&s) {
			fmt.Fprintln(out, sentence)
		}
	})
}

// narrate puts a story into sentences.
func narrate(s *rpc.Story) (said []string) {
	say := func(format string, args ...any) { said = append(said, fmt.Sprintf(format, args...)) }
	switch s.Kind {
	case rpc.KindFork:
		return tellFork(s)
	case rpc.KindTx:
		say("Transaction %v.", s.ID)
	default:
		say("Block %v at height %d.", s.ID, s.Blocks[0].Height)
	}
	said = append(said, tellSeen(s.Seen, s.Kind))
	if s.Kind == rpc.KindTx {
		said = append(said, tellPlaces(s)...)
	} else {
		said = append(said, tellPlace(&s.Blocks[0], "It"))
	}
	for i := range s.Reorgs {
		said = append(said, tellMove(&s.Reorgs[i], s.Kind)...)
	}
	return append(said, tellNow(s)...)
}

func tellSeen(seen *rpc.Sighting, kind string) string {
	switch {
	case seen == nil:
		return "This node does not remember when it first heard of it: that was before its last start, or long ago."
	case seen.Own && kind == rpc.KindTx:
		return fmt.Sprintf("It was handed to this node by its own user at %s.", instant(seen.At))
	case seen.Own:
		return fmt.Sprintf("This node, or a miner that it gives work to, found it at %s.", instant(seen.At))
	case seen.From == "":
		return fmt.Sprintf("This node first met it inside a block, at %s.", instant(seen.At))
	}
	return fmt.Sprintf("This node first heard of it at %s, from its peer %s.", instant(seen.At), shortPeer(seen.From))
}

// instant is a time as a story tells it.
func instant(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("15:04:05.000 on 2006-01-02 UTC")
}

func tellPlaces(s *rpc.Story) (said []string) {
	if len(s.Blocks) == 0 {
		said = append(said, "No block that this node knows holds it.")
	}
	for i := range s.Blocks {
		said = append(said, tellPlace(&s.Blocks[i], fmt.Sprintf("Block %s at height %d holds it; that block", short(s.Blocks[i].ID), s.Blocks[i].Height)))
	}
	return said
}

// tellPlace tells on which branch a block stands, and why that one lost if it did.
func tellPlace(b *rpc.StoryBlock, who string) string {
	if b.Duel == nil {
		return fmt.Sprintf("%s stands on the best chain, %s deep.", who, count(int(b.Depth), "block", "blocks"))
	}
	before := "that never was this node's chain"
	switch b.Status {
	case "valid-fork":
		before = "that was this node's chain before"
	case "invalid":
		return fmt.Sprintf("%s breaks a rule, or builds on a block that does, or a person ruled it out: no work makes up for that.", who)
	case "headers-only":
		before = "of which this node has headers alone"
	}
	return fmt.Sprintf("%s lies on a side branch %s: %s", who, before, tellDuel(b.Duel))
}

// tellDuel tells why the best chain is the best.
func tellDuel(d *rpc.Duel) string {
	ours, theirs := d.Ours.Height-d.Fork.Height, d.Other.Height-d.Fork.Height
	parts := fmt.Sprintf("behind block %s at height %d, where the two part, the best chain has %s with %s of work and the side branch %s with %s.",
		short(d.Fork.ID), d.Fork.Height, count(int(ours), "block", "blocks"), workWords(d.OurWork), count(int(theirs), "block", "blocks"), workWords(d.OtherWork))
	switch d.OurWork.Cmp(d.OtherWork) {
	case 1:
		return parts + " More work wins."
	case 0:
		return parts + " The work is the same, and the branch whose blocks were here first stays."
	}
	return parts + " It has more work and will win once all its blocks are here and hold."
}

// workWords is an amount of work as people see it.
func workWords(w chain.Work) string {
	n := w.Big()
	if n.Cmp(big.NewInt(10_000)) < 0 {
		return count(int(n.Int64()), "hash", "hashes")
	}
	f, _ := new(big.Float).SetInt(n).Float64()
	for _, unit := range []string{"thousand", "million", "billion", "trillion"} {
		if f /= 1000; f < 1000 {
			return fmt.Sprintf("%.4g %s hashes", f, unit)
		}
	}
	return fmt.Sprintf("%.4g trillion hashes", f)
}

// tellMove tells of a reorganisation that undid or applied a block of the thing.
func tellMove(r *rpc.StoryReorg, kind string) []string {
	said := []string{tellReorg(r)}
	switch {
	case r.Lost && kind == rpc.KindBlock:
		said = append(said, "It was among the blocks undone.")
	case r.Won && kind == rpc.KindBlock:
		said = append(said, "It was among the blocks that took their place.")
	case r.Lost:
		said = append(said, "That took its block off the best chain. "+tellFate(r.Fate))
	case r.Won:
		said = append(said, "That put its block on the best chain.")
	}
	return said
}

func tellReorg(r *rpc.StoryReorg) string {
	if r.Applied == 0 {
		return fmt.Sprintf("At %s this node went back %s to %s at height %d: a person ruled the branch out.",
			instant(r.At), count(r.Undone, "block", "blocks"), short(r.To.ID), r.To.Height)
	}
	why := "more work wins"
	if r.WonWork.Cmp(r.LostWork) <= 0 {
		why = "a person ruled the heavier one out"
	}
	return fmt.Sprintf("At %s a reorganisation undid %s behind block %s at height %d: %s with %s of work took the place of %s with %s, and %s.",
		instant(r.At), count(r.Undone, "block", "blocks"), short(r.Ancestor.ID), r.Ancestor.Height,
		count(r.Applied, "block", "blocks"), workWords(r.WonWork), count(r.Undone, "block", "blocks"), workWords(r.LostWork), why)
}

// tellFate tells what a reorganisation, or the pool, made of a transaction.
func tellFate(f *rpc.TxFate) string {
	switch {
	case f == nil:
		return ""
	case f.Fate == "returned":
		return "It went back to wait in the pool."
	case f.Fate == "confirmed" && f.Block != nil:
		return fmt.Sprintf("Block %s of the new branch confirmed it again.", short(*f.Block))
	case f.Fate == "confirmed":
		return "The new branch confirmed it again."
	case f.Fate == "conflicted" && f.By != nil && f.Block != nil:
		return fmt.Sprintf("It was ruled out: block %s confirms %s, which spends the same coin or one that it builds on.", short(*f.Block), short(*f.By))
	case f.Fate == "replaced" && f.By != nil:
		return fmt.Sprintf("It was replaced by %s, which pays more for the same coin.", short(*f.By))
	case f.Fate == "evicted":
		return "It was pushed out of the full pool by transactions that pay more."
	case f.Fate == "expired":
		return "It waited too long and was let go."
	}
	return strings.TrimSuffix(fmt.Sprintf("It could not be confirmed any more: %s", rpc.Clean(f.Why)), ": ") + "."
}

// tellNow tells how things stand.
func tellNow(s *rpc.Story) (said []string) {
	switch {
	case s.Kind == rpc.KindTx && s.Conflict != nil && s.Conflict.Block != nil:
		said = append(said, fmt.Sprintf("Now it cannot be confirmed here: block %s at height %d confirms %s, which spends the same coin or one that it builds on.",
			short(s.Conflict.Block.ID), s.Conflict.Block.Height, short(s.Conflict.Tx)))
	case s.Waits:
		said = append(said, "Now it waits in the pool for a block.")
	case s.Kind == rpc.KindTx && s.Depth != nil && *s.Depth == 0 && s.Left != nil && len(s.Reorgs) == 0:
		said = append(said, fmt.Sprintf("It left the pool at %s. %s", instant(s.Left.At), tellFate(&s.Left.TxFate)))
	}
	if n := s.Nodes; n != nil {
		said = append(said, fmt.Sprintf("Of %s counted, %d have it at least one block deep and %d have ruled it out.",
			count(n.Counted, "node", "nodes"), n.Have, n.Against))
	}
	return said
}

func tellFork(s *rpc.Story) (said []string) {
	if len(s.Reorgs) == 0 {
		said = append(said, "This node remembers no reorganisation.")
	}
	for i := range s.Reorgs {
		r := &s.Reorgs[i]
		said = append(said, tellReorg(r))
		said = append(said, fmt.Sprintf("It undid %s; `cairn explain TXID` tells what became of each.", count(r.Txs, "transaction", "transactions")))
	}
	if len(s.Blocks) == 0 {
		said = append(said, fmt.Sprintf("No branch lies beside the best chain, which ends with block %s at height %d.", short(s.Tip.ID), s.Tip.Height))
	}
	for i := range s.Blocks {
		b := &s.Blocks[i]
		said = append(said, tellPlace(b, fmt.Sprintf("Block %s at height %d", short(b.ID), b.Height)))
	}
	return said
}
