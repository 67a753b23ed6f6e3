package p2p

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/libp2p/go-libp2p/core/peer"

	"cairn/chain"
	"cairn/node"
)

const (
	seenFor     = 2 * time.Minute // a message is known again: names of all that came in it are in memory
	inspection  = time.Second
	validation  = 30 * time.Second // a handler that takes longer is told to stop
	idBytes     = 20
	remembrance = 10 * time.Minute // of a score after its peer left
)

// Scores below which a peer gets no gossip, gets no message, is not heard. Three
// invalid messages in a row suffice for the last, and for a cut.
const (
	gossipBelow  = -40
	publishBelow = -60
	hearBelow    = -80
)

// believeNobody is a score that no peer has. Peers that tell of others when they
// send us away would choose whom we dial; the book does.
const believeNobody = 1e9

// neighbourWeight is what each further peer at one address costs all of them in
// the score, squared.
const neighbourWeight = -5

// topic names a gossip topic of a network, and the version of what is said there.
func topic(genesis chain.Hash, what string) string {
	return "/cairn/" + genesis.String()[:8] + "/" + what
}

// gossip is the three topics.
type gossip struct {
	ps             *pubsub.PubSub
	tx, block, tip *pubsub.Topic
}

func (n *Network) openGossip() error {
	g := n.cfg.Genesis
	names := []string{topic(g, "tx/1"), topic(g, "block/3"), topic(g, "tip/1")}
	n.topics = newTraffic(n.roster, names, n.heardInVain)
	ps, err := pubsub.NewGossipSub(n.ctx, watchful{n.host, n.Blame}, n.gossipOptions(names)...)
	if err != nil {
		return fmt.Errorf("p2p: gossip: %w", err)
	}
	n.gossip.ps = ps
	if n.gossip.tx, err = n.join(names[0], n.hearTx, txsAtOnce); err != nil {
		return err
	}
	if n.gossip.block, err = n.join(names[1], n.hearBlock, blocksAtOnce); err != nil {
		return err
	}
	n.gossip.tip, err = n.join(names[2], n.hearTip, tipsAtOnce)
	return err
}

// A hearer decides on one message's payload.
type hearer func(ctx context.Context, from peer.ID, data []byte) pubsub.ValidationResult

// join takes part in a topic. Messages reach us through the validator alone:
// relaying needs no subscription, whose queue could overflow.
func (n *Network) join(name string, hear hearer, atOnce int) (*pubsub.Topic, error) {
	validator := func(ctx context.Context, from peer.ID, m *pubsub.Message) pubsub.ValidationResult {
		if from == n.host.ID() {
			return pubsub.ValidationAccept // published by us: checked before
		}
		if !n.inside.enter() {
			return pubsub.ValidationIgnore
		}
		defer n.inside.leave()
		return hear(ctx, from, m.Data)
	}
	err := n.gossip.ps.RegisterTopicValidator(name, validator,
		pubsub.WithValidatorConcurrency(atOnce), pubsub.WithValidatorTimeout(validation))
	if err != nil {
		return nil, fmt.Errorf("p2p: topic %s: %w", name, err)
	}
	t, err := n.gossip.ps.Join(name)
	if err != nil {
		return nil, fmt.Errorf("p2p: topic %s: %w", name, err)
	}
	if _, err := t.Relay(); err != nil {
		return nil, fmt.Errorf("p2p: topic %s: %w", name, err)
	}
	return t, nil
}

// hearTx leaves what its sender has no credit for unread: a pool tells of it again.
func (n *Network) hearTx(ctx context.Context, from peer.ID, data []byte) pubsub.ValidationResult {
	tx, err := chain.DecodeTx(data)
	if err != nil {
		return pubsub.ValidationReject
	}
	vain := n.meter(from).vain
	if !vain.pay(len(tx.Inputs), 1) {
		return pubsub.ValidationIgnore
	}
	verdict := n.handler.GossipTx(ctx, node.Peer(from), tx)
	if verdict == node.Accept {
		vain.back(len(tx.Inputs))
	}
	return result(verdict)
}

func (n *Network) hearBlock(ctx context.Context, from peer.ID, data []byte) pubsub.ValidationResult {
	if len(data) > chain.LargestBrief(n.cfg.MaxBlock) { // before it takes memory
		return pubsub.ValidationReject
	}
	b, err := chain.DecodeBrief(data)
	if err != nil {
		return pubsub.ValidationReject
	}
	return result(n.handler.GossipBlock(ctx, node.Peer(from), b))
}

// hearTip blames nobody for a claim that comes too soon: who passes it on cannot
// know what others passed on to us.
func (n *Network) hearTip(ctx context.Context, from peer.ID, data []byte) pubsub.ValidationResult {
	claim, _, err := readTip(data)
	if err != nil {
		return pubsub.ValidationReject
	}
	if !n.claims.worth(claim, n.roster.connected) {
		return pubsub.ValidationIgnore
	}
	if claim, err = openTip(n.cfg.Genesis, data); err != nil {
		return pubsub.ValidationReject
	}
	if !n.claims.allow(claim, n.roster.connected) {
		return pubsub.ValidationIgnore
	}
	return result(n.handler.GossipTip(ctx, node.Peer(from), claim))
}

func result(v node.Verdict) pubsub.ValidationResult {
	switch v {
	case node.Accept:
		return pubsub.ValidationAccept
	case node.Reject:
		return pubsub.ValidationReject
	}
	return pubsub.ValidationIgnore
}

// PublishTx tells every peer of a transaction that was checked and accepted
// here. With no peer it does nothing. It waits, not for long, while too much waits to
// be sent already. The goroutine that owns the node must not call it.
func (n *Network) PublishTx(tx *chain.Tx) error {
	n.topics.backlog.wait(n.ctx)
	return n.publish(n.gossip.tx, tx.Bytes())
}

