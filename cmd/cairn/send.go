package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/converge"
	"cairn/rpc"
	"cairn/wallet"
)

const (
	usualFeeRate = 2000 // grains per 1000 bytes: twice what an empty pool asks for
	highFee      = 10   // a fee of more than one part in so many of the payment is a slip
)

func sendCommand() *cobra.Command {
	cmd := asking(purse(&cobra.Command{
		Use: "send ADDRESS {AMOUNT | --all}", Short: "Pay somebody",
		Long: "Asks the node for the wallet's coins, builds and signs the payment here, and hands\n" +
			"it to the node: keys never leave this program.",
		Example: "  cairn send dcrn1… 12.5 --memo \"for the stones\" --wait 3",
		Args: func(cmd *cobra.Command, args []string) error {
			if yes(cmd, "all") {
				return words("ADDRESS")(cmd, args)
			}
			return words("ADDRESS", "AMOUNT")(cmd, args)
		},
		RunE: runSend,
	}))
	passphraseFlag(cmd)
	f := cmd.Flags()
	f.Bool("all", false, "pay all that can be spent, less the fee")
	f.Uint64("fee-rate", usualFeeRate, "fee in `GRAINS` per 1000 bytes; by default more if the pool asks for more")
	f.Bool("allow-high-fee", false, "pay a fee above 10 % of the amount all the same")
	f.String("memo", "", "a `TEXT` of up to 80 bytes that everybody can read, for ever")
	f.Int64("wait", 0, "wait until all nodes have it at this `DEPTH`")
	f.String("nodes", converge.All.String(), "with --wait, `WHO` must agree: all, quorum or a number of nodes")
	f.Duration("timeout", waitTimeout, "with --wait, how long to wait; 0 is forever")
	f.Bool("dry-run", false, "show the payment, send nothing")
	f.Bool("yes", false, "do not ask before sending")
	return cmd
}

// payment is what a send answers.
type payment struct {
	ID      *chain.Hash `json:"txid,omitempty"` // nothing was sent without it
	To      string      `json:"to"`
	Amount  rpc.Amount  `json:"amount"`
	Fee     rpc.Amount  `json:"fee"`
	Change  rpc.Amount  `json:"change"`
	FeeRate uint64      `json:"fee_rate"` // grains per 1000 bytes
	Inputs  int         `json:"inputs"`
	Size    int         `json:"size"` // bytes
	Memo    string      `json:"memo,omitempty"`
	Network string      `json:"network"`
	DryRun  bool        `json:"dry_run,omitempty"`
	Waited  *waited     `json:"waited,omitempty"`
}

func runSend(cmd *cobra.Command, args []string) error {
	depth, _, err := goal(cmd, "wait")
	if err != nil {
		return err
	}
	h, err := openHoard(cmd)
	if err != nil {
		return err
	}
	tx, pay, err := h.build(cmd, args)
	if err != nil {
		return err
	}
	if err := reasonable(pay, yes(cmd, "allow-high-fee")); err != nil {
		return err
	}
	if yes(cmd, "dry-run") {
		pay.DryRun = true
		return show(cmd, pay, pay.say)
	}
	if err := agree(cmd, pay.question()); err != nil {
		return err
	}
	if err := h.sign(cmd, tx, pay); err != nil {
		return err
	}
	if err := h.submit(cmd.Context(), tx); err != nil {
		return err
	}
	if depth > 0 {
		return settle(cmd, h.node, pay)
	}
	return show(cmd, pay, pay.say)
}

// build makes the payment, unsigned.
func (h *hoard) build(cmd *cobra.Command, args []string) (*chain.Tx, *payment, error) {
	to, err := h.params.ParseAddress(args[0])
	if err != nil {
		return nil, nil, misused(cmd, "%w", err)
	}
	var amount chain.Amount
	if !yes(cmd, "all") {
		if amount, err = chain.ParseAmount(args[1]); err != nil {
			return nil, nil, misused(cmd, "%w", err)
		}
		if amount == 0 {
			return nil, nil, misused(cmd, "an amount of 0 pays nobody")
		}
	}
	rate, err := h.feeRate(cmd)
	if err != nil {
		return nil, nil, err
	}
	request, err := h.request(cmd.Context(), rate)
	if err != nil {
		return nil, nil, err
	}
	request.To = []chain.Output{{Value: amount, To: to}}
	request.All, request.Memo = yes(cmd, "all"), []byte(text(cmd, "memo"))
	tx, sum, err := wallet.Build(request)
	if err != nil {
		return nil, nil, h.explain(err)
	}
	return tx, &payment{
		To: args[0], Amount: rpc.Amount(sum.Sent), Fee: rpc.Amount(sum.Fee), Change: rpc.Amount(sum.Change), FeeRate: uint64(rate),
		Inputs: sum.Inputs, Size: sum.Size, Memo: text(cmd, "memo"), Network: h.params.Name,
	}, nil
}

