package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

const (
	usualDeeds  = 20   // shown
	historyPage = 1000 // of an address, at a time
	buried      = 100  // deep: what stands there is not written down any more
)

// What became of a payment.
const (
	fateConfirmed  = "confirmed"
	fateWaiting    = "waiting"
	fateReturned   = "returned"   // waits again: a reorganisation took its block away
	fateReplaced   = "replaced"   // By pays the same with a higher fee
	fateCanceled   = "canceled"   // By pays us instead
	fateConflicted = "conflicted" // By spends a coin of it, and a block holds that
	fateUndone     = "undone"     // it spends what a payment would have paid in whose place By stands
	fateLost       = "lost"       // nobody holds it
)

// Kinds of deeds.
const (
	deedMined    = "mined"
	deedReceived = "received"
	deedSent     = "sent"
	deedMoved    = "moved" // to ourselves
)

func walletHistoryCommand() *cobra.Command {
	cmd := asking(purse(&cobra.Command{
		Use: "history", Short: "List payments, and what became of those that were undone", Args: words(),
		Long: "Lists what the wallet was paid and paid, the newest first, with confirmations. A\n" +
			"payment that was undone says by what: another one took its place (replaced,\n" +
			"canceled), a block holds another spend of its coin (conflicted), a reorganisation\n" +
			"took its block away and it waits again (returned), or nobody holds it (lost).",
		RunE: runHistory,
	}))
	cmd.Flags().Int("limit", usualDeeds, "show the newest `N`; 0 is all")
	return cmd
}

// deed is what one transaction did to the wallet.
type deed struct {
	ID            chain.Hash  `json:"txid"`
	Kind          string      `json:"kind"`
	Fate          string      `json:"fate"`
	Confirmations int64       `json:"confirmations"` // 0 waits, −1 cannot be confirmed any more
	Risk          *float64    `json:"risk"`          // that an attacker with usualShare of the work undoes it
	Received      rpc.Amount  `json:"received"`
	Spent         rpc.Amount  `json:"spent"`
	Fee           *rpc.Amount `json:"fee,omitempty"` // of one that we paid
	Height        *uint64     `json:"height,omitempty"`
	Block         *chain.Hash `json:"blockhash,omitempty"`
	Time          int64       `json:"time"`         // seconds since 1970
	By            *chain.Hash `json:"by,omitempty"` // what took its place
	To            []string    `json:"to,omitempty"` // others that it pays
	Memo          string      `json:"memo,omitempty"`
	Undone        int         `json:"undone,omitempty"` // blocks of other branches that hold it

	position uint32
}

// chronicle is all that is known of a wallet's payments.
type chronicle struct {
	*hoard
	deeds   map[chain.Hash]*deed
	records map[chain.Hash]wallet.Record
	txs     map[chain.Hash]*chain.Tx
	spends  map[chain.OutPoint]chain.Hash // by deeds that stand or wait

	followers map[chain.Hash]chain.Hash // what we made to replace a payment
}

func runHistory(cmd *cobra.Command, _ []string) error {
	limit, err := cmd.Flags().GetInt("limit")
	if err != nil {
		return err
	}
	if limit < 0 {
		return misused(cmd, "--limit %d: give a number from 0 on; 0 is all", limit)
	}
	h, err := openHoard(cmd)
	if err != nil {
		return err
	}
	c := chronicle{
		hoard: h, deeds: map[chain.Hash]*deed{}, records: map[chain.Hash]wallet.Record{},
		txs: map[chain.Hash]*chain.Tx{}, followers: map[chain.Hash]chain.Hash{},
	}
	list, err := c.tell(cmd.Context(), limit)
	if err != nil {
		return err
	}
	return show(cmd, list, func(out io.Writer) { sayHistory(out, list) })
}

