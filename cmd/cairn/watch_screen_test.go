package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"charm.land/lipgloss/v2"

	"cairn/chain"
	"cairn/rpc"
)

var updateScreens = flag.Bool("update-screens", false, "write the screens of testdata/watch anew")

// noon is when the tests' screens were looked at.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// grow draws a tree: each line is a branch from the block where it starts, with
// ten seconds between blocks. The first line is the best chain.
func grow(lines ...string) forkTree {
	t := forkTree{Blocks: map[chain.Hash]treeBlock{}}
	for i, line := range lines {
		names := strings.Fields(line)
		status := "valid-headers"
		if i == 0 {
			status = "active"
			t.Blocks[id(names[0])] = treeBlock{Height: 100, Time: 1_800_000_000}
		}
		if word, is := strings.CutPrefix(names[len(names)-1], "!"); is {
			status, names = word, names[:len(names)-1]
		}
		for j, name := range names[1:] {
			prev := id(names[j])
			below := t.Blocks[prev]
			t.Blocks[id(name)] = treeBlock{&prev, below.Height + 1, below.Time + 10}
		}
		end := id(names[len(names)-1])
		t.Ends = append(t.Ends, treeEnd{end, status})
		if i == 0 {
			t.Best = end
		}
	}
	return t
}

// stage makes a scene: the tree, who is on which block ("-" is unknown), and the
// depths of transactions on each of them, as agreement draws them.
func stage(at time.Duration, t forkTree, on string, txs ...string) *scene {
	s := &scene{
		At: noon.Add(at), Network: "dev", Tip: t.Best, Height: t.Blocks[t.Best].Height, Headers: t.Blocks[t.Best].Height,
		Waiting: 1, Hashrate: 333_400, NetRate: 1.2e6, Difficulty: 0.00036, Found: 5, Expected: 4.6, Spacing: 10 * time.Second,
		Reorgs: rpc.Reorgs{Count: 1, Deepest: 2}, Tree: t,
	}
	for i, name := range strings.Fields(on) {
		n := sceneNode{Key: "12D3KooWpeer" + string(rune('A'+i)), Height: t.Blocks[id(name)].Height, Note: "cairn/1.0"}
		n.Name = shortPeer(n.Key)
		if i == 0 {
			n.Name = "this node"
		} else {
			n.Age = time.Duration(i) * 1100 * time.Millisecond
		}
		if name != "-" {
			n.Tip = ref(id(name))
		}
		s.Nodes = append(s.Nodes, n)
	}
	for _, words := range txs {
		name, depths, _ := strings.Cut(words, ": ")
		tx := sceneTx{ID: id(name), Depths: counted(agreement(depths))}
		if strings.HasPrefix(depths, "-1") {
			tx.Reason, tx.Conflict = "a block confirms another spend of one of its coins", ref(id("rival"))
		}
		s.Txs = append(s.Txs, tx)
	}
	return s
}

