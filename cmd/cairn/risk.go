package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/converge"
	"cairn/rpc"
)

const (
	wantedRisk  = 0.001 // that few people mind
	maxRisky    = 1e9   // blocks; a deeper depth is a slip of the pen
	riskTimeout = 5 * time.Second
)

// The attackers whom people ask about: shares of all work.
var adversaries = []float64{0.1, 0.25, 0.4}

func riskCommand() *cobra.Command {
	cmd := asking(&cobra.Command{
		Use: "risk", Short: "How safe a depth is against an attacker",
		Long: "Tells how likely an attacker with a share of all work ever undoes a payment that\n" +
			"lies at a depth, and how deep to wait for a wanted risk. Beside the exact value\n" +
			"stand those of Nakamoto's formula, too low where risks are small, and Rosenfeld's.\n" +
			"If a node answers, the stale blocks that it saw are counted too.",
		Example: "  cairn risk\n  cairn risk --depth 6 --adversary 0.1\n  cairn risk --adversary 30% --risk 1e-6 --json",
		Args:    words(),
		RunE:    runRisk,
	})
	f := cmd.Flags()
	f.String("depth", "1,2,3,4,5,6,8,10,15,20,30,60", "how `DEEP` the payment lies, in blocks; several parted by commas")
	f.String("adversary", "0.1,0.25,0.4", "the attacker's `SHARE` of all work, like 0.1 or 10%; several parted by commas")
	f.String("risk", "0.001", "the `PROBABILITY` that you will bear, like 0.001 or 0.1%")
	return cmd
}

func runRisk(cmd *cobra.Command, _ []string) error {
	depths, err := riskDepths(cmd)
	if err != nil {
		return err
	}
	shares, err := riskShares(cmd)
	if err != nil {
		return err
	}
	bear, err := parseShare(text(cmd, "risk"))
	if err != nil || bear <= 0 {
		return misused(cmd, "--risk %q: give a probability above 0 and up to 1", text(cmd, "risk"))
	}
	r := newRisk(depths, shares, bear)
	if r.Stale, err = observed(cmd); err != nil {
		return err
	}
	return show(cmd, r, r.say)
}

func riskDepths(cmd *cobra.Command) (list []int, err error) {
	for s := range strings.SplitSeq(text(cmd, "depth"), ",") {
		z, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || z < 0 || z > maxRisky {
			return nil, misused(cmd, "--depth %q: a depth is a number of blocks from 0 to %.0f", s, maxRisky)
		}
		list = append(list, z)
	}
	return list, nil
}

func riskShares(cmd *cobra.Command) (list []float64, err error) {
	for s := range strings.SplitSeq(text(cmd, "adversary"), ",") {
		q, err := parseShare(s)
		if err != nil {
			return nil, misused(cmd, "--adversary: %w", err)
		}
		list = append(list, q)
	}
	return list, nil
}

// parseShare reads a number between 0 and 1, or a percentage.
func parseShare(s string) (float64, error) {
	digits, percent := strings.CutSuffix(strings.TrimSpace(s), "%")
	f, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if percent {
		f /= 100
	}
	if err != nil || !(f >= 0 && f <= 1) {
		return 0, fmt.Errorf("%q is no share: give a number between 0 and 1, or a percentage", s)
	}
	return f, nil
}

// risk is what the command answers. A question about one depth and one attacker
// has its answer at the top, too.
type risk struct {
	*Odds
	Wanted  float64    `json:"risk"` // to be borne
	Rows    []Odds     `json:"rows"`
	Wait    []riskWait `json:"wait"`
	Stale   *staleRate `json:"stale"` // null if no node was there to ask
	Assumes []string   `json:"assumptions"`
}

// Odds are the risk at one depth from one attacker. Exported, or else no JSON would
// be read into it where it is embedded.
type Odds struct {
	Depth       int     `json:"depth"`
	Adversary   float64 `json:"adversary"`   // share of all work
	Probability float64 `json:"probability"` // that he ever undoes it: the exact value
	Nakamoto    float64 `json:"nakamoto"`
	Rosenfeld   float64 `json:"rosenfeld"`
}

// riskWait is how deep to wait.
type riskWait struct {
	Adversary float64 `json:"adversary"`
	Depth     *int    `json:"depth"` // the first with less than the wanted risk; null if there is none
}

// The assumptions stand in the answer: a probability without them says nothing.
var assumptions = []string{
	"the attacker has this share of all work, for ever, and the others have the rest and follow the branch with the most work",
	"difficulty stands still, and each block takes an exponentially distributed time",
	"he starts on his branch when the payment's block is started; a tie suffices him, which is the same as one block found in advance and a strict lead",
	"he never gives up; for a share of one half or more he always wins in the end",
	"blocks reach everybody at once: stale blocks make the others weaker than that, by about the stale rate",
}

func newRisk(depths []int, shares []float64, wanted float64) *risk {
	r := &risk{Wanted: wanted, Assumes: assumptions}
	for _, q := range shares {
		for _, z := range depths {
			exact := converge.Reversal(q, z)
			r.Rows = append(r.Rows, Odds{z, q, exact, converge.Nakamoto(q, z), exact})
		}
		w := riskWait{Adversary: q}
		if z, ok := converge.DepthFor(q, wanted); ok {
			w.Depth = &z
		}
		r.Wait = append(r.Wait, w)
	}
	if len(r.Rows) == 1 {
		r.Odds = &r.Rows[0]
	}
	return r
}

