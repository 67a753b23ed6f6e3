package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/converge"
	"cairn/rpc"
)

const (
	waitEvery   = 200 * time.Millisecond // between two looks at a node that tells no events
	waitSeldom  = 2 * time.Second        // and at one that does
	waitTimeout = 10 * time.Minute
	settled     = 6 // confirmations, where nobody says how many
)

func waitCommand() *cobra.Command {
	cmd := asking(&cobra.Command{
		Use: "wait TXID", Short: "Wait until a transaction is so deep on so many nodes",
		Long: "Waits until a transaction (or a block) has a depth on all nodes, on more than half\n" +
			"of them, or on a number of them. Counted are the node that is asked and the peers\n" +
			"that it is connected to or was told to stay connected to; one whose tip is not\n" +
			"known lately has not agreed yet.\n\n" +
			"Exit code 0 says that they agree, 1 that the transaction is ruled out, 2 that\n" +
			"neither is known yet.",
		Example: "  cairn wait TXID --confirmations 3 --nodes all --timeout 1m",
		Args:    words("TXID"),
		RunE:    runWait,
	})
	f := cmd.Flags()
	f.Int64("confirmations", settled, "the `DEPTH` to wait for")
	f.String("nodes", converge.All.String(), "`WHO` must agree: all, quorum or a number of nodes")
	f.Duration("timeout", waitTimeout, "how long to wait; 0 is forever")
	return cmd
}

func runWait(cmd *cobra.Command, args []string) error {
	id, err := idArgument(cmd, args[0])
	if err != nil {
		return err
	}
	w := waiting{id: id, every: waitEvery}
	if w.depth, w.who, err = goal(cmd, "confirmations"); err != nil {
		return err
	}
	w.timeout, err = cmd.Flags().GetDuration("timeout")
	if err != nil {
		return err
	}
	w.dial = func() (*rpc.Client, error) { return dial(cmd) }
	w.note = notes(cmd)
	var down func()
	w.bell, down = hang(cmd.Context(), w.dial)
	defer down()
	result, err := w.run(cmd.Context())
	if err != nil {
		return &unknownError{err}
	}
	result.next = follow(cmd, id)
	if err := show(cmd, result, result.say); err != nil {
		return err
	}
	return result.exit()
}

// goal reads how deep on how many nodes.
func goal(cmd *cobra.Command, name string) (depth int64, who converge.Who, err error) {
	if depth, err = cmd.Flags().GetInt64(name); err != nil {
		return 0, 0, err
	}
	if depth < 0 {
		return 0, 0, misused(cmd, "--%s %d: give a depth from 0 on", name, depth)
	}
	if t, err := cmd.Flags().GetDuration("timeout"); err != nil || t < 0 {
		return 0, 0, misused(cmd, "--timeout %v: give a time like 90s; 0 is forever", text(cmd, "timeout"))
	}
	if who, err = converge.ParseWho(text(cmd, "nodes")); err != nil {
		return 0, 0, misused(cmd, "--nodes: %w", err)
	}
	return depth, who, nil
}

// notes prints progress for people, beside the result.
func notes(cmd *cobra.Command) func(string) {
	if yes(cmd, "json") {
		return func(string) {}
	}
	return func(s string) { fmt.Fprintln(cmd.ErrOrStderr(), printable(s)) }
}

// waiting is one wait for agreement.
type waiting struct {
	dial    func() (*rpc.Client, error) // for each look: a node that comes back may listen elsewhere
	id      chain.Hash
	depth   int64
	who     converge.Who
	timeout time.Duration // 0 is none
	every   time.Duration
	bell    *bell // nil never rings
	note    func(string)
}

// What a wait may end with.
const (
	agreed   = "agreed"
	ruledOut = "ruled out"
	pending  = "pending" // still, when the time was up
	unseen   = "unknown" // the node has never seen it
)

// waited is how a wait stands, and at last how it ended.
type waited struct {
	ID            chain.Hash `json:"txid"`
	Result        string     `json:"result"`
	Confirmations int64      `json:"confirmations"` // asked for
	converge.Verdict
	Depths   []converge.Row `json:"depths"` // of each node that was counted
	Depth    *int64         `json:"depth"`  // on the node that was asked
	Risk     *float64       `json:"risk"`   // that an attacker with usualShare of the work undoes it there
	Conflict *chain.Hash    `json:"conflict,omitempty"`
	Reason   string         `json:"reason,omitempty"`
	Seconds  rpc.Seconds    `json:"seconds"`
	Stopped  bool           `json:"interrupted,omitempty"` // by the user, before the time was up

	next string // the command that goes on waiting
}

