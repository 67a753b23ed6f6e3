package main

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
)

func blockCommand() *cobra.Command {
	cmd := query("block {ID | HEIGHT}", "A block and its transactions", words("ID or HEIGHT"), func(cmd *cobra.Command, node *rpc.Client, args []string) error {
		id, err := blockID(cmd, node, args[0])
		if err != nil {
			return err
		}
		raw, b, err := answer[rpc.FullBlock](cmd.Context(), node, "getblock", id, 2)
		if absent(err) {
			return &unknownError{fmt.Errorf("the node knows no block %v: `cairn tips` lists the branches that it knows", id)}
		}
		if err != nil {
			return err
		}
		if raw, err = withRisk(raw, &b.Confirmations); err != nil {
			return err
		}
		return show(cmd, raw, func(out io.Writer) { sayBlock(out, &b) })
	})
	return positive(cmd, "height %q is below 0: the genesis has height 0")
}

// blockID reads an id, or asks for the one at a height.
func blockID(cmd *cobra.Command, node *rpc.Client, s string) (chain.Hash, error) {
	if h, err := chain.ParseHash(s); err == nil {
		return h, nil
	}
	height, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return chain.Hash{}, misused(cmd, "%q is neither an id of 64 hex digits nor a height", s)
	}
	h, err := ask[chain.Hash](cmd.Context(), node, "getblockhash", height)
	if refused(err) {
		err = &unknownError{fmt.Errorf("the best chain has no block at height %d: `cairn status` tells how high it is", height)}
	}
	return h, err
}

func sayBlock(out io.Writer, b *rpc.FullBlock) {
	var t table
	t.row("block", b.Hash)
	t.row("height", fmt.Sprintf("%d, %s", b.Height, depthWords(b.Confirmations)))
	if b.Confirmations > 0 {
		t.row("risk", fmt.Sprintf("%s that an attacker with %s of the work ever undoes it", riskWord(depthOf(&b.Confirmations), usualShare), chance(usualShare)))
	}
	t.row("time", moment(b.Time))
	t.row("parent", shortOr(b.Previous, "none: the genesis"))
	t.row("next", shortOr(b.Next, "none"))
	t.row("work", fmt.Sprintf("%s, bits %v, nonce %d", shortWork(b.Work), b.Bits, b.Nonce))
	t.row("size", fmt.Sprintf("%d bytes, %s", b.Size, count(len(b.Body), "transaction", "transactions")))
	if b.Coinbase.Text != "" {
		t.row("tag", rpc.Clean(b.Coinbase.Text))
	}
	t.write(out, "")
	var txs table
	txs.row("TRANSACTION", "PAYS", "FEE", "MEMO")
	for i, tx := range b.Body {
		fee := "mined"
		if i > 0 && tx.Fee != nil {
			fee = tx.Fee.String()
		}
		txs.row(tx.ID, paid(tx), fee, rpc.Clean(tx.MemoText))
	}
	fmt.Fprintln(out)
	txs.write(out, "")
}

func depthWords(confirmations int64) string {
	switch {
	case confirmations < 0:
		return "not on the best chain"
	case confirmations == 0:
		return "not confirmed"
	}
	return count(int(confirmations), "confirmation", "confirmations")
}

func paid(tx *rpc.Tx) (sum rpc.Amount) {
	for _, o := range tx.Outputs {
		sum += o.Value
	}
	return sum
}

func txCommand() *cobra.Command {
	return query("tx TXID", "A transaction, and how deep it is on each node", words("TXID"), func(cmd *cobra.Command, node *rpc.Client, args []string) error {
		id, err := idArgument(cmd, args[0])
		if err != nil {
			return err
		}
		s, err := lookUp(cmd, node, id)
		if err != nil {
			return err
		}
		return show(cmd, s, s.say)
	})
}

// sight is what the command tx answers.
type sight struct {
	ID          chain.Hash           `json:"txid"`
	Depth       *int64               `json:"depth"` // on the node that was asked
	Risk        *float64             `json:"risk"`  // that an attacker with usualShare of the work undoes it there
	Tx          *rpc.Tx              `json:"tx"`    // null if no block and no pool holds it any more
	Convergence *rpc.ConvergenceInfo `json:"convergence"`
}