// PublishBlock tells every peer of a block, as PublishTx does, and never waits.
func (n *Network) PublishBlock(b *chain.Brief) error {
	return n.publish(n.gossip.block, b.Bytes())
}

// PublishTip tells every peer which tip we follow, as PublishBlock does. The claim
// becomes ours: it gets our name and our signature. Others ignore what comes
// more often than once in Pace.Claim, but for one more.
func (n *Network) PublishTip(t node.TipClaim) error {
	t.Peer = n.ID()
	data, err := sealTip(n.key, n.cfg.Genesis, t)
	if err != nil {
		return err
	}
	return n.publish(n.gossip.tip, data)
}

func (n *Network) publish(t *pubsub.Topic, data []byte) error {
	if len(data) > maxGossip-1024 { // the frame around it counts as well
		return fmt.Errorf("publish on %s: %d bytes are too long for gossip", t, len(data))
	}
	if !n.inside.enter() {
		return ErrClosed
	}
	defer n.inside.leave()
	if err := t.Publish(n.ctx, data); err != nil {
		return fmt.Errorf("publish on %s: %w", t, err)
	}
	return nil
}

func (n *Network) gossipOptions(names []string) []pubsub.Option {
	params := pubsub.DefaultGossipSubParams()
	params.D, params.Dlo, params.Dhi = 8, 6, 12
	quickly(&params)
	scores := &pubsub.PeerScoreThresholds{
		GossipThreshold: gossipBelow, PublishThreshold: publishBelow, GraylistThreshold: hearBelow,
		OpportunisticGraftThreshold: 1, AcceptPXThreshold: believeNobody,
	}
	return []pubsub.Option{
		pubsub.WithLogger(n.libp2pLog),
		pubsub.WithMessageSignaturePolicy(pubsub.StrictNoSign),
		pubsub.WithNoAuthor(),
		pubsub.WithMessageIdFn(messageID),
		pubsub.WithSubscriptionFilter(pubsub.NewAllowlistSubscriptionFilter(names...)),
		pubsub.WithMaxMessageSize(maxGossip),
		pubsub.WithSeenMessagesTTL(seenFor),
		pubsub.WithGossipSubParams(params),
		pubsub.WithFloodPublish(false),
		pubsub.WithPeerOutboundQueueSize(queue),
		pubsub.WithValidateQueueSize(queue),
		pubsub.WithPeerScore(n.scoring(names), scores),
		pubsub.WithPeerScoreInspect(n.inspect, inspection),
		pubsub.WithRawTracer(n.topics),
	}
}

// messageID covers the topic, or a payload could hide behind the same bytes said
// elsewhere.
func messageID(m *pb.Message) string {
	h := sha256.New()
	h.Write([]byte(m.GetTopic()))
	h.Write(m.GetData())
	return string(h.Sum(nil)[:idBytes])
}

// scoring rates peers by what they were first to deliver (P2), what was invalid
// (P4), what the driver blamed them for (P5), how many share an address (P6) and
// breaches of the gossip protocol (P7); see the gossipsub v1.1 specification,
// "Peer Scoring". What a mesh peer fails to deliver (P3) does not count: small
// networks are silent for long.
func (n *Network) scoring(names []string) *pubsub.PeerScoreParams {
	params := &pubsub.PeerScoreParams{
		Topics:                      map[string]*pubsub.TopicScoreParams{},
		TopicScoreCap:               20,
		AppSpecificScore:            n.ledger.score,
		AppSpecificWeight:           1,
		IPColocationFactorWeight:    neighbourWeight,
		IPColocationFactorThreshold: 10,
		IPColocationFactorWhitelist: nearbyNets(),
		BehaviourPenaltyWeight:      -10,
		BehaviourPenaltyThreshold:   6,
		BehaviourPenaltyDecay:       pubsub.ScoreParameterDecay(10 * time.Minute),
		DecayInterval:               pubsub.DefaultDecayInterval,
		DecayToZero:                 pubsub.DefaultDecayToZero,
		RetainScore:                 remembrance,
		SeenMsgTTL:                  seenFor,
	}
	for _, t := range names {
		params.Topics[t] = &pubsub.TopicScoreParams{
			SkipAtomicValidation:           true,
			TopicWeight:                    1,
			TimeInMeshQuantum:              time.Second,
			FirstMessageDeliveriesWeight:   0.2,
			FirstMessageDeliveriesDecay:    pubsub.ScoreParameterDecay(10 * time.Minute),
			FirstMessageDeliveriesCap:      50,
			InvalidMessageDeliveriesWeight: -12,
			InvalidMessageDeliveriesDecay:  pubsub.ScoreParameterDecay(time.Hour),
		}
	}
	return params
}

func nearbyNets() (nets []*net.IPNet) {
	for _, p := range append(nearby4[:len(nearby4):len(nearby4)], nearby6...) {
		a := p.Addr()
		nets = append(nets, &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(p.Bits(), a.BitLen())})
	}
	return nets
}

// inspect bans whom gossip does not listen to any more for what it did. How many
// others speak from its address is no fault of its own: behind one router many may
// be honest, and one who comes under many names could have all of them banned.
func (n *Network) inspect(all map[peer.ID]*pubsub.PeerScoreSnapshot) {
	scores := make(map[peer.ID]float64, len(all))
	for p, s := range all {
		scores[p] = s.Score - neighbourWeight*s.IPColocationFactor
	}
	n.ledger.rate(scores)
	for p, score := range scores {
		if score < hearBelow && n.roster.connected(p) {
			n.punish(p, fmt.Sprintf("gossip score %.0f", score))
		}
	}
}
