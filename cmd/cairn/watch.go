package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/converge"
	"cairn/rpc"
)

const (
	watchEvery  = 300 * time.Millisecond // between two looks at a node that tells no events
	watchSeldom = 5 * time.Second        // and at one that does
	maxWatched  = 8                      // transactions followed where none is named
)

func watchCommand() *cobra.Command {
	cmd := asking(&cobra.Command{
		Use: "watch [TXID…]", Short: "See tips move and depth grow on every node",
		Long: "On a terminal, a screen: each transaction's depth on every node, the nodes' tips,\n" +
			"the fork tree of the last blocks, what happened, and the pace of the chain; press ?\n" +
			"there for help, q to end. Elsewhere, and with --lines, it prints a line whenever a\n" +
			"tip moves and under it the depths; with --json an object for each change.\n\n" +
			"A depth is ? where it is unknown, 0 not confirmed there yet, -1 ruled out there.\n" +
			"Without an id it follows whatever waits in the pool. Ends on Ctrl-C, or at the\n" +
			"depth of --until. Colours are left away if NO_COLOR is set.",
		Example: "  cairn watch\n  cairn watch TXID --until 6\n  cairn watch --json | jq .txs",
		RunE:    runWatch,
	})
	cmd.Flags().Bool("lines", false, "print lines on a terminal, too")
	cmd.Flags().Int64("until", 0, "end when all is at this `DEPTH` on all nodes, or ruled out")
	return cmd
}

func runWatch(cmd *cobra.Command, args []string) error {
	w := watcher{named: len(args) > 0, dial: func() (*rpc.Client, error) { return dial(cmd) }}
	for _, arg := range args {
		id, err := idArgument(cmd, arg)
		if err != nil {
			return err
		}
		w.ids = append(w.ids, id)
	}
	var err error
	if w.until, err = cmd.Flags().GetInt64("until"); err != nil {
		return err
	}
	if w.until < 0 {
		return misused(cmd, "--until %d: give a depth from 0 on; 0 is for ever", w.until)
	}
	if onScreen(cmd) {
		return watchLive(cmd, &w)
	}
	var down func()
	w.bell, down = hang(cmd.Context(), w.dial)
	defer down()
	return w.run(cmd.Context(), watchEvery, func(c *change) error {
		if yes(cmd, "json") {
			return writeJSON(cmd.OutOrStdout(), c, "")
		}
		var b bytes.Buffer
		c.say(&b)
		_, err := io.WriteString(cmd.OutOrStdout(), printable(b.String()))
		return err
	})
}

// onScreen tells whether somebody sits at a terminal that can show a screen.
func onScreen(cmd *cobra.Command) bool {
	_, keys := terminal(cmd)
	return keys && isTerminal(cmd.OutOrStdout()) && os.Getenv("TERM") != "dumb" && !yes(cmd, "json") && !yes(cmd, "lines")
}

// watchLive shows the screen. That the node does not answer is said before there is
// one: later it may come back.
func watchLive(cmd *cobra.Command, w *watcher) error {
	eyes := &nodeLooker{dial: w.dial, pool: follower{named: w.named, ids: w.ids}}
	s := &screen{eyes: eyes, until: w.until, title: "watch"}
	var down func()
	s.bell, down = hang(cmd.Context(), eyes.dial)
	defer down()
	first, err := eyes.look(cmd.Context(), nil)
	if err != nil {
		return err
	}
	s.take(first)
	return live(cmd.Context(), s)
}

// watcher looks again and again and tells of what is new.
type watcher struct {
	dial  func() (*rpc.Client, error)
	node  *rpc.Client  // of this look: one that comes back may listen elsewhere
	ids   []chain.Hash // followed, the oldest first
	named bool         // by the caller: no others are followed
	until int64        // 0 is for ever
	bell  *bell

	tip    chain.Hash // that was seen last
	height uint64
	said   []byte // the last change, without its time
}

