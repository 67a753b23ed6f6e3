package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"cairn/rpc"
)

func rpcCommand() *cobra.Command {
	cmd := asking(&cobra.Command{
		Use: "rpc METHOD [ARGUMENT…]", Short: "Call any method of the node, with Bitcoin's names",
		Long: "Calls a method of the node and prints its result. Arguments are read as the method\n" +
			"wants them: text as it stands, everything else as JSON; name=value gives one by\n" +
			"name. `cairn rpc help` lists the methods, `cairn rpc help METHOD` tells of one. Put --\n" +
			"before arguments that begin with -.\n\n" +
			"Programs that want to hear of blocks, reorganisations, payments and tips as they\n" +
			"come read the server-sent events at /events; a Last-Event-ID goes on where it stood.\n" +
			"/healthz needs no password: it answers 200 while the node takes in blocks and payments,\n" +
			"and 503 while it does not. Whoever has the password reads there what is wrong.",
		Example: "  cairn rpc getblockhash 0\n  cairn rpc getblock verbosity=2 blockhash=ID\n  cairn rpc getconvergence TXID\n" +
			"  cairn rpc help getconvergence\n" +
			"  curl -N -u \"$(cat ~/.cairn/dev/.cookie)\" http://127.0.0.1:29422/events",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("METHOD is missing: `cairn rpc help` lists them")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			params, err := rpc.Arguments(args[0], args[1:])
			if err != nil {
				return misused(cmd, "%w", err)
			}
			node, err := dial(cmd)
			if err != nil {
				return err
			}
			var raw json.RawMessage
			if err := node.CallRaw(cmd.Context(), args[0], &raw, params); err != nil {
				return err
			}
			return show(cmd, raw, func(out io.Writer) { sayRaw(out, raw) })
		},
	})
	return positive(cmd, "%q begins like a flag: put -- before arguments that begin with -")
}

// sayRaw prints any result: text as it stands, the rest as JSON.
func sayRaw(out io.Writer, raw json.RawMessage) {
	var s string
	if json.Unmarshal(raw, &s) == nil && string(raw) != "null" {
		fmt.Fprintln(out, s)
		return
	}
	_ = writeJSON(out, raw, "  ") // a buffer, and valid JSON
}
