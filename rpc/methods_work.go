package rpc

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"

	"cairn/chain"
	"cairn/node"
)

func workMethods() []method {
	return []method{
		slowly(define("getblocktemplate", "A block for miners to work on (BIP22, BIP23), with its coinbase. With the longpollid of an earlier one it waits for a new tip. In mode \"proposal\" the answer is null if data, a block in hex, lacks only its proof, or why not in the words of BIP22.", getBlockTemplate,
			param{name: "template_request", kind: wish, optional: true, doc: "mode, capabilities, longpollid, data"})),
		slowly(define("submitblock", "Takes a found block. The answer is null, or why not in the words of BIP22.", submitBlock,
			param{name: "hexdata", kind: text, doc: "the block's encoding in hex"},
			param{name: "dummy", kind: anything, optional: true, doc: "ignored, as in Bitcoin Core"})),
		slowly(define("getwork", "A header for miners to work on, or with data whether the work is good.", getWork,
			param{name: "data", kind: text, optional: true, doc: "the header with its proof, as getwork gave it"})),
	}
}

// longPath is where getwork waits for a new tip; the header X-Long-Polling names
// it to miners.
const longPath = "/longpoll"

// A visit is what a handler may know of the HTTP request around its call.
type visit struct {
	header http.Header // of the answer
	host   string      // that asks
	long   bool        // asks for a long poll by the path
}

type visitKey struct{}

func visiting(r *http.Request, header http.Header, long bool) context.Context {
	host, _, _ := net.SplitHostPort(r.RemoteAddr)
	return context.WithValue(r.Context(), visitKey{}, visit{header: header, host: host, long: long})
}

// visit is the call's; a call without HTTP around it has an empty one.
func (c *call) visit() visit {
	v, ok := c.ctx.Value(visitKey{}).(visit)
	if !ok {
		v.header = http.Header{}
	}
	return v
}

// wish is a template request.
var wish = kind{"object", "object", false, `{"rules": ["segwit"]}`, readWish}

type templateRequest struct {
	Mode string `json:"mode"`
	Poll string `json:"longpollid"`
	Data string `json:"data"` // of a proposal
}

func readWish(_ *chain.Params, name string, raw json.RawMessage) (any, error) {
	var r templateRequest
	if typeOf(raw) != "object" {
		return nil, wrongType(name, raw, "object")
	}
	if json.Unmarshal(raw, &r) != nil {
		return nil, Errorf(WrongType, "%s: mode, longpollid and data must be strings", name)
	}
	return r, nil
}

// anything is what a method does not look at.
var anything = kind{"anything", "string", true, "", func(_ *chain.Params, _ string, raw json.RawMessage) (any, error) { return raw, nil }}

func (c *call) offers() (*desk, error) {
	if c.desk == nil {
		return nil, Errorf(Misc, "This node hands out no work: start it with --mine-to ADDRESS.")
	}
	return c.desk, nil
}

// BlockTemplate is the result of getblocktemplate (BIP22, BIP23). The coinbase is
// to be used as it is.
type BlockTemplate struct {
	Capabilities []string     `json:"capabilities"`
	Version      uint32       `json:"version"`
	Rules        []string     `json:"rules"`
	Available    struct{}     `json:"vbavailable"`
	Required     uint32       `json:"vbrequired"`
	Previous     chain.Hash   `json:"previousblockhash"`
	Txs          []TemplateTx `json:"transactions"` // behind the coinbase, in this order
	Aux          struct{}     `json:"coinbaseaux"`
	Coinbase     TemplateTx   `json:"coinbasetxn"`
	Poll         string       `json:"longpollid"`
	Target       string       `json:"target"` // on dev and regtest it may be harder than bits
	MinTime      uint32       `json:"mintime"`
	Mutable      []string     `json:"mutable"`
	Nonces       string       `json:"noncerange"`
	MaxSize      int          `json:"sizelimit"`
	Time         uint32       `json:"curtime"`
	Bits         chain.Bits   `json:"bits"`
	Height       uint64       `json:"height"`
}

