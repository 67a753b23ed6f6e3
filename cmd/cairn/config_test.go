package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// configured parses a command line and lets everything else speak.
func configured(t *testing.T, args ...string) (*cobra.Command, error) {
	t.Helper()
	root := rootCommand()
	cmd, rest, err := root.Find(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Fatal(err)
	}
	return cmd, configure(cmd)
}

func TestWhoSetsAFlag(t *testing.T) {
	const both = "nodes = \"2\"\n[wait]\nnodes = \"3\"\n"
	for _, c := range []struct {
		name, file, env, own, typed, want, from string
	}{
		{"nobody", "", "", "", "", "all", fromDefault},
		{"the file", "nodes = \"2\"\n", "", "", "", "2", fromFile},
		{"a number in the file", "nodes = 2\n", "", "", "", "2", fromFile},
		{"the command's part of the file", both, "", "", "", "3", fromFile},
		{"another command's part", "[send]\nnodes = \"5\"\n", "", "", "", "all", fromDefault},
		{"the environment", both, "4", "", "", "4", fromEnvironment},
		{"the command's variable", both, "4", "5", "", "5", fromEnvironment},
		{"the command line", both, "4", "5", "6", "6", fromCommandLine},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			put(t, filepath.Join(dir, configFile), c.file)
			t.Setenv("CAIRN_NODES", c.env)
			t.Setenv("CAIRN_WAIT_NODES", c.own)
			args := []string{"wait", "--data-dir", dir}
			if c.typed != "" {
				args = append(args, "--nodes", c.typed)
			}
			cmd, err := configured(t, args...)
			if err != nil {
				t.Fatal(err)
			}
			if got, from := text(cmd, "nodes"), origin(cmd, "nodes"); got != c.want || from != c.from {
				t.Errorf("%q from %q, want %q from %q", got, from, c.want, c.from)
			}
		})
	}
}

func TestListsComeFromEverywhere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, configFile)
	peers := func() string {
		cmd, err := configured(t, "node", "--data-dir", dir)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(cmd.Flags().Lookup("peer").Value.(pflag.SliceValue).GetSlice(), " ")
	}
	put(t, path, `peer = ["/ip4/127.0.0.1/tcp/1", "/ip4/127.0.0.1/tcp/2"]`)
	if got := peers(); got != "/ip4/127.0.0.1/tcp/1 /ip4/127.0.0.1/tcp/2" {
		t.Error(got)
	}
	t.Setenv("CAIRN_PEER", "/ip4/127.0.0.1/tcp/3,/ip4/127.0.0.1/tcp/4")
	if got := peers(); got != "/ip4/127.0.0.1/tcp/3 /ip4/127.0.0.1/tcp/4" {
		t.Error(got)
	}
}

func TestASlipInTheFileIsNamed(t *testing.T) {
	for _, c := range []struct{ file, says string }{
		{"netwrok = \"dev\"\n", `"netwrok"`},
		{"[wait]\nnode = 3\n", `"wait.node"`},
		{"[wiat]\nnodes = \"all\"\n", `"wiat.nodes"`},
		{"config = \"other.toml\"\n", `"config"`},
		{"timeout = \"soon\"\n", "timeout = soon"},
		{"nodes = [\"all\"]\n", "not a list"},
		{"nodes = \n", configFile},
	} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, configFile), c.file)
		if _, err := configured(t, "wait", "--data-dir", dir); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: %v", c.file, err)
		}
	}
	t.Setenv("CAIRN_TIMEOUT", "soon")
	if _, err := configured(t, "wait"); err == nil || !strings.Contains(err.Error(), "CAIRN_TIMEOUT = soon") {
		t.Error(err)
	}
}

// The environment may say where the file is, and a file that is named must be
// there.
func TestWhereTheFileIs(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, configFile), "nodes = \"7\"\n")
	put(t, filepath.Join(dir, "other.toml"), "nodes = \"8\"\n")
	t.Setenv("CAIRN_DATA_DIR", dir)
	if cmd, err := configured(t, "wait"); err != nil || text(cmd, "nodes") != "7" {
		t.Error(err)
	}
	t.Setenv("CAIRN_CONFIG", filepath.Join(dir, "other.toml"))
	if cmd, err := configured(t, "wait"); err != nil || text(cmd, "nodes") != "8" {
		t.Error(err)
	}
	if _, err := configured(t, "wait", "--config", filepath.Join(dir, "none.toml")); err == nil {
		t.Error("a file that is missing was not missed")
	}
}

// What config init writes changes nothing, and with every # away it still does
// not.
func TestTheTemplateHoldsEveryKey(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, configFile)
	content := string(template(rootCommand()))
	put(t, path, content)
	// The section of one command may be called as a flag of another.
	eachCommand(rootCommand(), func(cmd *cobra.Command) {
		args := strings.Fields(cmd.CommandPath())[1:]
		if builtIn(cmd) || len(args) == 0 {
			return
		}
		if _, err := configured(t, append(args, "--config", path)...); err != nil {
			t.Errorf("%s: %v", cmd.CommandPath(), err)
		}
	})
	bare := regexp.MustCompile(`(?m)^# ([a-z-]+ = )`).ReplaceAllString(content, "$1")
	put(t, path, bare)
	eachCommand(rootCommand(), func(cmd *cobra.Command) {
		args := strings.Fields(cmd.CommandPath())[1:]
		if builtIn(cmd) || len(args) == 0 {
			return
		}
		got, err := configured(t, append(args, "--config", path)...)
		if err != nil {
			t.Errorf("%s: %v", cmd.CommandPath(), err)
			return
		}
		for _, f := range configurable(got) {
			if f.Value.String() != f.DefValue {
				t.Errorf("%s --%s is %q, by default %q", cmd.CommandPath(), f.Name, f.Value, f.DefValue)
			}
			if from := origin(got, f.Name); from != fromFile {
				t.Errorf("%s --%s is not in the template: it comes from %q", cmd.CommandPath(), f.Name, from)
			}
		}
	})
}

func TestWhichNodeIsAsked(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	running, stopped := t.TempDir(), t.TempDir()
	put(t, filepath.Join(running, rpcAddrFile), "127.0.0.1:1234\n")
	configures := t.TempDir()
	put(t, filepath.Join(configures, configFile), "rpc = \"0.0.0.0:5678\"\n")
	both := t.TempDir()
	put(t, filepath.Join(both, rpcAddrFile), "[::]:4321\n")
	put(t, filepath.Join(both, configFile), "rpc = \"127.0.0.1:0\"\n")
	for _, c := range []struct{ args, want string }{
		{"", "127.0.0.1:29422"},
		{"--network regtest", "127.0.0.1:39422"},
		{"--rpc 192.0.2.1:9 --data-dir " + running, "192.0.2.1:9"},
		{"--data-dir " + running, "127.0.0.1:1234"},
		{"--data-dir " + configures, "127.0.0.1:5678"},
		{"--data-dir " + both, "[::1]:4321"},
		{"--data-dir " + stopped, ""},
		{"--network nowhere", ""},
	} {
		cmd, err := configured(t, append([]string{"status"}, strings.Fields(c.args)...)...)
		if err != nil {
			t.Fatal(err)
		}
		dir, err := home(cmd)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := nodeAddress(cmd, dir); got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%q: %q, %v, want %q", c.args, got, err, c.want)
		}
	}
}
