package node

import (
	"slices"

	"cairn/chain"
)

// joining notes how far a node is that starts behind its network. Until it has
// caught up once it takes no loose transactions: it could not tell good from bad.
type joining struct {
	over   bool       // it caught up, or gave up waiting
	behind bool       // more than the margin, as far as headers tell
	height uint64     // of the best chain at the last look
	since  chain.Time // when that last grew
}

const (
	noProgress = 60_000 // milliseconds without a new block, after which nobody is waited for
	sureVoices = 2      // peers that must say so before we believe that our clock is wrong
)

// Joining tells whether the node still fetches the chain for the first time since
// its start, and takes no loose transactions but its own user's.
func (n *Node) Joining() bool { return !n.join.over && n.join.behind }

// look looks how far the first sync is. Who shows us a long branch that nobody
// serves holds us up for a minute, once.
func (n *Node) look(now chain.Time) {
	j := &n.join
	if j.over {
		return
	}
	if h := n.tip.State.Height; h > j.height || j.since == 0 {
		j.height, j.since = h, now
	}
	j.behind = n.heaviest().State.Height > n.tip.State.Height+margin
	heard := slices.ContainsFunc(n.direct(), func(p *peer) bool { return p.seen != 0 })
	j.over = heard && !j.behind && !n.owed() || now-j.since > noProgress
}

// owed tells whether a connected peer claims a heavier tip that we know no header
// of: how far behind we are is still to be seen.
func (n *Node) owed() bool {
	return slices.ContainsFunc(n.direct(), func(p *peer) bool {
		return p.claim.Work.Cmp(n.tip.State.Work) > 0 && n.tree.m[p.claim.Header.ID()] == nil
	})
}

// Late tells whether our clock is so far behind that a block of ours would come
// from the past, as far as others can tell: more than one peer must say so, or
// one and a block with its work whose time has not come here. Words are free.
func (n *Node) Late() bool {
	voices := 0
	for _, p := range n.voices() {
		if n.tooFar(p.ahead) {
			voices++
		}
	}
	return n.tooFar(n.Behind()) && (voices >= sureVoices || len(n.later.list) > 0)
}

func (n *Node) tooFar(ahead chain.Time) bool { return int64(ahead) > n.p.Ahead*1000 }
