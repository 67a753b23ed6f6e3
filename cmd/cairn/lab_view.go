package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/converge"
	"cairn/lab"
	"cairn/rpc"
)

const (
	labLook    = 300 * time.Millisecond // between two looks at the nodes
	labStartup = 30 * time.Second       // for all nodes to answer and to be linked
)

// nodeView is one node of a lab as it answers now.
type nodeView struct {
	Name    string     `json:"name"`
	PID     int        `json:"pid"`
	RPC     string     `json:"rpc"`
	Page    string     `json:"page,omitempty"` // opens it in a browser
	Dir     string     `json:"data_dir"`
	Wallet  string     `json:"wallet"`
	Address string     `json:"address"`
	PeerID  string     `json:"peer_id"`
	Height  uint64     `json:"height"`
	Tip     chain.Hash `json:"tip"`
	Peers   int        `json:"peers"`
	Pool    int        `json:"mempool"`
	Rate    uint64     `json:"hashrate"`
	Found   uint64     `json:"found"`
	Reorgs  rpc.Reorgs `json:"reorgs"`
	Trouble string     `json:"error,omitempty"` // why it does not answer
}

// view looks at a lab through its nodes' RPC.
type view struct {
	lab     *lab.Lab
	clients []*rpc.Client
}

func newView(l *lab.Lab) *view {
	v := &view{lab: l}
	for _, n := range l.Nodes {
		v.clients = append(v.clients, rpc.Dial(n.RPC, rpc.Cookie(filepath.Join(n.Dir, cookieFile))))
	}
	return v
}

// look asks every node how it is.
func (v *view) look(ctx context.Context) []nodeView {
	views := make([]nodeView, len(v.clients))
	for i, n := range v.lab.Nodes {
		views[i] = nodeView{Name: n.Name, PID: n.PID, RPC: n.RPC, Dir: n.Dir, Wallet: n.Wallet, Address: n.Address}
		views[i].Page, _ = rpc.PageLink(n.RPC, rpc.Cookie(filepath.Join(n.Dir, cookieFile))) // none before it started
		s, err := ask[rpc.Status](ctx, v.clients[i], "getstatus")
		if err != nil {
			views[i].Trouble = err.Error()
			continue
		}
		views[i].PeerID, views[i].Height, views[i].Tip, views[i].Peers = s.ID, s.Height, s.Tip, s.Peers
		views[i].Pool, views[i].Rate, views[i].Found, views[i].Reorgs = s.Pool.Count, s.Mining.Hashrate, s.Mining.Found, s.Reorgs
	}
	return views
}

// until looks again and again until the condition holds.
func (v *view) until(ctx context.Context, holds func([]nodeView) bool) error {
	for !holds(v.look(ctx)) {
		if !pause(ctx, labLook) {
			return fmt.Errorf("gave up waiting: %w", context.Cause(ctx))
		}
	}
	return nil
}

// ready waits until every node answers and has a peer.
func (v *view) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, labStartup, fmt.Errorf("the nodes did not find each other within %v: see their logs in %s", labStartup, v.lab.Dir))
	defer cancel()
	return v.until(ctx, func(s []nodeView) bool {
		for _, n := range s {
			if n.Trouble != "" || n.Peers == 0 && len(s) > 1 {
				return false
			}
		}
		return true
	})
}

// lowest is the least height of all nodes; 0 if one does not answer.
func lowest(s []nodeView) uint64 {
	least := s[0].Height
	for _, n := range s {
		least = min(least, n.Height)
	}
	return least
}

// showStatus prints every node.
func (v *view) showStatus(cmd *cobra.Command) error {
	views := v.look(cmd.Context())
	result := struct {
		Dir   string     `json:"dir"`
		Nodes []nodeView `json:"nodes"`
	}{v.lab.Dir, views}
	return show(cmd, result, func(w io.Writer) {
		fmt.Fprintf(w, "lab in %s\n", v.lab.Dir)
		nodesTable(views).write(w, "")
		fmt.Fprintf(w, "to watch in a browser, open a node's page:\n")
		for _, n := range views {
			fmt.Fprintf(w, "  %s  %s\n", n.Name, n.Page)
		}
	})
}

func nodesTable(views []nodeView) table {
	var t table
	t.row("node", "pid", "rpc", "height", "tip", "peers", "pool", "hash rate", "found", "reorgs")
	for _, n := range views {
		if n.Trouble != "" {
			t.row(n.Name, n.PID, n.RPC, "does not answer: "+n.Trouble)
			continue
		}
		reorgs := fmt.Sprint(n.Reorgs.Count)
		if n.Reorgs.Count > 0 {
			reorgs += fmt.Sprintf(" (deepest %d)", n.Reorgs.Deepest)
		}
		t.row(n.Name, n.PID, n.RPC, n.Height, short(n.Tip), n.Peers, n.Pool, rate(n.Rate), n.Found, reorgs)
	}
	return t
}

