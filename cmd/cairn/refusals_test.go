package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cairn/chain"
	"cairn/rpc"
	"cairn/wallet"
)

// A refusal is a command that cannot be done, and what tells people so. go test -v
// -run Refusals prints every one of them, with those of real nodes (see
// refusals_e2e_test.go).
type refusal struct {
	typed string
	code  int
	says  []string
}

// refuse types commands and reads what is said. Nothing but the refusal may be
// printed.
func refuse(t *testing.T, run func(args ...string) said, list []refusal) {
	t.Helper()
	for _, r := range list {
		s := run(strings.Fields(r.typed)...)
		t.Logf("$ cairn %s\n%s[exit %d]", r.typed, s.err, s.code)
		if s.code != r.code || s.out != "" {
			t.Errorf("cairn %s: exit %d, want %d; stdout %q", r.typed, s.code, r.code, s.out)
		}
		for _, words := range r.says {
			if !strings.Contains(s.err, words) {
				t.Errorf("cairn %s: nothing says %q", r.typed, words)
			}
		}
		for _, raw := range []string{"strconv", "parsing \"", "invalid syntax", "arg(s)", "shorthand", "\x1b", "%!"} {
			if strings.Contains(s.err, raw) {
				t.Errorf("cairn %s: %q is no word for people: %s", r.typed, raw, s.err)
			}
		}
	}
}

// alone types commands where no node runs.
func alone(t *testing.T) func(args ...string) said {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	t.Chdir(home)
	return func(args ...string) said { return cairn(t, args...) }
}

func TestRefusalsOfFlags(t *testing.T) {
	refuse(t, alone(t), []refusal{
		{"frobnicate", failed, []string{`cairn has no command "frobnicate"`, "Usage: cairn COMMAND"}},
		{"frobnicate --rpc 127.0.0.1:1", failed, []string{`cairn has no command "frobnicate"`}},
		{"wallet crate --wallet x --wordz 12", failed, []string{`did you mean "create"?`}},
		{"stauts", failed, []string{`did you mean "status"?`}},
		{"wallet crate", failed, []string{`did you mean "create"?`}},
		{"status now", failed, []string{`"now" is too much: expected no argument`}},
		{"status --jsn", failed, []string{"cairn status has no flag --jsn (did you mean --json?)", "`cairn status --help` tells more"}},
		{"status -x", failed, []string{"no flag -x"}},
		{"status ---", failed, []string{`"---" is no flag: write --NAME VALUE`}},
		{"status --json=perhaps", failed, []string{`--json "perhaps": give true or false`}},
		{"status --rpc foo", failed, []string{`--rpc "foo": write HOST:PORT, like 127.0.0.1:29422`}},
		{"status --rpc 127.0.0.1", failed, []string{"write HOST:PORT"}},
		{"status --rpc 127.0.0.1:99999", failed, []string{"a port is a number from 0 to 65535"}},
		{"status --rpc http://127.0.0.1:29422/", failed, []string{"is a URL", "like 127.0.0.1:29422\n"}},
		{"status --network moon", failed, []string{`no network is called "moon": choose one of main, test, dev, regtest`}},
		{"node --threads 100000", failed, []string{"--threads 100000: give 1 to 1024, or 0 for one each core"}},
		{"node --threads -1", failed, []string{"--threads -1: give 1 to 1024"}},
		{"node --threads two", failed, []string{`--threads "two": give a whole number`}},
		{"node --db-cache -1", failed, []string{"--db-cache -1: ", "megabytes from 0"}},
		{"node --max-peers 0", failed, []string{"--max-peers 0: ", "give a number from 1 on"}},
		{"node --rpc 29422", failed, []string{`--rpc "29422": write HOST:PORT`}},
		{"node --log-level loud", failed, []string{"choose debug, info, warn or error"}},
		{"node --log-format xml", failed, []string{"choose text or json"}},
		{"node --network test --mine", failed, []string{"--mine pays nobody", "cairn wallet create --network test", "--mine-to"}},
		{"mine start --threads -3 --rpc 127.0.0.1:1", failed, []string{"--threads -3: give 1 to 1024"}},
		{"mine generate -1", failed, []string{`"-1" is no number of blocks`}},
		{"mine generate --to", failed, []string{"--to needs a value: the ADDRESS that they pay"}},
		{"mine bench --kernel abacus", failed, []string{`--kernel "abacus": this machine has`, "portable"}},
		{"mine bench --threads -1", failed, []string{"--threads -1: give 1 to"}},
		{"mine bench --seconds soon", failed, []string{`--seconds "soon": give a number like 0.5`}},
		{"rpc", failed, []string{"METHOD is missing: `cairn rpc help` lists them"}},
		{"rpc getblokcount", failed, []string{`no method is called "getblokcount"`}},
		{"rpc getblockhash -1", failed, []string{"put -- before arguments that begin with -"}},
		{"block -1", failed, []string{`height "-1" is below 0`}},
		{"wait", failed, []string{"TXID is missing"}},
		{"wait 12", failed, []string{`"12" is no id: an id has 64 hex digits, this has 2`}},
		{"tx " + strings.Repeat("Z", 64), failed, []string{"an id has hex digits only, 0 to 9 and a to f"}},
		{"wait " + id("tx").String() + " --timeout 5", failed, []string{`--timeout "5": give a time like 90s or 5m`}},
		{"wait " + id("tx").String() + " --timeout -5s", failed, []string{"--timeout -5s: give a time"}},
		{"wait " + id("tx").String() + " --nodes few", failed, []string{`"few" names no set of nodes: say all, quorum or a number`}},
		{"wait " + id("tx").String() + " --confirmations -2", failed, []string{"give a depth from 0 on"}},
		{"watch --until -3 --lines", failed, []string{"--until -3: give a depth from 0 on; 0 is for ever"}},
		{"watch zz --lines", failed, []string{`"zz" is no id`}},
		{"wallet history --limit -1", failed, []string{"--limit -1: give a number from 0 on; 0 is all"}},
		{"wallet history --limit few", failed, []string{`--limit "few": give a whole number`}},
		{"risk --depth -1", failed, []string{"a depth is a number of blocks from 0 to"}},
		{"risk --adversary 2", failed, []string{"give a number between 0 and 1, or a percentage"}},
		{"lab up --nodes 0", failed, []string{"a lab has 1 to 64 nodes, not 0"}},
		{"lab up --nodes few", failed, []string{`--nodes "few": give a whole number`}},
		{"lab send 1 2", failed, []string{`"2" is too much: expected AMOUNT alone`}},
		{"lab send -1", failed, []string{`amount "-1" is negative`}},
		{"lab status", failed, []string{"no lab is up in", "cairn lab up"}},
		{"status --network-file none.json", failed, []string{"none.json"}},
	})
}

