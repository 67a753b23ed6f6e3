package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"cairn/chain"
)

// What the program's exit says.
const (
	done    = 0
	failed  = 1
	unknown = 2 // or timed out: nothing is known to have gone wrong
)

// run is the program, from arguments to exit code.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends us at once
	root := rootCommand()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = stoppedBy(err)
	}
	return report(root.ErrOrStderr(), err)
}

// stoppedBy says that the user ended a command. Whether a payment was sent may be
// open all the same, and is said.
func stoppedBy(err error) error {
	if open := (*unknownError)(nil); errors.As(err, &open) {
		return err
	}
	return &unknownError{errors.New("interrupted: nothing is known of what was asked for last")}
}

// report says what went wrong, and turns it into an exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return done
	}
	silent := (*verdictError)(nil)
	if !errors.As(err, &silent) {
		fmt.Fprintf(w, "cairn: %s\n", printable(err.Error()))
	}
	if usage := (*usageError)(nil); errors.As(err, &usage) {
		fmt.Fprintf(w, "Usage: %s\n`%s --help` tells more.\n", usageLine(usage.cmd), usage.cmd.CommandPath())
	}
	if open := (*unknownError)(nil); errors.As(err, &open) {
		return unknown
	}
	if silent != nil {
		return silent.code
	}
	return failed
}

func usageLine(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return cmd.CommandPath() + " COMMAND"
	}
	return cmd.UseLine()
}

// usageError is a call that the command cannot make sense of.
type usageError struct {
	cmd *cobra.Command
	err error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// unknownError leaves open whether what was asked for has happened or will.
type unknownError struct{ err error }

func (e *unknownError) Error() string { return e.err.Error() }
func (e *unknownError) Unwrap() error { return e.err }

// verdictError is an exit code whose reason is printed already, as a result.
type verdictError struct{ code int }

func (e *verdictError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "cairn",
		Short: "A proof-of-work chain that you can watch agree",
		Long: "Cairn runs a miner node, sends transactions, and shows how their confirmation\n" +
			"depth converges on all nodes although no node ever waits for another.",
		SilenceUsage: true, SilenceErrors: true,
		Args: noCommand, RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return configure(cmd) },
	}
	shared(root)
	grouped(root, "node", "Run nodes:", nodeCommand(), labCommand(), mineCommand(), peersCommand())
	grouped(root, "pay", "Pay, and watch it settle:", walletCommand(), sendCommand(), bumpCommand(), cancelCommand(), waitCommand(), watchCommand(), riskCommand())
	grouped(root, "ask", "Ask a node:", statusCommand(), tipsCommand(), blockCommand(), txCommand(), explainCommand(), proofCommand(), verifyProofCommand(), mempoolCommand(), rpcCommand())
	grouped(root, "data", "Look after a node's data:", dbCommand())
	grouped(root, "program", "The program itself:", configCommand(), versionCommand(), manCommand())
	root.SetHelpCommandGroupID("program")
	root.SetCompletionCommandGroupID("program")
	root.SetFlagErrorFunc(badFlag)
	eachCommand(root, blameArguments)
	suggest(root)
	guided(root)
	return root
}

// shared are the flags of every command.
func shared(root *cobra.Command) {
	f := root.PersistentFlags()
	f.Bool("json", false, "print JSON")
	f.String("network", defaultNetwork, "the network: "+strings.Join(chain.Networks(), ", "))
	f.String("network-file", "", "read the network's rules and genesis from this `FILE`")
	f.String("data-dir", "", "the node's own `DIRECTORY` (default ~/.cairn/NETWORK)")
	f.String("config", "", "the config `FILE` (default cairn.toml in the data directory)")
}

func grouped(root *cobra.Command, id, title string, cmds ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: id, Title: title})
	for _, cmd := range cmds {
		cmd.GroupID = id
		root.AddCommand(cmd)
	}
}

// family is a command that only holds others.
func family(use, short string, cmds ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: use, Short: short, Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(cmds...)
	return cmd
}

// noCommand refuses words that are no command of the family, and guesses which one
// was meant.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	cmd.SuggestionsMinimumDistance = slips
	hint := ""
	if close := cmd.SuggestionsFor(args[0]); len(close) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", strings.Join(close, `" or "`))
	}
	return fmt.Errorf("%s has no command %q%s", cmd.CommandPath(), args[0], hint)
}

func eachCommand(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		eachCommand(c, do)
	}
}

// blameArguments marks wrong arguments as the caller's slip.
func blameArguments(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		return
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &usageError{cmd, err}
		}
		return nil
	}
}

// misused makes an error about how a command was called.
func misused(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd, fmt.Errorf(format, args...)}
}

// words asks for exactly these arguments.
func words(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return fmt.Errorf("%s is missing", strings.Join(names[len(args):], " and "))
		case len(args) > len(names):
			return fmt.Errorf("%q is too much: expected %s", args[len(names)], orNothing(names))
		}
		return nil
	}
}

func orNothing(names []string) string {
	if len(names) == 0 {
		return "no argument"
	}
	return strings.Join(names, " ") + " alone"
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			return show(cmd, v, func(w io.Writer) {
				fmt.Fprintf(w, "cairn %s (%s, %s)\n", v.Version, v.Go, v.Platform)
			})
		},
	}
}
