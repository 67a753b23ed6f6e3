package daemon_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"cairn/chain"
	"cairn/chain/chaintest"
	"cairn/daemon"
	"cairn/p2p"
	"cairn/rpc"
	"cairn/store"
)

const (
	benchUser, benchPassword = "someone", "hunter2"
	crowd                    = 1000 // who call at the same time
)

// lone is a node without peers, and its RPC server.
func lone(b *testing.B, p *chain.Params, kept daemon.Store, threads int) (*daemon.Daemon, *rpc.Server) {
	b.Helper()
	key, err := p2p.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	d, err := daemon.New(daemon.Config{
		Params: p, Store: kept, Pay: chaintest.Address(9), HasPay: true, Threads: threads, Nice: 10, Mine: threads > 0,
		Network: p2p.Config{Key: key, Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Agent: "cairn/test"},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(d.Close)
	s, err := rpc.Start(rpc.Config{
		Listen: "127.0.0.1:0", Cookie: filepath.Join(b.TempDir(), ".cookie"), User: benchUser, Password: benchPassword,
	}, d.Backend())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close(b.Context()) })
	return d, s
}

// BenchmarkCrowd lets a thousand callers ask at once, and tells how long they
// wait: on a node that rests, and on one whose miner has every core.
func BenchmarkCrowd(b *testing.B) {
	for _, threads := range []int{0, 2} {
		for _, method := range []string{"getblockcount", "getstatus"} {
			for _, kept := range []bool{true, false} {
				b.Run(fmt.Sprintf("miners=%d/%s/kept=%v", threads, method, kept), func(b *testing.B) {
					p := hard(b) // nobody finds a block
					_, s := lone(b, p, store.NewMemory(p), threads)
					time.Sleep(200 * time.Millisecond) // the miner has warmed up
					b.ResetTimer()
					var waits []time.Duration
					client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crowd, DisableKeepAlives: !kept}}
					defer client.CloseIdleConnections()
					for range b.N {
						waits = append(waits, storm(b, client, s.Addr(), method)...)
					}
					slices.Sort(waits)
					for _, p := range []int{50, 90, 99} {
						b.ReportMetric(float64(waits[len(waits)*p/100].Microseconds())/1000, fmt.Sprintf("ms/p%d", p))
					}
				})
			}
		}
	}
}

func storm(b *testing.B, client *http.Client, addr, method string) []time.Duration {
	waits := make([]time.Duration, crowd)
	var all sync.WaitGroup
	gun := make(chan struct{})
	for i := range crowd {
		all.Go(func() {
			<-gun
			began := time.Now()
			if err := callOnce(client, addr, method); err != nil {
				b.Error(err)
			}
			waits[i] = time.Since(began)
		})
	}
	close(gun)
	all.Wait()
	return waits
}

func callOnce(client *http.Client, addr, method string) error {
	req, err := http.NewRequest(http.MethodPost, "http://"+addr, strings.NewReader(`{"id":1,"method":"`+method+`"}`))
	if err != nil {
		return err
	}
	req.SetBasicAuth(benchUser, benchPassword)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err = io.Copy(io.Discard, resp.Body); resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %s", resp.Status)
	}
	return err
}

// BenchmarkWatchers accepts blocks on two nodes in turn, one of which tells a
// thousand watchers in another process of each. It reports what acceptance took on
// both, at the median, and their ratio: with a pause between blocks in which the
// watchers are told, and without.
func BenchmarkWatchers(b *testing.B) {
	for _, pause := range []time.Duration{100 * time.Millisecond, 0} {
		b.Run(fmt.Sprintf("pause=%v", pause), func(b *testing.B) {
			p := chain.Regtest()
			alone, _ := lone(b, p, onDisk(b, p), 0)
			watched, s := lone(b, p, onDisk(b, p), 0)
			gather(b, s.Addr())
			accept(b, alone, p)
			accept(b, watched, p)
			var without, with []time.Duration
			b.ResetTimer()
			for range b.N {
				without = append(without, accept(b, alone, p))
				with = append(with, accept(b, watched, p))
				time.Sleep(pause)
			}
			slices.Sort(without)
			slices.Sort(with)
			a, w := without[len(without)/2], with[len(with)/2]
			b.ReportMetric(float64(a.Microseconds()), "µs/alone")
			b.ReportMetric(float64(w.Microseconds()), "µs/watched")
			b.ReportMetric(float64(w)/float64(a), "ratio")
		})
	}
}

func onDisk(b *testing.B, p *chain.Params) *store.Badger {
	b.Helper()
	s, err := store.Open(store.Config{Dir: b.TempDir(), Params: p})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	return s
}

// accept makes a block and tells how long the node took to accept it.
func accept(b *testing.B, d *daemon.Daemon, p *chain.Params) time.Duration {
	b.Helper()
	w := d.Work()
	block, err := w.Template(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for chain.CheckHeader(p, block.Header) != nil {
		block.Header.Nonce++
	}
	began := time.Now()
	if err := w.Submit(b.Context(), block); err != nil {
		b.Fatal(err)
	}
	return time.Since(began)
}

// watchOf names the node that the process is to watch, instead of testing.
const watchOf = "CAIRN_TEST_WATCH"

// gather starts a process with a thousand watchers, and waits until all listen.
func gather(b *testing.B, addr string) {
	b.Helper()
	c := exec.Command(os.Args[0], "-test.run=^TestWatchInAnotherProcess$")
	c.Env = append(os.Environ(), watchOf+"="+addr)
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		_ = c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "all listen\n" {
		b.Fatalf("the watchers say %q, %v", line, err)
	}
}

// TestWatchInAnotherProcess is what gather starts.
func TestWatchInAnotherProcess(t *testing.T) {
	addr := os.Getenv(watchOf)
	if addr == "" {
		t.Skip("a part of BenchmarkWatchers")
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var all sync.WaitGroup
	var streams []io.Closer
	for range crowd {
		req, err := http.NewRequest(http.MethodGet, "http://"+addr+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth(benchUser, benchPassword)
		resp, err := client.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v %v", resp, err)
		}
		streams = append(streams, resp.Body)
		all.Go(func() { _, _ = io.Copy(io.Discard, resp.Body) })
	}
	fmt.Println("all listen")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark ends
	for _, s := range streams {
		s.Close()
	}
	all.Wait()
}
