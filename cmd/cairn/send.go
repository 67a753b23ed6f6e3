package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/converge"
	"cairn/rpc"
)

const (
	usualFeeRate = 2000 // grains per 1000 bytes where the node gives no estimate: twice what an empty pool asks for
	highFee      = 10   // a fee of more than one part in so many of the payment is a slip
)

func sendCommand() *cobra.Command {
	cmd := asking(purse(&cobra.Command{
		Use: "send ADDRESS {AMOUNT | --all}", Short: "Pay somebody",
		Long: "Asks the node for the wallet's coins, builds and signs the payment here, and hands\n" +
			"it to the node: keys never leave this program. ADDRESS may be a payment request\n" +
			"(cairn:…), which may name the amount.",
		Example: "  cairn send dcrn1… 12.5 --memo \"for the stones\" --wait 3\n" +
			"  cairn send 'cairn:dcrn1…?amount=12.5&label=Rosa'",
		Args: func(cmd *cobra.Command, args []string) error {
			if yes(cmd, "all") || len(args) == 1 && isURI(args[0]) {
				return words("ADDRESS")(cmd, args)
			}
			return words("ADDRESS", "AMOUNT")(cmd, args)
		},
		RunE: runSend,
	}))
	positive(cmd, negativeAmount)
	passphraseFlag(cmd)
	feeRateFlags(cmd)
	f := cmd.Flags()
	f.Bool("all", false, "pay all that can be spent, less the fee")
	f.String("memo", "", "a `TEXT` of up to 80 bytes that everybody can read, for ever")
	f.Int64("wait", 0, "wait until all nodes have it at this `DEPTH`")
	f.String("nodes", converge.All.String(), "with --wait, `WHO` must agree: all, quorum or a number of nodes")
	f.Duration("timeout", waitTimeout, "with --wait, how long to wait; 0 is forever")
	f.Bool("dry-run", false, "show the payment, send nothing")
	f.Bool("sign-only", false, "sign and print it in hex, send nothing: a node's page takes it, or cairn rpc sendrawtransaction")
	f.Bool("yes", false, "do not ask before sending; without a terminal nobody is asked")
	return cmd
}

// payment is what a send answers.
type payment struct {
	ID      *chain.Hash `json:"txid,omitempty"` // nothing was sent without it
	To      string      `json:"to"`
	Label   string      `json:"label,omitempty"` // of the payment request
	Amount  rpc.Amount  `json:"amount"`
	Fee     rpc.Amount  `json:"fee"`
	Change  rpc.Amount  `json:"change"`
	FeeRate uint64      `json:"fee_rate"` // grains per 1000 bytes
	Inputs  int         `json:"inputs"`
	Size    int         `json:"size"` // bytes
	Memo    string      `json:"memo,omitempty"`
	Network string      `json:"network"`
	DryRun  bool        `json:"dry_run,omitempty"`
	Hex     rpc.Hex     `json:"hex,omitempty"` // signed, not sent
	Waited  *waited     `json:"waited,omitempty"`

	next string // the command that shows how it settles
}

func runSend(cmd *cobra.Command, args []string) error {
	depth, _, err := goal(cmd, "wait")
	if err != nil {
		return err
	}
	var node *rpc.Client
	var pay *payment
	err = spending(cmd, func(h *hoard) (err error) {
		node = h.node
		pay, err = h.send(cmd, args)
		return err
	})
	if err != nil {
		return err
	}
	if depth > 0 && pay.ID != nil {
		return settle(cmd, node, pay)
	}
	return show(cmd, pay, pay.say)
}

func (h *hoard) send(cmd *cobra.Command, args []string) (*payment, error) {
	tx, pay, err := h.pay(cmd, args)
	if err != nil {
		return nil, err
	}
	if err := reasonable(pay.Fee, pay.Amount, yes(cmd, "allow-high-fee")); err != nil {
		return nil, err
	}
	if yes(cmd, "dry-run") {
		pay.DryRun = true
		return pay, nil
	}
	if yes(cmd, "sign-only") {
		err := h.sign(cmd, tx)
		pay.Hex = tx.Bytes()
		return pay, err
	}
	id, err := h.commit(cmd, tx, nil, pay.question())
	pay.ID, pay.next = &id, follow(cmd, id)
	return pay, err
}

// order is what a person asks to be paid.
type order struct {
	invoice
	to     chain.Address
	amount chain.Amount // 0 with --all
}

