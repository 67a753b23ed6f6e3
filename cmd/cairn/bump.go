package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

func bumpCommand() *cobra.Command {
	return replacing(&cobra.Command{
		Use: "bump TXID", Short: "Pay a higher fee for a payment that waits",
		Long: "Makes the payment again with a higher fee, out of its change, and puts it in the\n" +
			"place of the one that waits: only one of the two can ever be confirmed.",
		Example: "  cairn bump 3f2a… --fee-rate 20000",
		RunE:    func(cmd *cobra.Command, args []string) error { return runReplace(cmd, args[0], false) },
	})
}

// replacing gives a command the arguments and flags of those that replace a payment.
func replacing(cmd *cobra.Command) *cobra.Command {
	cmd.Args = words("TXID")
	asking(purse(cmd))
	passphraseFlag(cmd)
	feeRateFlags(cmd)
	cmd.Flags().Bool("dry-run", false, "show the payment, send nothing")
	cmd.Flags().Bool("yes", false, "do not ask before sending")
	return cmd
}

// successor is what bump and cancel answer.
type successor struct {
	ID       *chain.Hash `json:"txid,omitempty"` // nothing was sent without it
	Replaces chain.Hash  `json:"replaces"`
	Canceled bool        `json:"canceled"`
	Amount   rpc.Amount  `json:"amount"` // to others
	Fee      rpc.Amount  `json:"fee"`
	Before   rpc.Amount  `json:"fee_before"`
	Change   rpc.Amount  `json:"change"`   // back to this wallet
	FeeRate  uint64      `json:"fee_rate"` // grains per 1000 bytes
	Inputs   int         `json:"inputs"`
	Size     int         `json:"size"` // bytes
	Network  string      `json:"network"`
	DryRun   bool        `json:"dry_run,omitempty"`

	next string // the command that shows how it settles
}

func runReplace(cmd *cobra.Command, word string, cancel bool) error {
	id, err := idArgument(cmd, word)
	if err != nil {
		return err
	}
	var result *successor
	err = spending(cmd, func(h *hoard) (err error) {
		result, err = h.replace(cmd, id, cancel)
		return err
	})
	if err != nil {
		return err
	}
	return show(cmd, result, result.say)
}

func (h *hoard) replace(cmd *cobra.Command, id chain.Hash, cancel bool) (*successor, error) {
	ctx := cmd.Context()
	old, leaving, err := h.replaceable(ctx, id)
	if err != nil {
		return nil, err
	}
	r, err := h.replacement(cmd, old, leaving)
	if err != nil {
		return nil, err
	}
	r.Cancel = cancel
	tx, sum, err := wallet.Replace(r)
	if err != nil {
		return nil, h.explain(err, nil)
	}
	s := &successor{
		Replaces: id, Canceled: cancel, Amount: rpc.Amount(sum.Sent), Fee: rpc.Amount(sum.Fee), Before: rpc.Amount(feeOf(old)),
		Change: rpc.Amount(sum.Change), Inputs: sum.Inputs, Size: sum.Size, Network: h.params.Name,
		FeeRate: uint64(sum.Fee) * 1000 / uint64(sum.Size),
	}
	if err := reasonable(s.Fee, s.Amount+s.back(), yes(cmd, "allow-high-fee")); err != nil {
		return nil, err
	}
	if yes(cmd, "dry-run") {
		s.DryRun = true
		return s, nil
	}
	sent, err := h.commit(cmd, tx, &id, s.question())
	s.ID, s.next = &sent, follow(cmd, sent)
	return s, err
}

// back is what a cancelled payment saves: the fee is judged by it.
func (s *successor) back() rpc.Amount {
	if s.Canceled {
		return s.Change
	}
	return 0
}

// replaceable finds a payment that can still be replaced, and the fees that leave
// the pool with it.
func (h *hoard) replaceable(ctx context.Context, id chain.Hash) (tx *chain.Tx, leaving chain.Amount, err error) {
	told, err := ask[rpc.Tx](ctx, h.node, "getrawtransaction", id, 1)
	if absent(err) {
		return h.lost(id)
	}
	if err != nil {
		return nil, 0, err
	}
	if c := told.Confirmations; c != nil && *c > 0 {
		return nil, 0, fmt.Errorf("%v is confirmed, %d deep: nothing can take its place any more", id, *c)
	}
	if tx, err = chain.DecodeTx(told.Hex); err != nil {
		return nil, 0, fmt.Errorf("%v is no payment: %w", id, err)
	}
	if err := h.ours(tx); err != nil {
		return nil, 0, err
	}
	entry, err := ask[rpc.PoolEntry](ctx, h.node, "getmempoolentry", id)
	if absent(err) {
		return nil, 0, h.ruledOut(ctx, id)
	}
	return tx, chain.Amount(entry.Fees.Descendant), err
}

