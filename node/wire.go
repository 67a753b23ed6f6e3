package node

import (
	"encoding/binary"
	"slices"

	"cairn/chain"
)

// Want says what a request asks for.
type Want uint8

// The requests of the sync protocol.
const (
	WantHello        Want = iota + 1 // who are you, what is your tip
	WantHeaders                      // headers behind the first known hash of a locator
	WantBodies                       // blocks by id
	WantTxs                          // transactions of one block by index
	WantAnnouncement                 // one block's announcement
	WantPool                         // ids of the pool's transactions, by fee rate
	WantPoolTxs                      // transactions of the pool by id
)

// Limits of requests and answers.
const (
	MaxLocator   = 64
	MaxHeaders   = 2000
	MaxBodies    = 64
	MaxBodyBytes = 4 << 20 // of an answer to WantBodies, but for its last block
	MaxPoolIDs   = 5000
	MaxPoolTxs   = 1000
	MaxAgent     = 64 // bytes
	MaxEnds      = 8
)

// TipClaim is a peer's word that it follows a tip. It never decides the best
// chain.
type TipClaim struct {
	Peer    Peer
	Header  chain.Header
	Height  uint64
	Work    chain.Work
	Counter uint64 // grows with every claim of a peer: an old one is not heard again
}

// Append appends the canonical encoding; the peer stands first, length-prefixed.
func (t *TipClaim) Append(b []byte) []byte {
	b = chain.AppendBytes(b, []byte(t.Peer))
	b = t.Header.Append(b)
	b = chain.AppendVarint(b, t.Height)
	work := t.Work.Bytes()
	b = append(b, work[:]...)
	return binary.LittleEndian.AppendUint64(b, t.Counter)
}

// ReadTipClaim reads one claim.
func ReadTipClaim(r *chain.Reader) TipClaim {
	return TipClaim{
		Peer:    Peer(r.Bytes(maxPeer)),
		Header:  chain.ReadHeader(r),
		Height:  r.Varint(),
		Work:    chain.WorkFromBytes(r.Array32()),
		Counter: r.Uint64(),
	}
}

const maxPeer = 128 // bytes of a peer id

// Hello is what two nodes tell each other on every connect.
type Hello struct {
	Genesis chain.Hash
	Tip     TipClaim
	Time    chain.Time   // the speaker's clock
	Agent   string       // the speaker's program, for people; at most MaxAgent bytes
	Ends    []chain.Hash // of branches that the speaker knows beside its own; at most MaxEnds
}

func (h *Hello) append(b []byte) []byte {
	b = append(b, h.Genesis[:]...)
	b = h.Tip.Append(b)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.Time))
	return chain.AppendHashes(chain.AppendBytes(b, []byte(h.Agent)), h.Ends)
}

func readHello(r *chain.Reader) Hello {
	return Hello{
		Genesis: r.Array32(),
		Tip:     ReadTipClaim(r),
		Time:    chain.Time(r.Uint64()),
		Agent:   string(r.Bytes(MaxAgent)),
		Ends:    readUpTo(r, MaxEnds),
	}
}

// Request is one question of the sync protocol. Which fields count depends on
// Want.
type Request struct {
	Want    Want
	Hello   Hello        // WantHello: the asker's own
	Locator []chain.Hash // WantHeaders: ids of the asker's branch, newest first, thinning out
	Toward  chain.Hash   // WantHeaders: the block to lead to; the best chain's tip if that is unknown
	IDs     []chain.Hash // WantBodies, WantPoolTxs; WantTxs, WantAnnouncement: the block alone
	Index   []uint32     // WantTxs: positions among the transactions behind the coinbase, rising
}

// Append appends the canonical encoding.
func (q *Request) Append(b []byte) []byte {
	b = append(b, byte(q.Want))
	switch q.Want {
	case WantHello:
		return q.Hello.append(b)
	case WantHeaders:
		return append(chain.AppendHashes(b, q.Locator), q.Toward[:]...)
	}
	b = chain.AppendHashes(b, q.IDs)
	if q.Want == WantTxs {
		b = chain.AppendVarint(b, uint64(len(q.Index)))
		for _, i := range q.Index {
			b = binary.LittleEndian.AppendUint32(b, i)
		}
	}
	return b
}

// DecodeRequest reads a request's whole encoding, strictly.
func DecodeRequest(b []byte) (Request, error) {
	r := chain.NewReader(b)
	q := Request{Want: Want(r.Byte())}
	switch q.Want {
	case WantHello:
		q.Hello = readHello(r)
	case WantHeaders:
		q.Locator, q.Toward = readUpTo(r, MaxLocator), r.Array32()
	case WantBodies:
		q.IDs = readUpTo(r, MaxBodies)
	case WantPoolTxs:
		q.IDs = readUpTo(r, MaxPoolTxs)
	case WantAnnouncement:
		q.IDs = readUpTo(r, 1)
	case WantPool:
		q.IDs = readUpTo(r, 0)
	case WantTxs:
		q.IDs = readUpTo(r, 1)
		q.Index = readIndex(r)
	default:
		r.Fail("request %d is unknown", q.Want)
	}
	return q, r.Close()
}

