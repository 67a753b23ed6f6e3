package main

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

// hoard is a wallet together with what a node tells of it.
type hoard struct {
	node   *rpc.Client
	params *chain.Params
	wallet *wallet.Wallet
	mine   map[chain.Address]bool
	coins  []owned
	step   func() // after each address that was asked for
}

// owned is a coin and who may spend it.
type owned struct {
	rpc.Coin
	owner chain.Address
}

// openHoard opens the wallet and asks the node for its coins.
func openHoard(cmd *cobra.Command) (*hoard, error) {
	w, err := openWallet(cmd)
	if err != nil {
		return nil, err
	}
	return newHoard(cmd, w)
}

func newHoard(cmd *cobra.Command, w *wallet.Wallet) (*hoard, error) {
	node, err := dial(cmd)
	if err != nil {
		return nil, err
	}
	h := &hoard{node: node, wallet: w, mine: map[chain.Address]bool{}}
	step, finish := progress(cmd, -1, "looking at the wallet's addresses", "addresses")
	defer finish()
	h.step = func() { step(1) }
	return h, h.fill(cmd.Context())
}

// spending opens the wallet for one who wants to pay with it, and runs do. Nobody
// else pays with it meanwhile.
func spending(cmd *cobra.Command, do func(*hoard) error) (err error) {
	w, err := openWallet(cmd)
	if err != nil {
		return err
	}
	if yes(cmd, "dry-run") {
		h, err := newHoard(cmd, w)
		if err != nil {
			return err
		}
		return do(h)
	}
	release, err := w.Lock(cmd.Context())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	h, err := newHoard(cmd, w)
	if err != nil {
		return err
	}
	return do(h)
}

// fill finds every coin of the wallet, on addresses that it does not know to be
// used as well: it may have been restored from its words.
func (h *hoard) fill(ctx context.Context) (err error) {
	if h.params, err = h.node.Network(ctx); err != nil {
		return err
	}
	if err := h.wallet.For(h.params.Name); err != nil {
		return err
	}
	err = h.wallet.Discover(func(row []chain.Address) (map[chain.Address]bool, error) { return h.look(ctx, row) })
	if err != nil {
		return err
	}
	all, err := h.wallet.Addresses(wallet.Gap)
	if err != nil {
		return err
	}
	_, err = h.look(ctx, all)
	return err
}

// look asks for the coins of addresses that were not asked for yet, and tells
// which were ever used.
func (h *hoard) look(ctx context.Context, row []chain.Address) (map[chain.Address]bool, error) {
	used := map[chain.Address]bool{}
	for _, a := range row {
		if h.mine[a] {
			continue
		}
		coins, err := ask[[]rpc.Coin](ctx, h.node, "getaddresscoins", h.params.FormatAddress(a), 0)
		if err != nil {
			return nil, err
		}
		for _, c := range coins {
			h.coins = append(h.coins, owned{c, a})
		}
		h.mine[a] = true
		if used[a], err = h.used(ctx, a, coins); err != nil {
			return nil, err
		}
		h.step()
	}
	return used, nil
}

// used tells whether an address ever had a coin: it may have spent all of them.
func (h *hoard) used(ctx context.Context, a chain.Address, coins []rpc.Coin) (bool, error) {
	if len(coins) > 0 {
		return true, nil
	}
	past, err := ask[[]rpc.Account](ctx, h.node, "getaddresshistory", h.params.FormatAddress(a), 1)
	return len(past) > 0, err
}

// made are the payments that this wallet made, as far as its journal knows.
func (h *hoard) made() (map[chain.Hash]bool, error) {
	list, err := h.wallet.Records()
	ids := map[chain.Hash]bool{}
	for _, r := range list {
		if r.Made {
			ids[r.Tx.ID()] = true
		}
	}
	return ids, err
}

// request says what there is to pay with: confirmed coins that the pool does not
// spend yet.
func (h *hoard) request(ctx context.Context, rate chain.Amount) (wallet.Request, error) {
	height, err := ask[uint64](ctx, h.node, "getblockcount")
	if err != nil {
		return wallet.Request{}, err
	}
	change, err := h.wallet.Address(wallet.Change, h.wallet.Next(wallet.Change))
	r := wallet.Request{Height: height + 1, Maturity: h.params.Maturity, Change: change, FeeRate: rate, Draw: draw()}
	for _, c := range h.coins {
		if c.SpentBy == nil && c.Confirmations > 0 {
			r.Coins = append(r.Coins, c.coin())
		}
	}
	return r, err
}

