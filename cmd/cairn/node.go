package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/daemon"
	"cairn/miner"
	"cairn/p2p"
	"cairn/rpc"
	"cairn/store"
	"cairn/wallet"
)

// nodeOptions are the flags of `cairn node`.
type nodeOptions struct {
	listen, peers             []string
	maxPeers, threads, nice   int
	dbCache                   int // MB
	mine                      bool
	mineTo, hashrate, name    string
	rpc, rpcUser, rpcPassword string
	stratum, metrics          string
	discover                  []string
	nat                       string
	logLevel, logFormat       string
	said                      *logs
	bar                       *catchUp // how far the node is, at a terminal
}

func nodeCommand() *cobra.Command {
	var o nodeOptions
	c := &cobra.Command{
		Use:   "node",
		Short: "Run a node: follow the chain, serve peers, and mine if told to",
		Example: `  cairn node --mine
  cairn node --network test --discover none --peer /ip4/192.0.2.1/tcp/19421
  cairn node --listen /ip4/127.0.0.1/tcp/29431 --rpc 127.0.0.1:29432 --data-dir second --peer /ip4/127.0.0.1/tcp/29421`,
		Args: words(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return runNode(cmd, o)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.listen, "listen", nil, "a `MULTIADDR` to be dialled at (default TCP and QUIC at the network's port: on main and test of every address, else of loopback)")
	f.StringArrayVar(&o.peers, "peer", nil, "the `MULTIADDR` of a peer to stay connected to")
	f.StringVar(&o.name, "name", "", "what screens call this node: peers hear it, and it proves nothing")
	f.IntVar(&o.maxPeers, "max-peers", p2p.DefaultMaxPeers, "peers at most")
	f.StringSliceVar(&o.discover, "discover", nil, "`WHERE` to look for peers that nobody named: lan (mDNS), dht (ask peers for others) or none (default lan,dht on main and test, else none)")
	f.StringVar(&o.nat, "nat", "auto", "ask the router to let peers in, and peers whether they can reach us: on, off, or auto (on main alone)")
	f.IntVar(&o.dbCache, "db-cache", store.DefaultCache>>20, "memory in `MB` that may hold what follows from the newest blocks before it is written to the indexes: the more, the faster a node catches up; 0 writes it at once")
	f.BoolVar(&o.mine, "mine", false, "search for blocks")
	f.StringVar(&o.mineTo, "mine-to", "", "the `ADDRESS` that found blocks pay (default the next of the wallet in the data directory; without one, on dev and regtest, the first prefunded)")
	f.IntVar(&o.threads, "threads", 0, "threads that search (default one for each core)")
	f.IntVar(&o.nice, "nice", 5, "how far they stand back behind everything else on this machine: 0, not at all, to 19 (Linux only)")
	f.StringVar(&o.hashrate, "hashrate", "0", "hashes a second at most, like 500k or 1M; 0 is no `LIMIT`")
	f.StringVar(&o.rpc, "rpc", "", "`HOST:PORT` for RPC (default loopback, the network's port)")
	f.StringVar(&o.rpcUser, "rpc-user", "", "a name for RPC beside the cookie")
	f.StringVar(&o.rpcPassword, "rpc-password", "", "its password; better set as CAIRN_RPC_PASSWORD")
	f.StringVar(&o.stratum, "stratum", "", "`HOST:PORT`, or a port of this machine, for other people's miners (Stratum); default none")
	f.StringVar(&o.metrics, "metrics", "", "`HOST:PORT` of this machine that shows metrics to Prometheus without a password, at /metrics; default none, but the RPC port shows them with its password")
	f.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	f.StringVar(&o.logFormat, "log-format", "text", "text or json")
	return c
}

// maxCache is more than any machine has that this runs on, in megabytes.
const maxCache = 1 << 20

// check refuses what no node could do, before anything is opened.
func (o *nodeOptions) check(cmd *cobra.Command) error {
	if o.maxPeers < 1 {
		return misused(cmd, "--max-peers %d: a node without peers agrees with nobody: give a number from 1 on", o.maxPeers)
	}
	if o.dbCache < 0 || o.dbCache > maxCache {
		return misused(cmd, "--db-cache %d: give megabytes from 0 to %d", o.dbCache, maxCache)
	}
	if o.nice < 0 || o.nice > 19 {
		return misused(cmd, "--nice %d: give a number from 0 to 19", o.nice)
	}
	return cmp.Or(threads(cmd, o.threads), hostPort(cmd, "rpc"), hostPort(cmd, "metrics"))
}

// threads refuses a number of searching threads that no miner takes.
func threads(cmd *cobra.Command, n int) error {
	if n < 0 || n > miner.MaxThreads {
		return misused(cmd, "--threads %d: give 1 to %d, or 0 for one each core", n, miner.MaxThreads)
	}
	return nil
}

// runNode opens what a node needs in order, waits, and closes it in reverse.
func runNode(cmd *cobra.Command, o nodeOptions) error {
	ctx, stop := context.WithCancel(cmd.Context())
	defer stop()
	beFrugal()
	o.bar = &catchUp{out: cmd.ErrOrStderr()}
	said, err := newLogs(o.logLevel, o.logFormat, o.bar)
	if err != nil {
		return err
	}
	o.said = said
	p, err := params(cmd)
	if err != nil {
		return err
	}
	dir, err := makeDataDir(cmd)
	if err != nil {
		return err
	}
	kept, err := o.openStore(dir, p)
	if err != nil {
		return err
	}
	defer func() { warn(o.said.of(logNode), "close the database", kept.Close()) }()
	cfg, err := o.config(p, dir)
	if err != nil {
		return err
	}
	cfg.Store, cfg.Room, cfg.Stop = kept, kept.Room, stop
	d, err := daemon.New(cfg)
	if err != nil {
		return listening(err, "--listen")
	}
	defer d.Close()
	return serveNode(ctx, cmd, o, dir, d, cfg)
}

// serveNode answers RPC until the user, a caller or the node itself wants an end.
func serveNode(ctx context.Context, cmd *cobra.Command, o nodeOptions, dir string, d *daemon.Daemon, cfg daemon.Config) error {
	miners, err := openDoor(o.stratum, d, cfg)
	if err != nil {
		return listening(err, "--stratum")
	}
	defer miners.shut()
	doors := o.server(cfg.Params, dir)
	doors.Metrics = d.Metrics()
	server, err := rpc.Start(doors, d.Backend())
	if err != nil {
		return listening(err, "--rpc")
	}
	defer closeRPC(server, cfg.Logger)
	warnOfOpenDoor(cfg.Logger, server.Addr())
	forget, err := announceRPC(dir, server.Addr())
	if err != nil {
		return err
	}
	defer forget()
	var others bytes.Buffer // the doors that not everybody opens
	if link, err := rpc.PageLink(server.Addr(), rpc.Cookie(filepath.Join(dir, cookieFile))); err == nil {
		fmt.Fprintf(&others, "  page     %s\n", link)
	}
	miners.greet(&others)
	dark, err := showMetrics(&others, o.metrics, d)
	if err != nil {
		return listening(err, "--metrics")
	}
	defer dark()
	greet(cmd.OutOrStdout(), cfg.Params, cfg, dir, d.Network().Addrs(), server.Addr())
	if _, err := others.WriteTo(cmd.OutOrStdout()); err != nil {
		return err
	}
	return stay(ctx, d, cfg.Logger, o.bar)
}

// stay waits for the end, shows meanwhile how far the node is, and gives back
// memory that it no longer needs.
func stay(ctx context.Context, d *daemon.Daemon, log *slog.Logger, bar *catchUp) error {
	var looks <-chan time.Time // none where nobody sits at a terminal
	if isTerminal(bar.out) {
		t := time.NewTicker(catchUpEvery)
		defer t.Stop()
		looks = t.C
	}
	var calm rest
	rests := time.NewTicker(restEvery)
	defer rests.Stop()
	for {
		select {
		case <-ctx.Done():
			log.Info("stopping")
			return nil
		case <-d.Done():
			return d.Err()
		case <-looks:
			bar.look(d.Backend().Open)
		case <-rests.C:
			calm.look()
		}
	}
}

// showMetrics opens a door of its own for Prometheus, if that is wanted.
func showMetrics(w io.Writer, addr string, d *daemon.Daemon) (dark func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
	s, err := rpc.OpenMetrics(addr, d.Metrics())
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(w, "  metrics  http://%s/metrics\n", s.Addr())
	return func() { _ = s.Close() }, nil
}

// warnOfOpenDoor tells when RPC answers beyond this machine: cookie and password
// travel in clear.
func warnOfOpenDoor(log *slog.Logger, addr string) {
	host, _, err := net.SplitHostPort(addr)
	if ip, bad := netip.ParseAddr(host); err == nil && bad == nil && !ip.IsLoopback() {
		log.Warn("RPC answers beyond this machine, and its password travels in clear: use --rpc 127.0.0.1:PORT and a tunnel", "addr", addr)
	}
}

// makeDataDir makes the data directory.
func makeDataDir(cmd *cobra.Command) (string, error) {
	dir, err := home(cmd)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("data directory: %w", err)
	}
	return dir, nil
}

