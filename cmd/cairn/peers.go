package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"cairn/rpc"
)

func peersCommand() *cobra.Command {
	cmd := query("peers", "The node's peers, and how to add, drop or cut them off", noCommand, listPeers)
	cmd.AddCommand(
		changePeers("add MULTIADDR", "Connect to a peer, and again whenever it is lost", words("MULTIADDR"),
			func(args []string) (string, []any, string) {
				return "addnode", []any{args[0], "add"}, "added " + args[0] + ": the node dials it until it answers, `cairn peers` shows when"
			}),
		changePeers("forget MULTIADDR", "Connect no more to a peer when it is lost", words("MULTIADDR"),
			func(args []string) (string, []any, string) {
				return "addnode", []any{args[0], "remove"}, "forgot " + args[0]
			}),
		changePeers("drop {PEER-ID | MULTIADDR}", "Close the connection to a peer", words("PEER-ID or MULTIADDR"),
			func(args []string) (string, []any, string) {
				return "disconnectnode", []any{args[0]}, "dropped " + args[0]
			}),
		banCommand(),
		changePeers("unban {PEER-ID | ADDRESS}", "Take a ban back", words("PEER-ID or ADDRESS"),
			func(args []string) (string, []any, string) {
				return "setban", []any{args[0], "remove"}, "unbanned " + args[0]
			}),
		query("banned", "Who is kept out, and until when", noCommand, listBanned),
		changePeers("off", "Cut the node off: no connection stays, none is made", words(),
			func([]string) (string, []any, string) {
				return "setnetworkactive", []any{false}, "the network is off: `cairn peers on` heals it"
			}),
		changePeers("on", "Let the node connect again", words(),
			func([]string) (string, []any, string) {
				return "setnetworkactive", []any{true}, "the network is on"
			}),
	)
	return cmd
}

func listPeers(cmd *cobra.Command, node *rpc.Client, _ []string) error {
	raw, peers, err := answer[[]rpc.Peer](cmd.Context(), node, "getpeerinfo")
	if err != nil {
		return err
	}
	_, added, err := answer[[]rpc.AddedNode](cmd.Context(), node, "getaddednodeinfo")
	if err != nil {
		return err
	}
	return show(cmd, raw, func(out io.Writer) {
		sayPeers(out, peers)
		sayMissing(out, added)
	})
}

// sayMissing tells of the peers that somebody asked for and that are not here.
func sayMissing(out io.Writer, added []rpc.AddedNode) {
	for _, a := range added {
		switch {
		case a.Connected:
		case a.Until != 0:
			left := time.Until(time.Unix(a.Until, 0))
			fmt.Fprintf(out, "asked for, and cut off for %s because it broke the rules (%s): %s\n", span(max(left, time.Second)), rpc.Clean(a.Reason), rpc.Clean(a.Address))
		case a.Reason != "":
			fmt.Fprintf(out, "asked for, but %s: %s\n", rpc.Clean(a.Reason), rpc.Clean(a.Address))
		default:
			fmt.Fprintf(out, "asked for, and not reached yet or lost: %s\n", rpc.Clean(a.Address))
		}
	}
}

func sayPeers(out io.Writer, peers []rpc.Peer) {
	if len(peers) == 0 {
		fmt.Fprintln(out, "no peers: `cairn peers add MULTIADDR` connects to one")
		return
	}
	var t table
	t.row("PEER", "WAY", "HEIGHT", "TIP", "HEARD", "PING", "AGENT", "ADDRESS")
	for _, p := range peers {
		height, heard := "?", "never"
		if p.Tip != nil {
			height, heard = fmt.Sprint(p.Height), span(time.Duration(p.Age))+" ago"
		}
		ping := fmt.Sprintf("%d ms", time.Duration(p.Ping).Milliseconds())
		t.row(rpc.Clean(p.ID), inOut(p.Inbound), height, shortOr(p.Tip, "?"), heard, ping, rpc.Clean(p.Agent), rpc.Clean(p.Address))
	}
	t.write(out, "")
}

// changePeers is a command that changes who we speak with: a method with its
// parameters, and what to say when it is done.
func changePeers(use, short string, args cobra.PositionalArgs, change func(args []string) (method string, params []any, said string)) *cobra.Command {
	return query(use, short, args, func(cmd *cobra.Command, node *rpc.Client, args []string) error {
		method, params, said := change(args)
		err := node.Call(cmd.Context(), method, nil, params...)
		switch {
		case method == "disconnectnode" && errors.Is(err, rpc.NotConnected.Err()):
			return fmt.Errorf("no peer is called %q: `cairn peers` lists their ids and addresses", args[0])
		case err != nil:
			return err
		}
		return did(cmd, said)
	})
}

func banCommand() *cobra.Command {
	var lasts time.Duration
	cmd := changePeers("ban {PEER-ID | ADDRESS}", "Cut off a peer, an IP address or a subnet, and keep it out for a time", words("PEER-ID or ADDRESS"),
		func(args []string) (string, []any, string) {
			lasts = max(lasts, time.Second)
			return "setban", []any{args[0], "add", int64(lasts.Seconds())}, "banned " + args[0] + " for " + span(lasts)
		})
	cmd.Example = "  cairn peers ban 12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA --for 10m\n  cairn peers ban 192.0.2.0/24"
	cmd.Flags().DurationVar(&lasts, "for", 24*time.Hour, "how long")
	return cmd
}

func listBanned(cmd *cobra.Command, node *rpc.Client, _ []string) error {
	raw, bans, err := answer[[]rpc.Ban](cmd.Context(), node, "listbanned")
	if err != nil {
		return err
	}
	return show(cmd, raw, func(out io.Writer) { sayBans(out, bans) })
}

func sayBans(out io.Writer, bans []rpc.Ban) {
	if len(bans) == 0 {
		fmt.Fprintln(out, "nobody is banned")
		return
	}
	var t table
	t.row("BANNED", "FOR", "LEFT", "WHY")
	for _, b := range bans {
		why := rpc.Clean(b.Reason)
		if why == "" {
			why = "by hand"
		}
		t.row(rpc.Clean(b.Address), span(time.Duration(b.Duration)*time.Second), span(time.Duration(b.Remaining)*time.Second), why)
	}
	t.write(out, "")
}

// did says that something was done.
func did(cmd *cobra.Command, words string) error {
	result := struct {
		Done string `json:"done"`
	}{words}
	return show(cmd, result, func(out io.Writer) { fmt.Fprintln(out, words) })
}
