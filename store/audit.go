package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"slices"

	"cairn/chain"
	"cairn/node"
)

// CheckFiles reads every block of every table in a data folder and holds it
// against its checksum, which an open does only up to a certain size. The folder
// must be ours and nobody's at the moment; nothing is changed. It fails with a
// *DamageError.
func CheckFiles(c Config) error {
	lock, err := lockFolder(c.Dir)
	if err != nil {
		return err
	}
	return errors.Join(checkTables(c), lock.release())
}

func checkTables(c Config) error {
	l := look{dir: c.Dir, folder: filepath.Join(c.Dir, databaseFolder)}
	if err := l.list(); err != nil {
		return damage(c.Dir, "the folder", err)
	}
	if err := l.readManifest(badgerOptions(c)); err != nil {
		return nil // the open tells more of that
	}
	for id := range l.named {
		if _, there := l.tables[id]; !there {
			continue
		}
		if _, err := readTable(filepath.Join(l.folder, tableName(id)), allBlocks); err != nil {
			return damage(c.Dir, tableName(id), err)
		}
	}
	return nil
}

// maxFindings bounds what an Audit lists.
const maxFindings = 100

// Audit holds what is remembered against what the bodies say: entries, coins,
// indexes, history and diffs. It looks up everything that a body gives rise to,
// counts it, and in the end counts what is there, so that nothing is missing and
// nothing is there without a reason. It needs no memory for the chain's coins:
// those that blocks made and did not spend must be those that are there, by
// number and by the sum (XOR) of their hashes.
type Audit struct {
	reads
	p      *chain.Params
	want   map[byte]int // keys of each kind that there must be
	coins  [32]byte     // the sum over coins made and not spent
	faults []string
	more   int
}

// Audit begins one of the present moment, with all that was due written; the store
// must stay as it is until the last call.
func (b *book) Audit() *Audit {
	a := &Audit{reads: b.reads, p: b.params, want: map[byte]int{kindTip: 1}}
	if err := b.Settle(); err != nil {
		a.Fault("what follows from the newest blocks is not written: %v", err)
	}
	a.genesis()
	return a
}

// Faults are what is wrong, at most a hundred of them, and how many more there
// are.
func (a *Audit) Faults() (list []string, more int) { return a.faults, a.more }

