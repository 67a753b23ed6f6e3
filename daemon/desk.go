package daemon

import (
	"sync"

	"cairn/node"
)

const (
	maxClerks  = 12   // questions to one peer at a time
	maxWaiting = 1024 // that wait for their turn with one peer
)

// desk puts questions to peers, to each in its own line. Whoever makes us ask
// more than we can is not asked: the node takes as failed what nobody answers.
type desk struct {
	ask   func(node.Ask)
	spawn func(func()) bool // false if we are closing

	mu    sync.Mutex
	lines map[node.Peer]*line // guarded by mu; of peers with a question
}

type line struct {
	waiting []node.Ask // oldest first
	clerks  int        // goroutines that serve it
}

// put lines questions up and tells how many found no room.
func (d *desk) put(asks []node.Ask) (dropped int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, a := range asks {
		l := d.lines[a.From]
		if l == nil {
			l = &line{}
			d.lines[a.From] = l
		}
		if len(l.waiting) >= room(a.Request.Want) {
			dropped++
			continue
		}
		l.waiting = append(l.waiting, a)
		if l.clerks < maxClerks && d.spawn(func() { d.serve(a.From, l) }) {
			l.clerks++
		}
	}
	return dropped
}

// room is how many others may wait before a question. What waits in a pool leads to more
// of them, and is looked at again and again: a peer that leaves those unanswered is not
// asked for more.
func room(w node.Want) int {
	if w == node.WantPool {
		return maxClerks
	}
	return maxWaiting
}

func (d *desk) serve(p node.Peer, l *line) {
	for a, ok := d.next(p, l); ok; a, ok = d.next(p, l) {
		d.ask(a)
	}
}

// next takes a question; without one the clerk must go.
func (d *desk) next(p node.Peer, l *line) (node.Ask, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(l.waiting) > 0 {
		a := l.waiting[0]
		l.waiting = l.waiting[1:]
		return a, true
	}
	if l.clerks--; l.clerks == 0 {
		delete(d.lines, p)
	}
	return node.Ask{}, false
}