// tell lists the newest deeds, with all that is known of them.
func (c *chronicle) tell(ctx context.Context, limit int) ([]*deed, error) {
	if err := c.read(ctx); err != nil {
		return nil, err
	}
	list := []*deed{}
	for _, d := range c.deeds {
		list = append(list, d)
	}
	slices.SortFunc(list, newestFirst)
	if limit > 0 && len(list) > limit {
		list = list[:limit]
	}
	for _, d := range list {
		if err := c.detail(ctx, d); err != nil {
			return nil, err
		}
		d.Risk = riskAt(&d.Confirmations)
	}
	return list, c.writeDown(list)
}

// newestFirst puts what waits before what is confirmed, and that by its place.
func newestFirst(a, b *deed) int {
	return cmp.Or(
		cmp.Compare(b.Time, a.Time), cmp.Compare(height(b), height(a)),
		cmp.Compare(b.position, a.position), b.ID.Compare(a.ID),
	)
}

func height(d *deed) uint64 {
	if d.Height == nil {
		return 1<<64 - 1
	}
	return *d.Height
}

// read asks the node for the history of every address, and adds what only the
// journal knows.
func (c *chronicle) read(ctx context.Context) error {
	for a := range c.mine {
		if err := c.account(ctx, a); err != nil {
			return err
		}
	}
	list, err := c.wallet.Records()
	if err != nil {
		return err
	}
	for _, r := range list {
		id := r.Tx.ID()
		c.records[id], c.txs[id] = r, r.Tx
		if r.Replaces != nil {
			c.followers[*r.Replaces] = id
		}
	}
	for id, r := range c.records {
		if d := c.unheard(r); c.deeds[id] == nil && d != nil {
			c.deeds[id] = d
		}
	}
	return nil
}

// account adds up what transactions did to an address.
func (c *chronicle) account(ctx context.Context, a chain.Address) error {
	params := []any{c.params.FormatAddress(a), historyPage}
	for {
		page, err := ask[[]rpc.Account](ctx, c.node, "getaddresshistory", params...)
		if err != nil {
			return err
		}
		confirmed := 0
		for _, item := range page {
			c.add(item)
			if item.Height != nil {
				confirmed++
			}
		}
		if confirmed < historyPage {
			return nil
		}
		last := page[len(page)-1]
		params = append(params[:2], *last.Height, *last.Position)
	}
}

func (c *chronicle) add(item rpc.Account) {
	d := c.deeds[item.Tx]
	if d == nil {
		d = &deed{ID: item.Tx, Fate: fateWaiting}
		c.deeds[item.Tx] = d
	}
	d.Received += item.Received
	d.Spent += item.Spent
	if d.Time == 0 || item.Height != nil {
		d.Time = item.Time
	}
	if item.Height != nil {
		d.Fate, d.Confirmations, d.Height, d.Block = fateConfirmed, item.Confirmations, item.Height, item.Block
		d.position = *item.Position
	}
}

// unheard is a payment that no best chain and no pool holds; nil if it is none of
// ours: a journal may have stood beside another wallet before.
func (c *chronicle) unheard(r wallet.Record) *deed {
	d := &deed{ID: r.Tx.ID(), Fate: fateLost, Time: r.Time}
	for _, in := range r.Tx.Inputs {
		if c.mine[in.Owner] {
			d.Spent += rpc.Amount(in.Value)
		}
	}
	for _, o := range r.Tx.Outputs {
		if c.mine[o.To] {
			d.Received += rpc.Amount(o.Value)
		}
	}
	if d.Spent == 0 && d.Received == 0 {
		return nil
	}
	return d
}

// detail fills in what takes a look at the transaction itself.
func (c *chronicle) detail(ctx context.Context, d *deed) error {
	if d.Fate == fateConfirmed && d.position == 0 {
		d.Kind = deedMined
		return nil
	}
	told, err := ask[rpc.Tx](ctx, c.node, "getrawtransaction", d.ID, 1)
	if err != nil && !absent(err) {
		return err
	}
	if err == nil {
		c.look(d, &told)
	}
	tx := c.txs[d.ID]
	if tx == nil {
		return nil // it left chain and pool since we asked, and we never saw it
	}
	c.describe(d, tx)
	if d.Fate == fateLost {
		return c.undone(ctx, d, tx)
	}
	return nil
}