// readOrder reads ADDRESS and AMOUNT. The address may be a payment request, which
// may name the amount.
func (h *hoard) readOrder(cmd *cobra.Command, args []string) (o order, err error) {
	o.invoice = invoice{Address: args[0]}
	if isURI(args[0]) {
		if o.invoice, err = parseURI(args[0]); err != nil {
			return o, misused(cmd, "%w", err)
		}
	}
	if o.to, err = h.params.ParseAddress(o.Address); err != nil {
		return o, misused(cmd, "%w", err)
	}
	asked := chain.Amount(o.Amount)
	switch {
	case yes(cmd, "all"):
		return o, nil
	case len(args) == 1 && asked == 0:
		return o, misused(cmd, "AMOUNT is missing: the payment request leaves it to you")
	case len(args) == 1:
		o.amount = asked
		return o, nil
	}
	if o.amount, err = someAmount(cmd, args[1]); err != nil {
		return o, err
	}
	if asked > 0 && asked != o.amount {
		return o, misused(cmd, "the payment request asks for %v CRN, not for %v: leave AMOUNT out, or pay to its address %s", asked, o.amount, o.Address)
	}
	return o, nil
}

// pay makes the payment, unsigned.
func (h *hoard) pay(cmd *cobra.Command, args []string) (*chain.Tx, *payment, error) {
	o, err := h.readOrder(cmd, args)
	if err != nil {
		return nil, nil, err
	}
	rate, err := h.feeRate(cmd)
	if err != nil {
		return nil, nil, err
	}
	request, err := h.request(cmd.Context(), rate)
	if err != nil {
		return nil, nil, err
	}
	request.To = []chain.Output{{Value: o.amount, To: o.to}}
	request.All, request.Memo = yes(cmd, "all"), []byte(text(cmd, "memo"))
	tx, sum, err := h.build(request)
	if err != nil {
		return nil, nil, err
	}
	return tx, &payment{
		To: o.Address, Label: rpc.Clean(o.Label), Amount: rpc.Amount(sum.Sent), Fee: rpc.Amount(sum.Fee),
		Change: rpc.Amount(sum.Change), FeeRate: uint64(rate), Inputs: sum.Inputs, Size: sum.Size,
		Memo: text(cmd, "memo"), Network: h.params.Name,
	}, nil
}

// reasonable refuses a fee that looks like a slip.
func reasonable(fee, amount rpc.Amount, allowed bool) error {
	if allowed || fee <= amount/highFee {
		return nil
	}
	return fmt.Errorf("the fee of %v CRN is above %d %% of the %v CRN to be paid: lower --fee-rate, pay more at once, or say --allow-high-fee",
		fee, 100/highFee, amount)
}

// follow is the command that waits for a payment on the node that took it.
func follow(cmd *cobra.Command, id chain.Hash) string {
	line := fmt.Sprintf("cairn wait %v", id)
	for _, flag := range []string{"network", "data-dir", "rpc", "cookie"} {
		if origin(cmd, flag) == fromCommandLine {
			line += fmt.Sprintf(" --%s %s", flag, text(cmd, flag))
		}
	}
	return line
}

// settle waits for what was sent, and shows both.
func settle(cmd *cobra.Command, node *rpc.Client, pay *payment) error {
	w := waiting{dial: staying(node), id: *pay.ID, every: waitEvery, note: notes(cmd)}
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
	result.next = pay.next
	pay.Waited = &result
	if err := show(cmd, pay, pay.say); err != nil {
		return err
	}
	return result.exit()
}

func (p *payment) question() string {
	to := p.To
	if p.Label != "" {
		to = fmt.Sprintf("%s (%s)", to, p.Label)
	}
	return fmt.Sprintf("Send %v CRN to %s, fee %v CRN?", p.Amount, to, p.Fee)
}

func (p *payment) say(out io.Writer) {
	switch {
	case p.DryRun:
		fmt.Fprintln(out, "would send (--dry-run)")
	case p.ID == nil:
		fmt.Fprintf(out, "signed, not sent:\n%x\n", []byte(p.Hex))
	default:
		fmt.Fprintf(out, "sent %v\n", p.ID)
	}
	var t table
	t.row("amount", p.Amount, "CRN to "+p.To)
	t.row("fee", p.Fee, fmt.Sprintf("CRN for %d bytes at %d grains per 1000", p.Size, p.FeeRate))
	t.row("change", p.Change, "CRN back to this wallet")
	t.write(out, "  ")
	if p.Waited != nil {
		p.Waited.say(out)
	} else if p.ID != nil {
		fmt.Fprintf(out, "See it settle: %s\n", p.next)
	}
}
