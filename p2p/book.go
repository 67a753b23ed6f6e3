package p2p

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/time/rate"
)

// Book keeps what one run knows of peers for the next. The bytes are JSON.
type Book interface {
	Load() ([]byte, error) // nil if nothing was saved yet
	Save([]byte) error     // all or nothing
}

// FileBook is a Book in the file of that name.
type FileBook string

// Load implements Book.
func (f FileBook) Load() ([]byte, error) {
	raw, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return raw, err
}

// Save implements Book.
func (f FileBook) Save(raw []byte) error { return replace(string(f), raw) }

// memory is the book's content: addresses of peers, and how trying them went. An
// address that we only heard of never pushes out one at which we reached a peer
// of ours.
type memory struct {
	retry time.Duration // before the second try of an address that failed; doubles
	far   time.Duration // longest wait between two tries

	mu    sync.Mutex
	pages map[string]*page         // guarded by mu; by full multiaddress
	told  map[string]*rate.Limiter // guarded by mu; of hearsay, by who tells
}

// page is one address in the book.
type page struct {
	Addr  string    `json:"addr"` // with the peer's id
	Seen  time.Time `json:"seen"` // when we were last connected to it; zero: never
	Tried time.Time `json:"tried,omitzero"`
	Fails int       `json:"fails,omitempty"` // tries in a row that failed

	addr ma.Multiaddr // without the id
	id   peer.ID
	span string // the address range; empty if many nodes may share it
	busy bool   // being tried

	teller string // the area of who told of it
}

func (p *page) hearsay() bool { return p.Seen.IsZero() }

// newPage reads an address that names its peer.
func newPage(text string) (*page, error) {
	addr, id, err := parseAddr(text)
	if err == nil && id == "" {
		err = fmt.Errorf("peer address %q names no peer", text)
	}
	if err != nil {
		return nil, err
	}
	return &page{Addr: full(addr, id), addr: addr, id: id, span: span(addr)}, nil
}

func newMemory(pace Pace) *memory {
	return &memory{
		retry: pace.Retry, far: pace.Far, pages: map[string]*page{}, told: map[string]*rate.Limiter{},
	}
}

// recall reads a book; a damaged one leaves nothing, and a damaged page only
// itself.
func (m *memory) recall(raw []byte) error {
	var list []page
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("the book of peers is damaged: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, old := range list[:min(len(list), maxRemembered)] {
		if p, err := newPage(old.Addr); err == nil {
			p.Seen, p.Tried, p.Fails = old.Seen, old.Tried, max(old.Fails, 0)
			m.pages[p.Addr] = p
		}
	}
	return nil
}

// reached notes addresses at which a peer of ours was just reached, and tells
// whether one is new.
func (m *memory) reached(addrs []string) (fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range addrs {
		p := m.pages[a]
		if p == nil {
			var err error
			if p, err = newPage(a); err != nil || !m.room(p, false) {
				continue
			}
			m.pages[a] = p
		}
		fresh = fresh || p.hearsay()
		p.Seen, p.Fails = time.Now(), 0
	}
	return fresh
}

// still notes that peers are still connected at addresses. What was forgotten
// meanwhile stays so.
func (m *memory) still(addrs []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range addrs {
		if p := m.pages[a]; p != nil && !p.hearsay() {
			p.Seen = time.Now()
		}
	}
}