// openStore opens the database beside our own files.
func (o nodeOptions) openStore(dir string, p *chain.Params) (*store.Badger, error) {
	c := storeIn(dir, p, o.said.of(logDatabase))
	if c.Cache = int64(o.dbCache) << 20; c.Cache == 0 {
		c.Cache = -1
	}
	return store.Open(c)
}

// storeIn is the store of a data directory, where other files of ours stand.
func storeIn(dir string, p *chain.Params, log *slog.Logger) store.Config {
	return store.Config{
		Dir: dir, Params: p,
		Beside: []string{cookieFile + "*", rpcAddrFile, walletFile + "*", hostKeyFile + "*", peersFile + "*", bansFile + "*", configFile, "log"},
		Log: func(level slog.Level, text string) {
			log.Log(context.Background(), level, text, "of", "database")
		},
	}
}

// closeRPC waits a moment for calls that are under way.
func closeRPC(s *rpc.Server, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	warn(log, "close RPC", s.Close(ctx))
}

func warn(log *slog.Logger, what string, err error) {
	if err != nil {
		log.Error(what, "err", err)
	}
}

func (o nodeOptions) config(p *chain.Params, dir string) (daemon.Config, error) {
	rate, err := parseHashrate(o.hashrate)
	if err != nil {
		return daemon.Config{}, err
	}
	cfg := daemon.Config{
		Params: p, Mine: o.mine, Threads: o.threads, Nice: o.nice, HashRate: rate, Version: version,
		Logger: o.said.of(logNode), Logs: o.said, Place: dir,
	}
	if cfg.Network, err = o.network(p, dir); err != nil {
		return cfg, err
	}
	cfg.Network.Logger = o.said.of(logP2P)
	if cfg.Network.Key, err = p2p.LoadKey(filepath.Join(dir, hostKeyFile)); err != nil {
		return cfg, err
	}
	cfg.Pay, cfg.HasPay, err = o.payee(p, dir)
	return cfg, err
}

