// The fork tree over time: stones, the branches they lie on, and who stands where.
import { useEffect, useMemo, useRef } from 'preact/hooks'
import { select } from 'd3-selection'
import { zoom, type D3ZoomEvent } from 'd3-zoom'
import { depthName } from './colour'
import { useStore } from './hooks'
import { type Block, type Peer } from './record'
import type { Store } from './view'
import { clock, group, short } from './words'

const roomy = 176
const tight = 140 // where the page is narrow
const most = 420 // stones drawn one by one; more are a line

interface Stone {
  block: Block
  lane: number
  main: boolean
  deep: number // under the tip looked at; 0 off that branch
  future: boolean
}

/** Lays out what is seen between two times. */
export function layOut(store: Store, from: number, to: number): { stones: Stone[]; lanes: number } {
  const { record } = store
  const at = store.moment()
  const self = record.peers[0]
  const tip = self && record.tip(self, at)
  const main = new Map<number, number>()
  for (let b = tip; b && b.at >= from - 60_000; b = b.parent) main.set(b.number, tip!.height - b.height + 1)
  for (let b = self && record.tip(self, Infinity); b && !main.has(b.number) && b.at >= from; b = b.parent) if (b.height > (tip?.height ?? 0)) main.set(b.number, 0)
  const shown = record.between(from, to)
  const lane = new Map<number, number>()
  const ends: number[] = [Infinity]
  const grown = new Set<number>()
  const stones = shown.map((block) => {
    const onMain = main.has(block.number)
    let l = 0
    if (!onMain) {
      const p = block.parent
      const on = p ? lane.get(p.number) : undefined
      if (p && on && !grown.has(p.number)) l = on
      else for (l = 1; ends[l] !== undefined && ends[l] > (p?.at ?? block.at) - 1; ) l++
      if (p) grown.add(p.number)
      ends[l] = block.at
    }
    lane.set(block.number, l)
    return { block, lane: l, main: onMain, deep: main.get(block.number) ?? 0, future: (block.seen || block.at) > at }
  })
  return { stones, lanes: ends.length - 1 }
}

/** Lanes lie below and above the best chain by turns. */
const side = (lane: number): number => (lane % 2 ? (lane + 1) / 2 : -lane / 2)

export function Tree({ width }: { width: number }) {
  const store = useStore()
  const svg = useRef<SVGSVGElement>(null)
  usePan(svg, store, width)
  const tall = width < 500 ? tight : roomy
  const { record, view } = store
  const left = store.left()
  const scale = width / view.width
  const origin = useOrigin(left, scale)
  const x = (t: number) => (t - origin) * scale
  // Time goes on by moving the whole; what is in it is made anew only when that changes.
  const part = Math.floor(left / view.width)
  const from = (part - 0.1) * view.width
  const to = (part + 2) * view.width
  const self = record.peers[0]
  const tip = self && record.tip(self, store.moment())
  const heard = record.heard(store.moment())
  const drawn = useMemo(() => {
    const { stones, lanes } = layOut(store, from, to)
    const high = Math.min(36, (tall / 2 - 34) / Math.max(1, Math.ceil(lanes / 2)))
    const middle = tall / 2 + 10
    const y = (lane: number) => middle + side(lane) * high
    const size = Math.max(2, Math.min(9, record.spacing * 1000 * scale * 0.32))
    return { stones, lanes, y, size, place: new Map(stones.map((s) => [s.block.number, s])) }
  }, [record.version, part, view.width, width, tip, heard, origin])
  const { stones, lanes, y, size, place } = drawn
  const picture = useMemo(() => <Stones {...drawn} x={x} store={store} />, [drawn, store.picked])
  return (
    <svg ref={svg} class="tree" width={width} height={tall} role="group" aria-label={`Fork tree of ${stones.length} blocks, ${lanes} branches beside the best chain`}>
      <g transform={`translate(${-(left - origin) * scale}, 0)`}>
        {picture}
        {stand([...followers(store)].flatMap(([number, peers]) => {
          const s = place.get(number)
          return s ? [{ number, peers, x: x(s.block.at), y: y(s.lane) - size - 15 }] : []
        }), x(left) + width).map((g) => <Standing key={g.number} group={g} all={record.counted()} />)}
      </g>
      {view.at !== 'live' && <line class="now" x1={(view.at - left) * scale} x2={(view.at - left) * scale} y1={0} y2={tall} />}
    </svg>
  )
}