// TemplateTx is a transaction of a template.
type TemplateTx struct {
	Data    Hex          `json:"data"`
	ID      chain.Hash   `json:"txid"`
	Hash    chain.Hash   `json:"hash"`    // the same: nothing is left out of an id here
	Depends []int        `json:"depends"` // transactions of the template that it spends from; 1 is the first
	Fee     chain.Amount `json:"fee"`     // grains
}

func getBlockTemplate(c *call) (any, error) {
	switch w := argOr(c, 0, templateRequest{}); w.Mode {
	case "", "template":
		return c.blockTemplate(w.Poll)
	case "proposal":
		return c.propose(w.Data)
	}
	return nil, Errorf(InvalidParameter, "Invalid mode")
}

func (c *call) blockTemplate(poll string) (*BlockTemplate, error) {
	d, err := c.offers()
	if err != nil {
		return nil, err
	}
	s, err := d.poll(c.ctx, poll)
	if err != nil {
		return nil, err
	}
	parent, err := c.parent(s.block)
	if err != nil {
		return nil, err
	}
	return d.template(c.Params, s, parent.Time), nil
}

// poll waits if the work that a longpollid names is still the newest.
func (d *desk) poll(ctx context.Context, id string) (*sheet, error) {
	prev, err := chain.ParseHash(fmt.Sprintf("%.64s", id))
	if err != nil { // no id of ours
		return d.current(ctx)
	}
	return d.after(ctx, prev)
}

func (c *call) parent(b *chain.Block) (chain.State, error) {
	v, err := c.view()
	if err != nil {
		return chain.State{}, err
	}
	e, err := v.Entry(b.Header.Prev)
	return e.State, err
}

func (d *desk) template(p *chain.Params, s *sheet, since uint32) *BlockTemplate {
	b := d.issue(s)
	return &BlockTemplate{
		Capabilities: []string{"coinbasetxn", "longpoll", "proposal"}, Rules: []string{}, Mutable: []string{"time"},
		Version: b.Header.Version, Previous: b.Header.Prev, Time: b.Header.Time, Bits: b.Header.Bits,
		Height: b.Coinbase.Height, Target: d.target(b).String(), MinTime: since,
		Poll: fmt.Sprintf("%v%d", b.Header.Prev, s.number), Nonces: "00000000ffffffff", MaxSize: p.MaxBlock,
		Coinbase: TemplateTx{Data: b.Coinbase.Bytes(), ID: b.Coinbase.ID(), Hash: b.Coinbase.ID(), Depends: []int{}},
		Txs:      templateTxs(b.Txs),
	}
}

func templateTxs(txs []*chain.Tx) []TemplateTx {
	list := make([]TemplateTx, len(txs))
	at := make(map[chain.Hash]int, len(txs)) // counted from 1
	for i, t := range txs {
		row := TemplateTx{Data: t.Bytes(), ID: t.ID(), Depends: []int{}, Fee: fee(t)}
		row.Hash = row.ID
		for k := range t.Inputs {
			if n := at[t.Inputs[k].Prev.Tx]; n > 0 && !slices.Contains(row.Depends, n) {
				row.Depends = append(row.Depends, n)
			}
		}
		list[i], at[row.ID] = row, i+1
	}
	return list
}

// fee is what a transaction of a template pays: it was checked, so nothing
// overflows.
func fee(t *chain.Tx) (sum chain.Amount) {
	for i := range t.Inputs {
		sum += t.Inputs[i].Value
	}
	for _, o := range t.Outputs {
		sum -= o.Value
	}
	return sum
}

// submitBlock answers whatever comes with a word: an error would make miners send
// the same again and again.
func submitBlock(c *call) (any, error) {
	if _, err := c.offers(); err != nil {
		return nil, err
	}
	raw, err := hex.DecodeString(arg[string](c, 0))
	if err != nil {
		return string(chain.Malformed), nil
	}
	b, err := chain.DecodeBlock(raw)
	if err != nil {
		return string(chain.KindOf(err)), nil
	}
	if why := c.verdict(b); why != "" {
		return why, nil
	}
	return nil, nil
}