func TestRefusalsOfTheConfigFile(t *testing.T) {
	run := alone(t)
	put(t, "name.toml", "json = true\n\n[wait]\nnode = 3\n")
	put(t, "section.toml", "[wiat]\nnodes = \"all\"\n")
	put(t, "value.toml", "# shall it?\njson = \"perhaps\"\n")
	put(t, "list.toml", "json = [true]\n")
	put(t, "broken.toml", "network = \"dev\"\nrpc = \n")
	put(t, "network.json", "words that are no network\n")
	refuse(t, run, []refusal{
		{"version --config none.toml", failed, []string{"there is no config file none.toml: `cairn config init --config none.toml` writes one"}},
		{"version --config name.toml", failed, []string{`name.toml, line 4: nothing is called "wait.node" (did you mean wait.nodes?)`, "cairn config init"}},
		{"version --config section.toml", failed, []string{`section.toml, line 2: nothing is called "wiat.nodes" (did you mean wait.nodes?)`}},
		{"version --config value.toml", failed, []string{"value.toml, line 2: json = perhaps: give true or false"}},
		{"version --config list.toml", failed, []string{"list.toml, line 1: json", "one value is expected, not a list"}},
		{"version --config broken.toml", failed, []string{"broken.toml, line 2, column 7: ", "write KEY = VALUE, texts in quotes"}},
		{"node --network-file network.json", failed, []string{"network.json", "getnetworkparams"}},
	})
	t.Setenv("CAIRN_THREADS", "x")
	refuse(t, run, []refusal{{"mine start", failed, []string{"CAIRN_THREADS = x: give a whole number"}}})
}

