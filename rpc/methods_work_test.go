package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/mempool"
	"cairn/node"
)

// shop is a world that hands out work: the pool's transactions on top of the tip.
type shop struct {
	*world
	moved chan struct{} // guarded by world.mu
	asked int
	never error // what Template answers, if not nil
	apart bool  // blocks are taken, but not onto the best chain
}

func newShop(t testing.TB) *shop {
	s := &shop{world: newWorld(t), moved: make(chan struct{})}
	s.world.work = s
	return s
}

func (s *shop) Template(context.Context) (*chain.Block, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked++; s.never != nil {
		return nil, s.never
	}
	plan := chaintest.Plan{Name: "shop", Pay: chaintest.Address(9)}
	for _, e := range slices.SortedFunc(slices.Values(s.pool.All()), func(a, b mempool.Entry) int { return int(a.Tx.Fee() - b.Tx.Fee()) }) {
		plan.Txs = append(plan.Txs, e.Tx.Tx())
	}
	b := chaintest.Block(s.p, s.ledger.State, plan)
	b.Header.Nonce = 0
	return b, nil
}

func (s *shop) Submit(_ context.Context, b *chain.Block) error {
	txs, err := chain.CheckTxs(s.p, b.Txs)
	if err != nil {
		return err
	}
	checked, err := chain.CheckBlock(s.p, b.Header, b.Coinbase, txs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	parent, known := s.entries[b.Header.Prev]
	switch _, twice := s.entries[b.ID()]; {
	case twice:
		return fmt.Errorf("our own block was not taken: %w", node.ErrKnown)
	case !known:
		return node.ErrOrphan
	case int64(b.Header.Time) > int64(parent.State.Time)+s.p.Ahead:
		return node.ErrFuture
	}
	s.keep(checked, node.Complete)
	if b.Header.Prev != s.ledger.State.ID || s.apart {
		return nil
	}
	s.ledger.Connect(checked)
	s.best = append(s.best, b.ID())
	s.pool = mempool.New(mempool.Config{})
	s.move()
	return nil
}

func (s *shop) move() {
	close(s.moved)
	s.moved = make(chan struct{})
}

func (s *shop) Moved() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.moved
}

// rival puts somebody else's block on top.
func (s *shop) rival() chain.Hash {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.grow("rival")
	s.move()
	return b.ID()
}

// solve puts a template together as miners do, in bytes alone, and finds a nonce.
func solve(t testing.TB, b *BlockTemplate) (*chain.Block, string) {
	t.Helper()
	leaves := []chain.Hash{chain.SumHash(b.Coinbase.Data)}
	tail := chain.AppendVarint(nil, uint64(1+len(b.Txs)))
	tail = append(tail, b.Coinbase.Data...)
	for _, tx := range b.Txs {
		leaves = append(leaves, chain.SumHash(tx.Data))
		tail = append(tail, tx.Data...)
	}
	root, _ := chain.MerkleRoot(leaves)
	h := chain.Header{Version: b.Version, Prev: b.Previous, Root: root, Time: b.Time, Bits: b.Bits}
	target, _ := b.Bits.Target()
	for !target.Met(h.ID()) {
		h.Nonce++
	}
	raw := append(h.Append(nil), tail...)
	whole, err := chain.DecodeBlock(raw)
	if err != nil {
		t.Fatal(err)
	}
	return whole, hex.EncodeToString(raw)
}

var asMinerd = map[string]any{"capabilities": []string{"coinbasetxn", "coinbasevalue", "longpoll", "workid"}, "rules": []string{"segwit"}}

