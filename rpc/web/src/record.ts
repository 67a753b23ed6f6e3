// What the node remembers, and what follows from it. Depth is a function of a payment and a tip: the
// past is drawn from who followed which tip when.
import { askAll, Refusal } from './node'

export interface Block {
  number: number
  id: string
  prev: string
  height: number
  seen: number // ms; when the node heard of it, 0 before its start
  at: number // ms; where it is drawn
  parent?: Block
}

export interface Peer {
  id: string
  name: string
  agent: string
  connected: boolean
  counted: boolean
  ping: number // seconds
  moves: { at: number; tip: number }[] // oldest first; tip is a block's number, −1 unknown
}

export interface Payment {
  id: string
  seen: number
}

/** null: unknown; undefined: not asked yet. */
export type Depth = number | null | undefined

interface Timeline {
  cursor: string
  whole: boolean
  now: number
  first: number
  nodes: { id: string; agent?: string; connected: boolean; counted: boolean; ping: number }[]
  blocks: { hash: string; prev: string; height: number; time: number; seen: number }[]
  moves: [number, number, number][]
  txs: { txid: string; seen: number }[]
}

interface TxDepths {
  txid: string
  seen: number
  blocks: string[]
  depths: (number | null)[]
  conflict?: string
}

export interface Status {
  network: string
  version: string
  height: number
  peers: number
  syncing: boolean
  headers: number
  mempool: { count: number; bytes: number }
  mining: { on: boolean; hashrate: number }
  reorgs: { count: number; deepest: number; last?: number }
  warnings: string[]
}

export interface Mining {
  difficulty: number
  networkhashps: number
}

const liveDelay = 3000 // ms between a header's time and hearing of it, beside the spacing; more was not heard live
const keptBlocks = 20_000
const apart = 60 // ms between the drawn times of a block and its parent, at the least

/** Names in an agent stand in brackets, as in BIP14: cairn/1.0(node1). */
function nameOf(id: string, agent: string | undefined, self: boolean): string {
  const given = agent?.match(/\(([^)]{1,24})\)/)?.[1]
  if (given) return given
  return self ? 'this node' : id.startsWith('/') ? id : '…' + id.slice(-5)
}

export class Record {
  blocks = new Map<number, Block>()
  byID = new Map<string, Block>()
  peers: Peer[] = [] // this node first
  payments: Payment[] = [] // oldest first
  seen = new Map<string, number>()
  status?: Status
  mining?: Mining
  spacing = 2 // seconds
  ahead = 0 // ms of the node's clock before ours
  began = 0 // ms
  version = 0 // grows with every change

  private order: { at: number }[] = [] // when each block was heard of
  private cursor = ''
  private depths = new Map<string, Map<number, number | null>>()
  private asked = new Map<string, Set<number>>()
  private waiting: Block[] = []
  private known = new Map<string, TxDepths>()

  now(): number {
    return Date.now() + this.ahead
  }

  /** Pulls what is new. */
  async pull(): Promise<void> {
    const [t, status, mining, info] = await askAll([
      ['gettimeline', this.cursor], ['getstatus'], ['getmininginfo'], ...(this.cursor ? [] : [['getblockchaininfo'] as [string]]),
    ])
    for (const answer of [t, status, mining, info]) if (answer instanceof Refusal) throw answer
    this.status = status as Status
    this.mining = mining as Mining
    if (info) this.spacing = (info as { spacing: number }).spacing || 2
    this.take(t as Timeline)
  }

  take(t: Timeline): void {
    if (t.whole) this.forget()
    this.cursor = t.cursor
    this.ahead = t.now - Date.now()
    t.blocks.forEach((b, i) => this.grow(t.first + i, b))
    const index = t.nodes.map((n, i) => this.peer(n, i === 0))
    for (const p of this.peers) if (!index.includes(p)) p.counted = p.connected = false
    for (const [at, node, tip] of t.moves) index[node].moves.push({ at, tip })
    for (const { txid, seen } of t.txs) {
      this.payments.push({ id: txid, seen })
      this.seen.set(txid, seen)
    }
    if (!this.began) this.began = Math.min(t.now, ...this.peers.flatMap((p) => p.moves.slice(0, 1).map((m) => m.at)))
    this.prune()
    this.version++
  }

