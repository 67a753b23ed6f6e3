// Who is there: the nodes, the tips that they follow, and the ends of all branches.
import { useEffect, useState } from 'preact/hooks'
import { useAnswer, useStore } from './hooks'
import { bytes, count, group, short, span } from './words'

interface PeerInfo {
  peer_id: string
  addr: string
  subver: string
  inbound: boolean
  conntime: number
  pingtime: number
  bytessent: number
  bytesrecv: number
  clock_offset: number
  tip: string | null
  height: number
  age: number
}

interface Tip {
  height: number
  hash: string
  branchlen: number
  status: string
  time: number
}

const statuses: { [s: string]: string } = {
  active: 'the best chain', 'valid-fork': 'a branch beside it', 'valid-headers': 'not all of it is here', 'headers-only': 'only its headers are here', invalid: 'breaks a rule',
}

export function Nodes() {
  const store = useStore()
  const peers = useAnswer<PeerInfo[]>(store.record.version, 'getpeerinfo')
  const tips = useAnswer<Tip[]>(store.record.version, 'getchaintips')
  const [keep, set] = useState<{ peers?: PeerInfo[]; tips?: Tip[] }>({})
  useEffect(() => set((k) => ({ peers: peers.value ?? k.peers, tips: tips.value ?? k.tips })), [peers.value, tips.value])
  const name = (id: string) => store.record.peers.find((p) => p.id === id)?.name ?? '…' + id.slice(-5)
  const lost = store.record.counted().filter((p) => !p.connected)
  const list = keep.peers ?? []
  return (
    <section class="panel">
      <h1>{list.length ? `${count(list.length, 'peer', 'peers')} of this node` : 'No peers'}</h1>
      <p class="aside">{lost.length ? `There is no connection to ${lost.map((p) => p.name).join(', ')}.` : 'All nodes that count are connected.'}</p>
      <table class="plain">
        <caption class="hidden">Peers and the tips that they claim</caption>
        <thead><tr><th scope="col">node</th><th scope="col">follows</th><th scope="col">said</th><th scope="col">round trip</th><th scope="col">since</th><th scope="col">in / out</th><th scope="col">by</th></tr></thead>
        <tbody>
          {list.map((p) => (
            <tr key={p.peer_id}>
              <th scope="row" title={`${p.peer_id}\n${p.addr}\n${p.subver}`}>{name(p.peer_id)}</th>
              <td>{p.tip ? <><a class="id" href={'#/block/' + p.tip}>{short(p.tip)}</a> {group(p.height)}</> : 'not said yet'}</td>
              <td>{p.tip && `${span(p.age * 1000)} ago`}</td>
              <td>{p.pingtime ? span(p.pingtime * 1000) : ''}</td>
              <td>{span(store.record.now() - p.conntime * 1000)}</td>
              <td>{bytes(p.bytesrecv)} / {bytes(p.bytessent)}</td>
              <td>{p.inbound ? 'them' : 'us'}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <table class="plain">
        <caption>Ends of branches</caption>
        <thead><tr><th scope="col">block</th><th scope="col">height</th><th scope="col">length</th><th scope="col">what it is</th></tr></thead>
        <tbody>
          {(keep.tips ?? []).slice(0, 100).map((t) => (
            <tr key={t.hash}><th scope="row"><a class="id" href={'#/block/' + t.hash}>{short(t.hash)}</a></th><td>{group(t.height)}</td><td>{t.branchlen || ''}</td><td>{statuses[t.status] ?? t.status}</td></tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
