// What is to be said of the network at one moment, in a sentence or two.
import { ancestor, fork, type Block, type Peer } from './record'
import type { Store } from './view'
import { count, group, list } from './words'

export interface Saying {
  text: string
  more: string
  mood: 'calm' | 'fork' | 'split' | 'quiet'
}

interface Side {
  tip: Block
  peers: Peer[]
}

/** Nodes that stand on one branch are one side; the highest tip speaks for it. */
function sides(standing: Side[]): Side[] {
  const list: Side[] = []
  for (const s of standing.sort((a, b) => b.tip.height - a.tip.height)) {
    const same = list.find((o) => ancestor(o.tip, s.tip.height) === s.tip)
    if (same) same.peers.push(...s.peers)
    else list.push({ tip: s.tip, peers: [...s.peers] })
  }
  return list.sort((a, b) => b.peers.length - a.peers.length || b.tip.height - a.tip.height)
}

const names = (peers: Peer[]): string => (peers.length > 4 ? count(peers.length, 'node', 'nodes') : list(peers.map((p) => p.name)))

export function saying(store: Store): Saying {
  const { record } = store
  const at = store.moment()
  const peers = record.counted()
  const standing = peers.map((p) => ({ p, tip: record.tip(p, at) }))
  const heard = standing.filter((s) => s.tip).map((s) => ({ tip: s.tip as Block, peers: [s.p] }))
  const silent = standing.filter((s) => !s.tip).map((s) => s.p)
  if (heard.length === 0) return { text: 'Nothing is known of that time.', more: '', mood: 'quiet' }
  const cut = store.view.at === 'live' ? peers.filter((p) => !p.connected) : []
  const quiet = silent.length ? `Nothing is heard of ${names(silent)}.` : cut.length ? `There is no connection to ${names(cut)}.` : ''
  if (peers.length === 1) return { text: `This node stands at block ${group(heard[0].tip.height)}, alone.`, more: 'With no peer there is nobody to agree with.', mood: 'quiet' }
  if (heard.length === 1) return { text: `Only ${heard[0].peers[0].name} is heard of, at block ${group(heard[0].tip.height)}.`, more: quiet, mood: 'quiet' }
  const parts = sides(heard)
  if (parts.length > 1) return divided(parts, quiet)
  const low = Math.min(...heard.map((h) => h.tip.height))
  const top = parts[0].tip.height
  const reach = heard.filter((h) => h.tip.height === top).length
  const who = silent.length ? `${count(heard.length, 'node', 'nodes')} of ${peers.length} agree` : cut.length ? `When last heard, all ${peers.length} nodes agreed` : `All ${peers.length} nodes agree`
  const text = `${who} up to block ${group(low)}.`
  return { text, more: quiet || (top > low ? `Block ${group(top)} has reached ${reach} of ${peers.length}.` : ''), mood: quiet ? 'quiet' : 'calm' }
}

function divided(parts: Side[], quiet: string): Saying {
  const root = parts.map((s) => s.tip).reduce((a: Block | undefined, b) => fork(a, b), parts[0].tip)
  const over = parts.map((s) => s.tip.height - (root?.height ?? 0))
  const where = root ? `They part above block ${group(root.height)}.` : ''
  if (Math.max(...over) <= 1) {
    return { text: `Two blocks stand at height ${group(parts[0].tip.height)}. The next block decides.`, more: quiet || where, mood: 'fork' }
  }
  const told = parts.slice(0, 3).map((s, i) => `${names(s.peers)} ${s.peers.length > 1 ? 'follow' : 'follows'} a branch of ${count(over[i], 'block', 'blocks')}`)
  return { text: `The network is split: ${list(told)}.`, more: [where, quiet].filter(Boolean).join(' '), mood: 'split' }
}