// lookUp asks for a transaction and its depths. One that left the pool may be
// remembered although nothing holds it.
func lookUp(cmd *cobra.Command, node *rpc.Client, id chain.Hash) (*sight, error) {
	tx, err := ask[*rpc.Tx](cmd.Context(), node, "getrawtransaction", id, 1)
	if err != nil && !absent(err) {
		return nil, err
	}
	info, err := ask[*rpc.ConvergenceInfo](cmd.Context(), node, "getconvergence", id)
	if absent(err) && tx == nil {
		return nil, &unknownError{fmt.Errorf("the node has never seen %v: is the id right, and the network the same?", id)}
	}
	if err != nil && !absent(err) {
		return nil, err
	}
	s := &sight{ID: id, Tx: tx, Convergence: info}
	if info != nil {
		if info.Kind == rpc.KindBlock {
			return nil, misused(cmd, "%v is a block: `cairn block %v` shows it", id, id)
		}
		s.Depth, s.Risk = info.Self.Depth, riskAt(info.Self.Depth)
	}
	return s, nil
}

func (s *sight) say(out io.Writer) {
	fmt.Fprintf(out, "transaction %v\n", s.ID)
	if s.Tx != nil {
		sayTx(out, s.Tx)
	} else {
		fmt.Fprintln(out, "  no block and no pool holds it")
	}
	if s.Convergence == nil {
		return
	}
	if s.Convergence.Reason != "" {
		fmt.Fprintf(out, "  %s\n", rpc.Clean(s.Convergence.Reason))
	}
	fmt.Fprintln(out)
	sayAgreement(out, &s.Convergence.Agreement)
}

func sayTx(out io.Writer, tx *rpc.Tx) {
	var t table
	switch {
	case tx.Block != nil && tx.Height != nil:
		t.row("block", fmt.Sprintf("%v at height %d", tx.Block, *tx.Height))
	default:
		t.row("block", "none yet: it waits in the pool")
	}
	for _, in := range tx.Inputs {
		switch {
		case in.Coinbase != nil:
			t.row("from", "newly mined")
		case in.Tx != nil && in.Index != nil && in.Value != nil:
			t.row("from", fmt.Sprintf("%v CRN of %s (%s:%d)", in.Value, in.Address, short(*in.Tx), *in.Index))
		}
	}
	for _, o := range tx.Outputs {
		t.row("to", fmt.Sprintf("%v CRN to %s", o.Value, o.Script.Address))
	}
	if tx.Fee != nil {
		t.row("fee", fmt.Sprintf("%v CRN for %d bytes, %d grains per 1000", tx.Fee, tx.Size, perKilobyte(*tx.Fee, tx.Size)))
	}
	if len(tx.Memo) > 0 {
		t.row("memo", memoWords(tx))
	}
	t.write(out, "  ")
}

func memoWords(tx *rpc.Tx) string {
	if tx.MemoText != "" {
		return rpc.Clean(tx.MemoText)
	}
	return fmt.Sprintf("%x", []byte(tx.Memo))
}

// sayAgreement draws the depth on every node.
func sayAgreement(out io.Writer, a *rpc.Agreement) {
	var t table
	t.row("NODE", "DEPTH", "RISK", "HEIGHT", "TIP", "HEARD", "")
	t.row("this node", depthWord(a.Self.Depth), riskWord(depthOf(a.Self.Depth), usualShare), a.Self.Height, shortOr(a.Self.Tip, "?"), "now", "")
	for _, o := range a.Peers {
		heard := "never"
		if o.Tip != nil {
			heard = span(time.Duration(o.Age)) + " ago"
		}
		t.row(shortPeer(o.Peer), depthWord(o.Depth), riskWord(depthOf(o.Depth), usualShare), heightWord(o), shortOr(o.Tip, "?"), heard, ifNot(o.Counted, "not counted"))
	}
	t.write(out, "")
	fmt.Fprintf(out, "depth %s on all of %s, %s on more than half\n",
		depthWord(a.All), count(a.Counted, "node", "nodes"), depthWord(a.Quorum))
	fmt.Fprintln(out, riskNote)
}

func heightWord(o rpc.Opinion) string {
	if o.Tip == nil {
		return "?"
	}
	return fmt.Sprint(o.Height)
}
