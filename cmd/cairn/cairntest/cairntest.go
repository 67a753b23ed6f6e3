// Package cairntest is what tests that run the program share.
package cairntest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"cairn/lab"
)

// workshop is the folder that the program was built in; empty if it was not.
var workshop string

var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "cairn-test-")
	if err != nil {
		return "", err
	}
	workshop = dir
	path := filepath.Join(dir, "cairn")
	out, err := exec.Command("go", "build", "-trimpath", "-o", path, "cairn/cmd/cairn").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
})

// Program is the program, as a user would build it: once for all tests of a package,
// whose TestMain calls Clean behind them.
func Program(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Clean removes what Program built.
func Clean() {
	if workshop != "" {
		_ = os.RemoveAll(workshop)
	}
}

// FreePort is a loopback port that was free a moment ago.
func FreePort(t testing.TB) string {
	t.Helper()
	ports, err := lab.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(ports[0])
}
