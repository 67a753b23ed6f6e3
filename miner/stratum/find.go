package stratum

import "time"

// maxFinds is how many found blocks may wait; beyond it miners wait as well.
const maxFinds = 64

// find is a share that is a block.
type find struct {
	name   string
	job    *job
	extra1 [sizeOfExtra1]byte
	share  share
}

// hand gives a find to carry. The session goes on reading meanwhile: what its
// miner sends before it hears of the new tip is no stale work.
func (s *Server) hand(f find) {
	select {
	case s.finds <- f:
	case <-s.life.Done():
	}
}

// carry brings found blocks to the node, one after the other.
func (s *Server) carry() {
	for {
		select {
		case f := <-s.finds:
			s.submit(f)
		case <-s.life.Done():
			return
		}
	}
}

// submit brings one. If the best chain has moved on meanwhile, it would be a
// sibling that helps nobody.
func (s *Server) submit(f find) {
	w := f.job.work
	if w.stale() {
		s.workers.count(f.name, time.Now(), func(r *record) { r.Lost++ })
		return
	}
	b, err := f.job.block(f.extra1, f.share)
	if err == nil {
		err = s.cfg.Chain.Submit(s.life, b)
	}
	if err != nil {
		s.lost(f, err.Error())
		return
	}
	s.workers.count(f.name, time.Now(), func(r *record) { r.Blocks++ })
	s.log.Info("a miner found a block", "worker", f.name, "height", b.Coinbase.Height, "id", b.ID().Short())
}

func (s *Server) lost(f find, why string) {
	s.workers.count(f.name, time.Now(), func(r *record) { r.Lost++ })
	s.log.Warn("a miner's block was not taken", "worker", f.name, "height", f.job.work.block.Coinbase.Height, "why", why)
}
