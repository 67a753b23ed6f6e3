package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

func walletCommand() *cobra.Command {
	return family("wallet", "Keep keys: create, restore, address, balance",
		walletCreateCommand(), walletRestoreCommand(), walletAddressCommand(), walletBalanceCommand())
}

// purse gives a command the flag that names the wallet.
func purse(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("wallet", "", "the wallet `FILE` (default wallet.json in the data directory)")
	return cmd
}

// maker gives a command the flags of those that make a wallet.
func maker(cmd *cobra.Command) *cobra.Command {
	passphraseFlag(cmd)
	cmd.Flags().Bool("no-passphrase", false, "keep the words in clear: who reads the file can spend")
	return purse(cmd)
}

func walletPath(cmd *cobra.Command) (string, error) {
	if path := text(cmd, "wallet"); path != "" {
		return path, nil
	}
	dir, err := home(cmd)
	return filepath.Join(dir, walletFile), err
}

// openWallet opens the wallet that the flags name.
func openWallet(cmd *cobra.Command) (*wallet.Wallet, error) {
	path, err := walletPath(cmd)
	if err != nil {
		return nil, err
	}
	return wallet.Open(path)
}

func walletCreateCommand() *cobra.Command {
	return maker(&cobra.Command{
		Use: "create", Short: "Make a wallet with new keys", Args: words(),
		Long: "Draws twelve words, from which all keys come, and keeps them in a file under a\n" +
			"passphrase. The words are shown once: write them down.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return makeWallet(cmd, func() (string, error) { return wallet.NewMnemonic(rand.Reader) })
		},
	})
}

func walletRestoreCommand() *cobra.Command {
	cmd := maker(&cobra.Command{
		Use: "restore", Short: "Make a wallet from its words", Args: words(),
		Long: "Makes a wallet from the words of another, which are asked for, or read from\n" +
			"standard input or a file: on a command line others could read them.",
		Example: "  cairn wallet restore --mnemonic-file words.txt --wallet mine.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return makeWallet(cmd, func() (string, error) { return mnemonic(cmd) })
		},
	})
	cmd.Flags().String("mnemonic-file", "", "read the words from this `FILE`")
	return cmd
}

// mnemonic reads the words of a wallet and checks them before anything else is
// asked for.
func mnemonic(cmd *cobra.Command) (words string, err error) {
	if path := text(cmd, "mnemonic-file"); path != "" {
		words, err = secretFile(path)
	} else if _, ok := terminal(cmd); ok {
		words, err = line(cmd, "The words, in their order: ")
	} else if words, err = secret(cmd.InOrStdin()); err != nil {
		err = fmt.Errorf("read the words from standard input: %w", err)
	}
	if err == nil {
		_, err = wallet.Entropy(words)
	}
	return words, err
}

// made is what wallet create and wallet restore answer.
type made struct {
	Mnemonic string `json:"mnemonic"`
	Address  string `json:"address"`
	Network  string `json:"network"`
	Wallet   string `json:"wallet"` // the file
}

func makeWallet(cmd *cobra.Command, words func() (string, error)) error {
	path, err := walletPath(cmd)
	if err != nil {
		return err
	}
	// Known before anybody is asked for anything. Create looks again.
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s; it was left alone, name another file with --wallet", wallet.ErrExists, path)
	}
	p, err := params(cmd)
	if err != nil {
		return err
	}
	phrase, err := words()
	if err != nil {
		return err
	}
	var pass string
	bare := yes(cmd, "no-passphrase")
	if !bare {
		if pass, err = newPassphrase(cmd); err != nil {
			return err
		}
	}
	w, err := wallet.Create(path, p.Name, phrase, pass, wallet.Options{NoPassphrase: bare})
	if err != nil {
		return err
	}
	first, err := w.NextAddress(wallet.Receive)
	if err != nil {
		return err
	}
	m := made{Mnemonic: phrase, Address: p.FormatAddress(first), Network: p.Name, Wallet: path}
	return show(cmd, m, func(out io.Writer) { m.say(out, cmd.Name() == "create") })
}

func (m *made) say(out io.Writer, fresh bool) {
	fmt.Fprintf(out, "A wallet for %s: %s\n\n", m.Network, m.Wallet)
	if fresh {
		fmt.Fprintf(out, "  words    %s\n", m.Mnemonic)
	}
	fmt.Fprintf(out, "  address  %s\n", m.Address)
	if fresh {
		fmt.Fprint(out, "\nWrite the words down and keep them where nobody looks: who has them can spend\nall of it, and without them a lost file or passphrase is lost for good.\n")
	}
}

func walletAddressCommand() *cobra.Command {
	cmd := purse(&cobra.Command{
		Use: "address", Short: "Show an address to be paid at", Args: words(),
		RunE: runAddress,
	})
	cmd.Flags().Bool("new", false, "hand out one that was never shown before")
	return cmd
}

func runAddress(cmd *cobra.Command, _ []string) error {
	w, err := openWallet(cmd)
	if err != nil {
		return err
	}
	p, err := walletParams(cmd, w)
	if err != nil {
		return err
	}
	a, err := latest(w, yes(cmd, "new"))
	if err != nil {
		return err
	}
	result := struct {
		Address string `json:"address"`
	}{p.FormatAddress(a)}
	return show(cmd, result, func(out io.Writer) { fmt.Fprintln(out, result.Address) })
}

