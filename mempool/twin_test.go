package mempool_test

import (
	"cmp"
	"slices"

	"cairn/chain"
	"cairn/mempool"
)

// twin is a pool that keeps nothing but the list of what waits and works
// everything else out from it, whenever it is asked.
type twin struct {
	cfg   mempool.Config
	now   chain.Time
	list  []guest
	fates map[chain.Hash]mempool.Fate
	loose []guest // by a reorganisation, parents first

	floor   uint64 // grains per 1000 bytes that newcomers must pay
	fell    chain.Time
	drained bool
}

// fall lets the floor fall.
func (w *twin) fall(now chain.Time) {
	w.now = now
	step := w.cfg.Halving / 10
	if bytes := total(w.list).Bytes; bytes < w.cfg.MaxBytes/4 {
		step /= 4
	} else if bytes < w.cfg.MaxBytes/2 {
		step /= 2
	}
	for step = max(step, 1); w.drained && w.floor > 0 && w.fell+step <= now; w.fell += step {
		if w.floor = w.floor * 93_303 / 100_000; w.floor < uint64(w.cfg.MinFeeRate)/2 {
			w.floor = 0
		}
	}
}

// held tells that a guest, or one of its descendants, is our own.
func (w *twin) held(g guest) bool {
	return slices.ContainsFunc(w.withDescendants(g), func(d guest) bool { return d.own })
}

type guest struct {
	tx     chain.CheckedTx
	added  chain.Time
	own    bool
	waited bool
}

func (g guest) id() chain.Hash { return g.tx.ID() }

func newTwin(cfg mempool.Config) *twin {
	return &twin{cfg: cfg, fates: map[chain.Hash]mempool.Fate{}}
}

func (w *twin) find(id chain.Hash) (guest, bool) { return find(w.list, id) }

func find(list []guest, id chain.Hash) (guest, bool) {
	i := slices.IndexFunc(list, func(g guest) bool { return g.id() == id })
	if i < 0 {
		return guest{}, false
	}
	return list[i], true
}

func drop(list []guest, id chain.Hash) []guest {
	return slices.DeleteFunc(slices.Clone(list), func(g guest) bool { return g.id() == id })
}

// needs tells whether b spends an output of a.
func needs(b, a chain.CheckedTx) bool {
	return slices.ContainsFunc(b.Tx().Inputs, func(in chain.Input) bool { return in.Prev.Tx == a.ID() })
}

func clash(a, b chain.CheckedTx) bool {
	return slices.ContainsFunc(a.Tx().Inputs, func(x chain.Input) bool {
		return slices.ContainsFunc(b.Tx().Inputs, func(y chain.Input) bool { return x.Prev == y.Prev })
	})
}