// request says what there is to pay with: coins that the pool does not spend yet.
func (h *hoard) request(ctx context.Context, rate chain.Amount) (wallet.Request, error) {
	height, err := ask[uint64](ctx, h.node, "getblockcount")
	if err != nil {
		return wallet.Request{}, err
	}
	change, err := h.wallet.Address(wallet.Change, h.wallet.Next(wallet.Change))
	r := wallet.Request{Height: height + 1, Maturity: h.params.Maturity, Change: change, FeeRate: rate}
	for _, c := range h.coins {
		if c.SpentBy == nil {
			r.Coins = append(r.Coins, chain.Coin{
				OutPoint: chain.OutPoint{Tx: c.Tx, Index: c.Index}, Value: chain.Amount(c.Amount),
				Owner: c.owner, Height: c.Height, Coinbase: c.Coinbase,
			})
		}
	}
	return r, err
}

// feeRate is what the person asked for, else the usual, or more if the pool is
// full of better payers.
func (h *hoard) feeRate(cmd *cobra.Command) (chain.Amount, error) {
	rate, err := cmd.Flags().GetUint64("fee-rate")
	if err != nil || origin(cmd, "fee-rate") != fromDefault {
		return chain.Amount(rate), err
	}
	info, err := ask[rpc.PoolInfo](cmd.Context(), h.node, "getmempoolinfo")
	return max(chain.Amount(rate), chain.Amount(info.MinFee)), err
}

// explain adds to "not enough" what our own waiting payments hold.
func (h *hoard) explain(err error) error {
	var held rpc.Amount
	for _, c := range h.coins {
		if c.SpentBy != nil {
			held += c.Amount
		}
	}
	if !errors.Is(err, wallet.ErrNotEnough) || held == 0 {
		return err
	}
	return fmt.Errorf("%w; %v CRN more are spent by payments that wait for a block: their change can be spent after it", err, held)
}

// reasonable refuses a fee that looks like a slip.
func reasonable(pay *payment, allowed bool) error {
	if allowed || pay.Fee <= pay.Amount/highFee {
		return nil
	}
	return fmt.Errorf("the fee of %v CRN is above %d %% of the %v CRN to be paid: lower --fee-rate, pay more at once, or say --allow-high-fee",
		pay.Fee, 100/highFee, pay.Amount)
}

// sign unlocks the keys for as long as it takes to sign.
func (h *hoard) sign(cmd *cobra.Command, tx *chain.Tx, pay *payment) error {
	var pass string
	var err error
	if h.wallet.Sealed() {
		if pass, err = oldPassphrase(cmd); err != nil {
			return err
		}
	}
	keys, err := h.wallet.Unlock(pass)
	if err != nil {
		return err
	}
	if err := keys.Sign(tx, h.params.GenesisID()); err != nil {
		return err
	}
	if pay.Change > 0 {
		// Before the node hears of it: a crash in between skips an address, and
		// does not use one twice.
		if _, err := h.wallet.NextAddress(wallet.Change); err != nil {
			return err
		}
	}
	id := tx.ID()
	pay.ID = &id
	return nil
}

// submit hands a payment to the node. We have judged its fee; the node need not.
func (h *hoard) submit(ctx context.Context, tx *chain.Tx) error {
	id, err := ask[chain.Hash](ctx, h.node, "sendrawtransaction", hex.EncodeToString(tx.Bytes()), 0)
	switch {
	case refused(err):
		return fmt.Errorf("the node refuses the payment: %w", err)
	case err != nil:
		return &unknownError{fmt.Errorf("nobody knows whether the node took the payment; `cairn tx %v` will tell: %w", tx.ID(), err)}
	case id != tx.ID():
		return fmt.Errorf("the node answers with another id, %v, than the payment's, %v: do not trust it", id, tx.ID())
	}
	return nil
}

// settle waits for what was sent, and shows both.
func settle(cmd *cobra.Command, node *rpc.Client, pay *payment) error {
	w := waiting{node: node, id: *pay.ID, every: waitEvery, note: notes(cmd)}
	var err error
	if w.depth, w.who, err = goal(cmd, "wait"); err != nil {
		return err
	}
	if w.timeout, err = cmd.Flags().GetDuration("timeout"); err != nil {
		return err
	}
	result, err := w.run(cmd.Context())
	if err != nil {
		return &unknownError{fmt.Errorf("%v was sent, but: %w", pay.ID, err)}
	}
	pay.Waited = &result
	if err := show(cmd, pay, pay.say); err != nil {
		return err
	}
	return result.exit()
}

func (p *payment) question() string {
	return fmt.Sprintf("Send %v CRN to %s, fee %v CRN?", p.Amount, p.To, p.Fee)
}

func (p *payment) say(out io.Writer) {
	if p.DryRun {
		fmt.Fprintln(out, "would send (--dry-run)")
	} else {
		fmt.Fprintf(out, "sent %v\n", p.ID)
	}
	var t table
	t.row("amount", p.Amount, "CRN to "+p.To)
	t.row("fee", p.Fee, fmt.Sprintf("CRN for %d bytes at %d grains per 1000", p.Size, p.FeeRate))
	t.row("change", p.Change, "CRN back to this wallet")
	t.write(out, "  ")
	if p.Waited != nil {
		p.Waited.say(out)
	} else if !p.DryRun {
		fmt.Fprintf(out, "See it settle: cairn wait %v\n", p.ID)
	}
}
