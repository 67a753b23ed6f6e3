package main

import (
	"slices"
	"testing"

	"cairn/chain"
	"cairn/rpc"
)

// What a healed split does not bring up.
func TestRarerSentences(t *testing.T) {
	a, b := chain.Hash{0xaa}, chain.Hash{0xbb}
	zero := int64(0)
	duel := &rpc.Duel{Fork: rpc.BlockName{ID: a, Height: 7}, Ours: rpc.BlockName{Height: 8}, Other: rpc.BlockName{Height: 9}, OurWork: chain.NewWork(1), OtherWork: chain.NewWork(1)}
	heavier := *duel
	heavier.OtherWork = chain.NewWork(123_456_789)
	const forgotten = "This node does not remember when it first heard of it: that was before its last start, or long ago."
	const parts = " behind block …000000aa at height 7, where the two part, the best chain has 1 block with 1 hash of work and the side branch 2 blocks with "
	for what, c := range map[string]struct {
		story rpc.Story
		want  []string
	}{
		"pushed out": {
			rpc.Story{ID: &b, Kind: rpc.KindTx, Depth: &zero, Left: &rpc.StoryFate{At: 1000, TxFate: rpc.TxFate{Fate: "evicted"}}},
			[]string{"Transaction " + b.String() + ".", forgotten, "No block that this node knows holds it.", "It left the pool at 00:00:01.000 on 1970-01-01 UTC. It was pushed out of the full pool by transactions that pay more."},
		},
		"replaced": {
			rpc.Story{ID: &b, Kind: rpc.KindTx, Depth: &zero, Left: &rpc.StoryFate{TxFate: rpc.TxFate{Fate: "replaced", By: &a}}},
			[]string{"Transaction " + b.String() + ".", forgotten, "No block that this node knows holds it.", "It left the pool at 00:00:00.000 on 1970-01-01 UTC. It was replaced by …000000aa, which pays more for the same coin."},
		},
		"as heavy": {
			rpc.Story{ID: &b, Kind: rpc.KindBlock, Blocks: []rpc.StoryBlock{{ID: b, Height: 8, Status: "valid-headers", Duel: duel}}},
			[]string{"Block " + b.String() + " at height 8.", forgotten, "It lies on a side branch that never was this node's chain:" + parts + "1 hash. The work is the same, and the branch whose blocks were here first stays."},
		},
		"on its way": {
			rpc.Story{ID: &b, Kind: rpc.KindBlock, Blocks: []rpc.StoryBlock{{ID: b, Height: 8, Status: "headers-only", Duel: &heavier}}},
			[]string{"Block " + b.String() + " at height 8.", forgotten, "It lies on a side branch of which this node has headers alone:" + parts + "123.5 million hashes. It has more work and will win once all its blocks are here and hold."},
		},
		"false": {
			rpc.Story{ID: &b, Kind: rpc.KindBlock, Blocks: []rpc.StoryBlock{{ID: b, Height: 8, Status: "invalid", Duel: duel}}},
			[]string{"Block " + b.String() + " at height 8.", forgotten, "It breaks a rule, or builds on a block that does, or a person ruled it out: no work makes up for that."},
		},
		"by hand": {
			rpc.Story{Kind: rpc.KindFork, Tip: rpc.BlockName{ID: a, Height: 7}, Reorgs: []rpc.StoryReorg{{Undone: 2, Txs: 1, To: rpc.BlockName{ID: a, Height: 7}}}},
			[]string{
				"At 00:00:00.000 on 1970-01-01 UTC this node went back 2 blocks to …000000aa at height 7: a person ruled the branch out.",
				"It undid 1 transaction; `cairn explain TXID` tells what became of each.",
				"No branch lies beside the best chain, which ends with block …000000aa at height 7.",
			},
		},
		"settled again": {
			rpc.Story{ID: &b, Kind: rpc.KindTx, Reorgs: []rpc.StoryReorg{{Undone: 1, Applied: 1, LostWork: chain.NewWork(2), WonWork: chain.NewWork(1), Lost: true, Fate: &rpc.TxFate{Fate: "confirmed", Block: &a}}}},
			[]string{
				"Transaction " + b.String() + ".", forgotten, "No block that this node knows holds it.",
				"At 00:00:00.000 on 1970-01-01 UTC a reorganisation undid 1 block behind block …00000000 at height 0: 1 block with 1 hash of work took the place of 1 block with 2 hashes, and a person ruled the heavier one out.",
				"That took its block off the best chain. Block …000000aa of the new branch confirmed it again.",
			},
		},
	} {
		if got := narrate(&c.story); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%q\nwant\n%q", what, got, c.want)
		}
	}
}
