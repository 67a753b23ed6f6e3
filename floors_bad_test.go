package cairn_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A sample is one file as it might stand in the tree, and a word of the breach that it is; none if it is lawful.
type sample struct {
	file string
	text string
	want string
}

func (c sample) check(t *testing.T) {
	t.Helper()
	breaches := inspect(c.file, c.text)
	said := strings.Join(breaches, "\n")
	switch {
	case c.want == "" && len(breaches) != 0:
		t.Errorf("%s is lawful, but:\n%s\n%s", c.file, said, c.text)
	case c.want != "" && !strings.Contains(said, c.want):
		t.Errorf("%s: want a breach with %q, got %q\n%s", c.file, c.want, said, c.text)
	}
}

// importing is a file of the package named by its folder, with one import.
func importing(file, imported, want string) sample {
	name := filepath.Base(filepath.Dir(file))
	if strings.HasSuffix(file, "_x_test.go") {
		name += "_test"
	}
	return sample{file, fmt.Sprintf("package %s\n\nimport _ %q\n", name, imported), want}
}

func TestFloorsCatchImports(t *testing.T) {
	for _, c := range []sample{
		importing("drawer/util.go", "fmt", "is on no floor"),
		importing("cmd/other/main.go", "fmt", "is on no floor"),
		{"cairn.go", "package cairn\n", "the root holds tests only"},
		importing("daemon/node.go", "cairn", "the root holds tests only"),
		importing("daemon/node.go", "cairn/drawer", "is on no floor"),
		importing("chain/block.go", "cairn/node", "imports go down"),
		importing("chain/block.go", "cairn/chain/schnorr", ""),
		importing("chain/schnorr/verify.go", "cairn/chain", "never imports its parent"),
		importing("miner/stratum/job.go", "cairn/miner/sha256d", "or a sibling"),
		importing("miner/stratum/job.go", "cairn/chain", ""),
		importing("node/tree.go", "cairn/chain", ""),
		importing("node/tree.go", "cairn/converge", "both are on floor 2"),
		importing("p2p/gossip.go", "cairn/store", "both are on floor 3"),
		importing("lab/judge/verdict.go", "cairn/lab/byzantine", "both are on floor 3"),
		importing("lab/sim/world.go", "cairn/lab", "imports go down"),
		importing("lab/scenario.go", "cairn/lab/sim", ""),
		importing("rpc/server.go", "cairn/wallet", "below, but not allowed"),
		importing("chain/block.go", "github.com/libp2p/go-libp2p", "not allowed"),
		importing("chain/address.go", "github.com/btcsuite/btcd/btcutil/bech32", ""),
		importing("chain/address.go", "github.com/btcsuite/btcd/btcutil", "not allowed"),
		importing("node/tree.go", "github.com/holiman/uint256", "not allowed"),
		importing("store/disk.go", "github.com/dgraph-io/badger/v4/options", ""),
		importing("store/disk.go", "github.com/dgraph-io/badger/v3", "not allowed"),
		importing("store/disk.go", "pgregory.net/rapid", "not allowed"),
		importing("daemon/fast.go", "C", "without a C compiler"),

		// Tests reach lower freely, upward only from outside.
		importing("store/disk_test.go", "pgregory.net/rapid", ""),
		importing("store/disk_test.go", "example.com/unheard-of", "not allowed"),
		importing("rpc/server_test.go", "cairn/wallet", ""),
		importing("node/tree_test.go", "cairn/store", "imports go down"),
		importing("node/tree_x_test.go", "cairn/store", ""),

		// A folder that helps tests imports its parent, and nothing but tests imports it.
		importing("store/storetest/suite.go", "cairn/store", ""),
		importing("store/storetest/suite.go", "testing", ""),
		importing("store/storetest/suite.go", "pgregory.net/rapid", ""),
		importing("store/storetest/suite.go", "cairn/chain/chaintest", ""),
		importing("store/storetest/suite.go", "cairn/daemon", "imports go down"),
		importing("store/disk_x_test.go", "cairn/store/storetest", ""),
		importing("store/disk.go", "cairn/store/storetest", "which is for tests"),
		importing("daemon/node.go", "cairn/chain/chaintest", "which is for tests"),
	} {
		c.check(t)
	}
}

