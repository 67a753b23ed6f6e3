package p2p

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"cairn/chain"
	"cairn/node"
)

const (
	tipSigBytes = 64 // Ed25519
)

// sealTip is a claim and its speaker's signature. Pubsub's own signing is one
// policy for all topics, and the others are unsigned.
func sealTip(key crypto.PrivKey, genesis chain.Hash, t node.TipClaim) ([]byte, error) {
	claim := t.Append(nil)
	digest := tipDigest(genesis, claim)
	sig, err := key.Sign(digest[:])
	if err != nil {
		return nil, fmt.Errorf("sign a tip claim: %w", err)
	}
	return append(claim, sig...), nil
}

// readTip reads a sealed claim, whoever sealed it.
func readTip(data []byte) (t node.TipClaim, sig []byte, err error) {
	r := chain.NewReader(data)
	t = node.ReadTipClaim(r)
	sig = r.Take(tipSigBytes)
	return t, sig, r.Close()
}

// openTip reads a sealed claim. It fails unless the peer named in it signed it.
func openTip(genesis chain.Hash, data []byte) (node.TipClaim, error) {
	none := node.TipClaim{}
	t, sig, err := readTip(data)
	if err != nil {
		return none, err
	}
	id, err := peer.IDFromBytes([]byte(t.Peer))
	if err != nil {
		return none, fmt.Errorf("tip claim: %w", err)
	}
	key, err := id.ExtractPublicKey()
	if err != nil {
		return none, fmt.Errorf("tip claim: %w", err)
	}
	digest := tipDigest(genesis, data[:len(data)-tipSigBytes])
	if ok, err := key.Verify(digest[:], sig); err != nil || !ok {
		return none, errors.New("tip claim: its speaker did not sign it")
	}
	return t, nil
}

// tipDigest binds a signature to its purpose and its network.
func tipDigest(genesis chain.Hash, claim []byte) [32]byte {
	return chain.TaggedHash("cairn/tip", genesis[:], claim)
}

// claims limits how often a peer may claim a tip, and how many may. Identities
// are free: those that we are connected to go first.
type claims struct {
	every time.Duration

	mu   sync.Mutex
	from map[peer.ID]*claimer // guarded by mu
}

type claimer struct {
	rate    *rate.Limiter
	last    time.Time
	counter uint64 // of the newest claim heard
}

func (c *claimer) silent() bool { return time.Since(c.last) > claimerGone }

// worth tells whether a claim would be heard if it is its speaker's: who sends many
// under names that cost nothing has none of their signatures verified.
func (c *claims) worth(t node.TipClaim, connected func(peer.ID) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := peer.ID(t.Peer)
	if who := c.from[p]; who != nil {
		return (t.Counter > who.counter || who.last.IsZero()) && who.rate.Tokens() >= 1
	}
	if len(c.from) < maxClaimers {
		return true
	}
	forConnected := connected(p)
	for other, who := range c.from {
		if who.silent() || forConnected && !connected(other) {
			return true
		}
	}
	return false
}

// allow tells whether to hear this claim now. A replay costs its speaker
// nothing, or others could silence it with its own old claims.
func (c *claims) allow(t node.TipClaim, connected func(peer.ID) bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := peer.ID(t.Peer)
	who := c.from[p]
	if who == nil {
		if len(c.from) >= maxClaimers && !c.makeRoom(connected(p), connected) {
			return false
		}
		// One in reserve: claims sent a second apart may arrive closer together.
		who = &claimer{rate: rate.NewLimiter(rate.Every(c.every), 2)}
		c.from[p] = who
	}
	if t.Counter <= who.counter && !who.last.IsZero() || !who.rate.Allow() {
		return false
	}
	who.last, who.counter = time.Now(), t.Counter
	return true
}

// makeRoom drops the silent, and for a connected peer one that is not.
func (c *claims) makeRoom(forConnected bool, connected func(peer.ID) bool) bool {
	maps.DeleteFunc(c.from, func(_ peer.ID, who *claimer) bool { return who.silent() })
	if len(c.from) < maxClaimers || !forConnected {
		return len(c.from) < maxClaimers
	}
	for p := range c.from {
		if !connected(p) {
			delete(c.from, p)
			return true
		}
	}
	return false
}
