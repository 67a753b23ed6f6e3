package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

func mineCommand() *cobra.Command {
	return family("mine", "Mine on a running node", mineStartCommand(),
		query("stop", "Stop searching for blocks", words(), func(cmd *cobra.Command, node *rpc.Client, _ []string) error {
			if err := node.Call(cmd.Context(), "setgenerate", nil, false); err != nil {
				return err
			}
			return did(cmd, "mining is off")
		}),
		query("status", "The node's own mining, and the network's", words(), mineStatus),
		mineGenerateCommand(), mineBenchCommand())
}

func mineStartCommand() *cobra.Command {
	cmd := query("start", "Search for blocks", words(), func(cmd *cobra.Command, node *rpc.Client, _ []string) error {
		n, err := cmd.Flags().GetInt("threads")
		if err != nil {
			return err
		}
		if err := threads(cmd, n); err != nil {
			return err
		}
		params := []any{true}
		if n != 0 {
			params = append(params, n)
		}
		if err := node.Call(cmd.Context(), "setgenerate", nil, params...); err != nil {
			return err
		}
		return did(cmd, "mining is on")
	})
	cmd.Flags().Int("threads", 0, "how many `THREADS` search (default as many as before)")
	return cmd
}

func mineStatus(cmd *cobra.Command, node *rpc.Client, _ []string) error {
	raw, m, err := answer[rpc.MiningInfo](cmd.Context(), node, "getmininginfo")
	if err != nil {
		return err
	}
	return show(cmd, raw, func(out io.Writer) {
		var t table
		sayMining(&t, &m.Mining, m.Stratum)
		if len(m.Mining.Rates) > 1 {
			t.row("threads", threadWords(m.Mining.Rates))
		}
		t.row("pays", orNobody(m.Pay))
		t.row("network", fmt.Sprintf("%s in all, guessed from its last blocks", rate(uint64(m.NetworkRate))))
		t.row("next", fmt.Sprintf("height %d, bits %v, %s", m.Next.Height, m.Next.Bits, count(m.Pooled, "transaction waits", "transactions wait")))
		t.write(out, "")
	})
}

// threadWords are the rates of all threads, one after the other.
func threadWords(rates []uint64) string {
	words := make([]string, len(rates))
	for i, r := range rates {
		words[i] = rate(r)
	}
	return strings.Join(words, ", ")
}

func orNobody(address string) string {
	if address == "" {
		return "nobody: start the node with --mine-to ADDRESS"
	}
	return address
}

func mineGenerateCommand() *cobra.Command {
	cmd := purse(query("generate N", "Find N blocks now, one after the other", words("N"), mineGenerate))
	positive(cmd, "%q is no number of blocks: give one from 1 on")
	cmd.Flags().String("to", "", "the `ADDRESS` that they pay (default the wallet's; without a wallet the first prefunded, where there is one)")
	return cmd
}

func mineGenerate(cmd *cobra.Command, node *rpc.Client, args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 {
		return misused(cmd, "%q is no number of blocks: give one from 1 on", args[0])
	}
	to := text(cmd, "to")
	if to == "" {
		if to, err = ownAddress(cmd, node); err != nil {
			return err
		}
	}
	ids, err := generate(cmd, node, n, to)
	result := struct {
		Blocks []chain.Hash `json:"blocks"`
		To     string       `json:"to"`
	}{ids, to}
	// What was found is told, even if the rest was not.
	return errors.Join(show(cmd, result, func(out io.Writer) {
		for _, id := range ids {
			fmt.Fprintln(out, id)
		}
	}), err)
}

// beat is how often a bar that waits for blocks should move.
const beat = 250 * time.Millisecond

// generate asks for blocks, as many at a time as the node finds in a beat, and
// shows a person how far it is.
func generate(cmd *cobra.Command, node *rpc.Client, n int, to string) (ids []chain.Hash, err error) {
	step, finish := finding(cmd, n)
	defer finish()
	began := time.Now()
	for some := 1; len(ids) < n; {
		more, err := ask[[]chain.Hash](cmd.Context(), node, "generatetoaddress", some, to)
		ids = append(ids, more...)
		if err != nil || len(more) == 0 {
			return ids, err
		}
		step(len(more))
		each := max(time.Since(began)/time.Duration(len(ids)), time.Microsecond)
		some = min(max(1, int(beat/each)), 2*some, n-len(ids))
	}
	return ids, nil
}

// finding draws a bar of blocks for a person at a terminal, with the time that
// the rest will take.
func finding(cmd *cobra.Command, n int) (step func(int), finish func()) {
	if !isTerminal(cmd.ErrOrStderr()) {
		return func(int) {}, func() {}
	}
	bar := progressbar.NewOptions(n, progressbar.OptionSetWriter(cmd.ErrOrStderr()),
		progressbar.OptionSetDescription("finding blocks"), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString("blocks"), progressbar.OptionSetPredictTime(true),
		progressbar.OptionFullWidth(), progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
	// A bar that cannot be drawn is no reason to stop.
	return func(k int) { _ = bar.Add(k) }, func() { _ = bar.Finish() }
}

// ownAddress is who is paid where nobody is named.
func ownAddress(cmd *cobra.Command, node *rpc.Client) (string, error) {
	p, err := node.Network(cmd.Context())
	if err != nil {
		return "", err
	}
	w, err := openWallet(cmd)
	switch {
	case errors.Is(err, wallet.ErrMissing) && text(cmd, "wallet") == "" && prefunds(p):
		return p.FormatAddress(chain.Prefunded()[0]), nil
	case errors.Is(err, wallet.ErrMissing):
		return "", fmt.Errorf("name who is to be paid with --to ADDRESS: %w", err)
	case err != nil:
		return "", err
	}
	if err := w.For(p.Name); err != nil {
		return "", err
	}
	a, err := latest(w, false)
	return p.FormatAddress(a), err
}