/** A time that stays where it is while things are drawn beside it. */
function useOrigin(left: number, scale: number): number {
  const kept = useRef({ at: left, scale })
  if (kept.current.scale !== scale || Math.abs(left - kept.current.at) * scale > 100_000) kept.current = { at: left, scale }
  return kept.current.at
}

interface Drawn {
  stones: Stone[]
  place: Map<number, Stone>
  y: (lane: number) => number
  size: number
}

function Stones({ stones, place, y, size, x, store }: Drawn & { x: (t: number) => number; store: Store }) {
  const many = stones.length > most
  const labelled = labels(stones, x)
  const held = new Set(store.picked ? store.record.about(store.picked).blocks : [])
  const main = stones.filter((s) => s.main)
  return (
    <>
      {many && <path class="link main" d={`M${x(main[0]?.block.at ?? 0)} ${y(0)}H${x(main[main.length - 1]?.block.at ?? 0)}`} />}
      {stones.map((s) => {
        const from = s.block.parent && place.get(s.block.parent.number)
        return from && !(many && s.main && from.main) && <Link key={'l' + s.block.number} from={from} to={s} x={x} y={y} />
      })}
      {stones.map((s) => (many && s.main && !held.has(s.block.id) ? null : (
        <a key={s.block.number} href={'#/block/' + s.block.id} class="stone" tabIndex={s.deep === 1 || (!s.main && !many) ? 0 : -1}
          aria-label={`Block ${s.block.height}, ${short(s.block.id)}${s.main ? (s.deep ? `, depth ${s.deep}` : '') : ', off the best chain'}`}>
          <g style={{ transform: `translate(${x(s.block.at).toFixed(1)}px, ${y(s.lane)}px)` }}>
            <Pebble s={s} size={size} held={held.has(s.block.id)} />
          </g>
        </a>
      )))}
      {main.map((s) => labelled.has(s.block.number) && <text key={'h' + s.block.number} class="height" x={x(s.block.at)} y={y(0) + size + 15}>{group(s.block.height)}</text>)}
    </>
  )
}

function Link({ from, to, x, y }: { from: Stone; to: Stone; x: (t: number) => number; y: (lane: number) => number }) {
  const [x0, x1, y0, y1] = [x(from.block.at), x(to.block.at), y(from.lane), y(to.lane)]
  const bend = Math.min(x1 - x0, 26)
  const d = y0 === y1 ? `M${x0} ${y0}H${x1}` : `M${x0} ${y0}C${x0 + bend * 0.6} ${y0} ${x0 + bend * 0.4} ${y1} ${x0 + bend} ${y1}H${x1}`
  return <path class={`link ${to.main ? 'main' : 'side'}${to.future ? ' future' : ''}`} d={d} />
}

/** Heights are written where there is room, round ones first. */
function labels(stones: Stone[], x: (t: number) => number): Set<number> {
  const chosen = new Set<number>()
  const taken: number[] = []
  for (const round of [1000, 100, 10, 5, 1]) {
    for (const s of stones) {
      const at = x(s.block.at)
      if (!s.main || s.block.height % round || taken.some((t) => Math.abs(t - at) < 46)) continue
      taken.push(at)
      chosen.add(s.block.number)
    }
    if (taken.length > 12) break
  }
  return chosen
}

