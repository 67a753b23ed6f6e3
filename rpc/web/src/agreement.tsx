// The first page: the fork tree, and under the same time each payment's depth on every node.
import type { ComponentChildren } from 'preact'
import { useEffect, useMemo, useState } from 'preact/hooks'
import { depthName } from './colour'
import { useAnswer, useStore, useWidth } from './hooks'
import { agreed, type Depth, type Payment, type Peer } from './record'
import { saying } from './sentence'
import { Strip } from './strip'
import { Tree } from './tree'
import { speeds, type Store } from './view'
import { chance, clock, count, depthSentence, depthWord, group, rate, short, span } from './words'

export interface Curve {
  adversary: number
  odds: number[]
  enough?: number
}

export function Agreement() {
  const store = useStore()
  const [box, width] = useWidth<HTMLDivElement>()
  const [rows, setRows] = useState(10)
  const peers = store.record.counted()
  const payments = chosen(store, peers, rows)
  const risk = useAnswer<Curve[]>(0, 'getrisk', 60).value
  store.fit(width)
  useEffect(() => {
    void store.record.fetch().then((more) => more && store.tell())
  })
  return (
    <>
      <Headline />
      <section class={peers.length > 12 ? 'score crowded' : 'score'} aria-label="Agreement over time" tabIndex={0} onKeyDown={(e) => keys(e, store)} style={{ '--nodes': peers.length, '--cell': peers.length > 12 ? '20px' : peers.length > 6 ? '26px' : undefined }}>
        <div class="stage">
          <div class="lane-label" aria-hidden="true"><span>blocks</span></div>
          <div class="wide" ref={box}>{width > 0 && <Tree width={width} />}</div>
          <Legend peers={peers} />
        </div>
        <Ruler width={width} />
        <Matrix payments={payments} peers={peers} width={width} risk={risk} />
        {store.record.payments.filter((p) => p.seen <= store.moment()).length > payments.length && (
          <button class="quiet more" onClick={() => setRows(rows + 20)}>older payments</button>
        )}
        <Controls />
        <p class="hint">Drag the tree, or use <kbd>←</kbd> <kbd>→</kbd>, to go through time; <kbd>+</kbd> <kbd>−</kbd> show less and more of it, <kbd>p</kbd> plays, <kbd>l</kbd> is now, <kbd>/</kbd> searches.</p>
      </section>
    </>
  )
}

function Headline() {
  const store = useStore()
  const { status, mining } = store.record
  const { text, more, mood } = saying(store)
  const live = store.view.at === 'live'
  const spoken = useMemo(() => text, [mood]) // not every block is worth a word
  useEffect(() => {
    document.title = `${text.replace(/\.$/, '')} · Cairn`
  }, [text])
  return (
    <header class={`headline ${mood}`}>
      <h1>{text}</h1>
      <p class="hidden" role="status">{spoken}</p>
      <p class="aside">
        {!live && <strong class="past">{clock(store.moment())}, {span(store.record.now() - store.moment())} ago. </strong>}
        {more}
      </p>
      {status && mining && (
        <p class="facts">
          <span>{pace(store)}</span>
          <span>{rate(mining.networkhashps)}</span>
          <span>difficulty {mining.difficulty.toPrecision(3)}</span>
          <a href="#/waiting">{count(status.mempool.count, 'payment waits', 'payments wait')}</a>
          <a href="#/reorganisations">{count(status.reorgs.count, 'reorganisation', 'reorganisations')}{status.reorgs.count > 0 && `, deepest ${status.reorgs.deepest}`}</a>
        </p>
      )}
      {status?.warnings.map((w) => <p class="warning" key={w}>{w}</p>)}
    </header>
  )
}

/** How fast blocks came lately. */
function pace(store: Store): string {
  const self = store.record.peers[0]
  let b = self && store.record.tip(self, store.moment())
  const last = b
  let n = 0
  while (b?.parent && n < 20 && b.parent.height > 0) {
    b = b.parent
    n++
  }
  if (!last || !b || n === 0) return ''
  return `a block every ${span((last.at - b.at) / n)}`
}

