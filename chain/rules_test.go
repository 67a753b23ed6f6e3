package chain_test

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"cairn/chain"
	"cairn/chain/chaintest"
)

// scene is a short chain on the network "easy" with a good payment and a good
// block on top, for a test to bend.
type scene struct {
	*chaintest.Ledger
	p  *chain.Params
	tx *chain.Tx    // spends Funds(0)
	b  *chain.Block // holds tx
}

func newScene() *scene {
	p := chaintest.Easy()
	s := &scene{Ledger: chaintest.Open(p), p: p}
	s.Grow(5, "", chaintest.Address(7))
	s.tx = chaintest.Pay(p, chaintest.Funds(p, 0), chaintest.Key(0), 1000, chain.Output{Value: chain.CRN, To: chaintest.Address(1)})
	s.b = chaintest.Next(p, s.State, chaintest.Address(2), s.tx)
	return s
}

// bend changes the payment, signs it again and checks it.
func (s *scene) bend(change func(*chain.Tx)) error {
	change(s.tx)
	_, err := chain.CheckTx(s.p, s.signed())
	return err
}

func (s *scene) signed() *chain.Tx {
	return chaintest.Sign(s.p, s.tx, chaintest.Key(0), chaintest.Key(1))
}

// admit changes the payment, signs it again and asks whether the next block may
// hold it; connect puts it into one.
func (s *scene) admit(change func(*chain.Tx)) error {
	change(s.tx)
	_, err := chain.Admit(s.p, s.State, chaintest.CheckTx(s.p, s.signed()), s.Coins)
	return err
}

func (s *scene) connect(change func(*chain.Tx)) error {
	change(s.tx)
	return s.block(chaintest.Next(s.p, s.State, chaintest.Address(2), s.signed()))
}

// block checks and connects a block.
func (s *scene) block(b *chain.Block) error {
	txs, err := chain.CheckTxs(s.p, b.Txs)
	if err != nil {
		return err
	}
	c, err := chain.CheckBlock(s.p, b.Header, b.Coinbase, txs)
	if err != nil {
		return err
	}
	_, _, err = chain.Connect(s.p, s.State, c, s.Coins)
	return err
}

// header changes the header, mines it and checks it.
func (s *scene) header(change func(*chain.Header)) error {
	change(&s.b.Header)
	if target, ok := s.b.Header.Bits.Target(); ok && target.Cmp(easiest(s.p)) <= 0 {
		chaintest.Mine(s.p, s.b)
	}
	if err := chain.CheckHeader(s.p, s.b.Header); err != nil {
		return err
	}
	_, err := chain.ConnectHeader(s.p, s.State, s.b.Header)
	return err
}

func easiest(p *chain.Params) chain.Target {
	t, _ := p.Easiest.Target()
	return t
}

// coinbase changes the coinbase, seals the block and connects it.
func (s *scene) coinbase(change func(*chain.Coinbase)) error {
	change(s.b.Coinbase)
	return s.block(chaintest.Seal(s.p, s.b))
}

// announce changes the announcement and checks it.
func (s *scene) announce(change func(*chain.Announcement)) error {
	a := s.b.Announce()
	change(a)
	_, err := chain.CheckAnnouncement(s.p, a)
	return err
}

// huge are coins that the ledger says exist, of any value.
func (s *scene) huge(i int, value chain.Amount) chain.Coin {
	c := chain.Coin{OutPoint: chain.OutPoint{Tx: chain.Hash{byte(i)}}, Value: value, Owner: chaintest.Address(0)}
	s.Coins[c.OutPoint] = c
	return c
}

