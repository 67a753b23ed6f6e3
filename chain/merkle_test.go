package chain_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

func leaves(n int) []chain.Hash {
	ids := make([]chain.Hash, n)
	for i := range ids {
		ids[i] = chain.SumHash(binary.LittleEndian.AppendUint32(nil, uint32(i)))
	}
	return ids
}

// naiveRoot is the definition, level by level.
func naiveRoot(level []chain.Hash) chain.Hash {
	if len(level) == 1 {
		return level[0]
	}
	if len(level)%2 == 1 {
		level = append(level[:len(level):len(level)], level[len(level)-1])
	}
	var up []chain.Hash
	for i := 0; i < len(level); i += 2 {
		up = append(up, chain.SumHash(append(append([]byte(nil), level[i][:]...), level[i+1][:]...)))
	}
	return naiveRoot(up)
}

func TestBitcoinsBlocksHaveTheirRoots(t *testing.T) {
	data := bitcoin(t)
	for height, want := range map[int]int{170: 2, 100_000: 4} {
		ids := data.txs[height]
		if len(ids) != want {
			t.Fatalf("block %d has %d transactions, want %d", height, len(ids), want)
		}
		root, ok := chain.MerkleRoot(ids)
		if h := data.headers[height]; !ok || root != h.Root {
			t.Errorf("block %d: root %v %v, want %v", height, root, ok, h.Root)
		}
	}
}

func TestEveryBranchLeadsToTheRoot(t *testing.T) {
	for n := 1; n <= 70; n++ {
		ids := leaves(n)
		before := fmt.Sprint(ids)
		root, ok := chain.MerkleRoot(ids)
		if !ok || root != naiveRoot(ids) {
			t.Fatalf("%d leaves: root %v %v, want %v", n, root, ok, naiveRoot(ids))
		}
		for i, leaf := range ids {
			branch := chain.MerkleBranch(ids, i)
			if got := chain.MerkleFromBranch(leaf, i, branch); got != root {
				t.Errorf("leaf %d of %d leads to %v", i, n, got)
			}
			if got := chain.MerkleFromBranch(chain.Hash{1}, i, branch); got == root {
				t.Errorf("leaf %d of %d: another leaf leads to the root too", i, n)
			}
		}
		if before != fmt.Sprint(ids) {
			t.Fatalf("%d leaves were changed", n)
		}
	}
	if root, ok := chain.MerkleRoot(nil); root != (chain.Hash{}) || !ok {
		t.Error("no leaves have a root")
	}
}

// twin repeats the tail of a list that its tree repeats by itself, or gives nil if
// the tree is full.
func twin(ids []chain.Hash) []chain.Hash {
	for span := 1; span < len(ids); span *= 2 {
		if len(ids)/span%2 == 1 && len(ids)%span == 0 {
			return append(append([]chain.Hash(nil), ids...), ids[len(ids)-span:]...)
		}
	}
	return nil
}

func TestTwinTreesAreSeen(t *testing.T) {
	found := 0
	for n := 1; n <= 70; n++ {
		ids := leaves(n)
		other := twin(ids)
		if other == nil {
			continue
		}
		found++
		root, _ := chain.MerkleRoot(ids)
		same, ok := chain.MerkleRoot(other)
		if same != root {
			t.Fatalf("%d and %d leaves are no twins", n, len(other))
		}
		if ok {
			t.Errorf("%d leaves pass for %d", len(other), n)
		}
		if err := chain.CheckRoot(chain.Header{Root: root}, other); chain.KindOf(err) != chain.Mutated {
			t.Errorf("%d leaves for %d: %v", len(other), n, err)
		}
		if err := chain.CheckRoot(chain.Header{Root: root}, ids); err != nil {
			t.Errorf("the honest %d leaves: %v", n, err)
		}
	}
	if found < 60 {
		t.Errorf("only %d sizes have twins", found)
	}
}

// CVE-2012-2459: who mutates an honest block must not get its id condemned.
func TestAMutatedBlockDoesNotCondemnTheHonestOne(t *testing.T) {
	p := chaintest.Easy()
	l := chaintest.Open(p)
	l.Grow(3, "", chaintest.Address(0))
	var txs []*chain.Tx
	for i := range 2 {
		txs = append(txs, chaintest.Pay(p, chaintest.Funds(p, i), chaintest.Key(i), 1))
	}
	honest := chaintest.Next(p, l.State, chaintest.Address(0), txs...)
	checked := chaintest.Check(p, honest)
	bent := append(checked.Txs(), checked.Txs()[1])
	_, err := chain.CheckBlock(p, honest.Header, honest.Coinbase, bent)
	if k := chain.KindOf(err); k != chain.Mutated || k.Condemns() || !k.Everywhere() {
		t.Errorf("the mutated body: %v", err)
	}
	a := honest.Announce()
	a.IDs = append(a.IDs, a.IDs[1])
	if _, err := chain.CheckAnnouncement(p, a); chain.KindOf(err) != chain.Mutated {
		t.Errorf("the mutated announcement: %v", err)
	}
}

// nodeCoinbase is a coinbase of 64 bytes at height 1: it could be two hashes.
func nodeCoinbase() *chain.Coinbase {
	return &chain.Coinbase{Height: 1, Extra: make([]byte, 59)}
}

// CVE-2017-12842: what hashes to an inner node is 64 bytes long, and nothing that
// may stand in a block is.
func TestNoTransactionPassesForANode(t *testing.T) {
	if least := chain.TxSize(1, 1, 0); least <= 64 {
		t.Errorf("a transaction may have %d bytes", least)
	}
	p := chaintest.Easy()
	loose := &chain.Tx{Memo: make([]byte, 60)}
	if n := len(loose.Bytes()); n != 64 {
		t.Fatalf("the transaction that poses has %d bytes", n)
	}
	_, err := chain.CheckTx(p, loose)
	if k := chain.KindOf(err); k != chain.NoInputs || k.Condemns() {
		t.Errorf("it gives %v", err)
	}
}

// A block of two leaves, L and R, and a block with one coinbase of the 64 bytes
// L‖R share a header. Were its id condemned for the second body, some nodes would
// refuse for good what others hold.
func TestACoinbaseThatPassesForANodeDoesNotCondemn(t *testing.T) {
	p := chaintest.Easy()
	b := chaintest.Next(p, p.GenesisState(), chaintest.Address(0))
	b.Coinbase = nodeCoinbase()
	raw := b.Coinbase.Bytes()
	if len(raw) != 64 {
		t.Fatalf("the coinbase that poses has %d bytes", len(raw))
	}
	chaintest.Seal(p, b)
	two := []chain.Hash{chain.Hash(raw[:32]), chain.Hash(raw[32:])}
	if err := chain.CheckRoot(b.Header, two); err != nil {
		t.Fatalf("the two leaves: %v", err)
	}
	_, err := chain.CheckBlock(p, b.Header, b.Coinbase, nil)
	if k := chain.KindOf(err); k != chain.Mutated || k.Condemns() {
		t.Errorf("as a block: %v", err)
	}
	if _, err := chain.CheckAnnouncement(p, b.Announce()); chain.KindOf(err) != chain.Mutated {
		t.Errorf("as an announcement: %v", err)
	}
}
