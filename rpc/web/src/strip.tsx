// One payment's depth on every node over time: a stripe for each node, painted.
import { useEffect, useRef } from 'preact/hooks'
import { depthColour } from './colour'
import { lastBefore, type Depth, type Peer } from './record'
import type { Store } from './view'

/** The thickness of a stripe and the gap below it, in pixels. */
const stripe = (nodes: number): [number, number] => (nodes > 12 ? [2, 0] : nodes > 6 ? [3, 1] : nodes > 3 ? [6, 1] : [8, 1])

export function Strip({ store, tx, seen, peers, width }: { store: Store; tx: string; seen: number; peers: Peer[]; width: number }) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [thick, gap] = stripe(peers.length)
  const high = (thick + gap) * peers.length - gap
  useEffect(() => {
    const c = canvas.current
    const paint = c?.getContext('2d')
    if (!c || !paint || width <= 0) return
    const ratio = window.devicePixelRatio || 1
    const [w, h] = [Math.round(width * ratio), Math.round(high * ratio)]
    if (c.width !== w || c.height !== h) Object.assign(c, { width: w, height: h })
    paint.setTransform(ratio, 0, 0, ratio, 0, 0)
    paint.clearRect(0, 0, width, high)
    draw(paint, store, tx, seen, peers, width)
  })
  return <canvas ref={canvas} class="strip" style={{ width: `${width}px`, height: `${high}px` }} aria-hidden="true" />
}

function draw(paint: CanvasRenderingContext2D, store: Store, tx: string, seen: number, peers: Peer[], width: number): void {
  const { record, view } = store
  const left = store.left()
  const scale = width / view.width
  const end = Math.min(store.moment(), record.now())
  const [thick, gap] = stripe(peers.length)
  const begin = Math.max(left, seen)
  peers.forEach((p, i) => {
    const y = i * (thick + gap)
    const run = (from: number, to: number, d: Depth) => {
      paint.fillStyle = depthColour(d)
      const x = (from - left) * scale
      paint.fillRect(x, y, Math.max(0.5, (to - left) * scale - x), thick)
    }
    let k = Math.max(0, lastBefore(p.moves, begin))
    let from = begin
    let depth: Depth
    let open = false
    for (; k < p.moves.length && p.moves[k].at < end; k++) {
      const at = Math.max(begin, p.moves[k].at)
      const d = record.depth(tx, record.blocks.get(p.moves[k].tip))
      if (d === undefined || (open && depthColour(d) === depthColour(depth))) continue // on its way, or no change
      if (open && at > from) run(from, at, depth)
      ;[from, depth, open] = [at, d, true]
    }
    if (open && end > from) run(from, end, depth)
  })
}
