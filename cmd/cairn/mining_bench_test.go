//go:build linux

package main_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/cmd/cairn/cairntest"
	"cairn/miner/sha256d"
	"cairn/rpc"
)

// BenchmarkWholeNode mines with all cores in a real node that has four peers and
// takes ten payments a second, in turns with the bare kernel on as many threads.
// It reports the hashes per CPU-second of the threads that search, of both, and
// how soon the node does everything else meanwhile: answers RPC, tells Stratum
// miners of a new tip, and takes the blocks of a peer that mines as well. Each turn
// takes ten seconds, the start about half a minute.
func BenchmarkWholeNode(b *testing.B) {
	w := newMiningWorld(b)
	var node, bare, share []float64
	for b.Loop() {
		n, k := w.nodeRate(8*time.Second), bareRate(b, 2*time.Second)
		node, bare, share = append(node, n), append(bare, k), append(share, n/k)
	}
	w.end()
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(node), "node-MH/cpu-s")
	b.ReportMetric(median(bare), "bare-MH/cpu-s")
	b.ReportMetric(median(share), "node/bare")
	w.clock.report(b)
}

// miningWorld is a node that mines, its peers, and everyone who asks something of
// it. The first peer, the rival, mines as well.
type miningWorld struct {
	*user
	miner, rival *miningNode
	others       []*miningNode
	clock        *stopwatch
	life         context.Context
	finish       context.CancelFunc
	all          sync.WaitGroup
}

type miningNode struct {
	*process
	*rpc.Client
	addr, dir string
}

func newMiningWorld(b *testing.B) *miningWorld {
	w := &miningWorld{user: newUser(b), clock: newStopwatch()}
	w.life, w.finish = context.WithCancel(context.Background())
	door, home := "127.0.0.1:"+cairntest.FreePort(b), cairntest.FreePort(b)
	w.miner = w.start("miner", home, "--stratum", door)
	w.rival = w.start("rival", cairntest.FreePort(b), "--peer", "/ip4/127.0.0.1/tcp/"+home, "--threads", "1", "--hashrate", "20M")
	for i := range 3 {
		w.others = append(w.others, w.start(fmt.Sprint("peer", i), cairntest.FreePort(b), "--peer", "/ip4/127.0.0.1/tcp/"+home))
	}
	w.until("all are linked", func() bool {
		var peers []any
		return w.miner.Call(w.life, "getpeerinfo", &peers) == nil && len(peers) >= 4
	})
	w.mine(w.miner, true)
	w.mine(w.rival, true)
	w.until("the difficulty has come near the hash rate", w.settled)
	w.all.Go(func() { w.payments() })
	w.all.Go(func() { w.questions() })
	w.all.Go(func() { w.notices(door) })
	w.all.Go(func() { w.templates() })
	w.all.Go(func() { w.blocks(w.miner) })
	w.all.Go(func() { w.blocks(w.rival) })
	return w
}

// start starts a node of the network for development and waits until it answers.
func (w *miningWorld) start(name, port string, more ...string) *miningNode {
	n := &miningNode{dir: filepath.Join(w.home, name), addr: "127.0.0.1:" + cairntest.FreePort(w)}
	n.process = w.background(append([]string{
		"node", "--network", "dev", "--data-dir", n.dir, "--rpc", n.addr, "--log-level", "error",
		"--listen", "/ip4/127.0.0.1/tcp/" + port,
	}, more...)...)
	n.Client = rpc.Dial(n.addr, rpc.Cookie(filepath.Join(n.dir, ".cookie")))
	w.until(name+" answers", func() bool { return n.Call(w.life, "uptime", nil) == nil })
	return n
}

func (w *miningWorld) mine(n *miningNode, on bool) {
	if err := n.Call(w.life, "setgenerate", nil, on); err != nil {
		w.Fatal(err)
	}
}

// settled tells whether ten blocks took six seconds: at first there are dozens a
// second.
func (w *miningWorld) settled() bool {
	var height uint64
	if err := w.miner.Call(w.life, "getblockcount", &height); err != nil || height < 50 {
		return false
	}
	return w.timeOf(height)-w.timeOf(height-10) >= 6
}

