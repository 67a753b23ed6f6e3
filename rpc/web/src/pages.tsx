// The pages behind the first: one payment, block or address, what waits, what was undone, risk, sending.
import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import type { Curve } from './agreement'
import { depthName } from './colour'
import { useAnswer, useStore, useWidth } from './hooks'
import { ask } from './node'
import { bytes, chance, clock, coins, count, depthSentence, depthWord, group, moment, short, span } from './words'

interface Tx {
  txid: string
  size: number
  fee?: number
  memo_text?: string
  vin: { coinbase?: string; txid?: string; vout?: number; value?: number; address?: string }[]
  vout: { value: number; n: number; scriptPubKey: { address: string } }[]
  blocks?: string[]
  blockhash?: string
  blocktime?: number
}

interface Opinion {
  peer: string
  agent?: string
  height: number
  tip: string | null
  depth: number | null
  counted: boolean
  age: number
}

interface Convergence {
  kind: 'tx' | 'block'
  self: Opinion
  peers: Opinion[]
  counted: number
  all: number | null
  quorum: number | null
  conflict?: string
  reason?: string
  seen?: number
  since_seen?: number
  reached?: { depth: number; all: number | null; quorum: number | null }[]
}

function Panel({ title, children, note }: { title: string; note?: string; children: ComponentChildren }) {
  return (
    <section class="panel">
      <h1>{title}</h1>
      {note && <p class="aside">{note}</p>}
      {children}
    </section>
  )
}

function Wait({ error, what }: { error?: string; what: string }) {
  return <Panel title={error ? 'Not found' : what}>{error ? <p class="aside">{error}</p> : <p class="aside">asking …</p>}</Panel>
}

const Id = ({ to, id, all }: { to: 'block' | 'payment' | 'address'; id: string; all?: boolean }) => (
  <a class="id" href={`#/${to}/${id}`} title={id}>{all ? id : to === 'address' ? id.slice(0, 16) + '…' : short(id)}</a>
)