func TestFloorsCatchImpureImports(t *testing.T) {
	for _, path := range []string{
		"sync", "sync/atomic", "net", "net/http", "os", "os/exec", "log", "log/slog", "context",
		"crypto/rand", "syscall", "runtime", "unsafe",
	} {
		importing("chain/schnorr/verify.go", path, "pure chain/schnorr imports "+path).check(t)
		importing("lab/sim/world.go", path, "pure lab/sim imports "+path).check(t)
		importing("daemon/node.go", path, "").check(t)
		importing("node/tree_test.go", path, "").check(t)
	}
	sample{"node/tree.go", "package node\n\nimport . \"time\"\n", "dot import"}.check(t)
	sample{"chain/gen.go", "//go:build ignore\n\npackage main\n\nimport _ \"os\"\n", ""}.check(t)
}

// inside wraps statements in a function of a pure package.
func inside(imports, statements, want string) sample {
	return sample{"node/tree.go", fmt.Sprintf("package node\n\n%s\n\nfunc f() {\n%s\n}\n", imports, statements), want}
}

func TestFloorsCatchImpureCode(t *testing.T) {
	for _, c := range []sample{
		inside("", "go f()", "starts a goroutine"),
		inside("", "func() { go f() }()", "starts a goroutine"),
		inside("", "select {}", "selects"),
		inside("", "var c chan int; _ = c", "has a channel"),
		inside("", "_ = make(<-chan int)", "has a channel"),
		inside("", "c <- 1", "sends on a channel"),
		inside("", "<-c", "receives from a channel"),
		inside("", "for range 3 { x := <-c; _ = x }", "receives from a channel"),
		inside("", "println(1)", "prints"),
		inside(`import "fmt"`, `fmt.Println("hello")`, "uses fmt.Println"),
		inside(`import "fmt"`, `_ = fmt.Sprint("hello")`, ""),
		inside(`import "time"`, "_ = time.Now()", "uses time.Now"),
		inside(`import "time"`, "now := time.Now", "uses time.Now"),
		inside(`import clock "time"`, "clock.Sleep(1)", "uses time.Sleep"),
		inside(`import "time"`, "_ = time.Since(x)", "uses time.Since"),
		inside(`import "time"`, "_ = time.Until(x)", "uses time.Until"),
		inside(`import "time"`, "time.After(1)", "uses time.After"),
		inside(`import "time"`, "time.AfterFunc(1, f)", "uses time.AfterFunc"),
		inside(`import "time"`, "time.Tick(1)", "uses time.Tick"),
		inside(`import "time"`, "time.NewTimer(1)", "uses time.NewTimer"),
		inside(`import "time"`, "time.NewTicker(1)", "uses time.NewTicker"),
		inside(`import "time"`, "_ = 5 * time.Second", ""),
		inside(`import "math/rand"`, "_ = rand.Intn(3)", "uses math/rand.Intn"),
		inside(`import "math/rand/v2"`, "_ = rand.IntN(3)", "uses math/rand/v2.IntN"),
		inside(`import "math/rand/v2"`, "_ = rand.N(3)", "uses math/rand/v2.N"),
		inside(`import dice "math/rand/v2"`, "dice.Shuffle(3, swap)", "uses math/rand/v2.Shuffle"),
		inside(`import "math/rand/v2"`, "_ = rand.New(rand.NewPCG(1, 2)).IntN(3)", ""),
		{"daemon/node.go", "package daemon\n\nimport \"time\"\n\nfunc f() { go f(); _ = time.Now() }\n", ""},
	} {
		c.check(t)
	}
}