// change is what there is to see at one moment.
type change struct {
	Time    time.Time  `json:"time,omitzero"`
	Height  uint64     `json:"height"`
	Tip     chain.Hash `json:"tip"`
	Undone  int        `json:"undone"` // blocks that left the best chain since the last change
	Came    int        `json:"came"`   // blocks that joined it
	Waiting int        `json:"waiting"`
	Nodes   []nodeTip  `json:"nodes"` // the node that is asked first
	Txs     []watched  `json:"txs"`
	Trouble string     `json:"trouble,omitempty"`
}

type nodeTip struct {
	Node   string      `json:"node"`
	Height uint64      `json:"height"`
	Tip    *chain.Hash `json:"tip"`
}

// watched is one transaction's row of the matrix.
type watched struct {
	ID     chain.Hash     `json:"txid"`
	Depths []converge.Row `json:"depths"`
	Risk   *float64       `json:"risk,omitempty"` // that an attacker with usualShare of the work undoes it
	Reason string         `json:"reason,omitempty"`
}

// run ends when the context does, or at the depth that was asked for.
func (w *watcher) run(ctx context.Context, every time.Duration, tell func(*change) error) error {
	for first := true; ; first = false {
		c, err := w.look(ctx)
		switch {
		case interrupted(ctx):
			return nil
		case err != nil && (first || refused(err)):
			return err
		case err != nil:
			c = &change{Height: w.height, Tip: w.tip, Trouble: err.Error()}
		}
		if err := w.tellNew(c, tell); err != nil {
			return err
		}
		if over, err := w.over(c); over {
			return err
		}
		if !w.bell.wait(ctx, every, watchSeldom) {
			return nil
		}
	}
}

// tellNew tells of a change, if it is one.
func (w *watcher) tellNew(c *change, tell func(*change) error) error {
	now, err := json.Marshal(c)
	if err != nil || bytes.Equal(now, w.said) {
		return err
	}
	c.Time, w.said = time.Now(), now
	if c.Undone+c.Came > 0 { // the next look finds the same tips, and no move
		still := *c
		still.Time, still.Undone, still.Came = time.Time{}, 0, 0
		if w.said, err = json.Marshal(&still); err != nil {
			return err
		}
	}
	return tell(c)
}

// over tells whether the depth that was asked for is reached.
func (w *watcher) over(c *change) (bool, error) {
	if len(c.Txs) < len(w.ids) {
		return false, nil
	}
	var depths [][]converge.Row
	for _, tx := range c.Txs {
		depths = append(depths, tx.Depths)
	}
	return over(w.until, depths)
}

// over tells whether every transaction has the depth that was asked for on all
// nodes, or is ruled out here.
func over(until int64, txs [][]converge.Row) (is bool, ruled error) {
	if until <= 0 || len(txs) == 0 {
		return false, nil
	}
	for _, rows := range txs {
		switch here := rows[0].Depth; {
		case here.Known && here.N == converge.Off:
			ruled = &verdictError{failed}
		case !converge.Agreed(rows, until, converge.All).Yes:
			return false, nil
		}
	}
	return true, ruled
}

func (w *watcher) look(ctx context.Context) (c *change, err error) {
	if w.node, err = w.dial(); err != nil {
		return nil, err
	}
	tips, err := ask[rpc.ConvergenceInfo](ctx, w.node, "getconvergence")
	if err != nil {
		return nil, err
	}
	waiting, err := ask[[]chain.Hash](ctx, w.node, "getrawmempool")
	if err != nil {
		return nil, err
	}
	c = &change{Height: tips.Self.Height, Tip: tips.ID, Waiting: len(waiting), Nodes: nodeTips(&tips.Agreement), Txs: []watched{}}
	if err := w.moved(ctx, c); err != nil {
		return nil, err
	}
	w.follow(waiting)
	return c, w.depths(ctx, c)
}

func nodeTips(a *rpc.Agreement) []nodeTip {
	list := []nodeTip{{rpc.Clean(a.Self.Peer), a.Self.Height, a.Self.Tip}}
	for _, o := range a.Peers {
		if o.Counted {
			list = append(list, nodeTip{rpc.Clean(o.Peer), o.Height, o.Tip})
		}
	}
	return list
}

