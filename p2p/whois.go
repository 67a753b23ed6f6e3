package p2p

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"

	"cairn/node"
)

// Name is how people see a peer: its libp2p id in base58.
func Name(p node.Peer) string { return peer.ID(p).String() }

// ParsePeer reads what Name writes.
func ParsePeer(text string) (node.Peer, error) {
	id, err := peer.Decode(text)
	if err != nil {
		return "", fmt.Errorf("%q is no peer id: %w", text, err)
	}
	return node.Peer(id), nil
}

// parseAddr reads a peer's multiaddress. Its id may be missing if the address is
// plain TCP: whoever answers there is the peer then.
func parseAddr(text string) (addr ma.Multiaddr, id peer.ID, err error) {
	whole, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil, "", fmt.Errorf("peer address %q: write it like /ip4/192.0.2.1/tcp/29421", text)
	}
	addr, id = peer.SplitAddr(whole)
	if len(addr) == 0 {
		return nil, "", fmt.Errorf("peer address %q says who but not where: put /ip4/ADDRESS/tcp/PORT before it", text)
	}
	if id == "" && !plainTCP(addr) {
		return nil, "", fmt.Errorf("peer address %q: add /p2p/ID, or name its tcp address", text)
	}
	return addr, id, nil
}

func plainTCP(addr ma.Multiaddr) bool {
	return len(addr) == 2 && addr[1].Protocol().Code == ma.P_TCP
}

// whois asks who listens at a TCP address: libp2p itself only dials peers that
// it knows. It is as good as the answer, which nobody vouches for.
func whois(ctx context.Context, addr ma.Multiaddr) (peer.ID, error) {
	conn, err := new(manet.Dialer).DialContext(ctx, addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := multistream.SelectProtoOrFail(noise.ID, conn); err != nil {
		return "", fmt.Errorf("no libp2p there: %w", err)
	}
	key, err := NewKey() // ours for this question only
	if err != nil {
		return "", err
	}
	transport, err := noise.New(noise.ID, key, nil)
	if err != nil {
		return "", err
	}
	session, err := transport.WithSessionOptions(noise.DisablePeerIDCheck())
	if err != nil {
		return "", err
	}
	secure, err := session.SecureOutbound(ctx, conn, "")
	if err != nil {
		return "", err
	}
	return secure.RemotePeer(), nil
}