func (r *risk) say(out io.Writer) {
	if r.Odds != nil {
		r.sayOne(out)
	} else {
		r.table().write(out, "")
	}
	fmt.Fprintln(out)
	for _, w := range r.Wait {
		fmt.Fprintf(out, "for a risk below %s against %s of the work: %s\n", chance(r.Wanted), chance(w.Adversary), w.words())
	}
	fmt.Fprintf(out, "stale blocks: %s\n", r.Stale.words())
	fmt.Fprintf(out, "\nThe exact value is I_4pq(z, 1/2), p = 1 − q, of Grunspan and Pérez-Marco (2018); Rosenfeld's\n"+
		"(2014) is the same number. Nakamoto's (2008) takes the attacker's progress for a Poisson number.\nAssumed:\n")
	for _, a := range r.Assumes {
		fmt.Fprintf(out, "  - %s\n", a)
	}
}

func (r *risk) sayOne(out io.Writer) {
	fmt.Fprintf(out, "An attacker with %s of the work ever undoes a payment %s deep with probability\n",
		chance(r.Adversary), count(r.Depth, "block", "blocks"))
	var t table
	t.row("exact", exactly(r.Probability), chance(r.Probability))
	t.row("Rosenfeld", exactly(r.Rosenfeld), chance(r.Rosenfeld))
	t.row("Nakamoto", exactly(r.Nakamoto), chance(r.Nakamoto))
	t.write(out, "  ")
}

// table has a row for each depth, and two columns for each attacker.
func (r *risk) table() table {
	var t table
	head, under := []any{"DEPTH"}, []any{""}
	for _, w := range r.Wait {
		head = append(head, "q = "+chance(w.Adversary), "")
		under = append(under, "exact", "Nakamoto")
	}
	t.row(head...)
	t.row(under...)
	depths := len(r.Rows) / len(r.Wait)
	for z := range depths {
		row := []any{r.Rows[z].Depth}
		for at := z; at < len(r.Rows); at += depths {
			row = append(row, chance(r.Rows[at].Probability), chance(r.Rows[at].Nakamoto))
		}
		t.row(row...)
	}
	return t
}

func (w riskWait) words() string {
	if w.Depth == nil {
		return "no depth is enough"
	}
	return fmt.Sprintf("wait for depth %d", *w.Depth)
}

// exactly is a probability with all the digits that are worth something.
func exactly(p float64) string { return strconv.FormatFloat(p, 'g', 12, 64) }

// chance is a probability as people see it.
func chance(p float64) string {
	switch {
	case p == 0 || p == 1:
		return fmt.Sprintf("%.0f %%", 100*p)
	case p > 0.9999:
		return "almost 100 %"
	case p < 1e-7:
		return fmt.Sprintf("%.3g", p)
	}
	return strconv.FormatFloat(round(100*p, 5), 'f', -1, 64) + " %"
}

// round keeps so many significant digits.
func round(f float64, digits int) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', digits, 64), 64)
	if err != nil {
		return math.NaN()
	}
	return f
}

// staleRate counts the blocks that a node saw and that are not on its best chain.
type staleRate struct {
	Stale  int     `json:"blocks"`
	Window int     `json:"window"` // heights that were looked at, up to the tip
	Rate   float64 `json:"rate"`   // of all blocks there
}

func (s *staleRate) words() string {
	if s == nil {
		return "no node answers that could have counted them"
	}
	return fmt.Sprintf("%d beside the last %d of the best chain (%s of all)", s.Stale, s.Window, chance(round(s.Rate, 3)))
}

// staleWindow is how far back stale blocks are counted.
const staleWindow = 1000

// observed asks the node for its stale rate. A risk can be told without one.
func observed(cmd *cobra.Command) (*staleRate, error) {
	ctx, cancel := context.WithTimeout(cmd.Context(), riskTimeout)
	defer cancel()
	node, err := dial(cmd)
	if err == nil {
		var s *staleRate
		if s, err = countStale(ctx, node); err == nil {
			return s, nil
		}
	}
	if errors.Is(err, rpc.ErrNoNode) || errors.Is(err, rpc.ErrDenied) {
		return nil, nil
	}
	return nil, err
}

// countStale walks every branch down to the best chain.
func countStale(ctx context.Context, node *rpc.Client) (*staleRate, error) {
	tips, err := ask[[]rpc.Tip](ctx, node, "getchaintips")
	if err != nil {
		return nil, err
	}
	height := uint64(0)
	for _, t := range tips {
		if t.Status == "active" {
			height = t.Height
		}
	}
	window := min(height, staleWindow)
	off := map[chain.Hash]bool{}
	for _, t := range tips {
		if t.Status == "invalid" {
			continue
		}
		if err := walkStale(ctx, node, t, height-window, off); err != nil {
			return nil, err
		}
	}
	s := &staleRate{Stale: len(off), Window: int(window)}
	if all := s.Stale + s.Window; all > 0 {
		s.Rate = float64(s.Stale) / float64(all)
	}
	return s, nil
}

// walkStale notes the blocks of a branch that lie above a height.
func walkStale(ctx context.Context, node *rpc.Client, t rpc.Tip, above uint64, off map[chain.Hash]bool) error {
	at := t.Hash
	for h := t.Height; h > max(above, t.Height-min(t.Branch, t.Height)) && !off[at]; h-- {
		off[at] = true
		head, err := ask[rpc.Header](ctx, node, "getblockheader", at)
		if err != nil {
			return err
		}
		if head.Previous == nil {
			break
		}
		at = *head.Previous
	}
	return nil
}