  /** A page that is open for days keeps what the node keeps, no more. */
  private prune(): void {
    if (this.blocks.size < keptBlocks) return
    const old = [...this.blocks.keys()].slice(0, keptBlocks / 4)
    const until = this.blocks.get(old[old.length - 1])!.at
    for (const number of old) {
      this.byID.delete(this.blocks.get(number)!.id)
      this.blocks.delete(number)
    }
    for (const b of this.blocks.values()) if (b.parent && !this.blocks.has(b.parent.number)) b.parent = undefined
    for (const p of this.peers) p.moves = p.moves.slice(Math.max(0, lastBefore(p.moves, until)))
    for (const p of this.payments.splice(0, this.payments.findIndex((p) => p.seen > until))) {
      this.seen.delete(p.id)
      this.depths.delete(p.id)
      this.known.delete(p.id)
    }
    this.began = Math.max(this.began, until)
  }

  private forget(): void {
    this.blocks.clear()
    this.order = []
    this.byID.clear()
    this.peers = []
    this.payments = []
    this.waiting = []
    this.seen.clear()
    this.depths.clear()
    this.asked.clear()
    this.began = 0
  }

  private peer(n: Timeline['nodes'][0], self: boolean): Peer {
    let p = this.peers.find((p) => p.id === n.id)
    if (!p) {
      p = { id: n.id, name: '', agent: '', connected: false, counted: false, ping: 0, moves: [] }
      this.peers.push(p)
    }
    Object.assign(p, { connected: n.connected, counted: n.counted, ping: n.ping })
    if (n.agent || !p.name) Object.assign(p, { agent: n.agent ?? '', name: nameOf(n.id, n.agent, self) })
    return p
  }

  private grow(number: number, b: Timeline['blocks'][0]): void {
    const block: Block = { number, id: b.hash, prev: b.prev, height: b.height, seen: b.seen, at: b.time * 1000 }
    if (b.seen && b.seen - block.at < liveDelay + this.spacing * 1000) block.at = b.seen
    this.blocks.set(number, block)
    this.order.push({ at: Math.max(b.seen || block.at, this.order[this.order.length - 1]?.at ?? 0) })
    this.byID.set(block.id, block)
    this.waiting.push(block)
    this.waiting = this.waiting.filter((w) => !this.adopt(w)) // a parent may come later than its child
  }

  private adopt(b: Block): boolean {
    b.parent = this.byID.get(b.prev)
    if (b.parent) b.at = Math.max(b.at, b.parent.at + apart)
    return !!b.parent || b.height === 0 || this.waiting.length > 2000
  }

  /** The blocks that are drawn between two times, in order. */
  between(from: number, to: number): Block[] {
    const list: Block[] = []
    for (const b of this.blocks.values()) if (b.at >= from && b.at <= to) list.push(b)
    return list.sort((a, b) => a.at - b.at)
  }

  /** How many blocks were heard of by then. */
  heard(at: number): number {
    return lastBefore(this.order, at)
  }