func readUpTo(r *chain.Reader, most int) []chain.Hash {
	hs := chain.ReadHashes(r)
	if len(hs) > most {
		r.Fail("%d ids where at most %d are allowed", len(hs), most)
	}
	return hs
}

// readIndex reads positions in rising order: none is asked for twice.
func readIndex(r *chain.Reader) []uint32 {
	index := make([]uint32, r.Count(4))
	for i := range index {
		index[i] = r.Uint32()
		if i > 0 && index[i] <= index[i-1] {
			r.Fail("position %d behind %d", index[i], index[i-1])
		}
	}
	return index
}

// Answer replies to a request. What is not known is left out: an empty answer is
// legal. Blocks travel as they are stored, and nobody on the way reads them.
type Answer struct {
	Hello        Hello
	Headers      []chain.Header
	Blocks       []chain.RawBlock
	Txs          []*chain.Tx
	Announcement *chain.Announcement
	IDs          []chain.Hash

	// Way leads to headers before those here, and Load names bodies. The driver reads
	// them from the store and puts them in with Follow and Fill, so a long read never
	// holds up the node.
	Way   Way
	Load  []chain.Hash
	Index []uint32

	Read int // bytes of the body that Fill took apart: much work for an answer that may be short
}

// A Way is the blocks above one up to another, of the same branch; none if it is zero.
type Way struct{ After, Upto chain.Hash }

// Append appends the canonical encoding of an answer to what was wanted.
func (a *Answer) Append(b []byte, w Want) []byte {
	switch w {
	case WantHello:
		return a.Hello.append(b)
	case WantHeaders:
		b = slices.Grow(b, 9+len(a.Headers)*chain.HeaderSize)
		b = chain.AppendVarint(b, uint64(len(a.Headers)))
		for i := range a.Headers {
			b = a.Headers[i].Append(b)
		}
	case WantBodies:
		b = slices.Grow(b, 9+bytesOf(a.Blocks))
		b = chain.AppendVarint(b, uint64(len(a.Blocks)))
		for _, raw := range a.Blocks {
			b = append(b, raw...)
		}
	case WantTxs, WantPoolTxs:
		b = chain.AppendVarint(b, uint64(len(a.Txs)))
		for _, t := range a.Txs {
			b = t.Append(b)
		}
	case WantAnnouncement:
		if a.Announcement != nil {
			b = a.Announcement.Append(b)
		}
	case WantPool:
		b = chain.AppendHashes(b, a.IDs)
	}
	return b
}

func bytesOf(list []chain.RawBlock) (sum int) {
	for _, raw := range list {
		sum += len(raw)
	}
	return sum
}

// DecodeAnswer reads the whole encoding of an answer to q, strictly. More than
// was asked for is an error.
func DecodeAnswer(b []byte, q Request) (Answer, error) {
	r := chain.NewReader(b)
	var a Answer
	switch q.Want {
	case WantHello:
		a.Hello = readHello(r)
	case WantHeaders:
		a.Headers = readList(r, chain.HeaderSize, MaxHeaders, chain.ReadHeader)
	case WantBodies:
		a.Blocks = readList(r, chain.HeaderSize, len(q.IDs), cutBlock)
	case WantTxs:
		a.Txs = readList(r, 1, len(q.Index), chain.ReadTx)
	case WantPoolTxs:
		a.Txs = readList(r, 1, len(q.IDs), chain.ReadTx)
	case WantAnnouncement:
		if r.Left() > 0 {
			a.Announcement = chain.ReadAnnouncement(r)
		}
	case WantPool:
		a.IDs = readUpTo(r, MaxPoolIDs)
	default:
		r.Fail("request %d is unknown", q.Want)
	}
	return a, r.Close()
}

// cutBlock copies: a small block that waits for another one must not keep a large
// answer in memory.
func cutBlock(r *chain.Reader) chain.RawBlock { return slices.Clone(chain.ReadRawBlock(r)) }

func readList[T any](r *chain.Reader, size, most int, read func(*chain.Reader) T) []T {
	n := r.Count(size)
	if n > most {
		r.Fail("%d items where at most %d were asked for", n, most)
	}
	var list []T
	for range n {
		if r.Err() != nil {
			return nil
		}
		list = append(list, read(r))
	}
	return list
}