// hear notes an address that somebody told us of, if there is room for it. It must
// be an IP address: of names one owner has as many as he likes, they tell nothing of
// the range they lie in, and each would be looked up at his word. The teller is the
// address that he speaks from, nil for the local network itself.
func (m *memory) hear(text string, teller ma.Multiaddr) (fresh bool) {
	from := ""
	if teller != nil {
		from = area(teller)
	}
	if !m.listens(from) {
		return false
	}
	p, err := newPage(text)
	if err != nil {
		return false
	}
	p.teller = from
	if ip, ok := ipOf(p.addr); !ok || !credible(ip, teller) {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pages[p.Addr] != nil || !m.room(p, true) {
		return false
	}
	m.pages[p.Addr] = p
	return true
}

// listens tells whether to look at one more address that somebody in an area tells
// of. Each area has its own allowance: who talks most does not silence the others.
func (m *memory) listens(from string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.told[from]
	if l == nil && len(m.told) >= maxAreas {
		maps.DeleteFunc(m.told, func(_ string, l *rate.Limiter) bool { return l.Tokens() >= hearsayBurst })
	}
	if l == nil && len(m.told) < maxAreas {
		l = rate.NewLimiter(hearsayRate, hearsayBurst)
		m.told[from] = l
	}
	return l != nil && l.Allow()
}

// room makes room for p, and tells whether there is some. It expects mu to be
// held. Hearsay has a share of its own, and of that each address range has one, and
// who tells: whoever tells of many addresses, or of many that lead nowhere, does not
// fill the book.
func (m *memory) room(p *page, hearsay bool) bool {
	all, near, told := 0, 0, 0
	for _, o := range m.pages {
		if o.hearsay() != hearsay {
			continue
		}
		all++
		if o.span == p.span {
			near++
		}
		if o.teller == p.teller {
			told++
		}
	}
	switch {
	case hearsay && told >= maxHearsayTold:
		return m.drop(func(o *page) bool { return o.hearsay() && o.teller == p.teller && o.Fails > 0 })
	case hearsay && near >= maxHearsayNear:
		return m.drop(func(o *page) bool { return o.hearsay() && o.span == p.span && o.Fails > 0 })
	case hearsay && all >= maxHearsay:
		return m.drop(func(o *page) bool { return o.hearsay() })
	case !hearsay && all >= maxRemembered-maxHearsay:
		return m.drop(func(o *page) bool { return !o.hearsay() })
	}
	return true
}

// drop takes out the worst of those that match: who failed most often, and was
// seen longest ago.
func (m *memory) drop(match func(*page) bool) bool {
	var worst *page
	for _, p := range m.pages {
		if match(p) && !p.busy && (worst == nil || better(worst, p) < 0) {
			worst = p
		}
	}
	if worst != nil {
		delete(m.pages, worst.Addr)
	}
	return worst != nil
}

// better orders pages, the one to try first in front.
func better(a, b *page) int {
	return cmp.Or(cmp.Compare(a.Fails, b.Fails), b.Seen.Compare(a.Seen), cmp.Compare(a.Addr, b.Addr))
}

// forget drops every address that ends so: one address, or all of one peer.
func (m *memory) forget(ending string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for a := range m.pages {
		if strings.HasSuffix(a, ending) {
			delete(m.pages, a)
		}
	}
}

// pick takes an address to try now, and marks it. Of those that match and whose
// time has come, it prefers who failed least; among equals chance decides, so
// that nobody who fills the book knows where we turn.
func (m *memory) pick(now time.Time, match func(*page) bool) (best *page) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ties := 0
	for _, p := range m.pages {
		if p.busy || now.Before(m.due(p)) || !match(p) {
			continue
		}
		c := -1
		if best != nil {
			c = cmp.Or(cmp.Compare(p.Fails, best.Fails), compareBool(p.hearsay(), best.hearsay()))
		}
		switch {
		case c < 0:
			best, ties = p, 1
		case c == 0:
			if ties++; rand.IntN(ties) == 0 {
				best = p
			}
		}
	}
	if best == nil {
		return nil
	}
	best.busy, best.Tried = true, now
	taken := *best
	return &taken
}

// compareBool puts false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// due expects mu to be held.
func (m *memory) due(p *page) time.Time {
	if p.Fails == 0 {
		return time.Time{}
	}
	return p.Tried.Add(min(m.far, m.retry<<min(p.Fails, 16)))
}

// tried notes how a try went. Hearsay that failed a few times is dropped.
func (m *memory) tried(addr string, worked bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pages[addr]
	if p == nil {
		return
	}
	p.busy = false
	if worked {
		p.Seen, p.Fails = time.Now(), 0
		return
	}
	if p.Fails++; p.hearsay() && p.Fails >= maxHearsayFails {
		delete(m.pages, addr)
	}
}

// putOff puts off the addresses of a peer that is none of ours.
func (m *memory) putOff(id peer.ID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.pages {
		if p.id == id {
			p.Tried, p.Fails = time.Now(), max(p.Fails, 16)
		}
	}
}

// busy are the address ranges of addresses that are being tried.
func (m *memory) busy() (spans []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.pages {
		if p.busy {
			spans = append(spans, p.span)
		}
	}
	return spans
}

// list is a copy of it, the best first.
func (m *memory) list() []page {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]page, 0, len(m.pages))
	for _, p := range m.pages {
		kept := *p
		kept.Seen, kept.Tried = p.Seen.UTC().Truncate(time.Second), p.Tried.UTC().Truncate(time.Second)
		list = append(list, kept)
	}
	slices.SortFunc(list, func(a, b page) int { return better(&a, &b) })
	return list
}

// openBook fills the memory.
func (n *Network) openBook() {
	var raw []byte
	var err error
	if n.cfg.Book != nil {
		raw, err = n.cfg.Book.Load()
	}
	if err == nil {
		err = n.memory.recall(raw)
	}
	if err != nil {
		n.log.Warn("starting without remembered peers", "error", err)
	}
}

// noteReached remembers a peer that settled, if it was we who dialled it.
func (n *Network) noteReached(p peer.ID) {
	if s, ok := n.roster.each()[p]; ok && n.memory.reached(dialled(p, s)) {
		n.saveBook()
	}
}

// noteStill keeps the book's dates true.
func (n *Network) noteStill() {
	for p, s := range n.roster.each() {
		n.memory.still(dialled(p, s))
	}
}

// dialled is the address at which we reached a peer; none if it came to us.
func dialled(p peer.ID, s standing) []string {
	if s.conn.Stat().Direction != network.DirOutbound || s.conn.IsClosed() {
		return nil
	}
	return []string{full(s.conn.RemoteMultiaddr(), p)}
}

func (n *Network) saveBook() {
	if n.cfg.Book == nil {
		return
	}
	raw, err := json.MarshalIndent(n.memory.list(), "", "  ")
	if err == nil {
		err = n.cfg.Book.Save(raw)
	}
	if err != nil {
		n.log.Warn("cannot save the book of peers", "error", err)
	}
}