// broken tells for every kind how to break it: concrete transactions and blocks.
var broken = map[chain.Kind]map[string]func(*scene) error{
	chain.Malformed: {
		"bytes behind": func(s *scene) error { _, err := chain.DecodeTx(append(s.tx.Bytes(), 0)); return err },
		"tx version":   func(s *scene) error { _, err := chain.DecodeTx([]byte{3}); return err },
		"no coinbase":  func(s *scene) error { _, err := chain.DecodeBlock(make([]byte, 81)); return err },
		"long memo":    func(s *scene) error { return s.bend(func(t *chain.Tx) { t.Memo = make([]byte, 81) }) },
		"long extra": func(s *scene) error {
			return s.coinbase(func(c *chain.Coinbase) { c.Extra = make([]byte, 101) })
		},
		"long coinbase memo": func(s *scene) error {
			return s.coinbase(func(c *chain.Coinbase) { c.Memo = make([]byte, 81) })
		},
	},
	chain.BadVersion: {
		"2":   func(s *scene) error { return s.header(func(h *chain.Header) { h.Version = 2 }) },
		"0":   func(s *scene) error { return s.header(func(h *chain.Header) { h.Version = 0 }) },
		"bit": func(s *scene) error { return s.header(func(h *chain.Header) { h.Version |= 1 << 29 }) },
		"low": func(s *scene) error { return s.header(func(h *chain.Header) { h.Version |= 1 << 12 }) },
	},
	chain.HighHash: {
		"no work": func(s *scene) error {
			for s.b.Header.Nonce = 0; easiest(s.p).Met(s.b.ID()); s.b.Header.Nonce++ {
			}
			return s.block(s.b)
		},
		"too little": func(s *scene) error { s.b.Header.Bits = 0x1d00ffff; return chain.CheckHeader(s.p, s.b.Header) },
		"announced": func(s *scene) error {
			return s.announce(func(a *chain.Announcement) { a.Header.Bits = 0x1d00ffff })
		},
	},
	chain.BadBits: {
		"negative": func(s *scene) error { return s.header(func(h *chain.Header) { h.Bits = 0x04923456 }) },
		"zero":     func(s *scene) error { return s.header(func(h *chain.Header) { h.Bits = 0 }) },
		"too easy": func(s *scene) error { return s.header(func(h *chain.Header) { h.Bits = 0x2100ffff }) },
		"too hard": func(s *scene) error { return s.header(func(h *chain.Header) { h.Bits = 0x2000ffff }) },
		"a smaller form of the same target": func(s *scene) error {
			p := chain.DevLike("lab", s.p.Genesis)
			p.Easiest = 0x220000ff
			parent := chain.State{Height: 9, Bits: 0x2100ff00, Gap: 2}
			_, err := chain.ConnectHeader(p, parent, chain.Header{Bits: 0x220000ff})
			return err
		},
	},
	chain.TooOld: {
		"a second": func(s *scene) error { return s.header(func(h *chain.Header) { h.Time = s.State.Time - 1 }) },
		"1970":     func(s *scene) error { return s.header(func(h *chain.Header) { h.Time = 0 }) },
	},
	chain.BadRoot: {
		"another coinbase": func(s *scene) error { s.b.Coinbase.Extra[0]++; return s.block(s.b) },
		"one missing":      func(s *scene) error { s.b.Txs = nil; return s.block(s.b) },
		"announced":        func(s *scene) error { return s.announce(func(a *chain.Announcement) { a.IDs[0][0]++ }) },
	},
	chain.Mutated: {
		"twice": func(s *scene) error { s.b.Txs = append(s.b.Txs, s.tx); return s.block(chaintest.Seal(s.p, s.b)) },
		"announced": func(s *scene) error {
			return s.announce(func(a *chain.Announcement) { a.IDs = append(a.IDs, a.IDs[0]) })
		},
		"64 bytes": func(s *scene) error { s.b.Coinbase = nodeCoinbase(); return s.block(chaintest.Seal(s.p, s.b)) },
	},
	chain.BadLength: {
		"too large": func(s *scene) error {
			s.p.MaxBlock = len(s.b.Bytes()) - 1
			return s.block(s.b)
		},
	},
	chain.BadCoinbase: {
		"short": func(s *scene) error { return s.coinbase(func(c *chain.Coinbase) { c.Extra, c.Outputs = nil, nil }) },
		"63 bytes": func(s *scene) error {
			return s.coinbase(func(c *chain.Coinbase) { c.Extra, c.Outputs = make([]byte, 58), nil })
		},
		"long": func(s *scene) error {
			return s.coinbase(func(c *chain.Coinbase) { c.Outputs = make([]chain.Output, 250) })
		},
		"announced": func(s *scene) error {
			s.b.Coinbase.Extra, s.b.Coinbase.Outputs = nil, nil
			chaintest.Seal(s.p, s.b)
			return s.announce(func(*chain.Announcement) {})
		},
	},
	chain.BadHeight: {
		"the parent's": func(s *scene) error { return s.coinbase(func(c *chain.Coinbase) { c.Height-- }) },
		"one more":     func(s *scene) error { return s.coinbase(func(c *chain.Coinbase) { c.Height++ }) },
	},
	chain.BadReward: {
		"a grain": func(s *scene) error { return s.coinbase(func(c *chain.Coinbase) { c.Outputs[0].Value++ }) },
		"two outputs": func(s *scene) error {
			return s.coinbase(func(c *chain.Coinbase) { c.Outputs = append(c.Outputs, chain.Output{Value: 1}) })
		},
	},
	chain.LooseCoinbase: {
		"loose": func(s *scene) error { _, err := chain.DecodeTx(s.b.Coinbase.Bytes()); return err },
		"second in a block": func(s *scene) error {
			raw := chain.AppendVarint(s.b.Header.Append(nil), 2)
			raw = s.b.Coinbase.Append(s.b.Coinbase.Append(raw))
			_, err := chain.DecodeBlock(append(raw, make([]byte, 200)...))
			return err
		},
	},
	chain.NoInputs: {
		"none": func(s *scene) error { return s.bend(func(t *chain.Tx) { t.Inputs = nil }) },
	},
	chain.NoOutputs: {
		"none": func(s *scene) error { return s.bend(func(t *chain.Tx) { t.Outputs = nil }) },
	},
	chain.ZeroOutput: {
		"first":    func(s *scene) error { return s.bend(func(t *chain.Tx) { t.Outputs[0].Value = 0 }) },
		"coinbase": func(s *scene) error { return s.coinbase(func(c *chain.Coinbase) { c.Outputs[0].Value = 0 }) },
	},
	chain.TooLarge: {
		"an output": func(s *scene) error { return s.bend(func(t *chain.Tx) { t.Outputs[0].Value = chain.MaxAmount + 1 }) },
		"outputs": func(s *scene) error {
			return s.bend(func(t *chain.Tx) { t.Outputs[0].Value, t.Outputs[1].Value = chain.MaxAmount, 1 })
		},
		"wrapping": func(s *scene) error {
			return s.bend(func(t *chain.Tx) { t.Outputs[0].Value, t.Outputs[1].Value = 1<<64-1, 2 })
		},
		"an input": func(s *scene) error { return s.bend(func(t *chain.Tx) { t.Inputs[0].Value = chain.MaxAmount + 1 }) },
		"inputs": func(s *scene) error {
			return s.bend(func(t *chain.Tx) {
				in := t.Inputs[0]
				in.Prev.Index, in.Value = 99, chain.MaxAmount
				t.Inputs = append(t.Inputs, in)
			})
		},
		"coinbase": func(s *scene) error {
			return s.coinbase(func(c *chain.Coinbase) { c.Outputs[0].Value = chain.MaxAmount + 1 })
		},
		"fees": func(s *scene) error {
			var txs []*chain.Tx
			for i := range 2 {
				coin := s.huge(i, chain.MaxAmount)
				txs = append(txs, chaintest.Pay(s.p, coin, chaintest.Key(0), chain.MaxAmount-1, chain.Output{Value: 1}))
			}
			b := chaintest.Next(s.p, s.State, chaintest.Address(1))
			b.Txs = txs
			return s.block(chaintest.Seal(s.p, b))
		},
	},
	chain.BelowOut: {
		"a grain": func(s *scene) error { return s.bend(func(t *chain.Tx) { t.Outputs[0].Value += 1001 }) },
	},
	chain.RepeatedInput: {
		"twice": func(s *scene) error { return s.bend(func(t *chain.Tx) { t.Inputs = append(t.Inputs, t.Inputs[0]) }) },
		"twice, claimed differently": func(s *scene) error {
			return s.bend(func(t *chain.Tx) {
				in := t.Inputs[0]
				in.Value, in.Owner = 1, chaintest.Address(1)
				t.Inputs = append(t.Inputs, in)
			})
		},
	},
	chain.BadSignature: {
		"a bit":     func(s *scene) error { s.tx.Inputs[0].Sig[63] ^= 1; return s.block(chaintest.Seal(s.p, s.b)) },
		"none":      func(s *scene) error { s.tx.Inputs[0].Sig = [64]byte{}; return s.block(chaintest.Seal(s.p, s.b)) },
		"a value":   func(s *scene) error { s.tx.Inputs[0].Value++; return checkTx(s) },
		"an output": func(s *scene) error { s.tx.Outputs[0].Value--; return checkTx(s) },
		"memo":      func(s *scene) error { s.tx.Memo = []byte{1}; return checkTx(s) },
		"owner":     func(s *scene) error { s.tx.Inputs[0].Owner = chaintest.Address(1); return checkTx(s) },
		"no key":    func(s *scene) error { s.tx.Inputs[0].Owner = chain.Address{31: 5}; return checkTx(s) },
		"of another network": func(s *scene) error {
			s.tx = chaintest.Sign(chain.Dev(), s.tx, chaintest.Key(0))
			return checkTx(s)
		},
	},
	chain.Mismatch: {
		"value loose": func(s *scene) error { return s.admit(func(t *chain.Tx) { t.Inputs[0].Value++ }) },
		"value":       func(s *scene) error { return s.connect(func(t *chain.Tx) { t.Inputs[0].Value++ }) },
		"less":        func(s *scene) error { return s.connect(func(t *chain.Tx) { t.Inputs[0].Value-- }) },
		"owner":       func(s *scene) error { return s.connect(func(t *chain.Tx) { t.Inputs[0].Owner = chaintest.Address(1) }) },
	},
	chain.BadParent: {
		"none":        func(s *scene) error { return s.header(func(h *chain.Header) { h.Prev = chain.Hash{} }) },
		"the genesis": func(s *scene) error { return s.header(func(h *chain.Header) { h.Prev = s.p.GenesisID() }) },
	},
	chain.MissingCoin: {
		"unknown": func(s *scene) error { return s.connect(func(t *chain.Tx) { t.Inputs[0].Prev.Tx[0]++ }) },
		"index":   func(s *scene) error { return s.connect(func(t *chain.Tx) { t.Inputs[0].Prev.Index = 10 }) },
		"loose":   func(s *scene) error { return s.admit(func(t *chain.Tx) { t.Inputs[0].Prev.Index = 10 }) },
		"spent":   func(s *scene) error { delete(s.Coins, s.tx.Inputs[0].Prev); return s.block(s.b) },
		"spent twice in a block": func(s *scene) error {
			other := chaintest.Pay(s.p, chaintest.Funds(s.p, 0), chaintest.Key(0), 2)
			return s.block(chaintest.Next(s.p, s.State, chaintest.Address(2), s.tx, other))
		},
		"spent twice behind it in a block": func(s *scene) error {
			coin := chaintest.Outs(s.tx, 6)[0]
			a := chaintest.Pay(s.p, coin, chaintest.Key(1), 2)
			b := chaintest.Pay(s.p, coin, chaintest.Key(1), 3)
			return s.block(chaintest.Next(s.p, s.State, chaintest.Address(2), s.tx, a, b))
		},
		"made later in the block": func(s *scene) error {
			then := chaintest.Pay(s.p, chaintest.Outs(s.tx, 6)[0], chaintest.Key(1), 2)
			return s.block(chaintest.Next(s.p, s.State, chaintest.Address(2), then, s.tx))
		},
		"never made by the one before it in the block": func(s *scene) error {
			coin := chaintest.Outs(s.tx, 6)[0]
			coin.Index = uint32(len(s.tx.Outputs))
			return s.block(chaintest.Next(s.p, s.State, chaintest.Address(2), s.tx, chaintest.Pay(s.p, coin, chaintest.Key(1), 2)))
		},
		"the block's own reward": func(s *scene) error {
			b := chaintest.Next(s.p, s.State, chaintest.Address(7))
			b.Txs = []*chain.Tx{chaintest.Pay(s.p, b.Coinbase.Out(b.Coinbase.ID(), 0), chaintest.Key(7), 0)}
			return s.block(chaintest.Seal(s.p, b))
		},
	},
	chain.ImmatureCoin: {
		"in a block": func(s *scene) error {
			young := s.young()
			return s.block(chaintest.Next(s.p, s.State, chaintest.Address(2), chaintest.Pay(s.p, young, chaintest.Key(7), 1)))
		},
		"loose": func(s *scene) error {
			tx := chaintest.Pay(s.p, s.young(), chaintest.Key(7), 1)
			_, err := chain.Admit(s.p, s.State, chaintest.CheckTx(s.p, tx), s.Coins)
			return err
		},
	},
}

