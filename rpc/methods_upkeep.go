package rpc

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"
)

func upkeepMethods() []method {
	return []method{
		slowly(define("savemempool", "Writes what waits in the pool to disk. The node also does so now and then, and when it stops.", saveMempool)),
		define("getindexinfo", "The indexes that the node keeps, and how far they reach.", getIndexInfo,
			param{name: "index_name", kind: text, optional: true, doc: "one of them; default: all", example: txIndex}),
		define("getrpcinfo", "The calls that are worked on now.", getRPCInfo),
		define("logging", "Which parts of the program log what only a debugger wants; with arguments, changes that first.", logging,
			param{name: "include", kind: words, optional: true, doc: "parts that shall; \"all\" names each", example: `["p2p"]`},
			param{name: "exclude", kind: words, optional: true, doc: "parts that shall not, likewise; it counts after include"}),
	}
}

// SavedPool is the result of savemempool.
type SavedPool struct {
	Path string `json:"filename"` // where it is
}

func saveMempool(c *call) (*SavedPool, error) {
	path, err := c.Upkeep.SavePool(c.ctx)
	return &SavedPool{Path: path}, err
}

// The indexes. They follow each block within the same write, so that they never
// lag.
const (
	txIndex      = "txindex"      // transactions and spends, on every branch
	addressIndex = "addressindex" // coins and history of an address
)

// IndexState is an index in the result of getindexinfo.
type IndexState struct {
	Synced bool   `json:"synced"`
	Height uint64 `json:"best_block_height"`
}

func getIndexInfo(c *call) (map[string]IndexState, error) {
	tip, err := c.tip()
	if err != nil {
		return nil, err
	}
	all := map[string]IndexState{txIndex: {true, tip.Height}, addressIndex: {true, tip.Height}}
	maps.DeleteFunc(all, func(name string, _ IndexState) bool { return argOr(c, 0, name) != name })
	return all, nil
}

// RPCInfo is the result of getrpcinfo.
type RPCInfo struct {
	Active []ActiveCall `json:"active_commands"`
	Log    string       `json:"logpath"` // empty: the node logs to its standard error
}

// ActiveCall is a call that is worked on.
type ActiveCall struct {
	Method   string `json:"method"`
	Duration int64  `json:"duration"` // microseconds until now
}

func getRPCInfo(c *call) (*RPCInfo, error) { return &RPCInfo{Active: c.roll.list()}, nil }

// roll is the calls that are worked on.
type roll struct {
	mu    sync.Mutex
	next  uint64               // guarded by mu
	calls map[uint64]underWork // guarded by mu
}

type underWork struct {
	method string
	since  time.Time
}

func newRoll() *roll { return &roll{calls: map[uint64]underWork{}} }

// enter notes a call until the function that it returns is called.
func (r *roll) enter(method string) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	number := r.next
	r.calls[number] = underWork{method, time.Now()}
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.calls, number)
	}
}

// list shows them, the longest under way first.
func (r *roll) list() []ActiveCall {
	r.mu.Lock()
	defer r.mu.Unlock()
	now, active := time.Now(), []ActiveCall{}
	for _, c := range r.calls {
		active = append(active, ActiveCall{c.method, now.Sub(c.since).Microseconds()})
	}
	slices.SortFunc(active, func(a, b ActiveCall) int {
		return cmp.Or(cmp.Compare(b.Duration, a.Duration), cmp.Compare(a.Method, b.Method))
	})
	return active
}

func logging(c *call) (map[string]bool, error) {
	known := c.Upkeep.Logged()
	on, err := parts(known, argOr(c, 0, []string(nil)))
	if err != nil {
		return nil, err
	}
	off, err := parts(known, argOr(c, 1, []string(nil)))
	if err != nil {
		return nil, err
	}
	for i, p := range slices.Concat(on, off) {
		if err := c.Upkeep.SetLogged(p, i < len(on)); err != nil {
			return nil, err
		}
	}
	return c.Upkeep.Logged(), nil
}

// parts are the parts of the program that words name.
func parts(known map[string]bool, words []string) (list []string, err error) {
	for _, w := range words {
		_, ok := known[w]
		switch {
		case ok:
			list = append(list, w)
		case w == "all" || w == "1":
			list = append(list, slices.Sorted(maps.Keys(known))...)
		default:
			return nil, Errorf(InvalidParameter, "unknown logging category %s", Clean(w))
		}
	}
	return list, nil
}