// look takes over what the node tells of a transaction.
func (c *chronicle) look(d *deed, told *rpc.Tx) {
	if tx, err := chain.DecodeTx(told.Hex); err == nil {
		c.txs[d.ID] = tx
	}
	d.Undone = len(told.Blocks)
	if d.Fate == fateConfirmed {
		d.Undone = max(0, d.Undone-1)
	}
	if d.Fate == fateWaiting && d.Undone > 0 {
		d.Fate = fateReturned
	}
}

// describe says what a payment is: who pays whom.
func (c *chronicle) describe(d *deed, tx *chain.Tx) {
	d.Memo = rpc.Clean(string(tx.Memo))
	if d.Spent == 0 {
		d.Kind = deedReceived
		return
	}
	d.Kind = deedMoved
	for _, o := range tx.Outputs {
		if !c.mine[o.To] {
			d.Kind = deedSent
			d.To = append(d.To, c.params.FormatAddress(o.To))
		}
	}
	fee := rpc.Amount(feeOf(tx))
	d.Fee = &fee
}

// undone finds out what took a payment's place.
func (c *chronicle) undone(ctx context.Context, d *deed, tx *chain.Tx) error {
	if err := c.index(ctx); err != nil {
		return err
	}
	for _, in := range tx.Inputs {
		if by, ok := c.spends[in.Prev]; ok && by != d.ID {
			d.By = &by
			d.Fate, d.Confirmations = c.fateBy(d.ID, by)
			return nil
		}
		if done, err := c.undoneWith(ctx, d, in.Prev.Tx); done || err != nil {
			return err
		}
	}
	if by, ok := c.followers[d.ID]; ok {
		d.By = &by
		d.Fate, d.Confirmations = c.fateBy(d.ID, by)
		return nil
	}
	// Not by a payment of ours: the node may know who else spent what was to come.
	a, err := ask[rpc.Agreement](ctx, c.node, "getconvergence", d.ID)
	if absent(err) {
		return nil
	}
	if err == nil && a.Conflict != nil {
		d.Fate, d.By, d.Confirmations = fateConflicted, a.Conflict, -1
	}
	return err
}

// undoneWith tells whether a payment spends what one would have paid that is undone
// itself.
func (c *chronicle) undoneWith(ctx context.Context, d *deed, parent chain.Hash) (bool, error) {
	p := c.deeds[parent]
	if p == nil || p.Fate == fateConfirmed || p.Fate == fateWaiting || p.Fate == fateReturned {
		return false, nil
	}
	if p.Fate == fateLost {
		if err := c.undone(ctx, p, c.txs[parent]); err != nil || p.By == nil {
			return false, err
		}
	}
	d.Fate, d.By, d.Confirmations = fateUndone, p.By, p.Confirmations
	return true, nil
}

// fateBy tells what it means that one of our payments stands in another's place.
func (c *chronicle) fateBy(id, by chain.Hash) (fate string, confirmations int64) {
	if d := c.deeds[by]; d != nil && d.Fate == fateConfirmed {
		confirmations = -1
	}
	if !c.follows(by, id) {
		if confirmations < 0 {
			return fateConflicted, confirmations
		}
		return fateReplaced, confirmations
	}
	for _, o := range c.txs[by].Outputs {
		if !c.mine[o.To] {
			return fateReplaced, confirmations
		}
	}
	return fateCanceled, confirmations
}

// follows tells whether we made a payment to replace another, or one that had
// replaced that.
func (c *chronicle) follows(by, id chain.Hash) bool {
	for range c.records {
		before := c.records[by].Replaces
		if before == nil {
			return false
		}
		if *before == id {
			return true
		}
		by = *before
	}
	return false
}

