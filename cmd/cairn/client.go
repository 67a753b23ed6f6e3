package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"cairn/chain"
	"cairn/rpc"
)

// asking gives a command the flags that say which node it asks.
func asking(cmd *cobra.Command) *cobra.Command {
	f := cmd.Flags()
	f.String("rpc", "", "the node's `HOST:PORT` (default: that of the data directory's node)")
	f.String("cookie", "", "the node's cookie `FILE` (default .cookie in the data directory)")
	f.String("rpc-user", "", "a `NAME` that the node knows, instead of the cookie")
	f.String("rpc-password", "", "its password; better set as CAIRN_RPC_PASSWORD")
	return cmd
}

// dial makes a client of the node that the flags name.
func dial(cmd *cobra.Command) (*rpc.Client, error) {
	if err := hostPort(cmd, "rpc"); err != nil {
		return nil, err
	}
	dir, err := home(cmd)
	if err != nil {
		return nil, err
	}
	addr, err := nodeAddress(cmd, dir)
	if err != nil {
		return nil, err
	}
	return rpc.Dial(addr, auth(cmd, dir)), nil
}

// staying is a way to a node that stays where it is.
func staying(node *rpc.Client) func() (*rpc.Client, error) {
	return func() (*rpc.Client, error) { return node, nil }
}

// nodeAddress finds the node: where the caller says, where the data directory's
// node wrote that it listens, or at the network's port.
func nodeAddress(cmd *cobra.Command, dir string) (string, error) {
	given := text(cmd, "rpc")
	if from := origin(cmd, "rpc"); given != "" && from != fromFile {
		return dialable(given), nil
	}
	raw, err := os.ReadFile(filepath.Join(dir, rpcAddrFile))
	switch {
	case err == nil:
		return dialable(strings.TrimSpace(string(raw))), nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", err
	case given != "":
		return dialable(given), nil
	case text(cmd, "data-dir") != "":
		return "", fmt.Errorf("%w in %s: start one with `cairn node --data-dir %s`, or say where it answers with --rpc", rpc.ErrNoNode, dir, dir)
	}
	p, err := params(cmd)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", p.Ports.RPC), nil
}

// dialable turns "every address" into one that can be called.
func dialable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip == netip.IPv4Unspecified():
		return net.JoinHostPort("127.0.0.1", port)
	case err == nil && ip.IsUnspecified():
		return net.JoinHostPort("::1", port)
	}
	return addr
}

func auth(cmd *cobra.Command, dir string) rpc.Auth {
	if user := text(cmd, "rpc-user"); user != "" {
		return rpc.Password(user, text(cmd, "rpc-password"))
	}
	if path := text(cmd, "cookie"); path != "" {
		return rpc.Cookie(path)
	}
	return rpc.Cookie(filepath.Join(dir, cookieFile))
}

// ask calls a method and decodes its result.
func ask[T any](ctx context.Context, node *rpc.Client, method string, params ...any) (out T, err error) {
	err = node.Call(ctx, method, &out, params...)
	return out, err
}

// answer is a result in both forms: as the node gave it, which --json prints, and
// as we read it.
func answer[T any](ctx context.Context, node *rpc.Client, method string, params ...any) (raw json.RawMessage, out T, err error) {
	if err = node.Call(ctx, method, &raw, params...); err != nil {
		return nil, out, err
	}
	if err = json.Unmarshal(raw, &out); err != nil {
		err = fmt.Errorf("result of %s: %w", method, err)
	}
	return raw, out, err
}

// absent tells whether the node said that there is no such thing.
func absent(err error) bool { return errors.Is(err, rpc.NotFound.Err()) }

// refused tells whether the node answered, and said no.
func refused(err error) bool {
	no := (*rpc.Error)(nil)
	return errors.As(err, &no)
}

// idArgument reads the id of a transaction or block.
func idArgument(cmd *cobra.Command, s string) (chain.Hash, error) {
	h, err := chain.ParseHash(s)
	if err != nil {
		return h, misused(cmd, "%q is no id: %w", s, err)
	}
	return h, nil
}
