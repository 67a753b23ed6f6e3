package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"cairn/rpc"
)

// Every command's help has an example, and every example is a command line that the
// program understands.
func TestExamplesCanBeTyped(t *testing.T) {
	paths := map[string]bool{}
	eachCommand(rootCommand(), func(cmd *cobra.Command) {
		if builtIn(cmd) {
			return
		}
		paths[cmd.CommandPath()] = true
		if cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			for typed := range strings.SplitSeq(line, "&&") {
				typeable(t, typed)
			}
		}
	})
	for path := range guides {
		if !paths[path] {
			t.Errorf("a guide to %q, which is no command", path)
		}
	}
}

// typeable fails the test if the program would not know what is meant.
func typeable(t *testing.T, line string) {
	t.Helper()
	line, _, _ = strings.Cut(line, " # ")
	line, _, _ = strings.Cut(line, " | ")
	line, _, _ = strings.Cut(line, " > ")
	words := strings.Fields(strings.TrimSuffix(strings.TrimSpace(line), " &"))
	if len(words) == 0 || words[0] != "cairn" || strings.ContainsAny(line, `"'`) {
		return // another program, or words that a shell puts together
	}
	cmd, rest, err := rootCommand().Find(words[1:])
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err == nil && cmd.Args != nil {
		err = cmd.Args(cmd, cmd.Flags().Args())
	}
	if err != nil {
		t.Errorf("%s: %v", line, err)
		return
	}
	if args := cmd.Flags().Args(); cmd.Name() == "rpc" && args[0] != "help" {
		if _, err := rpc.Arguments(args[0], args[1:]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}