  /** The nodes that "all" means, this one first, then by name. */
  counted(): Peer[] {
    const [self, ...others] = this.peers
    if (!self) return []
    const list = others.filter((p) => p.counted).sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))
    if (self.name === 'this node') return [self, ...list]
    return [self, ...list].sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }))
  }

  /** The tip that a node followed at a time. */
  tip(p: Peer, at: number): Block | undefined {
    const i = lastBefore(p.moves, at)
    return i < 0 ? undefined : this.blocks.get(p.moves[i].tip)
  }

  /** The depth of a payment under a tip. */
  depth(tx: string, tip: Block | undefined): Depth {
    if (!tip) return null
    let known = this.depths.get(tx)
    if (!known) this.depths.set(tx, (known = new Map()))
    const own = known.get(tip.number)
    if (own !== undefined) return own
    if (known.size === 0) {
      this.want(tx, tip)
      return undefined
    }
    // What a branch holds or rules out, it holds or rules out for whatever builds on it. Only where that
    // is not decided yet the node is asked.
    let below = tip.parent
    const way = [tip]
    const asked = this.asked.get(tx)
    const born = (this.seen.get(tx) ?? 0) - 60_000 // what was there before the payment cannot tell
    while (below && below.at > born && !asked?.has(below.number)) {
      const d = known.get(below.number)
      if (d === undefined) {
        way.push(below)
        below = below.parent
        continue
      }
      if (d === null || d === 0) break
      let deep = d
      for (const b of way.reverse()) known.set(b.number, (deep = deep > 0 ? deep + 1 : deep))
      return deep
    }
    this.want(tx, tip)
    return undefined
  }

  /** The other payment that rules one out, if any does, and the blocks that hold it. */
  about(tx: string): { conflict?: string; blocks: string[] } {
    return this.known.get(tx) ?? { blocks: [] }
  }

  private want(tx: string, tip: Block): void {
    let tips = this.asked.get(tx)
    if (!tips) this.asked.set(tx, (tips = new Set()))
    tips.add(tip.number)
  }

  /** Asks for the depths that were wanted; true if there were any. */
  async fetch(): Promise<boolean> {
    const wanted = [...this.asked].filter(([, tips]) => tips.size > 0).slice(0, 48)
    if (wanted.length === 0) return false
    const calls = wanted.map(([tx, tips]) => {
      // The lowest first: what they tell may answer for the others.
      const list = [...tips].map((n) => this.blocks.get(n)).filter((b): b is Block => !!b)
      return { tx, list: list.sort((a, b) => a.height - b.height).slice(0, 256) }
    })
    this.asked.clear()
    const answers = await askAll(calls.map((c) => ['getdepths', [c.tx], c.list.map((b) => b.id)]))
    answers.forEach((answer, i) => {
      if (answer instanceof Refusal) return
      const { tx, list } = calls[i]
      const found = (answer as TxDepths[])[0]
      const known = this.depths.get(tx) ?? new Map<number, number | null>()
      list.forEach((b, j) => known.set(b.number, found?.depths[j] ?? null))
      this.depths.set(tx, known)
      if (found) this.known.set(tx, found)
      if (list.some((_, j) => found?.depths[j] == null)) window.setTimeout(() => this.doubt(tx), 4000)
    })
    this.version++
    return true
  }

  /** What was unknown may be known now: a body came. */
  private doubt(tx: string): void {
    const known = this.depths.get(tx)
    if (known) for (const [tip, depth] of known) if (depth === null) known.delete(tip)
  }
}

/** The index of the last entry at or before a time, −1 if there is none. */
export function lastBefore(list: { at: number }[], at: number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const mid = (low + high) >> 1
    if (list[mid].at <= at) low = mid + 1
    else high = mid
  }
  return low - 1
}

/** The block at a height under a tip. */
export function ancestor(tip: Block | undefined, height: number): Block | undefined {
  while (tip && tip.height > height) tip = tip.parent
  return tip
}

/** Where two branches part. */
export function fork(a: Block | undefined, b: Block | undefined): Block | undefined {
  while (a && b && a !== b) {
    if (a.height >= b.height) a = a.parent
    else b = b.parent
  }
  return a && b ? a : undefined
}

/** Depth that all, and more than half, of the nodes have at least; null while one is unknown. */
export function agreed(depths: Depth[]): { all: number | null; quorum: number | null } {
  const rank = depths.map((d) => (d == null ? -2 : d)).sort((a, b) => b - a)
  const shown = (d: number | undefined) => (d === undefined || d === -2 ? null : d)
  return { all: shown(rank[rank.length - 1]), quorum: shown(rank[rank.length >> 1]) }
}