// agent is what peers see of our program; a name stands behind it as in BIP14.
func (o nodeOptions) agent() string {
	if o.name == "" {
		return "cairn/" + version
	}
	return "cairn/" + version + "(" + o.name + ")"
}

// payee is whom blocks pay. The node holds no keys: it needs an address.
func (o nodeOptions) payee(p *chain.Params, dir string) (pay chain.Address, ok bool, err error) {
	if o.mineTo != "" {
		pay, err = p.ParseAddress(o.mineTo)
		return pay, err == nil, err
	}
	w, err := wallet.Open(filepath.Join(dir, walletFile))
	switch {
	case err == nil:
		if err := w.For(p.Name); err != nil {
			return pay, false, err
		}
		pay, err = w.NextAddress(wallet.Receive)
		return pay, err == nil, err
	case !errors.Is(err, wallet.ErrMissing):
		return pay, false, err
	case prefunds(p):
		return chain.Prefunded()[0], true, nil
	case o.mine:
		return pay, false, fmt.Errorf("--mine pays nobody: make a wallet with `cairn wallet create --network %s`, or name an address with --mine-to", p.Name)
	}
	return pay, false, nil
}

// prefunds tells whether the network's genesis pays the keys that everybody knows.
func prefunds(p *chain.Params) bool {
	first := chain.Prefunded()[0]
	return slices.ContainsFunc(p.Genesis.Coinbase.Outputs, func(o chain.Output) bool { return o.To == first })
}

// parseHashrate reads hashes a second: 250000, 250k, 1M, 1.5G.
func parseHashrate(s string) (float64, error) {
	units := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}
	digits := strings.TrimRight(s, "kMG")
	unit, known := units[strings.TrimPrefix(s, digits)]
	rate, err := strconv.ParseFloat(digits, 64)
	if err != nil || !known || !(rate >= 0 && rate < 1e15) {
		return 0, fmt.Errorf("--hashrate %q: write hashes a second like 250000, 250k or 1M; 0 is no limit", s)
	}
	return rate * unit, nil
}

func (o nodeOptions) server(p *chain.Params, dir string) rpc.Config {
	listen := o.rpc
	if listen == "" {
		listen = fmt.Sprintf("127.0.0.1:%d", p.Ports.RPC)
	}
	return rpc.Config{
		Listen: listen, Cookie: filepath.Join(dir, cookieFile),
		User: o.rpcUser, Password: o.rpcPassword, Log: o.said.of(logRPC),
	}
}

// announceRPC writes where the node answers, so that commands find it by its
// data directory alone. A crash leaves the file: a client then hears that no
// node answers there.
func announceRPC(dir, addr string) (forget func(), err error) {
	path := filepath.Join(dir, rpcAddrFile)
	if err := os.WriteFile(path, []byte(addr+"\n"), 0o600); err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(path) }, nil
}

// greet prints what a person wants to know of the node that starts.
func greet(w io.Writer, p *chain.Params, cfg daemon.Config, dir string, addrs []string, rpcAddr string) {
	fmt.Fprintf(w, "cairn %s on %s (%s, %d cores)\n", version, p.Name, runtime.Version(), runtime.NumCPU())
	fmt.Fprintf(w, "  genesis  %v\n  data     %s\n  rpc      %s\n", p.GenesisID(), dir, rpcAddr)
	for _, a := range addrs {
		fmt.Fprintf(w, "  peer     %s\n", a)
	}
	if cfg.Mine {
		fmt.Fprintf(w, "  mining to %s\n", p.FormatAddress(cfg.Pay))
	}
	if prefunds(p) {
		fmt.Fprintf(w, "\nPrefunded with 10000 CRN each, by keys that everybody knows:\n")
		for i, a := range chain.Prefunded() {
			fmt.Fprintf(w, "  %d  %s\n", i, p.FormatAddress(a))
		}
		fmt.Fprintf(w, "  mnemonic: %s\n  spend them: cairn wallet restore --network %s --wallet prefunded.json\n\n", wallet.PrefundedMnemonic, p.Name)
	}
}