// moved counts the blocks that left and joined the best chain since the last look.
func (w *watcher) moved(ctx context.Context, c *change) error {
	before, height := w.tip, w.height
	w.tip, w.height = c.Tip, c.Height
	if before == (chain.Hash{}) || before == c.Tip {
		return nil
	}
	for at := before; ; c.Undone++ {
		h, err := ask[rpc.Header](ctx, w.node, "getblockheader", at)
		if err != nil {
			return err
		}
		if h.Confirmations > 0 || h.Previous == nil {
			break
		}
		at = *h.Previous
	}
	c.Came = int(c.Height) - int(height) + c.Undone
	return nil
}

// follow takes up what waits, and lets the oldest go where it is too much.
func (w *watcher) follow(waiting []chain.Hash) {
	if w.named {
		return
	}
	for _, id := range waiting {
		if len(w.ids) < maxWatched && !slices.Contains(w.ids, id) {
			w.ids = append(w.ids, id)
		}
	}
}

// depths asks for the depth of what is followed. What is settled on all nodes is
// shown once more and then let go, unless it was named.
func (w *watcher) depths(ctx context.Context, c *change) error {
	var on []chain.Hash
	for _, id := range w.ids {
		info, err := ask[rpc.ConvergenceInfo](ctx, w.node, "getconvergence", id)
		if absent(err) {
			if w.named {
				on = append(on, id)
			}
			continue
		}
		if err != nil {
			return err
		}
		rows := counted(info.Agreement)
		c.Txs = append(c.Txs, watched{ID: id, Depths: rows, Risk: riskOf(rows[0].Depth), Reason: why(&info)})
		if w.named || !converge.Agreed(rows, max(w.until, settled), converge.All).Yes {
			on = append(on, id)
		}
	}
	w.ids = on
	return nil
}

// why is the reason that rules a transaction out here.
func why(info *rpc.ConvergenceInfo) string {
	if d := info.Self.Depth; d != nil && *d == converge.Off {
		return rpc.Clean(info.Reason)
	}
	return ""
}

func (c *change) say(out io.Writer) {
	at := c.Time.Format(time.TimeOnly)
	indent := strings.Repeat(" ", len(at))
	if c.Trouble != "" {
		fmt.Fprintf(out, "%s  the node does not answer: %s\n", at, c.Trouble)
		return
	}
	fmt.Fprintf(out, "%s  height %d %s  %s  %d waiting\n", at, c.Height, short(c.Tip), peersWords(c), c.Waiting)
	if c.Undone > 0 {
		fmt.Fprintf(out, "%s  reorganisation: %s undone, %d came instead\n", indent, count(c.Undone, "block", "blocks"), c.Came)
	}
	for _, tx := range c.Txs {
		risk := ""
		if tx.Risk != nil {
			risk = fmt.Sprintf("  risk %s from %s of the work", riskWord(tx.Depths[0].Depth, usualShare), chance(usualShare))
		}
		fmt.Fprintf(out, "%s  tx %s  depth %s%s\n", indent, short(tx.ID), strings.Join(whom(tx.Depths), ", "), risk)
		if tx.Reason != "" {
			fmt.Fprintf(out, "%s    %s\n", indent, tx.Reason)
		}
	}
}

// peersWords tells where the peers are, each in short.
func peersWords(c *change) string {
	if len(c.Nodes) < 2 {
		return "no peers"
	}
	list := make([]string, len(c.Nodes)-1)
	for i, n := range c.Nodes[1:] {
		switch {
		case n.Tip == nil:
			list[i] = shortPeer(n.Node) + " ?"
		case *n.Tip == c.Tip:
			list[i] = shortPeer(n.Node) + " same"
		default:
			list[i] = fmt.Sprintf("%s %d %s", shortPeer(n.Node), n.Height, short(*n.Tip))
		}
	}
	return "peers " + strings.Join(list, ", ")
}