func TestBlockTemplate(t *testing.T) {
	w := newShop(t)
	s := serve(t, w.world)
	tip := w.names["a5"]
	got := get[BlockTemplate](t, s, "getblocktemplate", asMinerd)
	equal(t, "previous", got.Previous, tip.ID())
	equal(t, "height", got.Height, 6)
	equal(t, "version", got.Version, 1)
	equal(t, "bits", got.Bits, 0x207fffff)
	equal(t, "not before the parent", got.MinTime, tip.Header().Time)
	equal(t, "target, difficulty 2⁻¹⁰ where any hash would do", got.Target, "000003fffc"+strings.Repeat("0", 54))
	equal(t, "long poll", got.Poll[:64], tip.ID().String())
	equal(t, "transactions", len(got.Txs), 2)
	equal(t, "first", got.Txs[0].ID, w.first.ID())
	equal(t, "its fee", got.Txs[0].Fee, 1000)
	equal(t, "depends", fmt.Sprint(got.Txs[0].Depends, got.Txs[1].Depends), "[] [1]")
	equal(t, "size", got.MaxSize, w.p.MaxBlock)
	if len(got.Coinbase.Data) < 60 || got.Coinbase.ID != chain.SumHash(got.Coinbase.Data) {
		t.Errorf("coinbase %x", got.Coinbase.Data)
	}
	raw := string(get[json.RawMessage](t, s, "getblocktemplate", asMinerd))
	for _, word := range []string{"segwit", "coinbase/append", "workid"} {
		if strings.Contains(raw, word) {
			t.Errorf("%q would make minerd leave the coinbase: %s", word, raw)
		}
	}
	for _, field := range []string{`"rules":[]`, `"mutable":["time"]`, `"coinbaseaux":{}`, `"noncerange":"00000000ffffffff"`, `"bits":"207fffff"`, `"height":6}`} {
		if !strings.Contains(raw, field) {
			t.Errorf("%s is not in %s", field, raw)
		}
	}
	if again := get[BlockTemplate](t, s, "getblocktemplate"); again.Coinbase.ID == got.Coinbase.ID {
		t.Error("two miners would search the same nonces")
	}
	equal(t, "templates made for three calls", w.asked, 1)
}

func TestTargetsOfNetworks(t *testing.T) {
	for name, want := range map[string]string{
		"main": "000000ffff", "test": "000000ffff", "dev": "000003fffc", "regtest": "000003fffc",
	} {
		p, err := chain.Network(name)
		if err != nil {
			t.Fatal(err)
		}
		d := newDesk(p, nil)
		b := &chain.Block{Header: chain.Header{Bits: p.Easiest}}
		equal(t, name+"'s easiest", d.target(b).String()[:10], want)
		b.Header.Bits = 0x1d00ffff
		equal(t, name+"'s hard block", d.target(b).String()[:12], "00000000ffff")
	}
}

func TestSubmitBlock(t *testing.T) {
	w := newShop(t)
	s := serve(t, w.world)
	b, raw := solve(t, new(get[BlockTemplate](t, s, "getblocktemplate")))
	if a, _ := ask(t, s, "submitblock", raw, map[string]string{"workid": "x"}); a.Error != nil || string(a.Result) != "null" {
		t.Fatalf("a good block: %s, %v", a.Result, a.Error)
	}
	equal(t, "tip", get[chain.Hash](t, s, "getbestblockhash"), b.ID())
	_, side := solve(t, new(get[BlockTemplate](t, s, "getblocktemplate")))
	w.rival()
	bent := func(change func(*chain.Block)) string {
		c := *b
		change(&c)
		c.Header.Nonce = 0
		chaintest.Mine(w.p, &c)
		return hex.EncodeToString(c.Bytes())
	}
	weak := *b
	for target, _ := weak.Header.Bits.Target(); target.Met(weak.ID()); weak.Header.Nonce++ {
	}
	for what, c := range map[string]struct{ raw, want string }{
		"a block twice":   {raw, "duplicate"},
		"no hex":          {"xyz", "malformed"},
		"no block":        {"00", "malformed"},
		"a long block":    {raw + "00", "malformed"},
		"another's tip":   {side, "inconclusive"},
		"no work":         {hex.EncodeToString(weak.Bytes()), "high-hash"},
		"another root":    {bent(func(b *chain.Block) { b.Header.Root[0]++ }), "bad-txnmrklroot"},
		"another version": {bent(func(b *chain.Block) { b.Header.Version = 4 }), "bad-version"},
		"an orphan":       {bent(func(b *chain.Block) { b.Header.Prev = chain.Hash{1} }), "prev-blk-not-found"},
		"the future":      {bent(func(b *chain.Block) { b.Header.Time += 1e6 }), "time-too-new"},
	} {
		a, status := ask(t, s, "submitblock", c.raw)
		if a.Error != nil || status != http.StatusOK || string(a.Result) != `"`+c.want+`"` {
			t.Errorf("%s: status %d, %s, %v, want %s", what, status, a.Result, a.Error, c.want)
		}
	}
}