func TestRefusalsWithoutANode(t *testing.T) {
	run := alone(t)
	put(t, "peers.json", "{}")
	put(t, "file", "")
	refuse(t, run, []refusal{
		{"status --rpc 127.0.0.1:1", failed, []string{"no node answers at 127.0.0.1:1: start one with `cairn node`, or name another with --rpc"}},
		{"status --data-dir empty", failed, []string{"no node answers in empty: start one with `cairn node --data-dir empty`"}},
		{"wallet balance --wallet peers.json", failed, []string{"not a Cairn wallet: peers.json; it was left alone"}},
		{"status --data-dir file", failed, []string{"file is no directory: name another with --data-dir"}},
		{"wallet address", failed, []string{"no wallet there", "cairn wallet create", "cairn wallet restore"}},
	})
}

func TestRefusalsOfWalletFiles(t *testing.T) {
	run := alone(t)
	t.Setenv(passphraseVariable, "a guess")
	const torn = "{\n  \"format\": \"cairn-wallet\",\n  \"version\": 1,\n  \"network\": \"de"
	put(t, "torn.json", torn)
	put(t, "foreign.json", `{"wallet": "another program's"}`)
	put(t, "newer.json", `{"format": "cairn-wallet", "version": 9}`)
	put(t, "words", "test test test test test test test test test test test jink\n")
	refuse(t, run, []refusal{
		{"wallet create --wallet torn.json", failed, []string{"there is a file already: torn.json; it was left alone, name another file with --wallet"}},
		{"wallet restore --wallet foreign.json --mnemonic-file words", failed, []string{"there is a file already: foreign.json; it was left alone"}},
		{"wallet restore --wallet new.json --mnemonic-file words", failed, []string{`word 12, "jink", is not in the English list`}},
		{"wallet restore --wallet new.json --mnemonic test", failed, []string{"no flag --mnemonic (did you mean --mnemonic-file?)"}},
		{"wallet address --wallet torn.json", failed, []string{"wallet file damaged: torn.json", "left alone: `cairn wallet restore` makes a new one"}},
		{"wallet address --wallet foreign.json", failed, []string{"not a Cairn wallet: foreign.json; it was left alone, name another file"}},
		{"wallet address --wallet newer.json", failed, []string{"has version 9, this program knows 1; update the program"}},
		{"wallet request 1.123456789", failed, []string{"has 9 decimals: 1 CRN has 8"}},
		{"wallet request -5", failed, []string{`amount "-5" is negative`}},
		{"wallet create --network moon", failed, []string{`no network is called "moon"`}},
		{"wallet create --no-passphrase --passphrase-file words", failed, []string{"contradict each other: leave one away"}},
	})
	for name, want := range map[string]string{"torn.json": torn, "foreign.json": `{"wallet": "another program's"}`} {
		if got, err := os.ReadFile(name); err != nil || string(got) != want {
			t.Errorf("%s was overwritten: %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat("new.json"); err == nil {
		t.Error("a wallet was made of words that are none")
	}
}

func TestRefusalsOfPayments(t *testing.T) {
	young, busy := coin("young", 1000), coin("busy", 100)
	young.Coinbase, young.Mature, young.Height = true, false, 41
	busy.SpentBy = ref(id("earlier payment"))
	f, _ := rich(t, coin("a", 20), young, busy)
	f.always("getrawtransaction", rpc.Errorf(rpc.NotFound, "No such mempool or blockchain transaction"))
	f.always("getconvergence", rpc.Errorf(rpc.NotFound, "No such transaction or block"))
	f.always("getblock", rpc.Errorf(rpc.NotFound, "Block not found"))
	f.always("getblockhash", rpc.Errorf(rpc.InvalidParameter, "Block height out of range"))
	to, tx := somebody(), id("unknown").String()
	refuse(t, func(args ...string) said { return f.run(t, args...) }, []refusal{
		{"send " + to, failed, []string{"AMOUNT is missing"}},
		{"send " + to + " 1.123456789", failed, []string{`amount "1.123456789" has 9 decimals: 1 CRN has 8`}},
		{"send " + to + " -1", failed, []string{`amount "-1" is negative: give a number of CRN above 0`}},
		{"send " + to + " 0", failed, []string{"an amount of 0 pays nobody"}},
		{"send " + to + " 1e3", failed, []string{"is not a number of CRN: write it like 12 or 0.5"}},
		{"send " + to + " 1,5", failed, []string{"write it like 12 or 0.5"}},
		{"send " + to + " 92233720368.54775808", failed, []string{"is too large: the most is 92233720368.54775807 CRN"}},
		{"send " + to + " 50", failed, []string{
			"not enough coins: 20.00000000 CRN can be spent", "1000.00000000 CRN more are immature, the first of them until height 44, for 2 more blocks",
			"100.00000000 CRN more are spent by payments that wait for a block",
		}},
		{"send " + to + " 1 --fee-rate 1000000000", failed, []string{"above 10 % of the 1.00000000 CRN", "lower --fee-rate", "--allow-high-fee"}},
		{"send " + to + " 1 --fee-rate 999", failed, []string{"--fee-rate 999: the node's pool takes no less than 1000 grains per 1000 bytes"}},
		{"send " + to + " 1 --fee-rate cheap", failed, []string{`--fee-rate "cheap": give a whole number from 0 on`}},
		{"send " + to + " 1 --fee-rate -5", failed, []string{"give a whole number from 0 on"}},
		{"send " + to + " 1 --memo " + strings.Repeat("m", 81), failed, []string{"a memo of 81 bytes is too long: 80 are allowed"}},
		{"send " + to[:len(to)-1] + " 1", failed, []string{"is mistyped or cut: its checksum does not fit"}},
		{"send " + chain.Main().FormatAddress(chain.Prefunded()[9]) + " 1", failed, []string{"is of another network (crn…): this one's start with dcrn1"}},
		{"send bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 1", failed, []string{"is Bitcoin's", "this network's start with dcrn1"}},
		{"send tb1p84x2ryuyfevgnlpnxt9f39gm7r68gwtvllxqe5w2n5ru00s9aquslzggwq 1", failed, []string{"is Bitcoin's"}},
		{"send 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa 1", failed, []string{"is Bitcoin's"}},
		{"send Rosa 1", failed, []string{`"Rosa" is no address: this network's start with dcrn1`}},
		{"send cairn:" + to + "?amount=-1", failed, []string{"the payment request: ", "negative"}},
		{"send cairn:" + to + "?amount=2 3", failed, []string{"asks for 2.00000000 CRN, not for 3.00000000", "leave AMOUNT out"}},
		{"bump " + tx, failed, []string{"neither the node nor this wallet's journal knows", "cairn wallet history"}},
		{"cancel 12", failed, []string{`"12" is no id`}},
		{"tx " + tx, unknown, []string{"the node has never seen " + tx, "is the id right, and the network the same?"}},
		{"block " + tx, unknown, []string{"the node knows no block " + tx, "cairn tips"}},
		{"block 99999", unknown, []string{"no block at height 99999", "cairn status"}},
		{"block seven", failed, []string{"neither an id of 64 hex digits nor a height"}},
	})
}

func TestRefusalsOfAPassphrase(t *testing.T) {
	f, _ := rich(t, coin("a", 20))
	sealed := filepath.Join(f.dir, "sealed.json")
	if _, err := wallet.Create(sealed, "dev", wallet.PrefundedMnemonic, "correct horse", wallet.Options{WorkFactor: 10}); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) said { return f.run(t, args...) }
	send := "send " + somebody() + " 1 --wallet " + sealed
	refuse(t, run, []refusal{{send, failed, []string{"no terminal to ask at: give --passphrase-file, or set CAIRN_PASSPHRASE"}}})
	t.Setenv(passphraseVariable, "wrong horse")
	refuse(t, run, []refusal{{send, failed, []string{"wrong passphrase: try again", "`cairn wallet restore` makes a new wallet from your words"}}})
	w, err := wallet.Open(sealed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Unlock("correct horse"); err != nil {
		t.Errorf("the right passphrase opens it no more: %v", err)
	}
	if f.asked["sendrawtransaction"] > 0 {
		t.Error("something was sent")
	}
}

// A node whose clock is off says so wherever people look.
func TestRefusalsOfAClockThatIsOff(t *testing.T) {
	f := tell(t)
	const late = "your clock is 90 s behind your peers': set it"
	f.always("getstatus", rpc.Status{Network: "dev", Mining: rpc.MiningStatus{On: true, Why: late}, Warnings: []string{late}})
	f.always("getmininginfo", rpc.MiningInfo{Mining: rpc.MiningStatus{On: true, Why: late}})
	for _, typed := range []string{"status", "mine status"} {
		s := f.run(t, strings.Fields(typed)...)
		s.wants(t, done, "it waits: "+late)
		t.Logf("$ cairn %s\n%s", typed, s.out)
	}
}

// Peers' words, memos and tags never reach the terminal as they are, whatever the
// screen; nor do ids that are none.
func TestRefusalsOfControlCharacters(t *testing.T) {
	f := tell(t)
	f.teach(t, healed(80, 24).now)
	now := uint32(time.Now().Unix())
	f.always("getpeerinfo", []rpc.Peer{{ID: evil, Address: evil, Agent: evil, Tip: ref(id("tip"))}})
	f.always("getaddednodeinfo", []rpc.AddedNode{{Address: evil, Until: int64(now) + 60, Reason: evil}})
	f.always("getstatus", rpc.Status{Network: evil, Version: evil, ID: evil, Listen: []string{evil}, Warnings: []string{evil}, Mining: rpc.MiningStatus{On: true, Why: evil}})
	f.always("getmininginfo", rpc.MiningInfo{Pay: evil, Mining: rpc.MiningStatus{On: true, Why: evil}})
	f.always("getchaintips", []rpc.Tip{{Height: 1, Hash: id("a"), Status: "active"}})
	f.always("getrawtransaction", rpc.Tx{
		ID: id("tx"), Memo: []byte(evil), MemoText: evil, Inputs: []rpc.Input{{Tx: ref(id("b")), Index: ref(uint32(0)), Value: ref(rpc.Amount(1)), Address: evil}},
		Outputs: []rpc.Output{{Script: rpc.Script{Address: evil}}},
	})
	f.always("getblock", rpc.FullBlock{Header: rpc.Header{Hash: id("block"), Time: now}, Coinbase: rpc.Coinbase{Text: evil}, Body: []*rpc.Tx{{MemoText: evil}}})
	f.always("getblockhash", id("block"))
	f.always("help", evil)
	tx := id("old").String()
	for _, typed := range []string{
		"peers", "status", "mine status", "tx " + tx, "block 41", "watch --lines --until 1 " + tx, "wait " + tx, "rpc help", "rpc getpeerinfo",
	} {
		for _, more := range []string{"", " --json"} {
			s := f.run(t, strings.Fields(typed+more)...)
			s.printed(t)
			if !strings.Contains(s.out+s.err, `\x1b`) && !strings.Contains(s.out+s.err, `\u001b`) {
				t.Errorf("cairn %s says nothing of what a stranger says: %s%s", typed+more, s.out, s.err)
			}
			if more == "" {
				t.Logf("$ cairn %s\n%s", typed, s.out)
			}
		}
	}
	refuse(t, func(args ...string) said { return f.run(t, args...) }, []refusal{
		{"tx " + evil, failed, []string{`\x1b[2J`, "is no id"}},
		{"send " + evil + " 1", failed, nil},
		{"watch " + evil, failed, []string{`\x1b[2J`}},
		{evil, failed, []string{`\x1b[2J`}},
		{"--" + evil, failed, nil},
		{"status --rpc " + evil, failed, nil},
		{"wallet address --wallet " + evil, failed, nil},
		{fmt.Sprintf("peers drop %s", evil), failed, nil},
	})
}

// Logs quote strangers as well, on a terminal and for programs.
func TestRefusalsOfControlCharactersInLogs(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		l, err := newLogs("info", format, &out)
		if err != nil {
			t.Fatal(err)
		}
		l.of(logP2P).Warn("a peer says "+evil+"\u009b1m", "agent", evil, evil, "x\r")
		if s := out.String(); strings.ContainsAny(s, "\x1b\u202e\u009b\r") || strings.Count(s, "\n") != 1 {
			t.Errorf("%q", s)
		}
		t.Log(out.String())
	}
}
