package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"cairn/chain"
	"cairn/lab"
	"cairn/rpc"
)

func labCommand() *cobra.Command {
	return family("lab", "Run many real nodes on this machine", labUpCommand(), labStatusCommand(), labSendCommand())
}

// inLab gives a command the flag that says which lab it means.
func inLab(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().String("dir", "", "the lab's `DIRECTORY` (default ~/.cairn/lab)")
	return cmd
}

func labDir(cmd *cobra.Command) (string, error) {
	if dir := text(cmd, "dir"); dir != "" {
		return dir, nil
	}
	return lab.DefaultDir()
}

func openLab(cmd *cobra.Command) (*lab.Lab, error) {
	dir, err := labDir(cmd)
	if err != nil {
		return nil, err
	}
	return lab.Open(dir)
}

func labUpCommand() *cobra.Command {
	cmd := inLab(&cobra.Command{
		Use: "up", Short: "Start nodes that mine and find each other, and watch them agree",
		Long: "Starts real nodes on loopback, with a genesis of their own and a funded wallet\n" +
			"each, all of them mining. On a terminal it shows them until you press q; elsewhere\n" +
			"it makes one payment, waits until that is three blocks deep on every node, and\n" +
			"ends. With --no-watch it only keeps the nodes up, until Ctrl-C. The next lab in\n" +
			"the same folder begins a new chain and takes the old one's place.",
		Example: "  cairn lab up --nodes 5\n  cairn lab up --no-watch &   # then: cairn lab status",
		Args:    words(),
		RunE:    runLabUp,
	})
	f := cmd.Flags()
	f.Int("nodes", 3, "how many nodes")
	f.String("hashrate", "1M", "hashes a second of all nodes together")
	f.Bool("no-watch", false, "keep the nodes up and show nothing, until Ctrl-C")
	return cmd
}

func runLabUp(cmd *cobra.Command, _ []string) error {
	cfg, err := labConfig(cmd)
	if err != nil {
		return err
	}
	say := cmd.ErrOrStderr()
	fmt.Fprintf(say, "making a network with a genesis of its own …\n")
	planned, err := lab.Plan(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	running, err := planned.Up(cfg)
	defer func() {
		fmt.Fprintf(say, "stopping %s …\n", count(len(running.Nodes), "node", "nodes"))
		if err := running.Down(); err != nil {
			fmt.Fprintf(say, "cairn: %v\n", err)
		}
	}()
	if err != nil {
		return err
	}
	v := newView(running.Lab)
	if err := watchEnds(cmd.Context(), running, v.ready); err != nil {
		return err
	}
	switch {
	case yes(cmd, "no-watch"):
		return stayUp(cmd, running, v)
	case isTerminal(cmd.OutOrStdout()):
		return watchEnds(cmd.Context(), running, v.live)
	}
	return watchEnds(cmd.Context(), running, func(ctx context.Context) error { return demonstrate(ctx, cmd, v) })
}

func labConfig(cmd *cobra.Command) (lab.Config, error) {
	nodes, err := cmd.Flags().GetInt("nodes")
	if err != nil {
		return lab.Config{}, err
	}
	hashrate, err := parseHashrate(text(cmd, "hashrate"))
	if err != nil {
		return lab.Config{}, err
	}
	dir, err := labDir(cmd)
	if err != nil {
		return lab.Config{}, err
	}
	program, err := os.Executable()
	return lab.Config{Dir: dir, Nodes: nodes, HashRate: hashrate, Program: []string{program, "node"}}, err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// watchEnds does something with a lab, until it is done or a node ends that
// nobody stopped.
func watchEnds(ctx context.Context, r *lab.Running, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		select {
		case err := <-r.Ended():
			ended <- err
			cancel()
		case <-ctx.Done():
		}
	}()
	err := do(ctx)
	cancel()
	if lost := <-ended; lost != nil {
		return lost
	}
	return err
}

// stayUp keeps the nodes up until Ctrl-C.
func stayUp(cmd *cobra.Command, r *lab.Running, v *view) error {
	if err := v.showStatus(cmd); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "up; Ctrl-C ends it\n")
	return watchEnds(cmd.Context(), r, func(ctx context.Context) error {
		<-ctx.Done()
		return nil
	})
}

func labStatusCommand() *cobra.Command {
	return inLab(&cobra.Command{
		Use: "status", Short: "Show the nodes of the lab that is up", Args: words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			l, err := openLab(cmd)
			if err != nil {
				return err
			}
			v := newView(l)
			return v.showStatus(cmd)
		},
	})
}

