package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"cairn/node"
	"cairn/rpc"
)

// progress shows a person at a terminal that work goes on: how much of all is done
// (-1 is not known), how fast, and the time that is left. It vanishes at the end.
func progress(cmd *cobra.Command, all int64, what, units string) (step func(int), finish func()) {
	if !isTerminal(cmd.ErrOrStderr()) {
		return func(int) {}, func() {}
	}
	bar := newBar(cmd.ErrOrStderr(), all, what, units, progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond))
	// A bar that cannot be drawn is no reason to stop.
	return func(n int) { _ = bar.Add(n) }, func() { _ = bar.Finish() }
}

// newBar fits into 80 columns.
func newBar(w io.Writer, all int64, what, units string, more ...progressbar.Option) *progressbar.ProgressBar {
	return progressbar.NewOptions64(all, append(more, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowIts(), progressbar.OptionSetItsString(units), progressbar.OptionSetWidth(20),
		progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish())...)
}

const (
	catchUpEvery = 500 * time.Millisecond // between two looks at how far the node is
	worthABar    = 50                     // blocks behind: less is caught up at once
)

// A catchUp is the bar of a node whose peers know more blocks than it has, below
// the lines of its log.
type catchUp struct {
	mu    sync.Mutex
	out   io.Writer
	bar   *progressbar.ProgressBar // guarded by mu; nil while there is nothing to catch up
	first uint64                   // guarded by mu; height at which it began
	since time.Time                // guarded by mu
}

// Write writes a line of the log above the bar.
func (c *catchUp) Write(line []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bar != nil {
		_ = c.bar.Clear()
		defer func() { _ = c.bar.RenderBlank() }()
	}
	return c.out.Write(line)
}

// show tells that a node is at a height, of all that it knows of.
func (c *catchUp) show(height, all uint64, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.bar == nil && all < height+worthABar:
		return
	case c.bar == nil:
		c.first, c.since = height, now
		c.bar = newBar(c.out, int64(all-height), "", "blocks")
	}
	if height < all {
		c.bar.Describe(fmt.Sprintf("height %d of %d", height, all))
		c.bar.ChangeMax64(int64(all - c.first))
		_ = c.bar.Set64(int64(height - min(height, c.first)))
		return
	}
	_ = c.bar.Finish()
	c.bar = nil
	fmt.Fprintf(c.out, "caught up: height %d, %s in %s\n", height, count(int(height-min(height, c.first)), "block", "blocks"), span(now.Sub(c.since)))
}

// look finds out how far the node is. What fails here is said elsewhere.
func (c *catchUp) look(open func() (rpc.Snapshot, error)) {
	v, err := open()
	if err != nil {
		return
	}
	defer v.Close()
	tips, err := v.Tips()
	if err != nil || len(tips) == 0 {
		return
	}
	best := tips[0].State
	for _, t := range tips {
		if t.Status != node.Condemned && t.State.Work.Cmp(best.Work) > 0 {
			best = t.State
		}
	}
	ours := tips[0].State.Height
	c.show(ours, max(ours, best.Height), time.Now())
}