func TestGetWork(t *testing.T) {
	w := newShop(t)
	s := serve(t, w.world)
	one := get[GetWork](t, s, "getwork")
	two := get[GetWork](t, s, "getwork")
	if slices.Equal(one.Data, two.Data) {
		t.Error("two miners would search the same nonces")
	}
	equal(t, "length", len(one.Data), 128)
	equal(t, "target, least byte first", one.Target.text(), strings.Repeat("0", 54)+"fcff030000")
	for _, x := range []GetWork{one, two} {
		h, err := unpad(x.Data.text())
		if err != nil {
			t.Fatal(err)
		}
		for target, _ := h.Bits.Target(); !target.Met(h.ID()); h.Nonce++ {
		}
		data := hex.EncodeToString(pad(h))
		equal(t, "solved", get[bool](t, s, "getwork", data), x.Data.text() == one.Data.text()) // the second is of an old tip
		equal(t, "solved twice", get[bool](t, s, "getwork", data), false)
	}
	equal(t, "height", get[int](t, s, "getblockcount"), 6)
	for _, bad := range []string{"", "00", "zz", strings.Repeat("0", 256)} {
		a, status := ask(t, s, "getwork", bad)
		if a.Error != nil || status != http.StatusOK || string(a.Result) != "false" {
			t.Errorf("getwork of %q: status %d, %s, %v", bad, status, a.Result, a.Error)
		}
	}
}

func (h Hex) text() string { return hex.EncodeToString(h) }

// Bitcoin's block 1 in getwork's form: the words of the header, then SHA-256's
// padding.
func TestPadding(t *testing.T) {
	prev, _ := chain.ParseHash("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f")
	root, _ := chain.ParseHash("0e3e2357e806b6cdb1f70b54c3a3a17b6714ee1f0e68bebb44a74b1efd512098")
	h := chain.Header{Version: 1, Prev: prev, Root: root, Time: 0x4966bc61, Bits: 0x1d00ffff, Nonce: 0x9962e301}
	got := hex.EncodeToString(pad(h))
	want := "00000001" + "0a8ce26f72b3f1b646a2a6c14ff763ae65831e939c085ae10019d66800000000" +
		"fd51209844a74b1e0e68bebb6714ee1fc3a3a17bb1f70b54e806b6cd0e3e2357" + "4966bc61" + "1d00ffff" + "9962e301" +
		"00000080" + strings.Repeat("0", 80) + "80020000"
	// Each word reads as a number in the header; getwork writes it so.
	equal(t, "data", got, want)
	back, err := unpad(got)
	if err != nil || back != h || back.ID().String() != "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048" {
		t.Errorf("reads as %+v, %v", back, err)
	}
}

// What getwork remembers is bounded, and a new tip clears it.
func TestHandedWork(t *testing.T) {
	w := newShop(t)
	d := newDesk(w.p, w)
	sheet, err := d.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var blocks []*chain.Block
	for range maxHanded + 1 {
		b := d.issue(sheet)
		d.remember(b)
		blocks = append(blocks, b)
	}
	if d.recall(blocks[0].Header) != nil || d.recall(blocks[1].Header) == nil || len(d.handed) != maxHanded {
		t.Errorf("%d works are remembered", len(d.handed))
	}
	h := blocks[1].Header
	h.Bits--
	if d.recall(h) != nil {
		t.Error("a header with other bits is taken for ours")
	}
	w.rival()
	if sheet, err = d.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.remember(d.issue(sheet))
	if len(d.handed) != 1 || len(d.order) != 1 {
		t.Errorf("%d works of two tips are remembered", len(d.handed))
	}
	for i := range maxCallers + 1 {
		d.served(fmt.Sprint(i), h.Prev)
	}
	if len(d.callers) > maxCallers {
		t.Errorf("%d callers are remembered", len(d.callers))
	}
}

