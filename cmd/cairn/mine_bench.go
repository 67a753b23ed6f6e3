package main

import (
	"fmt"
	"io"
	"runtime"
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
		Args: words(),
		RunE: mineBench,
	}
	cmd.Flags().Float64("seconds", 1, "how long each measurement takes")
	return cmd
}

// kernelRate is one measurement.
type kernelRate struct {
	Name    string  `json:"name"`
	Threads int     `json:"threads"`
	Rate    float64 `json:"mhs"` // millions of hashes a second
}

func mineBench(cmd *cobra.Command, _ []string) error {
	seconds, err := cmd.Flags().GetFloat64("seconds")
	if err != nil {
		return err
	}
	if !(seconds > 0 && seconds <= 3600) {
		return misused(cmd, "--seconds %v: give a time above 0 and up to an hour", seconds)
	}
	for _, err := range sha256d.Rejected() {
		fmt.Fprintf(cmd.ErrOrStderr(), "cairn: left out: %v\n", err)
	}
	var result struct {
		Kernels []kernelRate `json:"kernels"`
	}
	note := notes(cmd)
	for _, way := range ways(sha256d.Kernels()) {
		for _, threads := range threadCounts(runtime.GOMAXPROCS(0)) {
			note(fmt.Sprintf("%s on %s …", way.name, count(threads, "thread", "threads")))
			rate := miner.Rate(cmd.Context(), way.kernel, way.wide, threads, time.Duration(seconds*float64(time.Second)))
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			result.Kernels = append(result.Kernels, kernelRate{way.name, threads, rate / 1e6})
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
