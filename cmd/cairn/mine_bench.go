package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/miner"
	"cairn/miner/sha256d"
)

func mineBenchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "bench", Short: "Measure how fast this machine hashes, by each kernel",
		Long: "Searches nonces with every kernel that this machine can run and that passed its\n" +
			"self-test, on one thread and on all of them. A family is 16 headers that differ in\n" +
			"rolled version bits (BIP320) alone, searched together. A node uses what is fastest.",
		Example: "  cairn mine bench --kernel \"avx512 family\" --threads 1 --seconds 10",
		Args:    words(),
		RunE:    mineBench,
	}
	cmd.Flags().Float64("seconds", 1, "how long each measurement takes")
	cmd.Flags().Int("threads", 0, "on how many `THREADS` (default on one, and on one for each core)")
	cmd.Flags().String("kernel", "", "only the kernel of this `NAME`")
	return cmd
}

// kernelRate is one measurement.
type kernelRate struct {
	Name    string  `json:"name"`
	Threads int     `json:"threads"`
	Rate    float64 `json:"mhs"` // millions of hashes a second
}

func mineBench(cmd *cobra.Command, _ []string) error {
	seconds, threads, list, err := benchPlan(cmd)
	if err != nil {
		return err
	}
	for _, err := range sha256d.Rejected() {
		fmt.Fprintf(cmd.ErrOrStderr(), "cairn: left out: %v\n", err)
	}
	var result struct {
		Kernels []kernelRate `json:"kernels"`
	}
	note := notes(cmd)
	for _, way := range list {
		for _, n := range threads {
			note(fmt.Sprintf("%s on %s …", way.name, count(n, "thread", "threads")))
			rate := miner.Rate(cmd.Context(), way.kernel, way.wide, n, time.Duration(seconds*float64(time.Second)))
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			result.Kernels = append(result.Kernels, kernelRate{way.name, n, rate / 1e6})
		}
	}
	return show(cmd, result, func(out io.Writer) {
		var t table
		t.row("KERNEL", "THREADS", "MH/S")
		for _, k := range result.Kernels {
			t.row(k.Name, k.Threads, fmt.Sprintf("%.2f", k.Rate))
		}
		t.write(out, "")
	})
}

// benchPlan is what to measure: for how long each, on how many threads, and what.
func benchPlan(cmd *cobra.Command) (seconds float64, threads []int, list []way, err error) {
	if seconds, err = cmd.Flags().GetFloat64("seconds"); err != nil {
		return 0, nil, nil, err
	}
	if !(seconds > 0 && seconds <= 3600) {
		return 0, nil, nil, misused(cmd, "--seconds %v: give a time above 0 and up to an hour", seconds)
	}
	n, err := cmd.Flags().GetInt("threads")
	if err != nil {
		return 0, nil, nil, err
	}
	if n < 0 || n > miner.MaxThreads {
		return 0, nil, nil, misused(cmd, "--threads %d: give 1 to %d, or 0 for one and all", n, miner.MaxThreads)
	}
	if threads = []int{n}; n == 0 {
		threads = threadCounts(runtime.GOMAXPROCS(0))
	}
	list, err = chosenWays(cmd, ways(sha256d.Kernels()))
	return seconds, threads, list, err
}

// chosenWays are all, or the one that --kernel names.
func chosenWays(cmd *cobra.Command, all []way) ([]way, error) {
	name := text(cmd, "kernel")
	if name == "" {
		return all, nil
	}
	var names []string
	for _, w := range all {
		if w.name == name {
			return []way{w}, nil
		}
		names = append(names, w.name)
	}
	return nil, misused(cmd, "--kernel %q: this machine has %s", name, strings.Join(names, ", "))
}

// A way to hash is a kernel on one header, or on several together.
type way struct {
	name   string
	kernel sha256d.Kernel
	wide   int // headers
}

// together is how many headers differ in the version alone when they are measured.
const together = 16

func ways(kernels []sha256d.Kernel) (list []way) {
	for _, k := range kernels {
		list = append(list, way{k.Name, k, 1})
	}
	for _, k := range kernels {
		if k.SearchFamily != nil {
			list = append(list, way{k.Name + " family", k, together})
		}
	}
	return list
}

// threadCounts are one, and all if there are more.
func threadCounts(all int) []int {
	if all == 1 {
		return []int{1}
	}
	return []int{1, all}
}