// A long poll of either kind ends with the next tip; one that names an old tip
// ends at once; plain calls never wait.
func TestLongPolls(t *testing.T) {
	w := newShop(t)
	s := serve(t, w.world)
	first := get[BlockTemplate](t, s, "getblocktemplate")
	poll := `{"id":0,"method":"getblocktemplate","params":[{"longpollid":"` + first.Poll + `"}]}`
	_, _, header := post(t, s, `{"id":0,"method":"getwork","params":[]}`)
	equal(t, "where to wait", header.Get("X-Long-Polling"), longPath)
	there := func(r *http.Request) { r.URL.Path = longPath }
	answers := make(chan string, 2)
	for _, ask := range []func() string{
		func() string { _, body, _ := post(t, s, poll); return body },
		func() string { _, body, _ := post(t, s, `{"id":0,"method":"getwork","params":[]}`, there); return body },
	} {
		go func() { answers <- ask() }()
	}
	for len(s.slow) < 2 { // both are on their way
		time.Sleep(time.Millisecond)
	}
	select {
	case early := <-answers:
		t.Fatalf("answered before the tip moved: %s", early)
	default:
	}
	tip := w.rival()
	for range 2 {
		var a struct {
			Result struct{ Data, Previousblockhash string }
		}
		if err := json.Unmarshal([]byte(<-answers), &a); err != nil {
			t.Fatal(err)
		}
		if a.Result.Data != "" {
			h, err := unpad(a.Result.Data)
			if err != nil || h.Prev != tip {
				t.Errorf("getwork builds on %v, %v", h.Prev, err)
			}
		} else {
			equal(t, "template builds on", a.Result.Previousblockhash, tip.String())
		}
	}
	equal(t, "with an old id", get[BlockTemplate](t, s, "getblocktemplate", map[string]string{"longpollid": first.Poll}).Previous, tip)
	equal(t, "with nonsense", get[BlockTemplate](t, s, "getblocktemplate", map[string]string{"longpollid": "soon"}).Previous, tip)
	tip = w.rival() // while the miner was about to ask again
	_, body, _ := post(t, s, `{"id":0,"method":"getwork","params":[]}`, there)
	var missed struct{ Result struct{ Data string } }
	if err := json.Unmarshal([]byte(body), &missed); err != nil {
		t.Fatal(err)
	}
	if h, err := unpad(missed.Result.Data); err != nil || h.Prev != tip {
		t.Errorf("a poll after a missed tip: %s", body)
	}
	_, _, header = post(t, s, `{"id":0,"method":"getwork","params":["00"]}`)
	equal(t, "why not", header.Get("X-Reject-Reason"), "malformed")
}

// A poll without news gets newer work after a minute, and a server that closes
// ends it.
func TestPollsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newShop(t)
		d := newDesk(w.p, w)
		begun := time.Now()
		s, err := d.current(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		later, err := d.after(t.Context(), s.block.Header.Prev)
		if waited := time.Since(begun); err != nil || waited != longest || later.number != s.number+1 {
			t.Errorf("after %v: %v, sheet %d", waited, err, later.number)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := d.after(ctx, s.block.Header.Prev); err == nil {
			t.Error("a poll outlives its caller")
		}
		if _, err := d.after(ctx, s.block.Header.Prev); err == nil {
			t.Error("a poll of one who is gone")
		}
	})
}

