package lab

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"cairn/chain"
	"cairn/miner/sha256d"
	"cairn/wallet"
)

// Config says what a lab is made of.
type Config struct {
	Dir      string   // made if it is not there; must hold no other lab that runs
	Nodes    int      // 1 to MaxNodes
	HashRate float64  // hashes a second of all nodes together
	Program  []string // how a node is started, before its flags: this program and "node"
}

// MaxNodes is how many nodes one machine is asked to carry.
const MaxNodes = 64

// meshed is up to how many nodes everybody is linked to everybody.
const meshed = 8

// prize is what the genesis pays each node's wallet.
const prize = 10_000 * chain.CRN

// Files in a lab's folder.
const (
	stateFile   = "lab.json"     // its description, while it is up
	networkFile = "network.json" // its rules and genesis
)

// Node is one node of a lab.
type Node struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`
	RPC     string `json:"rpc"` // HOST:PORT
	P2P     int    `json:"p2p"` // TCP and UDP port
	Dir     string `json:"data_dir"`
	Wallet  string `json:"wallet"`
	Address string `json:"address"` // of the wallet; the genesis and the node's blocks pay it
}

// Lab is a lab's description, as its folder keeps it.
type Lab struct {
	Dir     string `json:"dir"`
	PID     int    `json:"pid"` // of the process that keeps it up
	Network string `json:"network_file"`
	Nodes   []Node `json:"nodes"`
}

// DefaultDir is where a lab stands unless told otherwise.
func DefaultDir() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home directory: name a folder with --dir: %w", err)
	}
	return filepath.Join(home, ".cairn", "lab"), nil
}

// ErrNone tells that no lab is up in a folder.
var ErrNone = errors.New("no lab is up")

// Open reads the description of the lab that runs in dir.
func Open(dir string) (*Lab, error) {
	raw, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s: start one with `cairn lab up`, or name its folder with --dir", ErrNone, dir)
	}
	if err != nil {
		return nil, err
	}
	l := new(Lab)
	if err := json.Unmarshal(raw, l); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", filepath.Join(dir, stateFile), err)
	}
	if !alive(l.PID) {
		return nil, fmt.Errorf("%w in %s: the one that was there has ended", ErrNone, dir)
	}
	return l, nil
}

// Find is the node of that name; "" is the first.
func (l *Lab) Find(name string) (Node, error) {
	for _, n := range l.Nodes {
		if n.Name == name || name == "" {
			return n, nil
		}
	}
	return Node{}, fmt.Errorf("no node is called %q: there are node1 to node%d", name, len(l.Nodes))
}

// Plan lays out a new lab in its folder: network file, wallets, ports. Nothing
// runs yet.
func Plan(ctx context.Context, cfg Config) (*Lab, error) {
	if cfg.Nodes < 1 || cfg.Nodes > MaxNodes {
		return nil, fmt.Errorf("a lab has 1 to %d nodes, not %d", MaxNodes, cfg.Nodes)
	}
	if old, err := Open(cfg.Dir); err == nil {
		return nil, fmt.Errorf("a lab is up in %s already, kept by process %d: stop that one, or choose another --dir", cfg.Dir, old.PID)
	}
	l := &Lab{Dir: cfg.Dir, PID: os.Getpid(), Network: filepath.Join(cfg.Dir, networkFile)}
	if err := l.clear(); err != nil {
		return nil, err
	}
	ports, err := FreePorts(2 * cfg.Nodes)
	if err != nil {
		return nil, err
	}
	var funds []chain.Output
	for i := range cfg.Nodes {
		n := Node{Name: nodeName(i), P2P: ports[2*i], RPC: fmt.Sprintf("127.0.0.1:%d", ports[2*i+1]), Dir: l.nodeDir(i)}
		to, err := n.makeWallet()
		if err != nil {
			return nil, err
		}
		funds = append(funds, chain.Output{Value: prize, To: to})
		l.Nodes = append(l.Nodes, n)
	}
	return l, l.makeNetwork(ctx, funds)
}

func nodeName(i int) string { return fmt.Sprintf("node%d", i+1) }

func (l *Lab) nodeDir(i int) string { return filepath.Join(l.Dir, nodeName(i)) }

// clear makes the folder, and takes away what an earlier lab left there: each lab
// begins a chain of its own. A folder that holds something else is not touched.
func (l *Lab) clear() error {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return err
	}
	held, err := os.ReadDir(l.Dir)
	if err != nil || len(held) == 0 {
		return err
	}
	if _, err := os.Stat(l.Network); err != nil {
		return fmt.Errorf("%s is not empty and holds no lab: name another folder with --dir", l.Dir)
	}
	for i := range MaxNodes {
		if err := os.RemoveAll(l.nodeDir(i)); err != nil {
			return err
		}
	}
	return nil
}

// networkName is what labs call their networks. Each has its own genesis, so two
// of them never meet.
const networkName = "lab"

// makeWallet makes a wallet that needs no passphrase: its coins live as long as
// the lab.
func (n *Node) makeWallet() (chain.Address, error) {
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return chain.Address{}, err
	}
	words, err := wallet.NewMnemonic(rand.Reader)
	if err != nil {
		return chain.Address{}, err
	}
	n.Wallet = filepath.Join(n.Dir, "wallet.json")
	w, err := wallet.Create(n.Wallet, networkName, words, "", wallet.Options{NoPassphrase: true})
	if err != nil {
		return chain.Address{}, err
	}
	return w.NextAddress(wallet.Receive)
}

// makeNetwork finds a genesis that pays the wallets and writes the network file.
func (l *Lab) makeNetwork(ctx context.Context, funds []chain.Output) error {
	g := chain.NewGenesis(uint32(time.Now().Unix()), chain.Dev().Genesis.Header.Bits, "a lab on one machine", funds)
	if err := prove(ctx, g); err != nil {
		return err
	}
	p, err := chain.NewParams(chain.DevLike(networkName, g))
	if err != nil {
		return err
	}
	for i := range l.Nodes {
		l.Nodes[i].Address = p.FormatAddress(funds[i].To)
	}
	raw, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(l.Network, append(raw, '\n'), 0o600)
}

// portion is how many nonces are searched between two looks at the context.
const portion = 1 << 20

// prove finds the nonce of a genesis.
func prove(ctx context.Context, g *chain.Block) error {
	target, ok := g.Header.Bits.Target()
	if !ok {
		return fmt.Errorf("bits %v are no target", g.Header.Bits)
	}
	limit := target.LittleEndian()
	for ctx.Err() == nil {
		raw := g.Header.Bytes()
		job := sha256d.NewJob(&raw, &limit)
		for first := uint64(0); first < 1<<32 && ctx.Err() == nil; first += portion {
			if hits := job.Search(uint32(first), portion, nil); len(hits) > 0 {
				g.Header.Nonce = hits[0]
				return nil
			}
		}
		g.Header.Time++
	}
	return ctx.Err()
}

// save writes the description, so that other commands find the lab.
func (l *Lab) save() error {
	raw, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(l.Dir, stateFile)
	if err := os.WriteFile(path+".new", append(raw, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// forget removes the description of a lab that has ended; data and logs stay.
func (l *Lab) forget() error { return os.Remove(filepath.Join(l.Dir, stateFile)) }