// run looks again and again until the result is clear or the time is up. An
// error means that the node could not even be asked once, or refuses.
func (w *waiting) run(ctx context.Context) (end waited, err error) {
	began, user := time.Now(), ctx
	if w.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	last, said := waited{ID: w.id, Result: unseen, Confirmations: w.depth}, ""
	defer func() {
		end.Seconds = rpc.Seconds(time.Since(began))
		end.Stopped = user.Err() != nil && (end.Result == pending || end.Result == unseen)
	}()
	for asked := false; ; {
		now, err := w.look(ctx)
		switch {
		case err == nil:
			last, asked = now, true
		case refused(err), !asked && ctx.Err() == nil:
			return last, err
		}
		if last.Result == agreed || last.Result == ruledOut {
			return last, nil
		}
		if word := last.progress(err); word != said && ctx.Err() == nil {
			w.note(word)
			said = word
		}
		if !w.bell.wait(ctx, w.every, waitSeldom) {
			return last, nil
		}
	}
}

// pause waits, and tells whether there is time left.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func (w *waiting) look(ctx context.Context) (waited, error) {
	node, err := w.dial()
	if err != nil {
		return waited{}, err
	}
	info, err := ask[rpc.ConvergenceInfo](ctx, node, "getconvergence", w.id)
	if absent(err) {
		return waited{ID: w.id, Result: unseen, Confirmations: w.depth}, nil
	}
	return judge(info, w.depth, w.who), err
}

// judge tells how far the nodes have come.
func judge(info rpc.ConvergenceInfo, depth int64, who converge.Who) waited {
	rows := counted(info.Agreement)
	w := waited{
		ID: info.ID, Result: pending, Confirmations: depth, Verdict: converge.Agreed(rows, depth, who),
		Depths: rows, Depth: info.Self.Depth, Risk: riskAt(info.Self.Depth), Conflict: info.Conflict, Reason: rpc.Clean(info.Reason),
	}
	if w.Reason == w.Note {
		w.Reason = "" // said already
	}
	switch {
	case w.Depth != nil && *w.Depth == converge.Off:
		w.Result, w.Yes = ruledOut, false
	case w.Yes:
		w.Result = agreed
	}
	return w
}

// counted are the nodes that "all" and "quorum" mean, the one that was asked
// first.
func counted(a rpc.Agreement) []converge.Row {
	rows := []converge.Row{row(a.Self, true)}
	for _, o := range a.Peers {
		if o.Counted {
			rows = append(rows, row(o, o.Tip != nil && time.Duration(o.Age) < converge.Fresh))
		}
	}
	return rows
}

func row(o rpc.Opinion, fresh bool) converge.Row {
	r := converge.Row{Name: rpc.Clean(o.Peer), Fresh: fresh}
	if o.Depth != nil {
		r.Depth = converge.Depth{N: *o.Depth, Known: true}
	}
	return r
}

// progress is how it stands in a few words; trouble is why we could not look.
func (w *waited) progress(trouble error) string {
	switch {
	case trouble != nil:
		return fmt.Sprintf("the node does not answer, trying again: %v", trouble)
	case w.Result == unseen:
		return "the node has not seen it yet"
	}
	return fmt.Sprintf("depth %d on %d of %s", w.Confirmations, w.Have, count(len(w.Nodes), "node", "nodes"))
}

func (w *waited) exit() error {
	switch w.Result {
	case agreed:
		return nil
	case ruledOut:
		return &verdictError{failed}
	}
	return &verdictError{unknown}
}

// say tells people how it ended, and who was counted.
func (w *waited) say(out io.Writer) {
	after, over := "after "+span(time.Duration(w.Seconds)), "timed out"
	if w.Stopped {
		over = "interrupted"
	}
	switch w.Result {
	case unseen:
		fmt.Fprintf(out, "%s %s: the node has never seen %v; is the id right, and its network the same?\n", over, after, w.ID)
		return
	case ruledOut:
		fmt.Fprintf(out, "ruled out %s: %s\n", after, w.Reason)
	case agreed:
		fmt.Fprintf(out, "%s %s\n", w.progress(nil), after)
	case pending:
		fmt.Fprintf(out, "%s %s: %s, %d needed\n", over, after, w.progress(nil), w.Need)
		if w.Reason != "" {
			fmt.Fprintf(out, "  %s\n", w.Reason)
		}
	}
	fmt.Fprintf(out, "  counted: %s\n", strings.Join(whom(w.Depths), ", "))
	if w.Risk != nil {
		fmt.Fprintf(out, "  at depth %d here the risk that an attacker with %s of the work ever undoes it is %s\n",
			*w.Depth, chance(usualShare), riskWord(depthOf(w.Depth), usualShare))
	}
	if w.Note != "" {
		fmt.Fprintf(out, "  %s\n", w.Note)
	}
	if w.Result == pending && w.next != "" {
		fmt.Fprintf(out, "  %s goes on waiting\n", w.next)
	}
}

// whom names nodes with their depths.
func whom(rows []converge.Row) []string {
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = fmt.Sprintf("%s %v", shortPeer(r.Name), r.Depth)
		if i == 0 {
			list[i] = fmt.Sprintf("this node (%s) %v", shortPeer(r.Name), r.Depth)
		}
		if !r.Fresh {
			list[i] += " (not heard of lately)"
		}
	}
	return list
}

// interrupted tells whether the user asked us to stop.
func interrupted(ctx context.Context) bool { return errors.Is(ctx.Err(), context.Canceled) }