// The words for what is no broken rule (BIP22, and Bitcoin Core's where it has
// none).
const (
	duplicate    = "duplicate"
	inconclusive = "inconclusive" // taken, but it is not on the best chain
	noParent     = "prev-blk-not-found"
	tooNew       = "time-too-new"
	rejected     = "rejected"
	unknownWork  = "unknown-work"
)

// verdict submits a block and says why it is not on the best chain, or nothing.
func (c *call) verdict(b *chain.Block) string {
	err := c.Work.Submit(c.ctx, b)
	kind := chain.KindOf(err)
	switch {
	case err == nil:
		return c.standing(b)
	case kind != "":
		return string(kind)
	case errors.Is(err, node.ErrKnown):
		return duplicate
	case errors.Is(err, node.ErrOrphan):
		return noParent
	case errors.Is(err, node.ErrFuture):
		return tooNew
	case errors.Is(err, node.ErrWeak):
		return inconclusive
	}
	return rejected
}

// standing tells whether a block that was taken is on the best chain.
func (c *call) standing(b *chain.Block) string {
	v, err := c.view()
	if err != nil {
		return rejected
	}
	if id, err := v.At(b.Coinbase.Height); err != nil || id != b.ID() {
		return inconclusive
	}
	return ""
}

// GetWork is the result of getwork without data.
type GetWork struct {
	Data   Hex `json:"data"`   // the header padded as SHA-256 does, the bytes of each word swapped
	Target Hex `json:"target"` // least significant byte first
}

func getWork(c *call) (any, error) {
	d, err := c.offers()
	if err != nil {
		return nil, err
	}
	v := c.visit()
	v.header.Set("X-Long-Polling", longPath)
	if c.args[0] != nil {
		why := c.proven(d, arg[string](c, 0))
		if why != "" {
			v.header.Set("X-Reject-Reason", why)
		}
		return why == "", nil
	}
	s, err := d.next(c.ctx, v)
	if err != nil {
		return nil, err
	}
	b := d.issue(s)
	d.remember(b)
	d.served(v.host, b.Header.Prev)
	target := d.target(b).LittleEndian()
	return &GetWork{Data: pad(b.Header), Target: target[:]}, nil
}

// next is the sheet for a getwork: a plain one never waits, a long poll waits if
// the host has work on the newest tip already.
func (d *desk) next(ctx context.Context, v visit) (*sheet, error) {
	s, err := d.current(ctx)
	if err != nil || !v.long {
		return s, err
	}
	prev, known := d.lastOf(v.host)
	if !known {
		prev = s.block.Header.Prev
	}
	return d.after(ctx, prev)
}

// proven submits a header that came back.
func (c *call) proven(d *desk, data string) string {
	h, err := unpad(data)
	if err != nil {
		return string(chain.Malformed)
	}
	b := d.recall(h)
	if b == nil {
		return unknownWork
	}
	return c.verdict(b)
}

// padded is the length of a header after SHA-256's padding, in bytes.
const padded = 128

// pad is a header as getwork sends it.
func pad(h chain.Header) []byte {
	b := append(h.Append(make([]byte, 0, padded)), 0x80)
	b = append(b, make([]byte, padded-8-len(b))...)
	b = binary.BigEndian.AppendUint64(b, 8*chain.HeaderSize)
	return swapWords(b)
}

// unpad reads the header of what pad made; the padding says nothing.
func unpad(data string) (h chain.Header, err error) {
	b, err := hex.DecodeString(data)
	if err != nil || len(b) != padded && len(b) != chain.HeaderSize {
		return h, errors.New("no header in getwork's form")
	}
	return chain.DecodeHeader(swapWords(b)[:chain.HeaderSize])
}

// swapWords reverses the bytes of each 4-byte word.
func swapWords(b []byte) []byte {
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	return b
}