// latest is the address that was handed out last, or a new one.
func latest(w *wallet.Wallet, fresh bool) (chain.Address, error) {
	if next := w.Next(wallet.Receive); next > 0 && !fresh {
		return w.Address(wallet.Receive, next-1)
	}
	return w.NextAddress(wallet.Receive)
}

// walletParams are the rules of a wallet's network, found without a node.
func walletParams(cmd *cobra.Command, w *wallet.Wallet) (*chain.Params, error) {
	if text(cmd, "network-file") != "" || origin(cmd, "network") != fromDefault {
		p, err := params(cmd)
		if err != nil {
			return nil, err
		}
		return p, w.For(p.Name)
	}
	p, err := chain.Network(w.Network())
	if err != nil {
		return nil, fmt.Errorf("%s is for %q, which this program does not know: give its --network-file", w.Path(), w.Network())
	}
	return p, nil
}

func walletBalanceCommand() *cobra.Command {
	return asking(purse(&cobra.Command{
		Use: "balance", Short: "Ask a node what the wallet owns", Args: words(),
		RunE: runBalance,
	}))
}

// balance is what a wallet owns, by when it can be spent.
type balance struct {
	Confirmed rpc.Amount `json:"confirmed"` // can be spent now
	Immature  rpc.Amount `json:"immature"`  // mined, not yet old enough
	Pending   rpc.Amount `json:"pending"`   // waits for a block to confirm it
	Total     rpc.Amount `json:"total"`
	Coins     int        `json:"coins"`
	Height    uint64     `json:"height"`
	Network   string     `json:"network"`
}

func runBalance(cmd *cobra.Command, _ []string) error {
	h, err := openHoard(cmd)
	if err != nil {
		return err
	}
	b := balance{Network: h.params.Name, Coins: len(h.coins)}
	if b.Height, err = ask[uint64](cmd.Context(), h.node, "getblockcount"); err != nil {
		return err
	}
	for _, c := range h.coins {
		switch {
		case c.SpentBy != nil: // what comes back of it is pending
		case !c.Mature:
			b.Immature += c.Amount
		default:
			b.Confirmed += c.Amount
		}
	}
	if b.Pending, err = h.pending(cmd.Context()); err != nil {
		return err
	}
	b.Total = b.Confirmed + b.Immature + b.Pending
	return show(cmd, b, b.say)
}

func (b *balance) say(out io.Writer) {
	var t table
	t.row("confirmed", b.Confirmed, "CRN", "can be spent now")
	t.row("immature", b.Immature, "CRN", "mined, to be spent in some blocks")
	t.row("pending", b.Pending, "CRN", "waits for a block")
	t.row("total", b.Total, "CRN", fmt.Sprintf("on %s at height %d", b.Network, b.Height))
	t.write(out, "")
}

// hoard is a wallet together with what a node tells of it.
type hoard struct {
	node   *rpc.Client
	params *chain.Params
	wallet *wallet.Wallet
	mine   map[chain.Address]bool
	coins  []owned
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
	node, err := dial(cmd)
	if err != nil {
		return nil, err
	}
	h := &hoard{node: node, wallet: w, mine: map[chain.Address]bool{}}
	return h, h.fill(cmd.Context())
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
// which have any.
func (h *hoard) look(ctx context.Context, row []chain.Address) (map[chain.Address]bool, error) {
	used := map[chain.Address]bool{}
	for _, a := range row {
		if h.mine[a] {
			continue
		}
		list, err := ask[[]rpc.Coin](ctx, h.node, "getaddresscoins", h.params.FormatAddress(a))
		if err != nil {
			return nil, err
		}
		h.mine[a], used[a] = true, len(list) > 0
		for _, c := range list {
			h.coins = append(h.coins, owned{c, a})
		}
	}
	return used, nil
}

// pending is what transactions of the pool pay us and no other one of them spends
// on.
func (h *hoard) pending(ctx context.Context) (sum rpc.Amount, err error) {
	ids, err := ask[[]chain.Hash](ctx, h.node, "getrawmempool")
	if err != nil {
		return 0, err
	}
	paid, spent := map[chain.OutPoint]rpc.Amount{}, map[chain.OutPoint]bool{}
	for _, id := range ids {
		tx, err := ask[rpc.Tx](ctx, h.node, "getrawtransaction", id, 1)
		if absent(err) {
			continue // a block took it meanwhile
		}
		if err != nil {
			return 0, err
		}
		h.sortOut(&tx, paid, spent)
	}
	for at, value := range paid {
		if !spent[at] {
			sum += value
		}
	}
	return sum, nil
}

func (h *hoard) sortOut(tx *rpc.Tx, paid map[chain.OutPoint]rpc.Amount, spent map[chain.OutPoint]bool) {
	for _, in := range tx.Inputs {
		if in.Tx != nil && in.Index != nil {
			spent[chain.OutPoint{Tx: *in.Tx, Index: *in.Index}] = true
		}
	}
	for _, out := range tx.Outputs {
		if a := out.Script.Hex; len(a) == len(chain.Address{}) && h.mine[chain.Address(a)] {
			paid[chain.OutPoint{Tx: tx.ID, Index: uint32(out.Index)}] = out.Value
		}
	}
}
