package main

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

// completionPatience is how long a shell waits for a node that does not answer.
const completionPatience = time.Second

// suggest gives every flag and argument that has few values its completions. What
// is left is a file's name, which shells know best.
func suggest(root *cobra.Command) {
	networks := oneOf(chain.Networks()...)
	eachCommand(root, func(cmd *cobra.Command) {
		cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if words := flagWords(f); words != nil {
				_ = cmd.RegisterFlagCompletionFunc(f.Name, words) // the flag is there, and has none yet
			}
		})
		if cmd.ValidArgsFunction == nil {
			cmd.ValidArgsFunction = argumentWords(cmd)
		}
	})
	_ = root.RegisterFlagCompletionFunc("network", networks)
	_ = root.MarkPersistentFlagDirname("data-dir")
}

// flagWords are what may stand behind a flag, by its name or by what its usage
// calls the value.
func flagWords(f *pflag.Flag) cobra.CompletionFunc {
	value, _ := pflag.UnquoteUsage(f)
	switch {
	case f.Name == "log-level":
		return oneOf("debug", "info", "warn", "error")
	case f.Name == "log-format":
		return oneOf("text", "json")
	case value == "WHO":
		return oneOf("all", "quorum")
	case value == "NODE":
		return labNodes
	case value == "ADDRESS":
		return walletAddresses
	}
	return nil
}

func oneOf(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// firstOnly completes the first argument and none behind it.
func firstOnly(words cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words(cmd, args, begun)
	}
}

// argumentWords are what may stand as the first argument of a command, by what its
// usage calls it.
func argumentWords(cmd *cobra.Command) cobra.CompletionFunc {
	switch {
	case strings.HasPrefix(cmd.Use, "rpc "):
		return firstOnly(oneOf(rpc.Methods()...))
	case strings.Contains(cmd.Use, "TXID"):
		return firstOnly(fromNode(waitingTxs))
	case strings.Contains(cmd.Use, "PEER-ID"):
		return firstOnly(fromNode(peerIDs))
	case strings.Contains(cmd.Use, "FILE"), strings.Contains(cmd.Use, "DIRECTORY"):
		return nil
	}
	return cobra.NoFileCompletions
}

// fromNode asks the node that the flags name. A shell is told nothing of what goes
// wrong.
func fromNode(list func(context.Context, *rpc.Client) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const none = cobra.ShellCompDirectiveNoFileComp
		if configure(cmd) != nil {
			return nil, none
		}
		node, err := dial(cmd)
		if err != nil {
			return nil, none
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionPatience)
		defer cancel()
		words, err := list(ctx, node)
		if err != nil {
			return nil, none
		}
		return words, none
	}
}

func waitingTxs(ctx context.Context, node *rpc.Client) (list []string, err error) {
	ids, err := ask[[]chain.Hash](ctx, node, "getrawmempool")
	for _, id := range ids {
		list = append(list, id.String())
	}
	return list, err
}

func peerIDs(ctx context.Context, node *rpc.Client) (list []string, err error) {
	peers, err := ask[[]rpc.Peer](ctx, node, "getpeerinfo")
	for _, p := range peers {
		list = append(list, rpc.Clean(p.ID)+"\t"+rpc.Clean(p.Address))
	}
	return list, err
}

// labNodes are the nodes of the lab that is up.
func labNodes(cmd *cobra.Command, _ []string, _ string) (names []cobra.Completion, d cobra.ShellCompDirective) {
	l, err := openLab(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, n := range l.Nodes {
		names = append(names, n.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// walletAddresses are those that the wallet handed out, the latest first.
func walletAddresses(cmd *cobra.Command, _ []string, _ string) (list []cobra.Completion, d cobra.ShellCompDirective) {
	const none = cobra.ShellCompDirectiveNoFileComp
	if configure(cmd) != nil {
		return nil, none
	}
	w, err := openWallet(cmd)
	if err != nil {
		return nil, none
	}
	p, err := walletParams(cmd, w)
	if err != nil {
		return nil, none
	}
	next := w.Next(wallet.Receive)
	for i := next; i > next-min(next, wallet.Gap); i-- {
		if a, err := w.Address(wallet.Receive, i-1); err == nil {
			list = append(list, p.FormatAddress(a))
		}
	}
	return list, none
}
