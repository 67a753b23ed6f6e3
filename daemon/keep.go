package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"cairn/chain"
	"cairn/mempool"
	"cairn/node"
	"cairn/store"
)

// What waits is kept in the store, under numbered names that leave no gap: the
// payments of our own users before they are told of success, and the whole pool
// from time to time and at the end. Nothing read back is believed: it goes through
// the same door as what a stranger sends.
const (
	keyOwn  = "daemon/own/%d"
	keyPool = "daemon/pool/%d"

	keepEvery  = 10 * time.Minute // the pool is written
	maxKept    = 1 << 19          // bytes in one value, before its last transaction
	maxPieces  = 1 << 16          // values of each name
	maxGroup   = 64               // own transactions that share one write
	keptFormat = 1
	buried     = 100 // blocks above a payment, after which its place is given away
)

var errDamaged = errors.New("its checksum or its form is wrong")

// kept is one transaction on disk.
type kept struct {
	tx  *chain.Tx
	own bool
}

// keeper writes what waits; only its goroutine touches its fields, but asks and
// saves.
type keeper struct {
	asks   chan keepAsk
	saves  chan chan error // each for who wants the pool on disk; has room for one
	places [][]chain.Hash  // the own transactions in each value
	next   int             // the place to look at first
	held   map[chain.Hash]bool
	pieces int    // values of the pool on disk
	seq    uint64 // of the pool as it was written
}

type keepAsk struct {
	tx   chain.CheckedTx
	done chan error // has room for one
}

func newKeeper() keeper {
	return keeper{asks: make(chan keepAsk, maxGroup), saves: make(chan chan error), held: map[chain.Hash]bool{}}
}

// keepOwn returns when a payment of our own is on disk.
func (d *Daemon) keepOwn(ctx context.Context, tx chain.CheckedTx) error {
	ask := keepAsk{tx, make(chan error, 1)}
	select {
	case d.keep.asks <- ask:
	case <-d.life.Done():
		return ErrStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-ask.done:
		return err
	case <-d.life.Done():
		return ErrStopped
	}
}

// keepPool writes until the node ends, and once more then.
func (d *Daemon) keepPool() {
	every := time.NewTicker(keepEvery)
	defer every.Stop()
	for {
		select {
		case <-d.life.Done():
			<-d.loop.ended // the node is ours now
			if d.Err() == nil {
				d.writePool(d.loop.node.Mempool())
			}
			return
		case ask := <-d.keep.asks:
			d.keepGroup(ask)
		case done := <-d.keep.saves:
			done <- d.keepNow()
		case <-every.C:
			_ = d.keepNow()
		}
	}
}

// keepGroup writes what asks at the same time at once.
func (d *Daemon) keepGroup(first keepAsk) {
	asks, size := []keepAsk{first}, first.tx.Size()
	for more := true; more && len(asks) < maxGroup && size < maxKept; {
		select {
		case ask := <-d.keep.asks:
			asks, size = append(asks, ask), size+ask.tx.Size()
		default:
			more = false
		}
	}
	err := d.keepTogether(asks)
	if err != nil {
		err = fmt.Errorf("it waits, but is not on disk: %w", err)
	}
	for _, ask := range asks {
		ask.done <- err
	}
}

func (d *Daemon) keepTogether(asks []keepAsk) error {
	k := &d.keep
	var raw []byte
	var ids []chain.Hash
	for _, ask := range asks {
		if !k.held[ask.tx.ID()] {
			raw, ids = appendKept(raw, ask.tx, true), append(ids, ask.tx.ID())
		}
	}
	if len(ids) == 0 {
		return nil
	}
	i, err := d.place()
	if err != nil {
		return err
	}
	if err := d.cfg.Store.Put(fmt.Sprintf(keyOwn, i), sealKept(raw)); err != nil {
		return err
	}
	k.take(i, ids)
	return nil
}

// take notes what stands at place i from now on.
func (k *keeper) take(i int, ids []chain.Hash) {
	if i == len(k.places) {
		k.places = append(k.places, nil)
	}
	for _, id := range k.places[i] {
		delete(k.held, id)
	}
	k.places[i] = ids
	for _, id := range ids {
		k.held[id] = true
	}
}

