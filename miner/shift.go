package miner

import (
	"context"
	"sync/atomic"
	"time"

	"cairn/chain"
)

const (
	// fresh is how long a template is searched before the next is fetched, so
	// that the header's time and the fees keep up with the world.
	fresh = 5 * time.Second
	// retry is how long to wait for a Renew before asking all the same.
	retry = time.Second
)

// shift is the time between Start and Stop. Its keeper owns what is shown.
type shift struct {
	m       *Miner
	ctx     context.Context
	end     context.CancelFunc
	dismiss context.CancelFunc // ends the threads only; guarded by Miner.mu
	since   time.Time
	hashes  atomic.Uint64 // of the shift's threads
	meter   *meter        // of them

	shown  atomic.Pointer[show] // written by the keeper alone
	again  *time.Timer          // owned by the keeper
	renew  chan struct{}        // holds one: many calls are one
	solved chan *chain.Block
}

// show is what all threads see: a task, or the reason why there is none.
type show struct {
	task *task
	why  string
	over chan struct{} // closed when another show follows
}

func newShift(m *Miner) *shift {
	s := &shift{
		m: m, since: time.Now(), dismiss: func() {},
		renew: make(chan struct{}, 1), solved: make(chan *chain.Block),
	}
	s.ctx, s.end = context.WithCancel(m.life)
	s.meter = newMeter(s.since, 0)
	s.shown.Store(&show{why: "for the first template", over: make(chan struct{})})
	return s
}

// keep is the keeper.
func (s *shift) keep() {
	s.again = time.NewTimer(retry)
	defer s.again.Stop()
	second := time.NewTicker(time.Second)
	defer second.Stop()
	s.fetch()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.renew:
			s.fetch()
		case <-s.again.C:
			s.fetch()
		case b := <-s.solved:
			s.judge(b)
		case now := <-second.C:
			s.meter.note(now, s.hashes.Load())
			s.m.note(now)
		}
	}
}

func (s *shift) fetch() {
	b, err := s.m.cfg.Source.Template(s.ctx)
	var t *task
	if err == nil {
		t, err = newTask(s.m.cfg.Params, b)
	}
	if err != nil {
		s.wait("no template to mine", err)
		return
	}
	s.show(t, "")
	s.again.Reset(fresh)
}

// wait lets the threads rest until Renew or retry, and logs each reason once.
func (s *shift) wait(what string, err error) {
	why := err.Error()
	if s.ctx.Err() == nil && s.shown.Load().why != why {
		s.m.cfg.Log.Warn(what, "err", err)
	}
	s.show(nil, why)
	s.again.Reset(retry)
}

func (s *shift) show(t *task, why string) {
	old := s.shown.Swap(&show{task: t, why: why, over: make(chan struct{})})
	close(old.over)
}

// judge hands a found block over if it still extends what we are shown. A
// pending Renew is heeded first: the tip may have moved past the block.
func (s *shift) judge(b *chain.Block) {
	select {
	case <-s.renew:
		s.fetch()
	default:
	}
	if t := s.shown.Load().task; t == nil || t.block.Header.Prev != b.Header.Prev {
		s.m.stale.Add(1)
		return
	}
	// Nobody searches from here on: a sibling would only compete with our own.
	s.show(nil, "for the block just found to become the tip")
	if err := s.m.cfg.Found(s.m.life, b); err != nil {
		s.m.stale.Add(1)
		s.wait("own block refused", err)
		return
	}
	s.m.blocks.Add(1)
	s.again.Reset(retry)
}

// work is one thread. It asks the cap first and looks at what is shown after
// that, so no hash is spent on a template that aged in the cap's sleep.
func (s *shift) work(ctx context.Context, limit *limit, h *hand) {
	settle(s.m.cfg.Nice)
	defer bring()()
	d := newDigger(s.m, limit.width(s.m.width), &s.hashes, &h.hashes)
	for {
		n, err := limit.take(ctx, d.pace.portion, d.pace.wide)
		if err != nil {
			return
		}
		now := s.await(ctx)
		if now == nil {
			return
		}
		if b := d.dig(now.task, n); b != nil && !s.hand(b, now) {
			return
		}
	}
}

// await waits until a task is shown; nil if ctx ended first.
func (s *shift) await(ctx context.Context) *show {
	for {
		now := s.shown.Load()
		if now.task != nil {
			return now
		}
		select {
		case <-now.over:
		case <-ctx.Done():
			return nil
		}
	}
}

// hand gives a block to the keeper, even if the thread was replaced meanwhile,
// and waits until something else is shown than what it was found on: the thread
// would only find a sibling. False if the shift has ended.
func (s *shift) hand(b *chain.Block, on *show) bool {
	select {
	case s.solved <- b:
	case <-s.ctx.Done():
		return false
	}
	select {
	case <-on.over: // the keeper took the block, or showed another task before
		return true
	case <-s.ctx.Done():
		return false
	}
}