/** No two stones of a cairn are alike: the id gives each its shape. */
function Pebble({ s, size, held }: { s: Stone; size: number; held: boolean }) {
  const shape = parseInt(s.block.id.slice(-4, -2), 16) / 255
  const turn = parseInt(s.block.id.slice(-2), 16) / 255
  const rx = size * (1 + 0.3 * shape)
  const ry = size * (0.98 - 0.25 * shape)
  const look = `pebble ${s.main ? 'd' + depthName(s.deep || 0) : 'stale'}${s.future ? ' future' : ''}${held ? ' held' : ''}`
  return (
    <ellipse class={look} rx={rx} ry={ry} transform={`rotate(${(turn - 0.5) * 26})`}>
      <title>{`block ${s.block.height} · ${short(s.block.id)} · ${clock(s.block.at)}`}</title>
    </ellipse>
  )
}

/** Who follows which tip at the moment looked at. */
function followers(store: Store): Map<number, Peer[]> {
  const tips = new Map<number, Peer[]>()
  for (const p of store.record.counted()) {
    const tip = store.record.tip(p, store.moment())
    if (tip) tips.set(tip.number, [...(tips.get(tip.number) ?? []), p])
  }
  return tips
}

/** Nodes that stand on one block. */
interface Group {
  number: number
  peers: Peer[]
  x: number // of their middle
  y: number
}

const step = 19 // pixels between two badges
const crowd = 6 // badges side by side; more are a number

const wide = (g: Group): number => (g.peers.length > crowd ? 72 : g.peers.length * step)

/** Moves groups apart that would cover each other: the later one stands higher. */
function stand(groups: Group[], edge: number): Group[] {
  const placed: Group[] = []
  for (const g of groups.sort((a, b) => a.x - b.x)) {
    g.x = Math.min(g.x, edge - wide(g) / 2 - 1)
    while (placed.some((p) => Math.abs(p.y - g.y) < step && Math.abs(p.x - g.x) < (wide(p) + wide(g)) / 2)) g.y -= step
    placed.push(g)
  }
  return placed
}

function Standing({ group: { peers, x, y }, all }: { group: Group; all: Peer[] }) {
  if (peers.length > crowd) {
    return (
      <g class="standing" transform={`translate(${x}, ${y})`}>
        <rect class="crowd" x={-34} y={-10} width={68} height={20} rx={10} />
        <text y={4}>{peers.length} nodes</text>
      </g>
    )
  }
  const first = x - ((peers.length - 1) * step) / 2
  return (
    <g class="standing">
      {peers.map((p, i) => (
        <g key={p.id} transform={`translate(${first + i * step}, ${y})`}>
          <circle class={`badge n${all.indexOf(p) % 8}`} r={8.5} />
          <text y={3.6}>{all.indexOf(p) + 1}</text>
          <title>{p.name}</title>
        </g>
      ))}
    </g>
  )
}

/** Dragging goes through time; pinching, and the wheel with Ctrl, show more or less of it. */
function usePan(svg: { current: SVGSVGElement | null }, store: Store, width: number): void {
  const wide = useRef(width)
  wide.current = width
  useEffect(() => {
    if (!svg.current) return
    let last = { x: 0, k: 1 }
    const behaviour = zoom<SVGSVGElement, unknown>()
      .scaleExtent([1e-6, 1e6])
      .filter((e: MouseEvent) => (e.type === 'wheel' ? e.ctrlKey || e.metaKey : !e.button))
      .on('zoom', ({ transform }: D3ZoomEvent<SVGSVGElement, unknown>) => {
        if (transform.k !== last.k) store.zoom(last.k / transform.k)
        else if (transform.x !== last.x) store.go(store.moment() - ((transform.x - last.x) / wide.current) * store.view.width)
        last = { x: transform.x, k: transform.k }
      })
    select(svg.current).call(behaviour).on('dblclick.zoom', null)
  }, [svg.current])
}
