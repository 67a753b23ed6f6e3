package p2p

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
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

// maxRemembered bounds the book, in addresses.
const maxRemembered = 1000

// memory is the book's content: addresses at which we reached a peer of ours.
type memory struct {
	mu   sync.Mutex
	seen map[string]time.Time // guarded by mu; when last, by full multiaddress
}

type remembered struct {
	Addr string    `json:"addr"` // with the peer's id
	Seen time.Time `json:"seen"` // when we were last connected to it
}

// recall reads a book; a damaged one leaves nothing.
func recall(raw []byte) (*memory, error) {
	m := &memory{seen: map[string]time.Time{}}
	if len(raw) == 0 {
		return m, nil
	}
	var list []remembered
	if err := json.Unmarshal(raw, &list); err != nil {
		return m, fmt.Errorf("the book of peers is damaged: %w", err)
	}
	for _, r := range list {
		m.seen[r.Addr] = r.Seen
	}
	return m, nil
}

// note remembers addresses and tells whether one is new.
func (m *memory) note(addrs []string) (fresh bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range addrs {
		_, known := m.seen[a]
		fresh = fresh || !known
		m.seen[a] = time.Now()
	}
	return fresh
}

// forget drops every address that ends so: one address, or all of one peer.
func (m *memory) forget(ending string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for a := range m.seen {
		if strings.HasSuffix(a, ending) {
			delete(m.seen, a)
		}
	}
}

// list is the newest of it, newest first.
func (m *memory) list() []remembered {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]remembered, 0, len(m.seen))
	for a, t := range m.seen {
		list = append(list, remembered{a, t.UTC().Truncate(time.Second)})
	}
	slices.SortFunc(list, func(a, b remembered) int {
		return cmp.Or(b.Seen.Compare(a.Seen), cmp.Compare(a.Addr, b.Addr))
	})
	for _, r := range list[min(len(list), maxRemembered):] {
		delete(m.seen, r.Addr)
	}
	return list[:min(len(list), maxRemembered)]
}

// openBook fills the memory and makes every address in it one to fall back on.
func (n *Network) openBook() {
	var raw []byte
	var err error
	if n.cfg.Book != nil {
		raw, err = n.cfg.Book.Load()
	}
	n.memory, _ = recall(nil)
	if err == nil {
		n.memory, err = recall(raw)
	}
	if err != nil {
		n.log.Warn("starting without remembered peers", "error", err)
	}
	for _, r := range n.memory.list() {
		addr, id, err := parseAddr(r.Addr)
		if err != nil || id == "" {
			n.memory.forget(r.Addr)
			continue
		}
		n.dialer.add(target{addr: addr, id: id, named: true, spare: true})
	}
}

// saveBook writes down whom we reached, if there is anybody new or it is due.
func (n *Network) saveBook(due bool) {
	fresh := n.memory.note(n.reached())
	if n.cfg.Book == nil || !fresh && !due {
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