// pay lets node1's wallet pay node2's.
func (v *view) pay(ctx context.Context, amount string) (id chain.Hash, err error) {
	send := labSendCommand()
	send.Flags().Bool("json", true, "")
	send.SetErr(io.Discard) // progress would be drawn over the screen
	var out bytes.Buffer
	if err := labSend(ctx, send, v.lab, amount, &out); err != nil {
		return id, err
	}
	var sent payment
	if err := json.Unmarshal(out.Bytes(), &sent); err != nil {
		return id, err
	}
	return *sent.ID, nil
}

// live shows the lab until q is pressed.
func (v *view) live(ctx context.Context) error {
	nodes := make([]func() (*rpc.Client, error), len(v.clients))
	for i, c := range v.clients {
		nodes[i] = staying(c)
	}
	bell, down := hang(ctx, nodes...)
	defer down()
	return live(ctx, &screen{
		eyes: &labLooker{v: v}, bell: bell, title: "lab " + rpc.Clean(tilde(v.lab.Dir)),
		pay: func() tea.Msg {
			id, err := v.pay(ctx, "1")
			return paidMsg{id, err}
		},
	})
}

// tilde shortens a path below the home directory.
func tilde(path string) string {
	home, err := os.UserHomeDir()
	if rest, below := strings.CutPrefix(path, home+string(filepath.Separator)); err == nil && below {
		return filepath.Join("~", rest)
	}
	return path
}

// labLooker asks every node of a lab itself, where a nodeLooker believes one.
type labLooker struct {
	v     *view
	rules *chain.Params
	tree  arborist
	pool  follower
}

func (l *labLooker) look(ctx context.Context, also []chain.Hash) (*scene, error) {
	views := l.v.look(ctx)
	first := slices.IndexFunc(views, func(n nodeView) bool { return n.Trouble == "" })
	if first < 0 {
		return nil, errors.New(views[0].Trouble)
	}
	node := l.v.clients[first]
	if l.rules == nil {
		rules, err := node.Network(ctx)
		if err != nil {
			return nil, err
		}
		l.rules = rules
	}
	s := &scene{Tip: views[first].Tip, Height: views[first].Height}
	if err := s.glance(ctx, node, l.rules); err != nil {
		return nil, err
	}
	hashes := s.Expected * float64(s.Hashrate) // for a block
	s.Hashrate, s.Found, s.Expected = 0, 0, 0
	var tips []claim // each node knows its own branch, even while the others do not
	for i, n := range views {
		s.Nodes = append(s.Nodes, labNode(&n))
		s.Hashrate += n.Rate
		s.Found += n.Found
		if n.Trouble == "" {
			tips = append(tips, claim{n.Tip, l.v.clients[i]})
		}
	}
	if s.Hashrate > 0 {
		s.Expected = hashes / float64(s.Hashrate)
	}
	var err error
	if s.Tree, err = l.tree.look(ctx, node, tips); err != nil {
		return nil, err
	}
	s.settle(first)
	s.Txs = l.txs(ctx, views, also)
	s.At = time.Now()
	return s, nil
}

func labNode(n *nodeView) sceneNode {
	s := sceneNode{Key: n.Name, Name: n.Name, Height: n.Height, Tip: &n.Tip}
	if n.Trouble != "" {
		s.Tip, s.Note = nil, "does not answer: "+rpc.Clean(n.Trouble)
		return s
	}
	s.Note = fmt.Sprintf("%s, %d found, %s", rate(n.Rate), n.Found, count(n.Peers, "peer", "peers"))
	if n.Reorgs.Count > 0 {
		s.Note += fmt.Sprintf(", %s (deepest %d)", count(n.Reorgs.Count, "reorg", "reorgs"), n.Reorgs.Deepest)
	}
	return s
}

// txs asks every node what waits there, and how deep it has each payment itself.
func (l *labLooker) txs(ctx context.Context, views []nodeView, also []chain.Hash) (list []sceneTx) {
	var waiting []chain.Hash
	for i, n := range views {
		if n.Trouble == "" {
			here, _ := ask[[]chain.Hash](ctx, l.v.clients[i], "getrawmempool") // the next look tells why
			waiting = append(waiting, here...)
		}
	}
	for _, id := range l.pool.follow(waiting, also) {
		list = append(list, l.v.depths(ctx, id))
	}
	return l.pool.learn(list)
}

func (v *view) depths(ctx context.Context, id chain.Hash) sceneTx {
	tx := sceneTx{ID: id}
	for i, c := range v.clients {
		r := converge.Row{Name: v.lab.Nodes[i].Name}
		info, err := ask[rpc.ConvergenceInfo](ctx, c, "getconvergence", id)
		if err == nil {
			r = row(info.Self, true)
			r.Name = v.lab.Nodes[i].Name
		}
		if reason := why(&info); tx.Reason == "" && reason != "" {
			tx.Reason, tx.Conflict = reason, info.Conflict
		}
		tx.Depths = append(tx.Depths, r)
	}
	return tx
}
