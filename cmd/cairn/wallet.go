package main

import (
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
	return family("wallet", "Keep keys: create, restore, address, request, balance, history",
		walletCreateCommand(), walletRestoreCommand(), walletListCommand(), walletAddressCommand(),
		walletRequestCommand(), walletBalanceCommand(), walletHistoryCommand())
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
	cmd := asking(maker(&cobra.Command{
		Use: "restore", Short: "Make a wallet from its words", Args: words(),
		Long: "Makes a wallet from the words of another, which are asked for, or read from\n" +
			"standard input or a file: on a command line others could read them. Then it asks\n" +
			"the node, if one answers, which addresses were used: it stops at twenty in a row\n" +
			"that were not. Without a node, the next command that asks one does this.",
		Example: "  cairn wallet restore --mnemonic-file words.txt --wallet mine.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return makeWallet(cmd, func() (string, error) { return mnemonic(cmd) })
		},
	}))
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
	Found    *found `json:"found,omitempty"`
}

// found is what a node knows of a restored wallet.
type found struct {
	Addresses int        `json:"addresses"` // handed out before
	Coins     int        `json:"coins"`
	Total     rpc.Amount `json:"total"`
}

// search asks the node for what a restored wallet had. The wallet stands without
// it.
func search(cmd *cobra.Command, w *wallet.Wallet) *found {
	h, err := newHoard(cmd, w)
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "used addresses are still to be found; `cairn wallet balance` does it: %v\n", err)
		return nil
	}
	f := &found{Addresses: int(w.Next(wallet.Receive) + w.Next(wallet.Change))}
	for _, c := range h.coins {
		if c.SpentBy == nil {
			f.Coins, f.Total = f.Coins+1, f.Total+c.Amount
		}
	}
	return f
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
	w, err := createWallet(cmd, path, p.Name, phrase)
	if err != nil {
		return err
	}
	first, err := w.NextAddress(wallet.Receive)
	if err != nil {
		return err
	}
	m := made{Mnemonic: phrase, Address: p.FormatAddress(first), Network: p.Name, Wallet: path}
	fresh := cmd.Name() == "create"
	if !fresh {
		m.Found = search(cmd, w)
	}
	return show(cmd, m, func(out io.Writer) { m.say(out, fresh) })
}

func createWallet(cmd *cobra.Command, path, network, phrase string) (w *wallet.Wallet, err error) {
	var pass string
	bare := yes(cmd, "no-passphrase")
	if bare && text(cmd, "passphrase-file") != "" {
		return nil, misused(cmd, "--no-passphrase and --passphrase-file contradict each other: leave one away")
	}
	if !bare {
		if pass, err = newPassphrase(cmd); err != nil {
			return nil, err
		}
	}
	return wallet.Create(path, network, phrase, pass, wallet.Options{NoPassphrase: bare})
}

func (m *made) say(out io.Writer, fresh bool) {
	fmt.Fprintf(out, "A wallet for %s: %s\n\n", m.Network, m.Wallet)
	if fresh {
		fmt.Fprintf(out, "  words    %s\n", m.Mnemonic)
	}
	fmt.Fprintf(out, "  address  %s\n", m.Address)
	if f := m.Found; f != nil {
		fmt.Fprintf(out, "  found    %v CRN in %s; %s used\n", f.Total, count(f.Coins, "coin", "coins"), count(f.Addresses, "address", "addresses"))
	}
	if fresh {
		fmt.Fprint(out, "\nWrite the words down and keep them where nobody looks: who has them can spend\nall of it, and without them a lost file or passphrase is lost for good.\n")
	}
}

// listed is a line of wallet list.
type listed struct {
	Wallet    string `json:"wallet"` // the file
	Network   string `json:"network,omitempty"`
	Sealed    bool   `json:"sealed"`    // needs a passphrase to pay
	Addresses uint32 `json:"addresses"` // handed out
	Error     string `json:"error,omitempty"`
}

func walletListCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the wallets in the data directory", Args: words(),
		Long: "Lists the wallet files in the data directory. Any command takes one of them, or\n" +
			"one from elsewhere, with --wallet FILE; wallet.json is used where none is named.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := home(cmd)
			if err != nil {
				return err
			}
			list, err := listWallets(dir)
			if err != nil {
				return err
			}
			return show(cmd, list, func(out io.Writer) { sayWallets(out, dir, list) })
		},
	}
}

// listWallets opens everything that may be a wallet. A damaged one is named with
// what is wrong.
func listWallets(dir string) ([]listed, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	list := []listed{}
	for _, path := range paths {
		w, err := wallet.Open(path)
		switch {
		case errors.Is(err, wallet.ErrForeign):
		case err != nil:
			list = append(list, listed{Wallet: path, Error: err.Error()})
		default:
			list = append(list, listed{path, w.Network(), w.Sealed(), w.Next(wallet.Receive), ""})
		}
	}
	return list, err
}

func sayWallets(out io.Writer, dir string, list []listed) {
	if len(list) == 0 {
		fmt.Fprintf(out, "no wallet in %s: make one with `cairn wallet create`\n", dir)
	}
	var t table
	for _, w := range list {
		keys := "keys in clear"
		if w.Sealed {
			keys = "needs a passphrase"
		}
		if w.Error != "" {
			keys = w.Error
		}
		t.row(w.Wallet, w.Network, count(int(w.Addresses), "address", "addresses"), keys)
	}
	t.write(out, "")
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
	Confirmed   rpc.Amount `json:"confirmed"`   // can be spent now
	Immature    rpc.Amount `json:"immature"`    // mined, not yet old enough
	Unconfirmed rpc.Amount `json:"unconfirmed"` // waits for a block to confirm it
	Total       rpc.Amount `json:"total"`
	Coins       int        `json:"coins"` // that no waiting payment spends
	Height      uint64     `json:"height"`
	Network     string     `json:"network"`
}

func runBalance(cmd *cobra.Command, _ []string) error {
	h, err := openHoard(cmd)
	if err != nil {
		return err
	}
	b := balance{Network: h.params.Name}
	if b.Height, err = ask[uint64](cmd.Context(), h.node, "getblockcount"); err != nil {
		return err
	}
	for _, c := range h.coins {
		b.count(c.Coin)
	}
	b.Total = b.Confirmed + b.Immature + b.Unconfirmed
	return show(cmd, b, b.say)
}

// count adds a coin. What a waiting payment spends is gone, and what comes back of
// it is unconfirmed.
func (b *balance) count(c rpc.Coin) {
	if c.SpentBy != nil {
		return
	}
	b.Coins++
	switch {
	case c.Confirmations == 0:
		b.Unconfirmed += c.Amount
	case !c.Mature:
		b.Immature += c.Amount
	default:
		b.Confirmed += c.Amount
	}
}

func (b *balance) say(out io.Writer) {
	var t table
	t.row("confirmed", b.Confirmed, "CRN", "can be spent now")
	t.row("immature", b.Immature, "CRN", "mined, to be spent in some blocks")
	t.row("unconfirmed", b.Unconfirmed, "CRN", "waits for a block")
	t.row("total", b.Total, "CRN", fmt.Sprintf("on %s at height %d", b.Network, b.Height))
	t.write(out, "")
}