// closure grows the set until next finds nothing new; the result is in the order
// of the list.
func (w *twin) closure(set []guest, next func(g, member chain.CheckedTx) bool) []guest {
	in := map[chain.Hash]bool{}
	for _, g := range set {
		in[g.id()] = true
	}
	for grown := true; grown; {
		grown = false
		for _, g := range w.list {
			if !in[g.id()] && slices.ContainsFunc(w.list, func(m guest) bool { return in[m.id()] && next(g.tx, m.tx) }) {
				in[g.id()], grown = true, true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(w.list), func(g guest) bool { return !in[g.id()] })
}

func (w *twin) withDescendants(set ...guest) []guest { return w.closure(set, needs) }

func (w *twin) withAncestors(set ...guest) []guest {
	return w.closure(set, func(g, m chain.CheckedTx) bool { return needs(m, g) })
}

func (w *twin) ancestors(tx chain.CheckedTx) []guest {
	var parents []guest
	for _, g := range w.list {
		if needs(tx, g.tx) {
			parents = append(parents, g)
		}
	}
	return w.withAncestors(parents...)
}

func total(list []guest) (k mempool.Package) {
	for _, g := range list {
		k.Count, k.Bytes, k.Fee = k.Count+1, k.Bytes+g.tx.Size(), k.Fee+g.tx.Fee()
	}
	return k
}

func rate(a, b mempool.Package) int {
	return cmp.Compare(uint64(a.Fee)*uint64(b.Bytes), uint64(b.Fee)*uint64(a.Bytes))
}

// order sorts parents first: by the number of ancestors, then by id.
func (w *twin) order(list []guest) []guest {
	count := map[chain.Hash]int{}
	for _, g := range list {
		count[g.id()] = len(w.ancestors(g.tx))
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b guest) int {
		return cmp.Or(cmp.Compare(count[a.id()], count[b.id()]), a.id().Compare(b.id()))
	})
	return list
}

func (w *twin) leave(list []guest, f mempool.Fate) []chain.CheckedTx {
	var out []chain.CheckedTx
	for _, g := range w.order(list) {
		w.mourn(g, f)
		out = append(out, g.tx)
	}
	for _, g := range list {
		w.list = drop(w.list, g.id())
	}
	return out
}

func (w *twin) mourn(g guest, f mempool.Fate) {
	f.Tx, f.Own, f.Time = g.tx, g.own, w.now
	w.fates[g.id()] = f
}

func (w *twin) add(now chain.Time, tx chain.CheckedTx, own bool) ([]chain.CheckedTx, chain.Kind) {
	w.fall(now)
	for i := range w.list {
		if w.list[i].id() == tx.ID() {
			w.list[i].own = w.list[i].own || own
			return nil, mempool.Known
		}
	}
	if kind := w.alone(tx); kind != "" {
		return nil, kind
	}
	if uint64(tx.Fee())*1000 < w.floor*uint64(tx.Size()) {
		return nil, mempool.LowPoolFee
	}
	out, kind := w.enter(guest{tx: tx, added: now, own: own})
	if kind == "" {
		delete(w.fates, tx.ID())
	}
	return out, kind
}

func (w *twin) enter(g guest) ([]chain.CheckedTx, chain.Kind) {
	me := total([]guest{g})
	up := w.ancestors(g.tx)
	if kind := w.alone(g.tx); kind != "" {
		return nil, kind
	}
	leaving, kind := w.replaced(g, up)
	if kind != "" {
		return nil, kind
	}
	rest := &twin{list: slices.DeleteFunc(slices.Clone(w.list), func(o guest) bool { return slices.Contains(leaving, o) })}
	if len(up)+1 > w.cfg.MaxAncestors {
		return nil, mempool.LongChain
	}
	if len(up) > 0 && total(up).Bytes+me.Bytes > w.cfg.MaxFamily {
		return nil, mempool.LongChain
	}
	for _, a := range up {
		down := total(rest.withDescendants(a))
		if down.Count+1 > w.cfg.MaxDescendants || down.Bytes+me.Bytes > w.cfg.MaxFamily {
			return nil, mempool.LongChain
		}
	}
	evicted, dearest, ok := w.evicted(me, rest, up)
	if !ok {
		return nil, mempool.Full
	}
	if dearest += uint64(w.cfg.MinFeeRate); len(evicted) > 0 && dearest > w.floor {
		w.floor, w.drained, w.fell = dearest, false, 0
	}
	out := w.leave(leaving, mempool.Fate{Reason: mempool.Replaced, By: g.id()})
	w.leave(evicted, mempool.Fate{Reason: mempool.Evicted})
	w.list = append(w.list, g)
	return out, ""
}

func (w *twin) alone(tx chain.CheckedTx) chain.Kind {
	switch {
	case tx.Size() > w.cfg.MaxTxSize:
		return mempool.TooBig
	case uint64(tx.Fee())*1000 < uint64(w.cfg.MinFeeRate)*uint64(tx.Size()):
		return mempool.LowFee
	}
	return ""
}

func (w *twin) replaced(g guest, up []guest) ([]guest, chain.Kind) {
	var rivals []guest
	me := total([]guest{g})
	for _, in := range g.tx.Tx().Inputs { // in the order in which the pool looks at them
		for _, o := range w.list {
			spends := slices.ContainsFunc(o.tx.Tx().Inputs, func(x chain.Input) bool { return x.Prev == in.Prev })
			if !spends || slices.Contains(rivals, o) {
				continue
			}
			rivals = append(rivals, o)
			if rate(me, total([]guest{o})) <= 0 {
				if g.tx.Fee() <= o.tx.Fee() {
					return nil, mempool.Conflict
				}
				return nil, mempool.LowReplacement
			}
		}
	}
	leaving := w.withDescendants(rivals...)
	if slices.ContainsFunc(up, func(a guest) bool { return slices.Contains(leaving, a) }) {
		return nil, mempool.SpendsConflict
	}
	more := uint64(g.tx.Fee()-min(g.tx.Fee(), total(leaving).Fee)) * 1000
	if len(rivals) > 0 && (g.tx.Fee() < total(leaving).Fee || more < uint64(w.cfg.MinFeeRate)*uint64(g.tx.Size())) {
		return nil, mempool.LowReplacement
	}
	return leaving, ""
}

// evicted finds what leaves for me: by rank as it is before anything leaves.
func (w *twin) evicted(me mempool.Package, rest *twin, up []guest) (out []guest, dearest uint64, ok bool) {
	need := total(rest.list).Bytes + me.Bytes - w.cfg.MaxBytes
	score := map[chain.Hash]mempool.Package{}
	for _, g := range w.list {
		own, all := total([]guest{g}), total(w.withDescendants(g))
		if score[g.id()] = all; rate(own, all) > 0 {
			score[g.id()] = own
		}
	}
	ranked := slices.Clone(rest.list)
	slices.SortFunc(ranked, func(a, b guest) int {
		if ours := w.held(a); ours != w.held(b) {
			return map[bool]int{true: 1, false: -1}[ours]
		}
		return cmp.Or(rate(score[a.id()], score[b.id()]), b.id().Compare(a.id()))
	})
	for _, g := range ranked {
		if need <= 0 || slices.Contains(up, g) || slices.Contains(out, g) {
			continue
		}
		if rate(me, score[g.id()]) <= 0 {
			break
		}
		dearest = max(dearest, uint64(score[g.id()].Rate()))
		for _, d := range rest.withDescendants(g) {
			if !slices.Contains(out, d) {
				out = append(out, d)
				need -= d.tx.Size()
			}
		}
	}
	return out, dearest, need <= 0
}

func (w *twin) confirm(b chain.CheckedBlock) {
	if !w.drained {
		w.drained, w.fell = true, w.now
	}
	for _, tx := range b.Txs() {
		f := mempool.Fate{Reason: mempool.Confirmed, Block: b.ID()}
		old, ended := w.fates[tx.ID()]
		if g, ok := w.find(tx.ID()); ok {
			w.list = drop(w.list, tx.ID())
			w.mourn(g, f)
		} else if g, ok := find(w.loose, tx.ID()); ok {
			w.loose = drop(w.loose, tx.ID())
			w.mourn(g, f)
		} else if ended && old.Reason != mempool.Confirmed {
			w.mourn(guest{tx: tx, own: old.Own}, f)
		}
		f = mempool.Fate{Reason: mempool.Conflicted, By: tx.ID(), Block: b.ID()}
		w.leave(w.withDescendants(slices.DeleteFunc(slices.Clone(w.list), func(g guest) bool { return !clash(g.tx, tx) })...), f)
		for _, g := range w.loose {
			if clash(g.tx, tx) {
				w.loose = drop(w.loose, g.id())
				w.mourn(g, f)
			}
		}
	}
}

// undo takes blocks off, the newest first.
func (w *twin) undo(blocks []chain.CheckedBlock) {
	var heirs []guest
	for _, b := range blocks {
		var older []guest
		for _, tx := range b.Txs() {
			older = append(older, guest{tx: tx, added: w.now, own: w.fates[tx.ID()].Own})
			delete(w.fates, tx.ID())
		}
		w.loose = append(older, w.loose...)
		for _, g := range w.list {
			cb := slices.ContainsFunc(g.tx.Tx().Inputs, func(in chain.Input) bool { return in.Prev.Tx == b.CoinbaseID() })
			if cb || slices.ContainsFunc(b.Txs(), func(tx chain.CheckedTx) bool { return needs(g.tx, tx) }) {
				heirs = append(heirs, g)
			}
		}
	}
	for _, g := range w.order(w.withDescendants(heirs...)) {
		w.list = drop(w.list, g.id())
		g.waited = true
		w.loose = append(w.loose, g)
	}
}

func (w *twin) settle(now chain.Time, admit func(chain.CheckedTx) error) (back []chain.CheckedTx) {
	w.fall(now)
	loose := w.loose
	w.loose = nil
	for _, g := range loose {
		err := admit(g.tx)
		kind := chain.KindOf(err)
		if err == nil {
			_, kind = w.enter(guest{tx: g.tx, added: g.added, own: g.own})
		}
		if kind == "" {
			delete(w.fates, g.id())
			back = append(back, g.tx)
			continue
		}
		f := mempool.Fate{Reason: mempool.Dropped, Why: kind.Err()}
		for _, in := range slices.Backward(g.tx.Tx().Inputs) {
			if p, ok := w.fates[in.Prev.Tx]; ok && p.By != (chain.Hash{}) {
				f = mempool.Fate{Reason: p.Reason, By: p.By, Block: p.Block}
			}
		}
		w.mourn(g, f)
	}
	return back
}

// choose fills a block: again and again the best package that still fits.
func (w *twin) choose(room int) (chosen []chain.CheckedTx) {
	left := slices.Clone(w.list)
	for {
		var best []guest
		var top guest
		for _, g := range left {
			pack := slices.DeleteFunc(w.withAncestors(g), func(a guest) bool { return !slices.Contains(left, a) })
			c := rate(total(pack), total(best))
			if total(pack).Bytes <= room && (best == nil || c > 0 || c == 0 && g.id().Compare(top.id()) < 0) {
				best, top = pack, g
			}
		}
		if best == nil {
			return chosen
		}
		room -= total(best).Bytes
		for _, g := range w.order(best) {
			chosen = append(chosen, g.tx)
			left = drop(left, g.id())
		}
	}
}

// chooseSimply takes, again and again, the transaction of the highest fee rate
// whose parents are taken.
func (w *twin) chooseSimply(room int) (fees chain.Amount) {
	left := slices.Clone(w.list)
	for {
		best := -1
		for i, g := range left {
			free := !slices.ContainsFunc(left, func(o guest) bool { return needs(g.tx, o.tx) })
			if free && g.tx.Size() <= room && (best < 0 || rate(total(left[i:i+1]), total(left[best:best+1])) > 0) {
				best = i
			}
		}
		if best < 0 {
			return fees
		}
		room -= left[best].tx.Size()
		fees += left[best].tx.Fee()
		left = slices.Delete(left, best, best+1)
	}
}