func labSendCommand() *cobra.Command {
	cmd := inLab(&cobra.Command{
		Use: "send [AMOUNT]", Short: "Pay from one node's wallet to another's",
		Example: "  cairn lab send 2.5 --from node1 --to node3",
		Args:    upTo("AMOUNT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			l, err := openLab(cmd)
			if err != nil {
				return err
			}
			amount := "1"
			if len(args) > 0 {
				amount = args[0]
			}
			return labSend(cmd.Context(), cmd, l, amount, cmd.OutOrStdout())
		},
	})
	positive(cmd, negativeAmount)
	f := cmd.Flags()
	f.String("from", "node1", "the `NODE` whose wallet pays")
	f.String("to", "node2", "the `NODE` whose wallet is paid")
	f.String("via", "", "the `NODE` that is asked for coins and hears of the payment first (default the paying one)")
	f.String("memo", "", "a `TEXT` of up to 80 bytes")
	return cmd
}

// labSend is `cairn send` with the flags filled in that name node and wallet.
func labSend(ctx context.Context, cmd *cobra.Command, l *lab.Lab, amount string, out io.Writer) error {
	from, err := l.Find(text(cmd, "from"))
	if err != nil {
		return err
	}
	to, err := l.Find(text(cmd, "to"))
	if err != nil {
		return err
	}
	via, err := l.Find(cmp.Or(text(cmd, "via"), from.Name))
	if err != nil {
		return err
	}
	args := []string{
		"send", to.Address, amount, "--yes", "--memo", text(cmd, "memo"),
		"--wallet", from.Wallet, "--data-dir", via.Dir, "--network-file", l.Network,
	}
	if yes(cmd, "json") {
		args = append(args, "--json")
	}
	send := rootCommand()
	send.SetArgs(args)
	send.SetOut(out)
	send.SetErr(cmd.ErrOrStderr())
	return send.ExecuteContext(ctx)
}

// labDepth is how deep the demonstration waits for its payment.
const labDepth = 3

// demonstrate makes one payment and tells how all nodes come to agree on it.
func demonstrate(ctx context.Context, cmd *cobra.Command, v *view) error {
	out := cmd.OutOrStdout()
	say := func(format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
	if err := v.showStatus(cmd); err != nil {
		return err
	}
	say("waiting until the genesis coins may be spent (height %d) …", labMaturity)
	if err := v.until(ctx, func(s []nodeView) bool { return lowest(s) >= labMaturity }); err != nil {
		return err
	}
	id, err := v.pay(ctx, "12.5")
	if err != nil {
		return err
	}
	say("node1 pays node2 12.5 CRN: %v", id)
	for i, n := range v.lab.Nodes {
		w := waiting{dial: staying(v.clients[i]), id: id, depth: labDepth, timeout: labPatience, every: waitEvery, note: func(s string) { say("  %s: %s", n.Name, s) }}
		result, err := w.run(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: ", n.Name)
		result.say(out)
		if err := result.exit(); err != nil {
			return err
		}
	}
	return v.sameBlock(ctx, out, id)
}

const (
	labMaturity = 2 // the next block is the third: genesis coins are mature in it
	labPatience = 45 * time.Second
)

// sameBlock shows that the payment's block is the same on every node.
func (v *view) sameBlock(ctx context.Context, out io.Writer, id chain.Hash) error {
	var t table
	t.row("node", "payment's block", "at height", "id at that height", "tip", "height")
	var first chain.Hash
	for i, n := range v.lab.Nodes {
		at, err := placeOf(ctx, v.clients[i], id)
		if err != nil {
			return fmt.Errorf("%s: %w", n.Name, err)
		}
		if i == 0 {
			first = at.Block
		}
		if at.Block != first || at.There != first {
			return fmt.Errorf("%s has the payment in %v, node1 in %v", n.Name, at.Block, first)
		}
		t.row(n.Name, short(at.Block), at.Height, short(at.There), short(at.Status.Tip), at.Status.Height)
	}
	t.write(out, "")
	fmt.Fprintf(out, "%s\n", everybody(len(v.lab.Nodes)))
	return nil
}

func everybody(nodes int) string {
	if nodes == 1 {
		return "the one node agrees with itself."
	}
	return fmt.Sprintf("all %d nodes agree.", nodes)
}

// place is where a node has a transaction.
type place struct {
	Block  chain.Hash
	Height uint64
	There  chain.Hash // the block at that height of its best chain
	Status rpc.Status
}

func placeOf(ctx context.Context, node *rpc.Client, id chain.Hash) (p place, err error) {
	tx, err := ask[struct {
		Block chain.Hash `json:"blockhash"`
	}](ctx, node, "getrawtransaction", id, 1)
	if err != nil {
		return p, err
	}
	p.Block = tx.Block
	header, err := ask[struct {
		Height uint64 `json:"height"`
	}](ctx, node, "getblockheader", p.Block)
	if err != nil {
		return p, err
	}
	p.Height = header.Height
	if p.There, err = ask[chain.Hash](ctx, node, "getblockhash", p.Height); err != nil {
		return p, err
	}
	p.Status, err = ask[rpc.Status](ctx, node, "getstatus")
	return p, err
}