// Fault notes one more thing that is wrong.
func (a *Audit) Fault(format string, args ...any) {
	if len(a.faults) == maxFindings {
		a.more++
		return
	}
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

// Len is how many blocks there are to be looked at, the genesis excepted.
func (a *Audit) Len() (n int, err error) {
	err = a.eachKey(kindEntry, func([]byte) error { n++; return nil })
	return max(n-1, 0), err
}

// Blocks hands out what is stored for every block but the genesis, in order of
// height; no bytes where there is no body. It may run beside the other methods.
func (a *Audit) Blocks() iter.Seq2[Raw, error] {
	return func(yield func(Raw, error) bool) {
		for from := keysStanding(1); ; {
			keys, err := a.standing(from)
			if err != nil {
				yield(Raw{}, err)
				return
			}
			for _, key := range keys {
				id := chain.Hash(key[1+8:])
				raw, err := a.BodyBytes(id)
				if errors.Is(err, node.ErrUnknown) {
					err = nil
				}
				if !yield(Raw{id, raw}, err) || err != nil {
					return
				}
			}
			if len(keys) == 0 {
				return
			}
			from = append(keys[len(keys)-1], 0)
		}
	}
}

// standing lists the next keys of blocks by height.
func (a *Audit) standing(from []byte) (keys [][]byte, err error) {
	err = a.view(func(s snapshot) error {
		return enough(s.each(span{prefix: []byte{kindStanding}, from: from, keys: true}, func(key, _ []byte) error {
			if len(key) == len(keysStanding(0))+32 { // others are counted in the end
				keys = append(keys, bytes.Clone(key))
			}
			if len(keys) == 1024 {
				return errEnough
			}
			return nil
		}))
	})
	return keys, err
}

func (a *Audit) genesis() {
	b, err := chain.Remembered(a.p.GenesisID(), a.p.Genesis.Bytes())
	if err != nil {
		a.Fault("genesis: %v", err)
		return
	}
	s := a.p.GenesisState()
	a.lookUp(b.ID(), keyStanding(0, b.ID()), nil)
	a.lookUp(b.ID(), keyEntry(b.ID()), encodeEntry(node.Entry{Header: b.Header(), State: s, Status: node.Complete}))
	if raw, err := a.BodyBytes(b.ID()); err != nil || !bytes.Equal(raw, a.p.Genesis.Bytes()) {
		a.Fault("body of the genesis %v: %v", b.ID(), differs(err))
	}
	a.body(b)
	if d, err := a.diff(b); err != nil || !sameDiff(d, a.p.GenesisCoins()) {
		a.Fault("diff of the genesis %v: %s", b.ID(), differs(err))
	}
	a.effects(b, s, a.p.GenesisCoins())
}

// Hold looks at a block that Blocks handed out: checked, or why it is not sound.
func (a *Audit) Hold(raw Raw, b chain.CheckedBlock, broken error) {
	e, err := a.Entry(raw.ID)
	if err != nil {
		a.Fault("entry %v: %v", raw.ID, err)
		return
	}
	parent, err := a.Entry(e.Header.Prev)
	if err != nil {
		a.Fault("entry %v at height %d: its parent: %v", raw.ID, e.State.Height, err)
		return
	}
	state, err := chain.ConnectHeader(a.p, parent.State, e.Header)
	if err != nil || state.ID != raw.ID || state != e.State {
		a.Fault("entry %v at height %d is not what its header and its parent say (%v)", raw.ID, e.State.Height, err)
	}
	a.want[kindEntry]++
	a.lookUp(raw.ID, keyStanding(e.State.Height, raw.ID), nil)
	switch {
	case e.Status == node.Condemned:
		return
	case raw.Bytes == nil:
		broken = errors.New("missing")
	case broken == nil && b.ID() != raw.ID:
		broken = fmt.Errorf("its header hashes to %v", b.ID())
	}
	if broken != nil {
		a.Fault("body of block %v at height %d: %v", raw.ID, e.State.Height, broken)
		return
	}
	a.body(b)
	at, err := a.At(e.State.Height)
	if err != nil || at != raw.ID { // a side branch; that no height is missing is counted in the end
		a.past(parent.State, b)
		return
	}
	if state, diff, ok := a.connect(parent.State, b); ok {
		a.effects(b, state, diff)
	}
}

// past looks up what a block did while it was on the best chain, if it ever was.
func (a *Audit) past(parent chain.State, b chain.CheckedBlock) {
	if _, err := a.copyOf(keyDiff(b.ID())); errors.Is(err, node.ErrUnknown) {
		return
	}
	a.connect(parent, b)
}

// body looks up what follows from a stored body on whatever branch.
func (a *Audit) body(b chain.CheckedBlock) {
	a.want[kindBody]++
	for _, key := range bodyKeys(b) {
		a.lookUp(b.ID(), key, nil)
	}
}

// connect does again what the block did to the coins. The coins that it spends
// are taken from its diff: that they are coins of this chain, the sums tell of the best
// one.
func (a *Audit) connect(parent chain.State, b chain.CheckedBlock) (s chain.State, d chain.Diff, ok bool) {
	stored, err := a.diff(b)
	if err != nil {
		a.Fault("diff of block %v at height %d: %v", b.ID(), parent.Height+1, err)
		return s, d, false
	}
	found := chain.Coins{}
	for _, c := range stored.Spent {
		found[c.OutPoint] = c
	}
	s, d, err = chain.Connect(a.p, parent, b, found)
	switch {
	case err != nil:
		a.Fault("block %v at height %d: %v", b.ID(), parent.Height+1, err)
	case !sameDiff(stored, d):
		a.Fault("diff of block %v at height %d: is not what its body says", b.ID(), parent.Height+1)
	}
	return s, d, err == nil
}

// diff is what is stored of what a block did.
func (a *Audit) diff(b chain.CheckedBlock) (chain.Diff, error) {
	raw, err := a.copyOf(keyDiff(b.ID()))
	if err != nil {
		return chain.Diff{}, err
	}
	a.want[kindDiff]++
	return decodeDiff(b, raw)
}

// effects looks up what follows from a block on the best chain.
func (a *Audit) effects(b chain.CheckedBlock, s chain.State, d chain.Diff) {
	id := b.ID()
	a.lookUp(b.ID(), keyHeight(s.Height), id[:])
	for key, item := range history(b, s.Height) {
		a.lookUp(b.ID(), keyHistory(key.owner, key.at), encodeItem(item))
	}
	for _, c := range d.Spent {
		a.coin(c)
		a.want[kindCoin]--
		a.want[kindOwned]--
		a.absent(b.ID(), keyCoin(c.OutPoint))
		a.absent(b.ID(), keyOwned(c.Owner, c.OutPoint))
	}
	for _, c := range d.Created {
		a.coin(c)
		a.want[kindCoin]++
		a.want[kindOwned]++
	}
}

// coin adds a coin to the sum, or takes it off.
func (a *Audit) coin(c chain.Coin) {
	sum := sha256.Sum256(append(keyCoin(c.OutPoint), encodeCoin(c)...))
	for i := range sum {
		a.coins[i] ^= sum[i]
	}
}

// lookUp wants a key with a value; nil is an empty one.
func (a *Audit) lookUp(block chain.Hash, key, value []byte) {
	a.want[key[0]]++
	have, err := a.copyOf(key)
	if err != nil || !bytes.Equal(have, value) {
		a.Fault("%s of block %v: %s (%v)", kinds[key[0]], block, differs(err), printed(key))
	}
}

func (a *Audit) absent(block chain.Hash, key []byte) {
	if _, err := a.copyOf(key); !errors.Is(err, node.ErrUnknown) {
		a.Fault("%s of block %v: still there though it is spent (%v)", kinds[key[0]], block, printed(key))
	}
}

func differs(err error) string {
	if err == nil {
		return "is not what its body says"
	}
	if errors.Is(err, node.ErrUnknown) {
		return "missing"
	}
	return err.Error()
}

func printed(key []byte) string { return fmt.Sprintf("key %c %x", key[0], key[1:]) }

// kinds are the kinds of keys in words.
var kinds = map[byte]string{
	kindTip: "tip", kindEntry: "entry", kindStanding: "place in the tree", kindBody: "body", kindHeight: "height",
	kindDiff: "diff", kindCoin: "coin", kindOwned: "coin by address", kindHistory: "history of an address",
	kindTx: "index of transactions", kindSpend: "index of spends",
}

// Finish counts what is there, after the last block. Where something is wrong
// already, numbers would only repeat it.
func (a *Audit) Finish() error {
	if a.end(); len(a.faults) > 0 {
		return nil
	}
	have := map[byte]int{}
	for kind := range 256 {
		if err := a.eachKey(byte(kind), func([]byte) error { have[byte(kind)]++; return nil }); err != nil {
			return err
		}
	}
	delete(have, kindNamed)
	for kind, n := range have {
		if kinds[kind] == "" {
			a.Fault("%d keys of an unknown kind %q", n, kind)
		}
	}
	for kind, name := range kinds {
		if have[kind] != a.want[kind] {
			a.Fault("%s: %d are there, %d follow from the bodies", name, have[kind], a.want[kind])
		}
	}
	slices.Sort(a.faults)
	return a.sum()
}

// end holds the tip against the best chain.
func (a *Audit) end() {
	tip, err := a.Tip()
	if err != nil {
		a.Fault("tip: %v", err)
		return
	}
	at, err := a.At(tip.State.Height)
	if err != nil || at != tip.State.ID {
		a.Fault("tip: %v is not the block of the best chain at height %d", tip.State.ID, tip.State.Height)
	}
	if raw, err := a.copyOf(keyTip); err != nil || !bytes.Equal(raw, tip.State.ID[:]) {
		a.Fault("tip: %s", differs(err))
	}
	if _, err := a.At(tip.State.Height + 1); !errors.Is(err, node.ErrUnknown) {
		a.Fault("tip: the best chain goes on above %v", tip.State.ID)
	}
}

// sum adds up the coins that are there, which must give what was made and not
// spent, each with its owner.
func (a *Audit) sum() error {
	err := a.view(func(s snapshot) error {
		return s.each(span{prefix: []byte{kindCoin}}, func(key, value []byte) error {
			c, err := decodeCoin(readOutPoint(key[1:]), value)
			if err != nil {
				a.Fault("%v", err)
				return nil
			}
			a.coin(c)
			owned, err := s.get(keyOwned(c.Owner, c.OutPoint))
			if err != nil || !bytes.Equal(owned, appendCoin(nil, c)) {
				a.Fault("coin by address: that of %v is not the coin %v", printed(key), c)
			}
			return nil
		})
	})
	if err == nil && a.coins != [32]byte{} && len(a.faults) == 0 {
		a.Fault("coins: those that are there are not those that the blocks made and did not spend")
	}
	return err
}