// index notes which coins our payments spend that stand or wait.
func (c *chronicle) index(ctx context.Context) error {
	if c.spends != nil {
		return nil
	}
	c.spends = map[chain.OutPoint]chain.Hash{}
	for id, d := range c.deeds {
		if d.Spent == 0 || d.Fate != fateConfirmed && d.Fate != fateWaiting && d.Fate != fateReturned {
			continue
		}
		if c.txs[id] == nil {
			told, err := ask[rpc.Tx](ctx, c.node, "getrawtransaction", id, 1)
			if absent(err) {
				continue
			}
			if err != nil {
				return err
			}
			c.look(d, &told)
		}
		if tx := c.txs[id]; tx != nil {
			for _, in := range tx.Inputs {
				c.spends[in.Prev] = id
			}
		}
	}
	return nil
}

// writeDown keeps payments that may still be undone: nobody else would remember
// them then.
func (c *chronicle) writeDown(list []*deed) error {
	var fresh []wallet.Record
	for _, d := range slices.Backward(list) {
		_, known := c.records[d.ID]
		if tx := c.txs[d.ID]; tx != nil && !known && d.Confirmations < buried {
			fresh = append(fresh, wallet.Record{Tx: tx, Time: d.Time})
		}
	}
	return c.wallet.Record(fresh...)
}

func sayHistory(out io.Writer, list []*deed) {
	if len(list) == 0 {
		fmt.Fprintln(out, "nothing was paid yet: `cairn wallet request` asks for something")
	}
	width, risky := 0, false
	for _, d := range list {
		width, risky = max(width, len(d.net())), risky || d.Risk != nil
	}
	for _, d := range list {
		d.say(out, width)
	}
	if risky {
		fmt.Fprintln(out, riskNote)
	}
}

// say tells of one deed; net amounts stand under each other, so many columns wide.
func (d *deed) say(out io.Writer, width int) {
	when := time.Unix(d.Time, 0).UTC().Format("2006-01-02 15:04:05")
	fmt.Fprintf(out, "%s  %-8s  %*s CRN  %s\n", when, d.Kind, width, d.net(), d.state())
	fmt.Fprintf(out, "  %v\n", d.ID)
	if d.By != nil {
		fmt.Fprintf(out, "  by %v\n", d.By)
	}
	for _, to := range d.To {
		fmt.Fprintf(out, "  to %s\n", to)
	}
	if d.Memo != "" {
		fmt.Fprintf(out, "  memo %s\n", d.Memo)
	}
}

// net is what the wallet gained or lost, with its sign.
func (d *deed) net() string {
	if d.Received >= d.Spent {
		return "+" + (d.Received - d.Spent).String()
	}
	return "-" + (d.Spent - d.Received).String()
}

// state is what became of it, in words.
func (d *deed) state() string {
	switch d.Fate {
	case fateConfirmed:
		s := fmt.Sprintf("confirmed, %d deep at height %d, risk %s", d.Confirmations, *d.Height, riskWord(depthOf(&d.Confirmations), usualShare))
		if d.Undone > 0 {
			s += ", after a reorganisation undid it"
		}
		return s
	case fateWaiting:
		return "waits for a block"
	case fateReturned:
		return "back in the pool: a reorganisation took its block away"
	case fateConflicted:
		return "undone: a block holds another payment with the same coin"
	case fateUndone:
		return "undone, with the payment whose change it spends"
	case fateLost:
		return "lost: no block and no pool here holds it; " + d.again()
	}
	if d.Confirmations < 0 {
		return d.Fate + ", for good"
	}
	return d.Fate + ", until a block holds either"
}

// again says how a lost payment comes back.
func (d *deed) again() string {
	if d.Spent == 0 {
		return "who paid can send it again"
	}
	return "`cairn bump` sends it again"
}
