package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"

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
		t.row("mining", miningWords(&m.Mining))
		t.row("pays", orNobody(m.Pay))
		t.row("network", fmt.Sprintf("%s in all, guessed from its last blocks", rate(uint64(m.NetworkRate))))
		t.row("next", fmt.Sprintf("height %d, bits %v, %s", m.Next.Height, m.Next.Bits, count(m.Pooled, "transaction waits", "transactions wait")))
		t.write(out, "")
	})
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
	ids, err := ask[[]chain.Hash](cmd.Context(), node, "generatetoaddress", n, to)
	if err != nil {
		return err
	}
	result := struct {
		Blocks []chain.Hash `json:"blocks"`
		To     string       `json:"to"`
	}{ids, to}
	return show(cmd, result, func(out io.Writer) {
		for _, id := range ids {
			fmt.Fprintln(out, id)
		}
	})
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