// build makes a payment, unsigned. Where confirmed coins do not reach, it also
// takes what comes back from payments of our own that still wait: nobody but us
// can undo those.
func (h *hoard) build(r wallet.Request) (*chain.Tx, wallet.Summary, error) {
	tx, sum, err := wallet.Build(r)
	if !errors.Is(err, wallet.ErrNotEnough) {
		return tx, sum, err
	}
	made, failed := h.made()
	if failed != nil {
		return nil, sum, failed
	}
	n := len(r.Coins)
	for _, c := range h.coins {
		if c.SpentBy == nil && c.Confirmations == 0 && made[c.Tx] {
			young := c.coin()
			young.Height = r.Height
			r.Coins = append(r.Coins, young)
		}
	}
	if len(r.Coins) == n {
		return nil, sum, h.explain(err, made)
	}
	tx, sum, err = wallet.Build(r)
	return tx, sum, h.explain(err, made)
}

func (c owned) coin() chain.Coin {
	return chain.Coin{
		OutPoint: chain.OutPoint{Tx: c.Tx, Index: c.Index}, Value: chain.Amount(c.Amount),
		Owner: c.owner, Height: c.Height, Coinbase: c.Coinbase,
	}
}

// draw is a number that nobody can guess.
func draw() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.LittleEndian.Uint64(b[:])
}

// feeRateFlags say how dear a payment may be.
func feeRateFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Uint64("fee-rate", usualFeeRate, "fee in `GRAINS` per 1000 bytes; by default what the node estimates")
	f.Uint("within", 2, "let the node estimate the fee that confirms within so many `BLOCKS`")
	f.Bool("allow-high-fee", false, "pay a fee above 10 % of the amount all the same")
}

// feeRate is what the person asked for, else what the node estimates, or the usual
// where it cannot; and more if the pool is full of better payers.
func (h *hoard) feeRate(cmd *cobra.Command) (chain.Amount, error) {
	rate, err := cmd.Flags().GetUint64("fee-rate")
	if err != nil {
		return 0, err
	}
	info, err := ask[rpc.PoolInfo](cmd.Context(), h.node, "getmempoolinfo")
	if err != nil {
		return 0, err
	}
	if origin(cmd, "fee-rate") != fromDefault {
		if rate < uint64(info.MinFee) {
			err = misused(cmd, "--fee-rate %d: the node's pool takes no less than %d grains per 1000 bytes now", rate, info.MinFee)
		}
		return chain.Amount(rate), err
	}
	within, err := cmd.Flags().GetUint("within")
	if err != nil {
		return 0, err
	}
	guess, err := ask[struct {
		FeeRate rpc.Amount // CRN per 1000 bytes; left out where there is none
	}](cmd.Context(), h.node, "estimatesmartfee", max(1, within))
	if err != nil && !refused(err) {
		return 0, err
	}
	if guess.FeeRate > 0 {
		rate = uint64(guess.FeeRate)
	}
	return max(chain.Amount(rate), chain.Amount(info.MinFee)), nil
}

// explain adds to "not enough" what waits for a block, but for what these made.
func (h *hoard) explain(err error, made map[chain.Hash]bool) error {
	if !errors.Is(err, wallet.ErrNotEnough) {
		return err
	}
	var held, coming rpc.Amount
	for _, c := range h.coins {
		switch {
		case c.Confirmations == 0 && c.SpentBy == nil && !made[c.Tx]:
			coming += c.Amount
		case c.SpentBy != nil && c.Confirmations > 0:
			held += c.Amount
		}
	}
	if held > 0 {
		err = fmt.Errorf("%w; %v CRN more are spent by payments that wait for a block: `cairn wallet history` shows them", err, held)
	}
	if coming > 0 {
		err = fmt.Errorf("%w; %v CRN of unconfirmed coins can be spent when a block holds them", err, coming)
	}
	return err
}

// commit signs a payment and hands it to the node, when the person agrees.
func (h *hoard) commit(cmd *cobra.Command, tx *chain.Tx, replaces *chain.Hash, question string) (chain.Hash, error) {
	if err := agree(cmd, question); err != nil {
		return chain.Hash{}, err
	}
	if err := h.sign(cmd, tx); err != nil {
		return chain.Hash{}, err
	}
	return tx.ID(), h.submit(cmd.Context(), tx, replaces)
}

// sign unlocks the keys for as long as it takes to sign.
func (h *hoard) sign(cmd *cobra.Command, tx *chain.Tx) error {
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
	fresh, err := h.wallet.Address(wallet.Change, h.wallet.Next(wallet.Change))
	if err != nil {
		return err
	}
	for _, o := range tx.Outputs {
		if o.To == fresh {
			// Before the node hears of it: a crash in between skips an address, and
			// does not use one twice.
			_, err := h.wallet.NextAddress(wallet.Change)
			return err
		}
	}
	return nil
}

// submit writes a payment down and hands it to the node. A crash in between leaves
// one in the journal that was never made: history calls it lost, which is true. We
// have judged its fee; the node need not.
func (h *hoard) submit(ctx context.Context, tx *chain.Tx, replaces *chain.Hash) error {
	note := wallet.Record{Tx: tx, Time: time.Now().Unix(), Made: true, Replaces: replaces}
	if err := h.wallet.Record(note); err != nil {
		return err
	}
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
