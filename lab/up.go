package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// grace is how long a node may take to stop before it is killed.
const grace = 8 * time.Second

// Running is a lab whose nodes this process started.
type Running struct {
	*Lab
	procs []*process
	ended chan error // one entry for each node that ended, in order of their ends
}

type process struct {
	node Node
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
}

// Up starts the nodes of a planned lab, each linked to the ones before it. The
// caller must call Down, whatever happens.
func (l *Lab) Up(cfg Config) (*Running, error) {
	r := &Running{Lab: l, ended: make(chan error, len(l.Nodes))}
	if err := l.save(); err != nil { // whoever asks meanwhile hears that it is starting
		return r, err
	}
	for i := range l.Nodes {
		if err := r.start(cfg, i); err != nil {
			return r, err
		}
	}
	return r, l.save()
}

func (r *Running) start(cfg Config, i int) error {
	n := &r.Nodes[i]
	args := append(cfg.Program[1:len(cfg.Program):len(cfg.Program)],
		"--network-file", r.Network, "--data-dir", n.Dir, "--name", n.Name, "--rpc", n.RPC,
		"--listen", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", n.P2P),
		"--listen", fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", n.P2P),
		"--mine", "--mine-to", n.Address, "--threads", "1",
		"--hashrate", fmt.Sprintf("%.0f", cfg.HashRate/float64(len(r.Nodes))))
	for _, peer := range r.links(i) {
		args = append(args, "--peer", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", r.Nodes[peer].P2P))
	}
	log, err := os.OpenFile(filepath.Join(n.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	p := &process{cmd: exec.Command(cfg.Program[0], args...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = log, log
	apart(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", n.Name, err), log.Close())
	}
	n.PID = p.cmd.Process.Pid
	p.node = *n
	r.procs = append(r.procs, p)
	go r.wait(p)
	return nil
}

// links are the nodes that node i is told to stay connected to: in a small lab
// all others, so that each of them counts who is cut off; in a large one its
// neighbour before it, and three more by halving.
func (r *Running) links(i int) []int {
	var list []int
	for j := range r.Nodes {
		step := i - j
		near := step > 0 && (step == 1 || step == i || step == i/2 || step == i/4)
		if j != i && (near || len(r.Nodes) <= meshed) {
			list = append(list, j)
		}
	}
	return list
}

func (r *Running) wait(p *process) {
	err := p.cmd.Wait()
	p.log.Close()
	close(p.done)
	if err == nil {
		err = errors.New("it stopped")
	}
	r.ended <- fmt.Errorf("%s (process %d) ended: %w: see %s", p.node.Name, p.node.PID, err, filepath.Join(p.node.Dir, "log"))
}

// Ended gives an error for each node that ends.
func (r *Running) Ended() <-chan error { return r.ended }

// Down stops every process that Up started, and waits for all of them.
func (r *Running) Down() error {
	var all sync.WaitGroup
	for _, p := range r.procs {
		all.Go(p.stop)
	}
	all.Wait()
	if err := r.forget(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (p *process) stop() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = interrupt(p.cmd)
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}
