package daemon

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"cairn/chain"
	"cairn/node"
	"cairn/rpc"
)

// Reorganisations are kept in the store, so that a node can tell after a restart
// what became of what they undid: each in a slot of a ring, as JSON cut into
// pieces.
const (
	keyStory   = "daemon/reorg/%d/%d" // slot, piece
	maxStories = 128
	maxUndone  = 20_000  // transactions in all of them
	maxPiece   = 1 << 19 // bytes
)

// story is the reorganisations that this node lived, over restarts. Its herald
// notes them in the loop, and writes them before anybody is told.
type story struct {
	mu   sync.Mutex // held for no I/O
	list []told     // guarded by mu; oldest first
	next int        // guarded by mu; the number of the next one
	gone []told     // guarded by mu; still to be erased
}

// told is one of them, and where it is kept.
type told struct {
	Number int             `json:"number"`
	Reorg  rpc.ReorgRecord `json:"reorg"`
	pieces int             // on disk; 0 if it is still to be written
}

// load reads what was kept. A crash may have left a part of a record in its slot:
// that is no record.
func (s *story) load(from Store) error {
	for slot := range maxStories {
		raw, pieces, err := readStory(from, slot)
		if err != nil {
			return fmt.Errorf("read the reorganisations before: %w", err)
		}
		t := told{Number: slot}
		if json.Unmarshal(raw, &t) != nil || t.Number%maxStories != slot {
			t = told{Number: slot, pieces: pieces}
			if err := t.erase(from); err != nil {
				return err
			}
			continue
		}
		t.pieces = pieces
		s.list = append(s.list, t)
		s.next = max(s.next, t.Number+1)
	}
	slices.SortFunc(s.list, func(a, b told) int { return a.Number - b.Number })
	return nil
}

func readStory(from Store, slot int) (raw []byte, pieces int, err error) {
	for {
		part, ok, err := from.Get(fmt.Sprintf(keyStory, slot, pieces))
		if err != nil || !ok {
			return raw, pieces, err
		}
		raw = append(raw, part...)
		pieces++
	}
}

// note takes reorganisations in, and lets the oldest go where there are too many.
func (s *story) note(lived []node.Reorg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range lived {
		s.list = append(s.list, told{Number: s.next, Reorg: recordOf(r)})
		s.next++
	}
	undone := 0
	for _, t := range s.list {
		undone += len(t.Reorg.Txs)
	}
	for len(s.list) > maxStories || undone > maxUndone && len(s.list) > 1 {
		undone -= len(s.list[0].Reorg.Txs)
		s.gone = append(s.gone, s.list[0])
		s.list = slices.Clone(s.list[1:])
	}
}

// keepStory writes what was noted.
func (d *Daemon) keepStory() {
	gone, fresh := d.story.unwritten()
	for _, t := range gone {
		if err := t.erase(d.cfg.Store); err != nil {
			d.log.Warn("an old reorganisation was not forgotten", "err", err)
		}
	}
	for _, t := range fresh {
		pieces, err := t.write(d.cfg.Store)
		if err != nil {
			d.log.Warn("a reorganisation was not written down", "err", err)
		}
		d.story.written(t.Number, pieces)
	}
}

func (s *story) unwritten() (gone, fresh []told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone, s.gone = s.gone, nil
	for _, t := range s.list {
		if t.pieces == 0 {
			fresh = append(fresh, t)
		}
	}
	return gone, fresh
}

func (s *story) written(number, pieces int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.list {
		if s.list[i].Number == number {
			s.list[i].pieces = pieces
		}
	}
}

func (t told) write(to Store) (pieces int, err error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return 0, err
	}
	for part := range slices.Chunk(raw, maxPiece) {
		if err := to.Put(fmt.Sprintf(keyStory, t.Number%maxStories, pieces), part); err != nil {
			return pieces, err
		}
		pieces++
	}
	return pieces, nil
}

// erase forgets the pieces, the last first: a crash leaves the beginning, which
// load finds.
func (t told) erase(in Store) error {
	for t.pieces > 0 {
		t.pieces--
		if err := in.Put(fmt.Sprintf(keyStory, t.Number%maxStories, t.pieces), nil); err != nil {
			return err
		}
	}
	return nil
}

// lived lists the reorganisations that are remembered, oldest first, those among
// them that nobody was told of yet.
func (d *Daemon) lived() (list []rpc.ReorgRecord, err error) {
	err = d.loop.look(d.life, func(chain.Time) {
		list = d.story.reorgs()
		untold, _ := d.loop.node.Reorgs(d.herald.reorgs)
		for _, r := range untold {
			list = append(list, recordOf(r))
		}
	})
	return list, err
}

func (s *story) reorgs() []rpc.ReorgRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]rpc.ReorgRecord, len(s.list))
	for i := range s.list {
		list[i] = s.list[i].Reorg
	}
	return list
}

// recordOf tells of every transaction that was undone.
func recordOf(r node.Reorg) rpc.ReorgRecord {
	e := reorgOf(r)
	e.Txs, e.More = fatesOf(r.Fates), 0
	return rpc.ReorgRecord{
		At: int64(r.Time), ReorgEvent: e,
		From: rpc.BlockName{ID: r.From.ID, Height: r.From.Height}, To: rpc.BlockName{ID: r.To.ID, Height: r.To.Height},
		LostWork: r.From.Work.Minus(r.Fork.Work), WonWork: r.To.Work.Minus(r.Fork.Work),
	}
}
