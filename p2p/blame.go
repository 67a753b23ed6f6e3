package p2p

import (
	"math"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	faultWeight = -20 // of one fault in the gossip score
	forgiven    = 0.1 // faults that count as none
	faultHalf   = 10 * time.Minute
)

// ledger counts the faults of peers, and forgets half of them every ten minutes.
type ledger struct {
	mu     sync.Mutex
	faults map[peer.ID]fault   // guarded by mu
	scores map[peer.ID]float64 // guarded by mu, never changed; gossip's last word
}

func newLedger() *ledger { return &ledger{faults: map[peer.ID]fault{}} }

// rate keeps what gossip says of everybody.
func (l *ledger) rate(scores map[peer.ID]float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.scores = scores
}

// rating is gossip's last word on p.
func (l *ledger) rating(p peer.ID) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.scores[p]
}

type fault struct {
	count float64 // at that time
	at    time.Time
}

func (f fault) now() float64 {
	return f.count * math.Exp2(-float64(time.Since(f.at))/float64(faultHalf))
}

// add counts one more fault and tells whether p has too many now.
func (l *ledger) add(p peer.ID) (tooMany bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) >= maxFaulty {
		l.makeRoom()
	}
	f := fault{count: l.faults[p].now() + 1, at: time.Now()}
	l.faults[p] = f
	return f.count > maxFaults-forgiven
}

// makeRoom forgets those who are forgiven, or else whoever did least.
func (l *ledger) makeRoom() {
	var least peer.ID
	count := math.Inf(1)
	for p, f := range l.faults {
		if n := f.now(); n < forgiven {
			delete(l.faults, p)
		} else if n < count {
			least, count = p, n
		}
	}
	if len(l.faults) >= maxFaulty {
		delete(l.faults, least)
	}
}

// score is what p's faults weigh in gossip.
func (l *ledger) score(p peer.ID) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return faultWeight * l.faults[p].now()
}

// forgive wipes out p's faults, and outweighs what gossip holds against it: it
// would be banned again at once.
func (l *ledger) forgive(p peer.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	grudge := l.scores[p] - faultWeight*l.faults[p].now()
	l.faults[p] = fault{count: min(grudge, 0) / -faultWeight, at: time.Now()}
}