function Legend({ peers }: { peers: Peer[] }) {
  const store = useStore()
  const at = store.moment()
  const self = store.record.peers[0]
  const ours = self && store.record.tip(self, at)
  return (
    <ul class={`legend${peers.length > 6 ? ' many' : ''}`} aria-label="Nodes and the tips that they follow">
      {peers.map((p, i) => {
        const tip = store.record.tip(p, at)
        return (
          <li key={p.id} title={`${p.id}\n${p.agent}${p.ping ? `\nround trip ${span(p.ping * 1000)}` : ''}`}>
            <span class={`dot n${i % 8}`} aria-hidden="true">{i + 1}</span>
            <span class="who">{p.name}</span>
            <span class="where">{tip ? group(tip.height) : 'silent'}</span>
            {tip && ours && tip !== ours && <span class="stance">{tip.height < ours.height ? `−${ours.height - tip.height}` : tip.height > ours.height ? `+${tip.height - ours.height}` : 'other'}</span>}
          </li>
        )
      })}
    </ul>
  )
}

function Ruler({ width }: { width: number }) {
  const store = useStore()
  const { view } = store
  const left = store.left()
  const steps = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400].map((s) => s * 1000)
  const step = steps.find((s) => (s / view.width) * width > 90) ?? 28_800_000
  const marks: ComponentChildren[] = []
  for (let t = Math.ceil(left / step) * step; t < left + view.width; t += step) {
    marks.push(<span key={t} style={{ left: `${((t - left) / view.width) * width}px` }}>{clock(t)}</span>)
  }
  return <div class="stage ruler" aria-hidden="true"><div class="lane-label" /><div class="wide">{marks}</div><div /></div>
}

/** The payments to show: the latest that were seen by then, and those that somebody rules out. */
function chosen(store: Store, peers: Peer[], most: number): Payment[] {
  const { record } = store
  const at = store.moment()
  const past = record.payments.filter((p) => p.seen <= at).slice(-Math.max(80, most)).reverse()
  const ruled = past.filter((p) => peers.some((n) => (record.depth(p.id, record.tip(n, at)) ?? 0) < 0)).slice(0, 4)
  const list = [...ruled, ...past.filter((p) => !ruled.includes(p))].slice(0, most)
  const picked = store.picked && past.find((p) => p.id === store.picked)
  if (picked && !list.includes(picked)) list.push(picked)
  return list.sort((a, b) => b.seen - a.seen)
}

function Matrix({ payments, peers, width, risk }: { payments: Payment[]; peers: Peer[]; width: number; risk?: Curve[] }) {
  const store = useStore()
  if (payments.length === 0) return <p class="empty">No payment was seen yet. Each that comes gets a row here: its depth on every node, as it grows.</p>
  return (
    <table class="matrix">
      <caption class="hidden">Depth of each payment on every node at the moment looked at</caption>
      <thead>
        <tr>
          <th scope="col">payment</th>
          <th scope="col" class="time"><span class="hidden">depth over time</span><Scale /></th>
          {peers.map((p, i) => <th scope="col" key={p.id} class="cell"><span class={`dot n${i % 8}`} title={p.name}><span aria-hidden="true">{i + 1}</span><span class="hidden">{p.name}</span></span></th>)}
          <th scope="col" class="sum">all</th>
          <th scope="col" class="sum risk" title="How likely an attacker with a tenth of all work ever undoes it">risk</th>
        </tr>
      </thead>
      <tbody>{payments.map((p) => <Row key={p.id} store={store} payment={p} peers={peers} width={width} risk={risk} />)}</tbody>
    </table>
  )
}

/** What the colours mean. */
function Scale() {
  return (
    <span class="scale" aria-hidden="true">
      <i class="doff">−1</i> ruled out
      <i class="d0">0</i> not yet
      {[1, 2, 3, 4, 5, 6].map((d) => <i key={d} class={'d' + d}>{d === 6 ? '6+' : d}</i>)} deep
    </span>
  )
}

