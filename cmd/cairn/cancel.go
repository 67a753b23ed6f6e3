package main

import "github.com/spf13/cobra"

func cancelCommand() *cobra.Command {
	return replacing(&cobra.Command{
		Use: "cancel TXID", Short: "Take back a payment that waits",
		Long: "Puts a payment to ourselves, with a higher fee, in the place of one that waits.\n" +
			"Until a block holds it, a miner who heard only of the first may still confirm that:\n" +
			"`cairn wait` tells which of the two it was.",
		Example: "  cairn cancel 3f2a…",
		RunE:    func(cmd *cobra.Command, args []string) error { return runReplace(cmd, args[0], true) },
	})
}