func TestNoWork(t *testing.T) {
	s := serve(t, newWorld(t))
	for method, params := range map[string][]any{"getblocktemplate": nil, "submitblock": {"00"}, "getwork": nil} {
		a, _ := ask(t, s, method, params...)
		if a.Error == nil || a.Error.Code != Misc || !strings.Contains(a.Error.Message, "no work") {
			t.Errorf("%s answers %s, %v", method, a.Result, a.Error)
		}
	}
	if status, _, _ := post(t, s, `{"method":"getwork"}`, func(r *http.Request) { r.URL.Path = longPath }); status != http.StatusNotFound {
		t.Errorf("long polls answer %d", status)
	}
	w := newShop(t)
	w.never = errors.New("nobody is paid")
	s = serve(t, w.world)
	for _, method := range []string{"getblocktemplate", "getwork"} {
		if a, _ := ask(t, s, method); a.Error == nil || a.Error.Message != "nobody is paid" {
			t.Errorf("%s answers %s, %v", method, a.Result, a.Error)
		}
	}
	for _, bad := range []any{7, map[string]any{"mode": 1}, map[string]any{"mode": "proposal"}} {
		if a, _ := ask(t, s, "getblocktemplate", bad); a.Error == nil || a.Error.Code == Misc {
			t.Errorf("a request of %v: %s", bad, a.Result)
		}
	}
}

// A proposal is judged as the block would be, but for its proof, and changes
// nothing.
func TestProposals(t *testing.T) {
	w := newShop(t)
	s := serve(t, w.world)
	tip := get[chain.Hash](t, s, "getbestblockhash")
	fresh := func(change func(b *chain.Block)) *chain.Block {
		b, err := w.Template(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for chain.CheckHeader(w.p, b.Header) == nil { // it must lack its proof
			b.Header.Nonce++
		}
		change(b)
		return b
	}
	rooted := func(change func(b *chain.Block)) *chain.Block {
		return fresh(func(b *chain.Block) {
			change(b)
			b.Header.Root = chain.MerkleFromBranch(b.Coinbase.ID(), 0, chain.MerkleBranch(b.Leaves(), 0))
		})
	}
	old := w.ledger.State
	now := time.Unix(int64(old.Time)+w.p.Spacing, 0)
	v, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	defer v.Close()
	for name, c := range map[string]struct {
		b    *chain.Block
		want string
	}{
		"good":                {fresh(func(*chain.Block) {}), "<nil>"},
		"rolled version":      {fresh(func(b *chain.Block) { b.Header.Version |= 1 << 20 }), "<nil>"},
		"bad version":         {fresh(func(b *chain.Block) { b.Header.Version = 2 }), string(chain.BadVersion)},
		"bad bits":            {fresh(func(b *chain.Block) { b.Header.Bits-- }), string(chain.BadBits)},
		"bad root":            {fresh(func(b *chain.Block) { b.Header.Root[3] ^= 1 }), string(chain.BadRoot)},
		"too early":           {fresh(func(b *chain.Block) { b.Header.Time = old.Time - 1 }), string(chain.TooOld)},
		"too late":            {fresh(func(b *chain.Block) { b.Header.Time = uint32(now.Unix() + w.p.Ahead + 1) }), "time-too-new"},
		"too much":            {rooted(func(b *chain.Block) { b.Coinbase.Outputs[0].Value *= 2 }), string(chain.BadReward)},
		"spends a spent coin": {rooted(func(b *chain.Block) { b.Txs = append(b.Txs, w.paid) }), string(chain.MissingCoin)},
		"of another parent":   {fresh(func(b *chain.Block) { b.Header.Prev = chain.SumHash(nil) }), "inconclusive-not-best-prevblk"},
		"known for long":      {w.names["a2"].Block(), "duplicate"},
		"known to be wrong":   {w.names["c2"].Block(), "duplicate-invalid"},
		"known by its header": {w.names["h4"].Block(), "duplicate-inconclusive"},
	} {
		said, err := inWords(judge(w.p, v, c.b, now))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		equal(t, name, fmt.Sprint(said), c.want)
	}
	known := map[string]any{"mode": "proposal", "data": hex.EncodeToString(w.names["a2"].Block().Bytes())}
	equal(t, "over RPC", get[string](t, s, "getblocktemplate", known), "duplicate")
	equal(t, "the tip", get[chain.Hash](t, s, "getbestblockhash"), tip)
	for _, bad := range []string{"", "zz", "00"} {
		if a, _ := ask(t, s, "getblocktemplate", map[string]any{"mode": "proposal", "data": bad}); a.Error == nil || a.Error.Code != Decoding {
			t.Errorf("data %q: %s, %v", bad, a.Result, a.Error)
		}
	}
}