function Row({ store, payment, peers, width, risk }: { store: Store; payment: Payment; peers: Peer[]; width: number; risk?: Curve[] }) {
  const { record } = store
  const at = store.moment()
  const depths = peers.map((n): Depth => {
    const tip = record.tip(n, at)
    const d = record.depth(payment.id, tip)
    return d === undefined ? record.depth(payment.id, tip?.parent) : d // on its way: a moment ago it was
  })
  const { all } = agreed(depths)
  const odds = all != null && all > 0 ? risk?.[0]?.odds[Math.min(all, 60)] : undefined
  const picked = store.picked === payment.id
  return (
    <tr class={picked ? 'picked' : ''}>
      <th scope="row">
        <a href={'#/payment/' + payment.id} class="id">{short(payment.id)}</a>
        <button class="find" aria-pressed={picked} aria-label={`Show the blocks of payment ${short(payment.id)} in the tree`} onClick={() => store.pick(payment.id)}>◎</button>
        <span class="age">{span(at - payment.seen)}</span>
      </th>
      <td class="time"><Strip store={store} tx={payment.id} seen={payment.seen} peers={peers} width={width} /></td>
      {depths.map((d, i) => (
        <td key={peers[i].id} class="cell"><span class={'depth d' + depthName(d)} title={`${peers[i].name}: ${depthSentence(d)}`}>{depthWord(d)}</span></td>
      ))}
      <td class="sum">{depthWord(all)}</td>
      <td class="sum risk">{odds === undefined ? '' : chance(odds)}</td>
    </tr>
  )
}

function Controls() {
  const store = useStore()
  const { record, view } = store
  const now = record.now()
  const first = Math.min(record.began || now, now)
  const live = view.at === 'live'
  return (
    <div class="controls" role="group" aria-label="Time">
      <button class="play" onClick={() => store.play(view.playing ? 0 : 1)} aria-pressed={view.playing > 0}>{view.playing ? 'pause' : 'play'}</button>
      <label class="speed">
        <span class="hidden">speed</span>
        <select value={view.playing || 1} onChange={(e) => store.play(Number(e.currentTarget.value))}>
          {speeds.map((s) => <option key={s} value={s}>{s}×</option>)}
        </select>
      </label>
      <input type="range" min={Math.floor(first / 1000)} max={Math.ceil(now / 1000)} step={1} value={live ? Math.ceil(now / 1000) : Math.round(store.moment() / 1000)}
        aria-label="The moment looked at" aria-valuetext={live ? 'now' : `${clock(store.moment())}, ${span(now - store.moment())} ago`}
        onInput={(e) => store.go(Number(e.currentTarget.value) * 1000)} />
      <button class={live ? 'live on' : 'live'} aria-pressed={live} onClick={() => store.live()}>{live ? 'live' : 'back to now'}</button>
      <span class="zoom">
        <button aria-label="Show less time" onClick={() => store.zoom(1 / 1.6)}>+</button>
        <button aria-label="Show more time" onClick={() => store.zoom(1.6)}>−</button>
      </span>
    </div>
  )
}

/** Keys of the score: arrows go through time, plus and minus show less and more of it. */
export function keys(e: KeyboardEvent, store: Store): void {
  if (e.ctrlKey || e.metaKey || e.altKey || (e.target as Element).closest('input, select, textarea')) return
  const step = store.record.spacing * 1000 * (e.shiftKey ? 10 : 1)
  const act: { [key: string]: () => void } = {
    ArrowLeft: () => store.go(store.moment() - step),
    ArrowRight: () => store.go(store.moment() + step),
    Home: () => store.go(0),
    End: () => store.live(),
    '+': () => store.zoom(1 / 1.6),
    '=': () => store.zoom(1 / 1.6),
    '-': () => store.zoom(1.6),
    l: () => store.live(),
    p: () => store.play(store.view.playing ? 0 : 1),
  }
  if (!act[e.key]) return
  e.preventDefault()
  act[e.key]()
}