// healed is the story of most tests: two branches, of which the longer one wins.
func healed(width, height int) *screen {
	s := &screen{title: "watch", width: width, height: height}
	s.take(stage(0, grow("r 1 2 3 4 5 6 7 8 9 a10 a11"), "a11 9 - a11",
		"old: 7 5 ? 7", "paid: 2 0 ? 2"))
	s.take(stage(2*time.Second, grow("r 1 2 3 4 5 6 7 8 9 a10 a11", "9 b10 b11 b12"), "a11 b12 - a11",
		"new: 0 0 ? 0", "old: 7 8 ? 7", "paid: 2 0 ? 2"))
	s.take(stage(4500*time.Millisecond, grow("r 1 2 3 4 5 6 7 8 9 b10 b11 b12 b13", "9 a10 a11", "a10 c11 !headers-only"), "b13 b13 - a11",
		"new: 0 0 ? 0", "old: 9 9 ? 7", "paid: -1 -1 ? 2", "late: 1 1 !3 0"))
	s.take(stage(9*time.Second, grow("r 1 2 3 4 5 6 7 8 9 b10 b11 b12 b13 b14", "9 a10 a11", "a10 c11 !headers-only", "7 x8 !invalid"), "b14 b13 b14 b14",
		"new: 1 0 1 1", "old: 10 9 10 10", "paid: -1 -1 -1 -1", "late: 3 2 !3 3"))
	return s
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// bare is a screen without its colours.
func bare(s string) string { return sgr.ReplaceAllString(s, "") }

func TestScreens(t *testing.T) {
	for name, prepare := range map[string]func(*screen){
		"main":  func(*screen) {},
		"tx":    func(s *screen) { press(s, "down", "down", "enter") },
		"help":  func(s *screen) { press(s, "?") },
		"pause": func(s *screen) { press(s, "p", "tab", "tab", "down") },
		"trouble": func(s *screen) {
			s.Update(lookedMsg{err: errors.New("no node answers"), at: noon.Add(10 * time.Second)})
			s.Update(lookedMsg{err: errors.New("no node answers"), at: noon.Add(15 * time.Second)})
		},
		"many": func(s *screen) {
			s.take(stage(10*time.Second, s.now.Tree, "b14"+strings.Repeat(" b14 b13 a11 -", 5), "wide: 3"+strings.Repeat(" 3 2 -1 ?", 5)))
			press(s, "right", "right")
		},
	} {
		for _, size := range [][2]int{{80, 24}, {160, 50}} {
			s := healed(size[0], size[1])
			prepare(s)
			golden(t, fmt.Sprintf("%s_%dx%d.txt", name, size[0], size[1]), bare(s.draw()))
		}
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	var trimmed strings.Builder
	for line := range strings.Lines(got + "\n") {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	path := filepath.Join("testdata", "watch", name)
	if *updateScreens {
		put(t, path, trimmed.String())
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if trimmed.String() != strings.ReplaceAll(string(want), "\r\n", "\n") {
		t.Errorf("%s differs; go test -update-screens writes it anew. Now it is\n%s", path, trimmed.String())
	}
}

// press presses keys, one after the other.
func press(s *screen, keys ...string) (last tea.Cmd) {
	for _, k := range keys {
		last = s.key(k)
	}
	return last
}

func TestColoursTellWhatNumbersTell(t *testing.T) {
	s := healed(160, 50)
	colourful := s.draw()
	for _, want := range []string{
		goodTone.paint(right("10", depthWidth)), fairTone.paint(right("3", depthWidth)), warnTone.paint(right("1", depthWidth)),
		badTone.paint(right("-1", depthWidth)), goodTone.paint(left("same", 11)),
	} {
		if want == bare(want) || !strings.Contains(colourful, want) {
			t.Errorf("nothing is painted %q", want)
		}
	}
}

// whole fails the test unless a screen has its size.
func whole(t *testing.T, s *screen) {
	t.Helper()
	text := s.draw()
	if s.width <= 0 || s.height <= 0 {
		if text != "" {
			t.Fatalf("%d×%d: %q", s.width, s.height, text)
		}
		return
	}
	lines := strings.Split(text, "\n")
	if len(lines) != s.height {
		t.Fatalf("%d×%d: %d lines", s.width, s.height, len(lines))
	}
	for _, line := range lines {
		if w := lipgloss.Width(line); w > s.width {
			t.Fatalf("%d×%d: a line of %d columns: %q", s.width, s.height, w, line)
		}
	}
}

func TestEverySmallScreen(t *testing.T) {
	for _, keys := range [][]string{nil, {"enter"}, {"?"}, {"tab", "G"}, {"tab", "tab", "G"}, {"p", "right", "right", "end"}} {
		for width := range 90 {
			for _, height := range []int{0, 1, 2, 3, 4, 5, 7, 9, 12, 23, 37} {
				s := healed(width, height)
				press(s, keys...)
				whole(t, s)
			}
		}
	}
}

func FuzzScreen(f *testing.F) {
	f.Add(80, 24, 3, 3, "jj\tl?")
	f.Add(160, 50, 20, 24, "\tGp")
	f.Add(1, 1, 1, 0, "e")
	f.Fuzz(func(t *testing.T, width, height, nodes, txs int, keys string) {
		s := &screen{title: "watch", width: width % 400, height: height % 200}
		tree := grow("r 1 2 3 a4 a5 a6", "3 b4 b5", "b4 c5 !invalid", "1 d2 d3 d4")
		for i := range 2 {
			on := "a6"
			for n := range nodes % 40 {
				on += " " + []string{"a6", "b5", "-", "d4", "2"}[(n+i)%5]
			}
			var rows []string
			for n := range txs % 40 {
				rows = append(rows, fmt.Sprintf("tx%d: %d 1 ? -1", n+i, n%9-1))
			}
			s.take(stage(time.Duration(i)*time.Second, tree, on, rows...))
		}
		for _, r := range keys {
			k := map[rune]string{'\t': "tab", 'e': "enter", ' ': "space", 'u': "pgup", 'd': "pgdown"}[r]
			if k == "" {
				k = string(r)
			}
			s.Update(tea.WindowSizeMsg{Width: s.width, Height: s.height})
			press(s, k)
			whole(t, s)
		}
		whole(t, s)
	})
}

// What a reorganisation undoes has to be reached again, and is told again.
func TestMilestonesAreUndone(t *testing.T) {
	s := &screen{title: "watch", width: 80, height: 24}
	tree := grow("r 1 2 3 4 5 6")
	for i, depths := range []string{"0 0", "1 1", "3 3", "0 0", "1 0", "1 1", "1 ?", "3 3"} {
		s.take(stage(time.Duration(i)*time.Second, tree, "6 6", "tx: "+depths))
	}
	var got []string
	for _, e := range slices.Backward(s.events) {
		_, words, _ := strings.Cut(e.Text, ": ")
		got = append(got, words)
	}
	want := []string{
		"confirmed in block 106", "depth 1 on 2 of 2 nodes after 1.0 s", "depth 3 on 2 of 2 nodes after 2.0 s",
		"its block is undone, it waits again", "confirmed in block 106", "depth 1 on 2 of 2 nodes after 5.0 s", "depth 3 on 2 of 2 nodes after 7.0 s",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestKeys(t *testing.T) {
	s := healed(80, 24)
	press(s, "j", "down", "k")
	if s.cursor != 1 || s.picked().ID != id("old") {
		t.Errorf("cursor %d", s.cursor)
	}
	// The cursor stays on its transaction when rows come on top.
	s.take(stage(20*time.Second, s.now.Tree, "b14 b14", "newest: 0 0", "new: 1 1", "old: 10 10"))
	if s.picked().ID != id("old") || s.cursor != 2 {
		t.Errorf("cursor %d", s.cursor)
	}
	press(s, "enter")
	if s.page != txPage || !strings.Contains(s.draw(), id("old").String()) {
		t.Error("enter shows nothing")
	}
	press(s, "esc", "?", "?", "home")
	if s.page != mainPage || s.cursor != 0 {
		t.Errorf("page %d, cursor %d", s.page, s.cursor)
	}
	press(s, "tab", "tab", "end")
	if s.scroll[eventsPanel] != len(s.events)-1 {
		t.Errorf("scrolled to %d of %d", s.scroll[eventsPanel], len(s.events))
	}
	for _, k := range []string{"q", "ctrl+c", "esc"} {
		if cmd := press(s, k); cmd == nil {
			t.Errorf("%s does not quit", k)
		} else if _, quits := cmd().(tea.QuitMsg); !quits {
			t.Errorf("%s does not quit", k)
		}
	}
	none := &screen{width: 80, height: 24}
	press(none, "enter", "down", "right", "G", "tab")
	whole(t, none)
}

// eyes is a looker that a test plays.
type eyes func(also []chain.Hash) (*scene, error)

func (e eyes) look(_ context.Context, also []chain.Hash) (*scene, error) { return e(also) }

func TestLooksNeverOverlap(t *testing.T) {
	looks := 0
	s := healed(80, 24)
	s.ctx, s.eyes = t.Context(), eyes(func([]chain.Hash) (*scene, error) { looks++; return s.now, nil })
	look := s.Init()
	if look == nil || s.lookNow() != nil {
		t.Fatal("a second look begins beside the first")
	}
	press(s, "p")
	if cmd := press(s, "p"); cmd != nil {
		t.Error("going on begins a second look")
	}
	if _, tick := s.Update(look()); tick == nil || looks != 1 {
		t.Fatalf("%d looks, and no next", looks)
	}
	due := tickMsg(s.ticket)
	press(s, "p")
	if _, cmd := s.Update(due); cmd != nil {
		t.Error("it looks while it pauses")
	}
	again := press(s, "p")
	if again == nil {
		t.Fatal("it does not look when it goes on")
	}
	if _, cmd := s.Update(due); cmd != nil {
		t.Error("an old tick begins a second look")
	}
	s.Update(again())
	if _, cmd := s.Update(due); cmd != nil {
		t.Error("an old tick counts after all")
	}
	if _, cmd := s.Update(tickMsg(s.ticket)); cmd == nil {
		t.Error("the tick that counts does not")
	}
}

func TestTroubleIsShownUntilItIsOver(t *testing.T) {
	s := healed(80, 24)
	before := s.now
	s.Update(lookedMsg{err: errors.New("no node\x1b[2J answers"), at: noon})
	if text := s.draw(); !strings.Contains(text, `no node\x1b[2J answers`) || s.now != before || !strings.Contains(s.events[0].Text, "does not answer") {
		t.Errorf("%s", text)
	}
	s.Update(lookedMsg{scene: before, at: noon})
	if s.trouble != "" || !strings.Contains(s.events[0].Text, "answers again") {
		t.Errorf("%q, %v", s.trouble, s.events[0])
	}
}

func TestPaymentsAreFollowedOnceTheLookKnowsThem(t *testing.T) {
	s := healed(80, 24)
	var asked [][]chain.Hash
	fail := errors.New("not now")
	s.ctx, s.eyes = t.Context(), eyes(func(also []chain.Hash) (*scene, error) { asked = append(asked, also); return s.now, fail })
	s.pay = func() tea.Msg { return paidMsg{id: id("first")} }
	cmd := press(s, "p")
	s.Update(cmd())
	look := s.lookNow()
	s.Update(paidMsg{id: id("second")})
	s.Update(look()) // fails: the first is still to be told
	fail = nil
	look = s.lookNow()
	s.Update(paidMsg{id: id("third")})
	s.Update(look())
	s.Update(s.lookNow()())
	want := [][]chain.Hash{{id("first")}, {id("first"), id("second")}, {id("third")}}
	if !slices.EqualFunc(asked, want, slices.Equal) || len(s.also) != 0 {
		t.Errorf("%v, left %v", asked, s.also)
	}
	s.Update(paidMsg{err: errors.New("not enough\x1b[2J coins")})
	if !strings.Contains(bare(s.draw()), `not enough\x1b[2J coins`) {
		t.Error("nothing says why it did not pay")
	}
}

func TestScreenEndsAtTheDepth(t *testing.T) {
	for depths, want := range map[string]error{"2 2": nil, "-1 2": &verdictError{failed}} {
		tree := grow("r 1 2 3")
		scenes := []*scene{stage(0, tree, "3 3", "tx: 0 1"), stage(1, tree, "3 3", "tx: "+depths)}
		s := &screen{title: "watch", until: 2, eyes: eyes(func([]chain.Hash) (*scene, error) {
			now := scenes[0]
			scenes = scenes[min(1, len(scenes)-1):]
			return now, nil
		})}
		var out strings.Builder
		err := live(t.Context(), s, tea.WithInput(nil), tea.WithOutput(&out), tea.WithWindowSize(80, 24), tea.WithEnvironment([]string{"TERM=xterm"}))
		if fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", depths, err, want)
		}
		if !strings.Contains(out.String(), "cairn watch") {
			t.Errorf("the screen shows %q", out.String())
		}
	}
}

// teach makes a teller answer all that the screen asks for.
func (f *teller) teach(t *testing.T, s *scene) {
	f.always("getnetworkparams", chain.Dev())
	f.always("getmininginfo", rpc.MiningInfo{Rate: s.Hashrate, NetworkRate: s.NetRate, Difficulty: s.Difficulty})
	f.always("getstatus", rpc.Status{Headers: s.Headers, Pool: rpc.StatusPool{Count: s.Waiting}, Reorgs: s.Reorgs})
	f.answers["getconvergence"] = func(params []json.RawMessage) any {
		info := rpc.ConvergenceInfo{ID: s.Tip, Kind: rpc.KindBlock}
		for i, n := range s.Nodes {
			o := rpc.Opinion{Peer: n.Key, Agent: evil, Connected: true, Counted: true, Tip: n.Tip, Height: n.Height, Age: rpc.Seconds(n.Age)}
			if len(params) > 0 {
				o.Depth = ref(int64(-1))
			}
			if i == 0 {
				info.Self = o
			} else {
				info.Peers = append(info.Peers, o)
			}
		}
		if len(params) > 0 {
			info.Kind, info.Reason, info.Conflict = rpc.KindTx, evil, ref(id("rival"))
			if err := json.Unmarshal(params[0], &info.ID); err != nil {
				t.Error(err)
			}
			if find(s.Txs, info.ID) == nil {
				return rpc.Errorf(rpc.NotFound, "No such transaction or block")
			}
		}
		return info
	}
	waiting := []chain.Hash{}
	for _, tx := range s.Txs {
		waiting = append(waiting, tx.ID)
	}
	f.always("getrawmempool", waiting)
	var tips []rpc.Tip
	for _, e := range s.Tree.Ends {
		tips = append(tips, rpc.Tip{Height: s.Tree.Blocks[e.ID].Height, Hash: e.ID, Status: e.Status})
	}
	f.always("getchaintips", tips)
	f.answers["getblockheader"] = func(params []json.RawMessage) any {
		var h chain.Hash
		if err := json.Unmarshal(params[0], &h); err != nil {
			t.Error(err)
		}
		b, ok := s.Tree.Blocks[h]
		if !ok {
			return rpc.Errorf(rpc.NotFound, "Block not found")
		}
		return rpc.Header{Hash: h, Height: b.Height, Time: b.Time, Previous: b.Prev}
	}
}

// through looks through a node that a test plays; it may move.
func through(f **teller) *nodeLooker {
	return &nodeLooker{dial: func() (*rpc.Client, error) {
		addr, err := os.ReadFile(filepath.Join((*f).dir, rpcAddrFile))
		return rpc.Dial(strings.TrimSpace(string(addr)), rpc.Cookie(filepath.Join((*f).dir, cookieFile))), err
	}}
}

func TestLookThroughANode(t *testing.T) {
	f := tell(t)
	told := healed(80, 24).now
	told.Nodes[1].Key = "12D3KooW" + evil
	f.teach(t, told)
	l := through(&f)
	got, err := l.look(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Tip != told.Tip || got.Height != told.Height || len(got.Nodes) != 4 || len(got.Txs) != 4 || got.Network != "dev" {
		t.Errorf("%+v", got)
	}
	if mean, over := got.Tree.interval(); mean != 10*time.Second || over != 14 {
		t.Errorf("a block every %v over %d", mean, over)
	}
	if len(got.Tree.Blocks) != len(told.Tree.Blocks) || len(got.Tree.Ends) != 4 {
		t.Errorf("%d blocks, %d ends", len(got.Tree.Blocks), len(got.Tree.Ends))
	}
	asked := f.asked["getblockheader"]
	if _, err := l.look(t.Context(), nil); err != nil || f.asked["getblockheader"] != asked {
		t.Errorf("%v; asked for %d headers and then for %d more", err, asked, f.asked["getblockheader"]-asked)
	}
	for _, keys := range [][]string{nil, {"enter"}} {
		s := &screen{title: "watch", width: 160, height: 50}
		s.take(got)
		press(s, keys...)
		if text := bare(s.draw()); strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, `\x1b[2J`) {
			t.Errorf("a stranger's words on the screen: %q", text)
		}
	}
}

// A node that comes back may listen elsewhere, and know other things.
func TestLookSurvivesARestart(t *testing.T) {
	first, second := tell(t), tell(t)
	f := first
	tree := grow("r 1 2 3")
	first.teach(t, stage(0, tree, "3 3", "tx: 0 0"))
	second.teach(t, stage(0, grow("r 1 2 3 4"), "4 4"))
	l := through(&f)
	if s, err := l.look(t.Context(), nil); err != nil || len(s.Txs) != 1 {
		t.Fatal(s, err)
	}
	first.always("getchaintips", hangUp)
	if _, err := l.look(t.Context(), nil); err == nil {
		t.Fatal("a dead node was seen")
	}
	f = second
	s, err := l.look(t.Context(), nil)
	if err != nil || s.Height != 104 || len(s.Txs) != 0 {
		t.Fatal(s, err)
	}
}

func TestNamedTransactionsStay(t *testing.T) {
	f := tell(t)
	f.teach(t, stage(0, grow("r 1 2 3"), "3 3 -", "waits: 0 0 0"))
	l := through(&f)
	l.pool = follower{named: true, ids: []chain.Hash{id("unseen"), id("waits")}}
	for range 2 {
		s, err := l.look(t.Context(), nil)
		if err != nil || len(s.Txs) != 2 || s.Txs[0].ID != id("unseen") || s.Txs[0].here().Known || len(s.Txs[0].Depths) != 3 {
			t.Fatalf("%+v, %v", s, err)
		}
	}
}

func TestSettledTransactionsMakeRoom(t *testing.T) {
	var f follower
	var waiting []chain.Hash
	var txs []sceneTx
	for i := range maxShown {
		waiting = append(waiting, id(fmt.Sprint(i)))
		txs = append(txs, sceneTx{ID: waiting[i], Depths: counted(agreement("5 5"))})
	}
	f.follow(waiting, nil)
	f.learn(txs)
	if got := f.follow([]chain.Hash{id("one more")}, nil); slices.Contains(got, id("one more")) {
		t.Error("it takes the place of one that is not settled")
	}
	slices.Reverse(txs)
	txs[3].Depths = counted(agreement("6 7"))
	f.learn(txs)
	got := f.follow([]chain.Hash{id("one more")}, nil)
	if len(got) != maxShown || !slices.Contains(got, id("one more")) || slices.Contains(got, id("3")) {
		t.Errorf("%d are followed", len(got))
	}
}

// The line of work says what our own search finds, if there is one.
func TestPaceTellsOfOurOwnSearch(t *testing.T) {
	s := &scene{Found: 5, Expected: 4.6}
	if words := strings.Join(s.pace(), "; "); !strings.Contains(words, "5 found here, next in 4.6 s") {
		t.Errorf("the line is %q", words)
	}
	s.Expected = 0
	if words := strings.Join(s.pace(), "; "); strings.Contains(words, "found") {
		t.Errorf("without a search the line is %q", words)
	}
}