/** Depth on every node, and when it was reached. */
function Depths({ c }: { c: Convergence }) {
  const store = useStore()
  const name = (id: string) => store.record.peers.find((p) => p.id === id)?.name ?? '…' + id.slice(-5)
  const order = store.record.counted().map((p) => p.id)
  const peers = [c.self, ...c.peers].filter((o) => o.counted).sort((a, b) => order.indexOf(a.peer) - order.indexOf(b.peer))
  return (
    <>
      <ul class="depths" aria-label="Depth on every node">
        {peers.map((o) => (
          <li key={o.peer}><span class={'depth d' + depthName(o.depth)}>{depthWord(o.depth)}</span><span>{name(o.peer)}</span><small>{depthSentence(o.depth)}</small></li>
        ))}
      </ul>
      {c.reason && <p class="reason">{c.reason}{c.conflict && <> See <Id to="payment" id={c.conflict} />.</>}</p>}
      {c.reached && c.reached.length > 0 && (
        <table class="plain">
          <caption>When the nodes came to agree, in time since this node saw it</caption>
          <thead><tr><th scope="col">depth</th><th scope="col">on more than half</th><th scope="col">on all {c.counted}</th></tr></thead>
          <tbody>
            {c.reached.map((m) => (
              <tr key={m.depth}><th scope="row">{m.depth}</th><td>{m.quorum == null ? 'not yet' : span(m.quorum * 1000)}</td><td>{m.all == null ? 'not yet' : span(m.all * 1000)}</td></tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  )
}

export function Payment({ id }: { id: string }) {
  const store = useStore()
  const c = useAnswer<Convergence>(store.record.version, 'getconvergence', id)
  const tx = useAnswer<Tx>(0, 'getrawtransaction', id, 1)
  const [keep, setKeep] = useState<{ c?: Convergence; tx?: Tx }>({})
  useEffect(() => setKeep((k) => ({ c: c.value ?? k.c, tx: tx.value ?? k.tx })), [c.value, tx.value])
  const shown = c.value ?? keep.c
  const body = tx.value ?? keep.tx
  if (!shown) return <Wait error={c.error} what={'Payment ' + short(id)} />
  return (
    <Panel title={`Payment ${short(id)}`} note={shown.seen ? `Seen ${span((shown.since_seen ?? 0) * 1000)} ago, at ${moment(shown.seen)}.` : undefined}>
      <p class="full id">{id}</p>
      <Depths c={shown} />
      {body && <Flow tx={body} />}
      {body && (
        <dl class="facts-list">
          <dt>size</dt><dd>{bytes(body.size)}</dd>
          {body.fee !== undefined && <><dt>fee</dt><dd>{coins(body.fee)} <small>({((body.fee * 1e8) / body.size).toFixed(1)} grains a byte)</small></dd></>}
          {body.memo_text && <><dt>memo</dt><dd>{body.memo_text}</dd></>}
          <dt>blocks</dt><dd>{body.blocks?.length ? body.blocks.map((b) => <><Id to="block" id={b} /> </>) : body.blockhash ? <Id to="block" id={body.blockhash} /> : 'none yet'}</dd>
        </dl>
      )}
    </Panel>
  )
}

/** Where coins come from and go to. */
function Flow({ tx }: { tx: Tx }) {
  return (
    <div class="flow">
      <div>
        <h2>from</h2>
        <ul>{tx.vin.map((i, n) => <li key={n}>{i.coinbase !== undefined ? <span>newly made</span> : <><span>{coins(i.value ?? 0)}</span>{i.address && <Id to="address" id={i.address} />}{i.txid && <small>of <Id to="payment" id={i.txid} /></small>}</>}</li>)}</ul>
      </div>
      <div class="arrow" aria-hidden="true">→</div>
      <div>
        <h2>to</h2>
        <ul>{tx.vout.map((o) => <li key={o.n}><span>{coins(o.value)}</span><Id to="address" id={o.scriptPubKey.address} /></li>)}</ul>
      </div>
    </div>
  )
}

interface BlockAnswer {
  hash: string
  height: number
  confirmations: number
  time: number
  size: number
  difficulty: number
  nTx: number
  previousblockhash?: string
  nextblockhash?: string
  coinbase: { text?: string }
  tx: Tx[]
}

export function BlockPage({ id }: { id: string }) {
  const store = useStore()
  const b = useAnswer<BlockAnswer>(0, 'getblock', id, 2)
  const c = useAnswer<Convergence>(store.record.version, 'getconvergence', id)
  const [keep, setKeep] = useState<Convergence>()
  useEffect(() => setKeep((k) => c.value ?? k), [c.value])
  if (!b.value) return <Wait error={b.error} what={'Block ' + short(id)} />
  const block = b.value
  const shown = c.value ?? keep
  return (
    <Panel title={`Block ${group(block.height)}`} note={`${moment(block.time * 1000)} · ${count(block.tx.length, 'transaction', 'transactions')} · ${bytes(block.size)}${block.coinbase.text ? ` · “${block.coinbase.text}”` : ''}`}>
      <p class="full id">{block.hash}</p>
      {shown && <Depths c={shown} />}
      <p class="neighbours">
        {block.previousblockhash && <>before: <Id to="block" id={block.previousblockhash} /></>} {block.nextblockhash && <>after: <Id to="block" id={block.nextblockhash} /></>}
      </p>
      <table class="plain">
        <caption>Transactions</caption>
        <thead><tr><th scope="col">id</th><th scope="col">pays</th><th scope="col">fee</th><th scope="col">size</th></tr></thead>
        <tbody>
          {block.tx.slice(0, 500).map((t, i) => (
            <tr key={t.txid}><th scope="row"><Id to="payment" id={t.txid} /></th><td>{coins(t.vout.reduce((s, o) => s + o.value, 0))}</td><td>{i === 0 ? 'newly made' : coins(t.fee ?? 0)}</td><td>{bytes(t.size)}</td></tr>
          ))}
        </tbody>
      </table>
    </Panel>
  )
}

interface Deed {
  txid: string
  received: number
  spent: number
  confirmations: number
  time: number
}

export function Address({ id }: { id: string }) {
  const store = useStore()
  const height = store.record.status?.height ?? 0
  const history = useAnswer<Deed[]>(height, 'getaddresshistory', id, 200)
  const held = useAnswer<{ value?: number; amount?: number }[] | { coins: { value: number }[] }>(height, 'getaddresscoins', id)
  if (!history.value) return <Wait error={history.error} what="Address" />
  const list = Array.isArray(held.value) ? held.value : (held.value?.coins ?? [])
  const sum = (list as { value?: number; amount?: number }[]).reduce((s, c) => s + (c.value ?? c.amount ?? 0), 0)
  return (
    <Panel title={coins(sum)} note={`${count(list.length, 'unspent coin', 'unspent coins')} under this node's tip.`}>
      <p class="full id">{id}</p>
      <table class="plain">
        <caption>History, newest first</caption>
        <thead><tr><th scope="col">payment</th><th scope="col">time</th><th scope="col">received</th><th scope="col">spent</th><th scope="col">depth</th></tr></thead>
        <tbody>{history.value.map((d) => <tr key={d.txid}><th scope="row"><Id to="payment" id={d.txid} /></th><td>{moment(d.time * 1000)}</td><td>{d.received ? coins(d.received) : ''}</td><td>{d.spent ? coins(d.spent) : ''}</td><td><span class={'depth d' + depthName(d.confirmations)}>{depthWord(d.confirmations)}</span></td></tr>)}</tbody>
      </table>
    </Panel>
  )
}

interface Entry {
  vsize: number
  fee: number
  time: number
  ancestorcount: number
  own: boolean
}

export function Waiting() {
  const store = useStore()
  const pool = useAnswer<{ [id: string]: Entry }>(store.record.version, 'getrawmempool', true)
  const [keep, setKeep] = useState<{ [id: string]: Entry }>()
  useEffect(() => setKeep((k) => pool.value ?? k), [pool.value])
  const entries = Object.entries(pool.value ?? keep ?? {}).map(([id, e]) => ({ id, ...e, rate: (e.fee * 1e8) / e.vsize })).sort((a, b) => b.rate - a.rate)
  const most = Math.max(1, ...entries.map((e) => e.rate))
  const total = entries.reduce((s, e) => s + e.vsize, 0)
  return (
    <Panel title={entries.length ? `${count(entries.length, 'payment waits', 'payments wait')}` : 'Nothing waits'} note={entries.length ? `${bytes(total)}, the best payer first: miners take them in this order.` : 'What comes is confirmed by the next block, or the one after.'}>
      {entries.length > 0 && (
        <table class="plain pool">
          <caption class="hidden">What waits, by fee rate</caption>
          <thead><tr><th scope="col">payment</th><th scope="col">grains a byte</th><th scope="col">size</th><th scope="col">waits</th><th scope="col" /></tr></thead>
          <tbody>
            {entries.slice(0, 300).map((e) => (
              <tr key={e.id}>
                <th scope="row"><Id to="payment" id={e.id} /></th>
                <td class="bar"><span style={{ width: `${(e.rate / most) * 100}%` }} /><b>{e.rate.toFixed(1)}</b></td>
                <td>{bytes(e.vsize)}</td><td>{span(store.record.now() - e.time * 1000)}</td><td>{e.own && 'sent here'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  )
}

interface Reorg {
  at: number
  depth: number
  ancestor: { hash: string; height: number }
  from: { hash: string; height: number }
  to: { hash: string; height: number }
  undone: string[]
  applied: string[]
  lostwork: string
  wonwork: string
  transactions: { txid: string; fate: string; by?: string; block?: string; why?: string }[]
  more?: number
}

const fates: { [fate: string]: string } = {
  confirmed: 'confirmed again', returned: 'waits again', conflicted: 'ruled out', replaced: 'replaced', dropped: 'dropped', evicted: 'pushed out', expired: 'waited too long',
}

export function Reorganisations() {
  const store = useStore()
  const log = useAnswer<Reorg[]>(store.record.status?.reorgs.count ?? 0, 'getreorgs')
  if (!log.value) return <Wait error={log.error} what="Reorganisations" />
  return (
    <Panel title={log.value.length ? count(log.value.length, 'reorganisation', 'reorganisations') : 'No reorganisation yet'}
      note="When a branch with more work appears, blocks are undone and others take their place. Each payment that came off has a fate.">
      {log.value.map((r) => <Change key={r.at + r.to.hash} r={r} />)}
    </Panel>
  )
}

const work = (hex: string): number => Number(BigInt('0x' + hex.replace(/^0x/, '')))

function Change({ r }: { r: Reorg }) {
  const store = useStore()
  const [won, lost] = [work(r.wonwork), work(r.lostwork)]
  return (
    <article class="reorg">
      <h2>{count(r.depth, 'block', 'blocks')} undone, {group(r.applied.length)} came <small>{clock(r.at)}</small>
        <button class="quiet" onClick={() => { store.go(r.at - 1); location.hash = '#/' }}>see it happen</button>
      </h2>
      <p class="aside">The branches part above block <Id to="block" id={r.ancestor.hash} /> at height {group(r.ancestor.height)}. {won > lost && lost > 0 && `The winning one carries ${(won / lost).toPrecision(3)} times the work.`}</p>
      <div class="diff">
        <ol class="undone" aria-label="Undone">{r.undone.slice(0, 12).map((b) => <li key={b}><Id to="block" id={b} /></li>)}{r.undone.length > 12 && <li>and {r.undone.length - 12} more</li>}</ol>
        <ol class="applied" aria-label="Applied">{r.applied.slice(0, 12).map((b) => <li key={b}><Id to="block" id={b} /></li>)}{r.applied.length > 12 && <li>and {r.applied.length - 12} more</li>}</ol>
      </div>
      {r.transactions.length > 0 && (
        <table class="plain fates">
          <caption>What became of the payments</caption>
          <thead class="hidden"><tr><th scope="col">payment</th><th scope="col">fate</th><th scope="col">why</th></tr></thead>
          <tbody>
            {r.transactions.map((t) => (
              <tr key={t.txid} class={t.fate}><th scope="row"><Id to="payment" id={t.txid} /></th><td>{fates[t.fate] ?? t.fate}</td>
                <td>{t.by && <>by <Id to="payment" id={t.by} /> </>}{t.block && <>in block <Id to="block" id={t.block} /></>}{t.why}</td></tr>
            ))}
          </tbody>
        </table>
      )}
    </article>
  )
}

export function Risk() {
  const curves = useAnswer<Curve[]>(0, 'getrisk', 40)
  const [box, width] = useWidth<HTMLDivElement>()
  return (
    <Panel title="How safe is a depth?" note="How likely an attacker with a share of all work ever undoes a payment that lies so deep (Grunspan and Pérez-Marco, 2018). He mines on a branch of his own from the start and never gives up.">
      <div ref={box} class="plot">{curves.value && width > 0 && <Plot curves={curves.value} width={width} />}</div>
      {curves.value && <Odds curves={curves.value} />}
    </Panel>
  )
}

function Odds({ curves }: { curves: Curve[] }) {
  return (
    <table class="plain odds">
      <caption>The same in numbers; the row where the risk falls below 0.1 % is marked</caption>
      <thead><tr><th scope="col">depth</th>{curves.map((c) => <th scope="col" key={c.adversary}>{c.adversary * 100} % of the work</th>)}</tr></thead>
      <tbody>
        {[1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 40].map((d) => (
          <tr key={d}><th scope="row">{d}</th>{curves.map((c) => <td key={c.adversary} class={c.enough !== undefined && d >= c.enough ? 'enough' : ''}>{chance(c.odds[d])}</td>)}</tr>
        ))}
      </tbody>
    </table>
  )
}

function Plot({ curves, width }: { curves: Curve[]; width: number }) {
  const ref = useRef<HTMLDivElement>(null)
  useEffect(() => {
    const style = getComputedStyle(document.documentElement)
    const ink = style.getPropertyValue('--soft')
    const tens = (_: uPlot, ticks: number[]) => ticks.map((t) => (Math.abs(Math.log10(t) - Math.round(Math.log10(t))) < 1e-9 ? t : null))
    const axis = { stroke: ink, grid: { stroke: style.getPropertyValue('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui' }
    const plot = new uPlot({
      width, height: Math.min(380, width * 0.55), legend: { show: true },
      scales: { x: { time: false }, y: { distr: 3, range: [1e-9, 1] } },
      axes: [{ ...axis, incrs: [1, 2, 5, 10] }, { ...axis, size: 64, filter: tens, grid: { ...axis.grid, filter: tens }, values: (_, ticks) => ticks.map((t) => (t == null ? '' : chance(t))) }],
      series: [{ label: 'depth' }, ...curves.map((c, i) => ({
        label: `${c.adversary * 100} %`, stroke: style.getPropertyValue(['--d-5', '--n1', '--d-off'][i]).trim(), width: 2.5, points: { show: false },
        value: (_: uPlot, v: number | null) => (v == null ? '' : chance(v)),
      }))],
    }, [curves[0].odds.map((_, i) => i), ...curves.map((c) => c.odds.map((p) => Math.max(p, 1e-12)))] as uPlot.AlignedData, ref.current as HTMLElement)
    return () => plot.destroy()
  }, [curves, width])
  return <div ref={ref} role="img" aria-label="Risk by depth for three attackers; the table below holds the numbers" />
}

export function Send() {
  const [hex, setHex] = useState('')
  const [said, setSaid] = useState('')
  const [tx, setTx] = useState<Tx>()
  const [sent, setSent] = useState('')
  const raw = hex.replace(/\s+/g, '')
  const check = async () => {
    setSent('')
    try {
      setTx(await ask<Tx>('decoderawtransaction', raw))
      const [t] = await ask<{ allowed: boolean; 'reject-reason'?: string }[]>('testmempoolaccept', [raw])
      setSaid(t.allowed ? 'The node would take it.' : `The node would refuse it: ${t['reject-reason']}.`)
    } catch (e) {
      setTx(undefined)
      setSaid((e as Error).message.split('\n')[0])
    }
  }
  const send = async () => {
    try {
      setSent(await ask<string>('sendrawtransaction', raw))
      setSaid('Sent.')
    } catch (e) {
      setSaid((e as Error).message.split('\n')[0])
    }
  }
  return (
    <Panel title="Send a signed payment" note="The node holds no keys. Build and sign elsewhere (cairn send --sign-only prints the hex), and paste it here.">
      <form onSubmit={(e) => { e.preventDefault(); void check() }}>
        <label for="raw">transaction in hex</label>
        <textarea id="raw" rows={6} spellcheck={false} autocomplete="off" value={hex} onInput={(e) => { setHex(e.currentTarget.value); setTx(undefined); setSaid('') }} />
        <p class="buttons">
          <button type="submit" disabled={!raw}>check</button>
          <button type="button" class="strong" disabled={!tx} onClick={() => void send()}>send</button>
        </p>
      </form>
      <p role="status">{said} {sent && <Id to="payment" id={sent} />}</p>
      {tx && <Flow tx={tx} />}
    </Panel>
  )
}
