//go:build linux && amd64

package ordeal_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"text/tabwriter"
)

var seededFlag = flag.Bool("seeded", false, "put known bugs into copies of the tree, and see which tests find them")

// tests that look for faults, by what they are called in the table.
var seekers = []struct{ name, args string }{
	{"kill", "./cmd/cairn/ordeal -run ^TestKill$ -rounds 32"},
	{"failing calls", "./cmd/cairn/ordeal -run ^TestFailingCalls$ -faults 40"},
	{"store", "./store"},
	{"node", "./node"},
}

// TestSeededBugs puts each bug of testdata/seeded into a copy of the tree. The kill
// loop must find every one of them; the table tells who else does.
func TestSeededBugs(t *testing.T) {
	bugs, err := filepath.Abs("testdata/seeded")
	if err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(filepath.Join(bugs, "*.patch"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no bugs: %v", err)
	}
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	root := command(t, ".", "git", "rev-parse", "--show-toplevel")
	for _, bug := range list {
		c := exec.CommandContext(t.Context(), "git", "apply", "--check", bug)
		c.Dir = root
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s does not fit the tree any more: put its bug into the code again by hand, and write it with git diff\n%s", bug, out)
		}
	}
	if !*seededFlag {
		t.Skip("they fit; trying them takes some minutes: make seeded")
	}
	canTrace(t)
	seekAll(t, root, list)
}

func seekAll(t *testing.T, root string, bugs []string) {
	t.Helper()
	out := io.MultiWriter(os.Stdout, report(t, "seeded.txt"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, bug := range bugs {
		tree := copyTree(t, root, bug)
		for _, s := range seekers {
			what, found := seek(t, tree, s.args)
			fmt.Fprintf(w, "%s\t%s\t%s\n", strings.TrimSuffix(filepath.Base(bug), ".patch"), s.name, what)
			if s.name == "kill" && !found {
				t.Errorf("%s is not found by the kill loop", bug)
			}
		}
	}
	_ = w.Flush()
}

// copyTree is a copy of the tree with a bug in it.
func copyTree(t *testing.T, root, bug string) string {
	t.Helper()
	tree := t.TempDir()
	for name := range strings.SplitSeq(strings.Trim(command(t, root, "git", "ls-files", "-z"), "\x00"), "\x00") {
		if err := copySparse(filepath.Join(tree, name), filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	command(t, tree, "git", "apply", bug)
	return tree
}

func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	c := exec.CommandContext(t.Context(), name, args...)
	c.Dir = dir
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, errs.String())
	}
	return strings.TrimSpace(string(out))
}

// progress is what tests say on their way.
var progress = regexp.MustCompile("^(killed while|call #|# calls in the story|round #)")

// seek runs tests in the tree, and tells in their words what they found.
func seek(t *testing.T, tree, args string) (what string, found bool) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "go", append([]string{"test", "-count=1"}, strings.Fields(args)...)...)
	c.Dir = tree
	out, err := c.CombinedOutput()
	if err == nil {
		return "finds nothing", false
	}
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); strings.Contains(line, "_test.go:") {
			_, said, _ := strings.Cut(line, ": ")
			said = numbers.ReplaceAllString(said, "#")
			if !progress.MatchString(said) {
				return "finds it: " + said[:min(len(said), 110)], true
			}
		}
	}
	t.Fatalf("go test %s: %v\n%s", args, err, tail(string(out)))
	return "", false
}