func TestFloorsCatchFloats(t *testing.T) {
	for _, c := range []sample{
		inside("", "var x float64; _ = x", "uses float64"),
		inside("", "_ = float32(1)", "uses float32"),
		inside("", "_ = 0.5", "uses 0.5"),
		inside("", "_ = 1e3", "uses 1e3"),
		inside("", "_ = 2i", "uses 2i"),
		inside(`import "math"`, "_ = math.Sqrt(2)", "uses Sqrt"),
		inside(`import "math"`, "_ = math.MaxFloat64", "uses MaxFloat64"),
		inside(`import "math"`, "_ = math.MaxInt64 + math.MinInt32 + math.MaxUint16", ""),
		inside(`import "math/big"`, "_ = big.NewFloat", "uses NewFloat"),
		inside(`import "math/cmplx"`, "", "imports math/cmplx"),
		inside("", "_ = dice.ExpFloat64()", "uses ExpFloat64"),
		{"converge/risk.go", "package converge\n\nimport \"math\"\n\nvar half = math.Exp(0.5)\n", ""},
		{"rpc/server.go", "package rpc\n\nvar half float64 = 0.5\n", ""},
	} {
		c.check(t)
	}
}

func TestFloorsCatchForgedChecks(t *testing.T) {
	calling := func(imports, call string) string {
		return "package x\n\nimport " + imports + "\n\nvar b = " + call + "\n"
	}
	for _, c := range []sample{
		{"node/tree.go", calling(`"cairn/chain"`, "chain.Remembered(id, raw)"), "the store's alone"},
		{"node/tree.go", calling(`"cairn/chain"`, "chain.RememberedTx"), "the store's alone"},
		{"daemon/node.go", calling(`law "cairn/chain"`, "law.RememberedBlock(raw)"), "the store's alone"},
		{"daemon/node.go", calling(`. "cairn/chain"`, "RememberedBlock(raw)"), "a dot import hides"},
		{"chain/block.go", "package chain\n\nvar b = RememberedBlock(raw)\n", "the store's alone"},
		{"chain/block.go", "package chain\n\nfunc RememberedBlock(raw []byte) {}\n", ""},
		{"store/disk.go", calling(`"cairn/chain"`, "chain.Remembered(id, raw)"), ""},
		{"node/tree_test.go", calling(`"cairn/chain"`, "chain.Remembered(id, raw)"), ""},
	} {
		c.check(t)
	}
}

func TestFloorsCatchLongFunctions(t *testing.T) {
	body := func(lines int) string { return "{\n" + strings.Repeat("\t_ = 1\n", lines-2) + "}\n" }
	for _, c := range []sample{
		{"rpc/server.go", "package rpc\n\nfunc f() " + body(screen), ""},
		{"rpc/server.go", "package rpc\n\nfunc f() " + body(screen+1), "more than a screen"},
		{"rpc/server.go", "package rpc\n\nvar f = func() " + body(screen+1), "more than a screen"},
		{"rpc/server.go", "// Code generated by avo. DO NOT EDIT.\n\npackage rpc\n\nfunc f() " + body(screen+1), ""},
		{"rpc/server_test.go", "package rpc\n\nfunc f() " + body(screen+1), ""},
		{"rpc/rpctest/client.go", "package rpctest\n\nfunc f() " + body(screen+1), "more than a screen"},
		{"rpc/broken.go", "package rpc\n\nfunc f( {\n", "expected"},
	} {
		c.check(t)
	}
}

// The walk finds what lies deep, and leaves alone what is not ours to judge.
func TestFloorsWalkReachesEveryFile(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"chain/schnorr/verify.go": "package schnorr\n\nimport _ \"os\"\n",
		"node/testdata/input.go":  "no Go",
		"tools/go.mod":            "module cairn/tools\n",
		"tools/main.go":           "no Go",
		".git/hook.go":            "no Go",
		"chain/README.md":         "no Go",
	} {
		file := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	breaches, files := walk(t, root)
	if files != 1 || len(breaches) != 1 || !strings.Contains(breaches[0], "chain/schnorr/verify.go:3") {
		t.Errorf("read %d files and found %q, want the one import in chain/schnorr", files, breaches)
	}
}
