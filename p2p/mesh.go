package p2p

import (
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/peer"
)

const topics = 3

// heartbeat is how often gossipsub mends its meshes. Twice as often as by
// default: a new peer gets nothing before it is in one.
const heartbeat = 500 * time.Millisecond

// quickly sets the heartbeat and, with it, all that is counted in heartbeats.
func quickly(params *pubsub.GossipSubParams) {
	faster := int(params.HeartbeatInterval / heartbeat)
	params.HeartbeatInterval = heartbeat
	params.HistoryLength *= faster
	params.HistoryGossip *= faster
	params.IDontWantMessageTTL *= faster
	params.OpportunisticGraftTicks *= uint64(faster)
}

// meshes tells the roster which peers came into our meshes. What we publish
// reaches a neighbour only from then on, and gossip does not repeat itself: a
// hello before that leaves a gap between what it says and what follows, which
// another one fills.
type meshes struct{ roster *roster }

// Graft implements pubsub.RawTracer.
func (m meshes) Graft(p peer.ID, topic string) { m.roster.grafted(p, topic) }

// The rest of pubsub.RawTracer is of no interest here.

func (meshes) Join(string)                          {}
func (meshes) Leave(string)                         {}
func (meshes) Prune(peer.ID, string)                {}
func (meshes) ValidateMessage(*pubsub.Message)      {}
func (meshes) DuplicateMessage(*pubsub.Message)     {}
func (meshes) ThrottlePeer(peer.ID)                 {}
func (meshes) RecvRPC(*pubsub.RPC)                  {}
func (meshes) SendRPC(*pubsub.RPC, peer.ID)         {}
func (meshes) DropRPC(*pubsub.RPC, peer.ID)         {}
func (meshes) UndeliverableMessage(*pubsub.Message) {}