func (w *miningWorld) timeOf(height uint64) (unix int64) {
	var id chain.Hash
	var header struct{ Time int64 }
	if err := w.miner.Call(w.life, "getblockhash", &id, height); err != nil {
		w.Fatal(err)
	}
	if err := w.miner.Call(w.life, "getblockheader", &header, id); err != nil {
		w.Fatal(err)
	}
	return header.Time
}

// nodeRate is millions of hashes per CPU-second of the node's threads that search.
func (w *miningWorld) nodeRate(d time.Duration) float64 {
	w.mine(w.miner, true)
	defer w.mine(w.miner, false)
	time.Sleep(100 * time.Millisecond) // the threads are there
	hashes, cpu := w.hashes(), w.cpu()
	time.Sleep(d)
	return float64(w.hashes()-hashes) / (w.cpu() - cpu).Seconds() / 1e6
}

func (w *miningWorld) hashes() uint64 {
	var s rpc.Status
	if err := w.miner.Call(w.life, "getstatus", &s); err != nil {
		w.Fatal(err)
	}
	return s.Mining.Hashes
}

// cpu is the CPU time of the node's threads that search.
func (w *miningWorld) cpu() (sum time.Duration) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", w.miner.Process.Pid))
	if err != nil {
		w.Fatal(err)
	}
	for _, task := range tasks {
		name, _ := os.ReadFile(filepath.Join(task, "comm"))
		if strings.TrimSpace(string(name)) != "cairn search" {
			continue
		}
		var ran time.Duration // nanoseconds come first
		raw, _ := os.ReadFile(filepath.Join(task, "schedstat"))
		if _, err := fmt.Sscan(string(raw), (*int64)(&ran)); err != nil {
			w.Fatal(err)
		}
		sum += ran
	}
	return sum
}

// bareRate is the same of the kernel alone.
func bareRate(b *testing.B, d time.Duration) float64 {
	headers := make([]sha256d.Header, sha256d.Width())
	for i := range headers {
		headers[i][1] = byte(i)
	}
	family, err := sha256d.NewFamily(headers, new(sha256d.Target))
	if err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	rates := make([]float64, runtime.NumCPU())
	for i := range rates {
		all.Go(func() {
			runtime.LockOSThread() // the thread ends with us
			const n = 1 << 12
			began, hashes := threadTime(b), 0
			for end := time.Now().Add(d); time.Now().Before(end); hashes += n * len(headers) {
				family.Search(uint32(hashes), n, nil)
			}
			rates[i] = float64(hashes) / (threadTime(b) - began).Seconds() / 1e6
		})
	}
	all.Wait()
	return median(rates)
}