// place finds a place for a value: one of a few whose payments are settled, or a
// new one.
func (d *Daemon) place() (int, error) {
	k := &d.keep
	found := -1
	var fault error
	err := d.loop.do(d.life, func(chain.Time) {
		for tries := 0; tries < min(8, len(k.places)) && found < 0 && fault == nil; tries++ {
			k.next = (k.next + 1) % len(k.places)
			var yes bool
			if yes, fault = d.settled(k.places[k.next]); yes {
				found = k.next
			}
		}
	})
	switch {
	case err != nil || fault != nil || found >= 0:
		return found, errors.Join(err, fault)
	case len(k.places) == maxPieces:
		return 0, errors.New("too many payments of our own wait")
	}
	return len(k.places), nil
}

// settled tells whether none of these can come to wait again. The store knows
// where they are confirmed; the pool's memory ends with the process. It is called
// in the loop: nothing moves meanwhile.
func (d *Daemon) settled(ids []chain.Hash) (bool, error) {
	s, err := d.cfg.Store.Reader()
	if err != nil {
		return false, err
	}
	defer s.Close()
	for _, id := range ids {
		if d.loop.node.Mempool().Has(id) {
			return false, nil
		}
		height, confirmed, err := confirmedAt(s, id)
		if err != nil || confirmed && d.loop.node.Best().Height < height+buried {
			return false, err
		}
	}
	return true, nil
}

// confirmedAt is the height of the best chain's block that holds a transaction.
func confirmedAt(s *store.Reader, tx chain.Hash) (height uint64, ok bool, err error) {
	blocks, err := s.TxBlocks(tx)
	for _, id := range blocks {
		e, err := s.Entry(id)
		if err != nil {
			return 0, false, err
		}
		at, err := s.At(e.State.Height)
		if err == nil && at == id {
			return e.State.Height, true, nil
		}
		if err != nil && !errors.Is(err, node.ErrUnknown) {
			return 0, false, err
		}
	}
	return 0, false, err
}

func (d *Daemon) keepNow() error {
	var all []mempool.Entry
	var seq uint64
	err := d.loop.do(d.life, func(chain.Time) {
		if seq = d.loop.node.Mempool().Seq(); seq != d.keep.seq {
			all = d.loop.node.Mempool().All()
		}
	})
	if err == nil && seq != d.keep.seq {
		err = d.writeEntries(all, seq)
	}
	return err
}

func (d *Daemon) writePool(p *mempool.Pool) {
	if p.Seq() != d.keep.seq {
		_ = d.writeEntries(p.All(), p.Seq())
	}
}

// writeEntries replaces the pool on disk. A crash in between leaves some of both,
// each of which is judged anew.
func (d *Daemon) writeEntries(all []mempool.Entry, seq uint64) error {
	var raw []byte
	n := 0
	put := func(value []byte) (err error) {
		if n < maxPieces {
			err = d.cfg.Store.Put(fmt.Sprintf(keyPool, n), value)
			n++
		}
		return err
	}
	var err error
	for i, e := range all {
		raw = appendKept(raw, e.Tx, e.Own)
		if len(raw) >= maxKept || i == len(all)-1 {
			err = errors.Join(err, put(sealKept(raw)))
			raw = nil
		}
	}
	count := n
	for n < d.keep.pieces {
		err = errors.Join(err, put(nil))
	}
	if err != nil {
		d.log.Warn("the pool was not written", "err", err)
		return err
	}
	d.keep.pieces, d.keep.seq = count, seq
	return nil
}

func appendKept(b []byte, tx chain.CheckedTx, own bool) []byte {
	flag := byte(0)
	if own {
		flag = 1
	}
	b = binary.AppendUvarint(append(b, flag), uint64(tx.Size()))
	return tx.Tx().Append(b)
}

// sealKept puts format and checksum before the transactions.
func sealKept(b []byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte{keptFormat}, crc32.ChecksumIEEE(b))
	return append(head, b...)
}