func checkTx(s *scene) error {
	_, err := chain.CheckTx(s.p, s.tx)
	return err
}

// young is the oldest reward that the next block may not yet spend.
func (s *scene) young() chain.Coin { return s.reward(s.State.Height + 2 - s.p.Maturity) }

// reward is what the block at a height paid its miner.
func (s *scene) reward(height uint64) chain.Coin {
	for _, c := range s.Coins {
		if c.Height == height {
			return c
		}
	}
	panic("no reward at that height")
}

// Every kind has a transaction or block that breaks it and nothing before it.
func TestEveryRule(t *testing.T) {
	for _, k := range chain.Kinds() {
		if len(broken[k]) == 0 {
			t.Errorf("nothing breaks %s", k)
		}
		for name, try := range broken[k] {
			err := try(newScene())
			if chain.KindOf(err) != k {
				t.Errorf("%s, %s: %v", k, name, err)
				continue
			}
			if !errors.Is(err, k.Err()) || err.Error() == string(k) {
				t.Errorf("%s, %s: %q tells no detail", k, name, err)
			}
		}
	}
	if len(broken) != len(chain.Kinds()) {
		t.Errorf("%d kinds are broken, there are %d", len(broken), len(chain.Kinds()))
	}
}

// The scene itself breaks none.
func TestTheUnbentSceneHolds(t *testing.T) {
	s := newScene()
	if err := s.block(s.b); err != nil {
		t.Error(err)
	}
	none := func(*chain.Tx) {}
	for name, try := range map[string]func() error{
		"bend":    func() error { return newScene().bend(none) },
		"admit":   func() error { return newScene().admit(none) },
		"connect": func() error { return newScene().connect(none) },
		"header": func() error {
			return newScene().header(func(h *chain.Header) { h.Version |= 0x1fffe000 }) // BIP320
		},
		"equal time": func() error { s := newScene(); return s.header(func(h *chain.Header) { h.Time = s.State.Time }) },
		"coinbase":   func() error { return newScene().coinbase(func(*chain.Coinbase) {}) },
		"less reward": func() error {
			return newScene().coinbase(func(c *chain.Coinbase) { c.Outputs[0].Value-- })
		},
		"no reward": func() error {
			return newScene().coinbase(func(c *chain.Coinbase) { c.Outputs, c.Extra = nil, make([]byte, 60) })
		},
		"announce": func() error { return newScene().announce(func(*chain.Announcement) {}) },
		"at the size": func() error {
			s := newScene()
			s.p.MaxBlock = len(s.b.Bytes())
			return s.block(s.b)
		},
		"just mature": func() error {
			s := newScene()
			tx := chaintest.Pay(s.p, s.reward(s.State.Height+1-s.p.Maturity), chaintest.Key(7), 1)
			if _, err := chain.Admit(s.p, s.State, chaintest.CheckTx(s.p, tx), s.Coins); err != nil {
				return err
			}
			return s.block(chaintest.Next(s.p, s.State, chaintest.Address(2), tx))
		},
		"fees near the maximum": func() error {
			s := newScene()
			tx := chaintest.Pay(s.p, s.huge(1, chain.MaxAmount), chaintest.Key(0), chain.MaxAmount-1, chain.Output{Value: 1})
			b := chaintest.Next(s.p, s.State, chaintest.Address(1))
			b.Txs, b.Coinbase.Outputs[0].Value = []*chain.Tx{tx}, chain.MaxAmount
			return s.block(chaintest.Seal(s.p, b))
		},
		"chained in a block": func() error {
			s := newScene()
			then := chaintest.Pay(s.p, chaintest.Outs(s.tx, 6)[0], chaintest.Key(1), 2)
			return s.block(chaintest.Next(s.p, s.State, chaintest.Address(2), s.tx, then))
		},
	} {
		if err := try(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Kinds lists what errors.go declares: a kind that is forgotten there would never
// condemn a block.
func TestKindsAreComplete(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []chain.Kind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Kind" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, chain.Kind(text))
		}
		return true
	})
	if !slices.Equal(declared, chain.Kinds()) || len(declared) < 20 {
		t.Errorf("declared are %v, listed %v", declared, chain.Kinds())
	}
}

func TestKindsTellWhoIsToBlame(t *testing.T) {
	local := []chain.Kind{chain.MissingCoin, chain.ImmatureCoin}
	innocent := []chain.Kind{chain.Malformed, chain.LooseCoinbase, chain.BadRoot, chain.Mutated, chain.NoInputs}
	for _, k := range chain.Kinds() {
		if k.Everywhere() == slices.Contains(local, k) {
			t.Errorf("%s is false everywhere: %v", k, k.Everywhere())
		}
		if k.Condemns() == slices.Contains(innocent, k) {
			t.Errorf("%s condemns: %v", k, k.Condemns())
		}
	}
	for _, k := range []chain.Kind{"", "min relay fee not met"} {
		if k.Everywhere() || k.Condemns() {
			t.Errorf("%q, no kind of ours, blames somebody", k)
		}
	}
	if chain.KindOf(errors.New("disk full")) != "" || chain.KindOf(nil) != "" {
		t.Error("a fault of ours has a kind")
	}
	if errors.Is(chain.BadRoot.Err(), chain.Mutated.Err()) {
		t.Error("two kinds are one")
	}
}
