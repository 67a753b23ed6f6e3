package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/lab"
	"cairn/rpc"
)

const (
	labLook    = 300 * time.Millisecond // between two looks at the nodes
	labStartup = 30 * time.Second       // for all nodes to answer and to be linked
	maxPaid    = 8                      // payments that the live view shows
)

// nodeView is one node of a lab as it answers now.
type nodeView struct {
	Name    string     `json:"name"`
	PID     int        `json:"pid"`
	RPC     string     `json:"rpc"`
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
	_, err := tea.NewProgram(&screen{v: v, ctx: ctx}, tea.WithContext(ctx)).Run()
	if ctx.Err() != nil {
		return nil // whoever ended it says why
	}
	return err
}

// screen is the live view's state; Bubble Tea owns it.
type screen struct {
	v     *view
	ctx   context.Context
	nodes []nodeView
	paid  []paidView
	note  string
}

// paidView is a payment and its depth on every node.
type paidView struct {
	id     chain.Hash
	depths []string
}

type (
	seen struct {
		nodes []nodeView
		paid  []paidView
	}
	paidMsg struct {
		id  chain.Hash
		err error
	}
)

// Init takes the first look.
func (s *screen) Init() tea.Cmd { return s.lookSoon(0) }

func (s *screen) lookSoon(after time.Duration) tea.Cmd {
	paid := make([]chain.Hash, len(s.paid))
	for i := range s.paid {
		paid[i] = s.paid[i].id
	}
	return tea.Tick(after, func(time.Time) tea.Msg {
		m := seen{nodes: s.v.look(s.ctx)}
		for _, id := range paid {
			m.paid = append(m.paid, s.v.depths(s.ctx, id))
		}
		return m
	})
}

// depths asks every node how deep it has a payment itself.
func (v *view) depths(ctx context.Context, id chain.Hash) paidView {
	p := paidView{id: id}
	for _, c := range v.clients {
		word := "?"
		if a, err := ask[rpc.ConvergenceInfo](ctx, c, "getconvergence", id); err == nil {
			word = depthWord(a.Self.Depth)
		}
		p.depths = append(p.depths, word)
	}
	return p
}

// Update hears keys and looks.
func (s *screen) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch m := msg.(type) {
	case seen:
		s.nodes = m.nodes
		for _, p := range m.paid {
			s.keep(p)
		}
		return s, s.lookSoon(labLook)
	case paidMsg:
		s.note = ""
		if m.err != nil {
			s.note = m.err.Error()
		} else {
			s.keep(paidView{id: m.id})
		}
	case tea.KeyPressMsg:
		return s, s.key(m.String())
	}
	return s, nil
}

// keep takes a payment in, or what is new of it.
func (s *screen) keep(p paidView) {
	for i := range s.paid {
		if s.paid[i].id == p.id {
			s.paid[i] = p
			return
		}
	}
	s.paid = append(s.paid, p)
	s.paid = s.paid[max(0, len(s.paid)-maxPaid):]
}

func (s *screen) key(k string) tea.Cmd {
	switch k {
	case "q", "ctrl+c", "esc":
		return tea.Quit
	case "p":
		s.note = "paying …"
		return func() tea.Msg {
			id, err := s.v.pay(s.ctx, "1")
			return paidMsg{id, err}
		}
	}
	return nil
}

// View draws nodes, and below them payments by node.
func (s *screen) View() tea.View {
	var b strings.Builder
	fmt.Fprintf(&b, "Cairn lab   %s   p pay   q quit\n\n", s.v.lab.Dir)
	nodesTable(s.nodes).write(&b, "")
	fmt.Fprintf(&b, "\nDepth of payments on each node (−1: ruled out there)\n\n")
	s.matrix().write(&b, "")
	if len(s.paid) == 0 {
		fmt.Fprintln(&b, "none yet: press p")
	}
	fmt.Fprintf(&b, "\n%s\n", s.note)
	v := tea.NewView(b.String())
	v.AltScreen = true
	return v
}

func (s *screen) matrix() table {
	var t table
	if len(s.paid) == 0 {
		return t
	}
	head := []any{"payment"}
	for _, n := range s.v.lab.Nodes {
		head = append(head, n.Name)
	}
	t.row(head...)
	for _, p := range s.paid {
		row := []any{short(p.id)}
		for _, d := range p.depths {
			row = append(row, d)
		}
		t.row(row...)
	}
	return t
}