// readKept reads a whole value, or nothing of it.
func readKept(b []byte) (list []kept, err error) {
	if len(b) < 5 || b[0] != keptFormat || binary.BigEndian.Uint32(b[1:5]) != crc32.ChecksumIEEE(b[5:]) {
		return nil, errDamaged
	}
	for b = b[5:]; len(b) > 0; {
		size, n := binary.Uvarint(b[1:])
		if b[0] > 1 || n <= 0 || size > uint64(len(b)-1-n) {
			return nil, errDamaged
		}
		end := 1 + n + int(size)
		tx, err := chain.DecodeTx(b[1+n : end])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		list = append(list, kept{tx, b[0] == 1})
		b = b[end:]
	}
	return list, nil
}

// revive fills the pool of a node that starts with what waited when it stopped.
func (d *Daemon) revive(n *node.Node, self node.Peer) error {
	var all []kept
	pool, err := d.keptValues(keyPool)
	if err != nil {
		return err
	}
	own, err := d.keptValues(keyOwn)
	if err != nil {
		return err
	}
	d.keep.pieces = len(pool)
	for _, list := range pool {
		all = append(all, list...)
	}
	for i, list := range own {
		var ids []chain.Hash
		for _, k := range list {
			ids = append(ids, k.tx.ID())
		}
		d.keep.take(i, ids)
		all = append(all, list...)
	}
	if all, err = d.waiting(all); err != nil || len(all) == 0 {
		return err
	}
	err = d.readmit(n, self, all)
	d.log.Info("what waited before waits again", "kept", len(all), "waiting", n.Mempool().Len())
	return err
}

func (d *Daemon) keptValues(key string) (values [][]kept, err error) {
	for i := range maxPieces {
		raw, ok, err := d.cfg.Store.Get(fmt.Sprintf(key, i))
		if err != nil {
			return nil, fmt.Errorf("read what waited: %w", err)
		}
		if !ok {
			break
		}
		list, err := readKept(raw)
		if err != nil {
			d.log.Warn("kept payments are left out, the node starts without them", "value", fmt.Sprintf(key, i), "err", err)
		}
		values = append(values, list)
	}
	return values, nil
}

// waiting are those that the best chain does not hold: nothing of the others is checked
// again.
func (d *Daemon) waiting(all []kept) (left []kept, err error) {
	if len(all) == 0 {
		return nil, nil
	}
	s, err := d.cfg.Store.Reader()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	for _, k := range all {
		_, confirmed, err := confirmedAt(s, k.tx.ID())
		if err != nil {
			return nil, fmt.Errorf("look for what waited in the chain: %w", err)
		}
		if !confirmed {
			left = append(left, k)
		}
	}
	return left, nil
}

// readmit offers the node what was kept. Values are in no order, so whoever lacks
// a parent is tried again once others came.
func (d *Daemon) readmit(n *node.Node, self node.Peer, all []kept) error {
	now := chain.Time(d.cfg.Clock().UnixMilli())
	checked := d.recheck(all)
	for came := true; came && len(checked) > 0; {
		came = false
		var again []keptTx
		for _, k := range checked {
			from := self
			if k.own {
				from = node.Self
			}
			out, err := n.Tx(now, from, k.tx)
			if err != nil {
				return fmt.Errorf("take up what waited: %w", err)
			}
			came = came || out.Verdict == node.Accept
			if chain.KindOf(out.Why) == chain.MissingCoin {
				again = append(again, k)
			}
		}
		checked = again
	}
	return nil
}

// keptTx is a kept transaction that the rules let pass again.
type keptTx struct {
	tx  chain.CheckedTx
	own bool
}

// recheck verifies signatures in batches; where a batch fails, one by one.
func (d *Daemon) recheck(all []kept) (sound []keptTx) {
	for len(all) > 0 {
		part := all[:min(len(all), 256)]
		all = all[len(part):]
		txs := make([]*chain.Tx, len(part))
		for i := range part {
			txs[i] = part[i].tx
		}
		checked, err := chain.CheckTxs(d.p, txs)
		for i := range part {
			if err == nil {
				sound = append(sound, keptTx{checked[i], part[i].own})
			} else if one, err := chain.CheckTx(d.p, txs[i]); err == nil {
				sound = append(sound, keptTx{one, part[i].own})
			}
		}
	}
	return sound
}