// lost is a payment that the node has forgotten: nothing leaves with it.
func (h *hoard) lost(id chain.Hash) (*chain.Tx, chain.Amount, error) {
	list, err := h.wallet.Records()
	if err != nil {
		return nil, 0, err
	}
	for _, r := range list {
		if r.Tx.ID() == id && r.Made {
			return r.Tx, 0, h.free(r.Tx)
		}
	}
	return nil, 0, fmt.Errorf("neither the node nor this wallet's journal knows the transaction %v: `cairn wallet history` lists what they know", id)
}

// free tells whether a payment's coins are all there.
func (h *hoard) free(tx *chain.Tx) error {
	there := map[chain.OutPoint]*chain.Hash{}
	for _, c := range h.coins {
		there[chain.OutPoint{Tx: c.Tx, Index: c.Index}] = c.SpentBy
	}
	for _, in := range tx.Inputs {
		by, known := there[in.Prev]
		if !known {
			return fmt.Errorf("%v cannot be confirmed any more: a coin that it spends is gone; `cairn wallet history` says what took its place", tx.ID())
		}
		if by != nil {
			return fmt.Errorf("%v was replaced by %v, which waits: name that one", tx.ID(), by)
		}
	}
	return nil
}

// ours refuses a transaction that others made.
func (h *hoard) ours(tx *chain.Tx) error {
	for _, in := range tx.Inputs {
		if !h.mine[in.Owner] {
			return fmt.Errorf("%v spends coins of %s, which is no address of this wallet: only who made a payment can replace it", tx.ID(), h.params.FormatAddress(in.Owner))
		}
	}
	return nil
}

// ruledOut says why a payment of a side branch does not wait.
func (h *hoard) ruledOut(ctx context.Context, id chain.Hash) error {
	a, err := ask[rpc.Agreement](ctx, h.node, "getconvergence", id)
	switch {
	case err != nil:
		return err
	case a.Conflict != nil:
		return fmt.Errorf("%v cannot be confirmed any more: %v spends the same coin, and a block holds it", id, a.Conflict)
	}
	return fmt.Errorf("%v does not wait in the node's pool: %s", id, rpc.Clean(a.Reason))
}

// replacement says what there is to replace a payment with.
func (h *hoard) replacement(cmd *cobra.Command, old *chain.Tx, leaving chain.Amount) (wallet.Replacement, error) {
	rate, err := h.feeRate(cmd)
	if err != nil {
		return wallet.Replacement{}, err
	}
	info, err := ask[rpc.PoolInfo](cmd.Context(), h.node, "getmempoolinfo")
	if err != nil {
		return wallet.Replacement{}, err
	}
	request, err := h.request(cmd.Context(), rate)
	if err != nil {
		return wallet.Replacement{}, err
	}
	back, err := h.changeOf(old)
	return wallet.Replacement{
		Tx: old, Back: back, Leaving: leaving, Step: chain.Amount(max(info.Increment, info.RelayFee)), FeeRate: rate,
		Coins: request.Coins, Height: request.Height, Maturity: request.Maturity, Change: request.Change, Draw: request.Draw,
	}, err
}

// changeOf finds the output that pays an address of our change, or −1.
func (h *hoard) changeOf(tx *chain.Tx) (int, error) {
	for index := range h.wallet.Next(wallet.Change) + wallet.Gap {
		a, err := h.wallet.Address(wallet.Change, index)
		if err != nil {
			return -1, err
		}
		for i, o := range tx.Outputs {
			if o.To == a {
				return i, nil
			}
		}
	}
	return -1, nil
}

func feeOf(tx *chain.Tx) (fee chain.Amount) {
	for _, in := range tx.Inputs {
		fee += in.Value
	}
	for _, o := range tx.Outputs {
		fee -= o.Value
	}
	return fee
}

func (s *successor) question() string {
	if s.Canceled {
		return fmt.Sprintf("Cancel %v for a fee of %v CRN?", s.Replaces, s.Fee)
	}
	return fmt.Sprintf("Raise the fee from %v to %v CRN?", s.Before, s.Fee)
}

func (s *successor) say(out io.Writer) {
	deed := "bumped"
	if s.Canceled {
		deed = "canceled"
	}
	if s.DryRun {
		fmt.Fprintf(out, "would replace %v (--dry-run)\n", s.Replaces)
	} else {
		fmt.Fprintf(out, "%s %v\n  by %v\n", deed, s.Replaces, s.ID)
	}
	var t table
	t.row("amount", s.Amount, "CRN to others")
	t.row("fee", s.Fee, fmt.Sprintf("CRN, before %v; %d bytes at %d grains per 1000", s.Before, s.Size, s.FeeRate))
	t.row("change", s.Change, "CRN back to this wallet")
	t.write(out, "  ")
	if !s.DryRun {
		fmt.Fprintf(out, "See it settle: %s\n", s.next)
	}
}