// threadTime is the CPU time of this thread.
func threadTime(b *testing.B) time.Duration {
	const thread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		b.Error(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// payments sends ten a second, each to another peer of the miner's.
func (w *miningWorld) payments() {
	p, key := chain.Dev(), chaintest.Key(0)
	const fee = 100_000
	out := slices.Repeat([]chain.Output{{Value: chain.CRN, To: key.Public()}}, 1000)
	split := chaintest.Pay(p, chaintest.Funds(p, 0), key, 10*fee, out...)
	if err := w.miner.Call(w.life, "sendrawtransaction", nil, fmt.Sprintf("%x", split.Bytes()), 0); err != nil {
		w.Error(err)
		return
	}
	peers := append([]*miningNode{w.rival}, w.others...)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for i, coin := range chaintest.Outs(split, 0)[:len(out)] {
		select {
		case <-w.life.Done():
			return
		case <-tick.C:
		}
		tx := chaintest.Pay(p, coin, key, fee, chain.Output{Value: coin.Value - fee, To: chaintest.Address(1)})
		err := peers[i%len(peers)].Call(w.life, "sendrawtransaction", nil, fmt.Sprintf("%x", tx.Bytes()))
		if err != nil && w.life.Err() == nil && i >= 50 { // at first the coins are still on their way
			w.Errorf("payment %d: %v", i, err)
		}
	}
}

// questions asks the miner something small again and again.
func (w *miningWorld) questions() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for w.life.Err() == nil {
		<-tick.C
		began := time.Now()
		if err := w.miner.Call(w.life, "getblockcount", nil); err == nil {
			w.clock.took("rpc", time.Since(began))
		}
	}
}

// blocks notes when a node says that it has another tip.
func (w *miningWorld) blocks(n *miningNode) {
	for w.life.Err() == nil {
		var tip struct{ Hash chain.Hash }
		if err := n.Call(w.life, "waitfornewblock", &tip); err == nil {
			w.clock.has(filepath.Base(n.dir), tip.Hash)
		}
	}
}

// templates notes when a long poll brings a template on a new tip.
func (w *miningWorld) templates() {
	var last rpc.BlockTemplate
	for w.life.Err() == nil {
		ask := map[string]any{"capabilities": []string{"coinbasetxn", "longpoll"}, "longpollid": last.Poll}
		if err := w.miner.Call(w.life, "getblocktemplate", &last, ask); err == nil {
			w.clock.has("longpoll", last.Previous)
		}
	}
}

// notices notes when the Stratum door tells of which tip.
func (w *miningWorld) notices(door string) {
	conn, err := net.Dial("tcp", door)
	if err != nil {
		w.Error(err)
		return
	}
	defer context.AfterFunc(w.life, func() { conn.Close() })()
	fmt.Fprintln(conn, `{"id":1,"method":"mining.subscribe","params":[]}`)
	fmt.Fprintln(conn, `{"id":2,"method":"mining.authorize","params":["bench",""]}`)
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		var n struct {
			Method string
			Params []any
		}
		if json.Unmarshal(lines.Bytes(), &n) == nil && n.Method == "mining.notify" {
			w.clock.has("notify", previous(n.Params[1].(string)))
		}
	}
}

// previous is a block's id as notify says it: each four bytes are reversed.
func previous(said string) (id chain.Hash) {
	for i := range 8 {
		fmt.Sscanf(said[8*i:8*i+8], "%02x%02x%02x%02x", &id[4*i+3], &id[4*i+2], &id[4*i+1], &id[4*i])
	}
	return id
}

func (w *miningWorld) end() {
	w.finish()
	w.all.Wait()
}

// stopwatch collects what took how long.
type stopwatch struct {
	mu    sync.Mutex
	times map[string][]time.Duration
	tips  map[chain.Hash]map[string]time.Time // when who had a tip
}

func newStopwatch() *stopwatch {
	return &stopwatch{times: map[string][]time.Duration{}, tips: map[chain.Hash]map[string]time.Time{}}
}

func (s *stopwatch) took(what string, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.times[what] = append(s.times[what], d)
}

func (s *stopwatch) has(who string, tip chain.Hash) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tips[tip] == nil {
		s.tips[tip] = map[string]time.Time{}
	}
	if s.tips[tip][who].IsZero() {
		s.tips[tip][who] = now
	}
}

// compare takes the times from a new tip, when the first of its own node told of
// it, to the long poll and to notify; and those from a peer's block, when the peer
// told of it, to our node's word.
func (s *stopwatch) compare() {
	for _, at := range s.tips {
		first := at["miner"]
		for _, who := range []string{"notify", "longpoll"} {
			if t := at[who]; first.IsZero() || !t.IsZero() && t.Before(first) {
				first = t
			}
		}
		for _, who := range []string{"notify", "longpoll"} {
			if t := at[who]; !t.IsZero() {
				s.took("tip-to-"+who, t.Sub(first))
			}
		}
		if rival, miner := at["rival"], at["miner"]; !rival.IsZero() && rival.Before(miner) {
			s.took("block-of-peer", miner.Sub(rival))
		}
	}
}

// report tells the median and the 99th hundredth of all times, in milliseconds.
func (s *stopwatch) report(b *testing.B) {
	s.compare()
	for what, list := range s.times {
		slices.Sort(list)
		b.Logf("%s: %d measured, the longest %v", what, len(list), list[len(list)-1])
		b.ReportMetric(list[len(list)/2].Seconds()*1e3, what+"-p50-ms")
		b.ReportMetric(list[len(list)*99/100].Seconds()*1e3, what+"-p99-ms")
	}
}

func median(list []float64) float64 { return slices.Sorted(slices.Values(list))[len(list)/2] }
