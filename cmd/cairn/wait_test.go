package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"cairn/chain"
	"cairn/converge"
	"cairn/rpc"
)

// agreement draws the depths of nodes: "2 1 ? -1 !5 (4)" are this node and five
// peers; ? is unknown, ! not heard of lately, (…) not counted.
func agreement(words string) rpc.Agreement {
	var list []rpc.Opinion
	for i, w := range strings.Fields(words) {
		o := rpc.Opinion{Peer: "12D3KooWpeer" + string(rune('A'+i)), Connected: true, Counted: true, Tip: ref(id("tip")), Height: 9}
		if inner, out := strings.CutPrefix(w, "("); out {
			o.Counted, w = false, strings.TrimSuffix(inner, ")")
		}
		if fresh, stale := strings.CutPrefix(w, "!"); stale {
			o.Age, w = rpc.Seconds(time.Hour), fresh
		}
		var d converge.Depth
		if err := d.UnmarshalJSON([]byte(strings.ReplaceAll(w, "?", "null"))); err != nil {
			panic(err)
		}
		if d.Known {
			o.Depth = &d.N
		} else {
			o.Tip = nil
		}
		list = append(list, o)
	}
	return rpc.Agreement{Self: list[0], Peers: list[1:]}
}

func TestVerdictOfAWait(t *testing.T) {
	for _, c := range []struct {
		depths string
		depth  int64
		who    string
		want   string
		have   int
		of     int
	}{
		{"3 3 3", 3, "all", agreed, 3, 3},
		{"3 3 2", 3, "all", pending, 2, 3},
		{"3 3 2", 3, "quorum", agreed, 2, 3},
		{"3 2 2", 3, "1", agreed, 1, 3},
		{"3 ? 3", 3, "all", pending, 2, 3},
		{"3 !9 3", 3, "all", pending, 2, 3},
		{"3 3 (0)", 3, "all", agreed, 2, 2},
		{"3", 3, "all", agreed, 1, 1},
		{"3 3", 3, "3", pending, 2, 2},
		{"0 0", 0, "all", agreed, 2, 2},
		{"-1 5 5", 3, "quorum", ruledOut, 2, 3},
		{"2 -1", 2, "all", pending, 1, 2},
		{"? ?", 0, "all", pending, 0, 2},
	} {
		who, err := converge.ParseWho(c.who)
		if err != nil {
			t.Fatal(err)
		}
		got := judge(rpc.ConvergenceInfo{ID: id("tx"), Agreement: agreement(c.depths)}, c.depth, who)
		if got.Result != c.want || got.Have != c.have || len(got.Nodes) != c.of || got.Yes != (c.want == agreed) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// depthsInTurn answers getconvergence with one drawing after the other, and with
// the last for ever.
func (f *teller) depthsInTurn(drawings ...string) {
	f.answers["getconvergence"] = func(params []json.RawMessage) any {
		now := drawings[0]
		if len(drawings) > 1 {
			drawings = drawings[1:]
		}
		var of chain.Hash
		_ = json.Unmarshal(params[0], &of)
		switch now {
		case "never seen":
			return rpc.Errorf(rpc.NotFound, "No such transaction or block")
		case hangUp:
			return hangUp
		}
		info := rpc.ConvergenceInfo{ID: of, Kind: rpc.KindTx, Agreement: agreement(now)}
		if strings.HasPrefix(now, "-1") {
			info.Conflict, info.Reason = ref(id("rival")), "block b confirms rival\x1b[2J, which spends the same coin"
		}
		return info
	}
}

func TestWaitEndsWhenAllAgree(t *testing.T) {
	f := tell(t)
	f.depthsInTurn("never seen", "0 0 ?", hangUp, "1 1 0", "2 2 2", "3 3 2", "3 3 3")
	s := f.run(t, "wait", id("tx").String(), "--confirmations", "3")
	s.wants(t, done, "depth 3 on 3 of 3 nodes after", "this node (…ooWpeerA) 3", "…ooWpeerC 3",
		"has not seen it yet", "does not answer", "depth 3 on 2 of 3 nodes")
	if f.asked["getconvergence"] < 7 {
		t.Errorf("asked %d times", f.asked["getconvergence"])
	}
}

func TestWaitForPrograms(t *testing.T) {
	f := tell(t)
	f.depthsInTurn("3 3 1")
	s := f.run(t, "wait", id("tx").String(), "--confirmations", "3", "--nodes", "quorum", "--json")
	s.wants(t, done)
	got := decode[map[string]any](t, s)
	for key, want := range map[string]any{
		"txid": id("tx").String(), "result": "agreed", "agreed": true, "have": 2.0, "need": 2.0, "depth": 3.0, "confirmations": 3.0,
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if n := len(got["nodes"].([]any)); n != 3 || s.err != "" {
		t.Errorf("%d nodes, stderr %q", n, s.err)
	}
}

func TestWaitForWhatCannotCome(t *testing.T) {
	f := tell(t)
	f.depthsInTurn("0 0", "-1 0")
	f.run(t, "wait", id("tx").String()).wants(t, failed, "ruled out", `rival\x1b[2J, which spends`)
	f.depthsInTurn("1 0")
	f.run(t, "wait", id("tx").String(), "--timeout", "1ms").wants(t, unknown)
	f.depthsInTurn("never seen")
	f.run(t, "wait", id("tx").String(), "--timeout", "1ms").wants(t, unknown, "never seen "+id("tx").String())
}

func TestWaitTimesOut(t *testing.T) {
	f := tell(t)
	f.depthsInTurn("2 1 ?")
	s := f.run(t, "wait", id("tx").String(), "--confirmations", "2", "--timeout", "300ms")
	s.wants(t, unknown, "timed out after", "depth 2 on 1 of 3 nodes, 3 needed", "…ooWpeerC ? (not heard of lately)",
		"cairn wait "+id("tx").String()+" --data-dir "+f.dir+" goes on waiting")
}

// One who cannot ask does not know.
func TestWaitWithoutANode(t *testing.T) {
	f := tell(t)
	f.run(t, "--rpc", "127.0.0.1:1", "wait", id("tx").String()).wants(t, unknown, "no node answers at 127.0.0.1:1")
	put(t, f.dir+"/"+cookieFile, "__cookie__:stale")
	f.run(t, "wait", id("tx").String()).wants(t, unknown, "another node's")
}

func TestWaitIsCalledWrongly(t *testing.T) {
	f := tell(t)
	for _, args := range [][]string{
		{},
		{"abc"},
		{id("a").String(), id("b").String()},
		{id("a").String(), "--nodes", "most"},
		{id("a").String(), "--nodes", "0"},
		{id("a").String(), "--confirmations", "-2"},
		{id("a").String(), "--confirmations", "deep"},
		{id("a").String(), "--for", "3"},
	} {
		f.run(t, append([]string{"wait"}, args...)...).wants(t, failed, "Usage: cairn wait TXID", "`cairn wait --help`")
	}
	if len(f.asked) != 0 {
		t.Error(f.asked)
	}
}

func TestWatchTellsOfEveryChange(t *testing.T) {
	// root ┬ a1 ─ a2
	//      └ b1 ─ b2 ─ b3
	f := tell(t)
	heights := map[string]uint64{"root": 0, "a1": 1, "a2": 2, "b1": 1, "b2": 2, "b3": 3}
	parents := map[string]string{"a1": "root", "a2": "a1", "b1": "root", "b2": "b1", "b3": "b2"}
	scenes := []struct{ tip, depths string }{{"a1", "0 0"}, {"a2", "1 0"}, {"a2", "1 0"}, {"b3", "2 0"}, {"b3", "2 2"}}
	at := -1
	f.answers["getconvergence"] = func(params []json.RawMessage) any {
		if len(params) == 0 {
			at = min(at+1, len(scenes)-1)
			info := rpc.ConvergenceInfo{ID: id(scenes[at].tip), Kind: rpc.KindBlock, Agreement: agreement("1 0")}
			info.Self.Tip, info.Self.Height = &info.ID, heights[scenes[at].tip]
			return info
		}
		return rpc.ConvergenceInfo{ID: id("tx"), Kind: rpc.KindTx, Agreement: agreement(scenes[at].depths)}
	}
	f.always("getrawmempool", []chain.Hash{id("tx")})
	f.answers["getblockheader"] = func(params []json.RawMessage) any {
		for name, parent := range parents {
			if want, _ := json.Marshal(id(name)); string(params[0]) == string(want) {
				h := rpc.Header{Hash: id(name), Confirmations: -1, Previous: ref(id(parent))}
				if name[0] == scenes[at].tip[0] {
					h.Confirmations = 1
				}
				return h
			}
		}
		return rpc.Header{Hash: id("root"), Confirmations: 4}
	}
	s := f.run(t, "watch", "--until", "2", "--json")
	s.wants(t, done)
	var tips, undone []string
	for line := range strings.Lines(s.out) {
		var c change
		if err := json.Unmarshal([]byte(line), &c); err != nil {
			t.Fatal(err)
		}
		tips = append(tips, c.Tip.Short())
		undone = append(undone, string(rune('0'+c.Undone))+"/"+string(rune('0'+c.Came)))
	}
	if got := strings.Join(undone, " "); got != "0/0 0/1 2/3 0/0" {
		t.Errorf("undone/came: %s in\n%s", got, s.out)
	}
	if want := []string{id("a1").Short(), id("a2").Short(), id("b3").Short(), id("b3").Short()}; strings.Join(tips, " ") != strings.Join(want, " ") {
		t.Errorf("tips %v, want %v", tips, want)
	}

	at = -1
	f.run(t, "watch", "--until", "2").wants(t, done, "height 1 …"+id("a1").Short(), "reorganisation: 2 blocks undone, 3 came instead",
		"tx …"+id("tx").Short()+"  depth this node (…ooWpeerA) 2, …ooWpeerB 2  risk 5.6 % from 10 % of the work\n")
}

func TestWatchEndsWhenAllIsRuledOut(t *testing.T) {
	f := tell(t)
	f.always("getrawmempool", []chain.Hash{})
	f.depthsInTurn("-1 0")
	f.answers["getconvergence"] = func(params []json.RawMessage) any {
		return rpc.ConvergenceInfo{ID: id("tip"), Agreement: agreement("-1 -1")}
	}
	f.run(t, "watch", id("tx").String(), "--until", "3").wants(t, failed, "…ooWpeerA) -1")
}
