// What the page costs with many nodes and blocks: a synthetic node feeds it, Chromium's own counters tell.
// NODES and BLOCKS say how many (20 and 5,000), UPDATES how many blocks come while it is watched (20).
import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { launch, noComplaints, open } from './browser.mjs'

const nodes = Number(process.env.NODES ?? 20)
const blocks = Number(process.env.BLOCKS ?? 5000)
const updates = Number(process.env.UPDATES ?? 20)
const spacing = 2000 // ms
const dist = new URL('../dist/', import.meta.url).pathname
const id = (kind, n) => (kind + n.toString(16)).padEnd(12, '0') + (n * 2654435761 % 2 ** 32).toString(16).padStart(52, '0')

// Block n is heard at began + n spacings; every fortieth height has a stale brother; a payment every two blocks.
const began = Date.now() - blocks * spacing
const world = { blocks: [], moves: [], txs: [] }
let height = 0

function grow() {
  const at = began + height * spacing
  const number = world.blocks.length
  const prev = height ? world.tip : '0'.repeat(64)
  world.tip = id('b', height)
  world.blocks.push({ hash: world.tip, prev, height, time: Math.floor(at / 1000), seen: at })
  if (height % 40 === 20) world.blocks.push({ hash: id('5', height), prev, height, time: Math.floor(at / 1000), seen: at + 300 })
  for (let n = 0; n < nodes; n++) world.moves.push([at + 30 * n, n, number])
  if (height % 2 === 0) world.txs.push({ txid: id('f', height), seen: at - spacing / 2 })
  height++
}
while (height < blocks) grow()

const heights = () => new Map(world.blocks.map((b) => [b.hash, b.height]))
const methods = {
  gettimeline: (cursor) => {
    const [b, m, x] = cursor ? cursor.split('.').map(Number) : [0, 0, 0]
    return {
      cursor: [world.blocks.length, world.moves.length, world.txs.length].join('.'), whole: !cursor, now: Date.now(), first: b,
      nodes: Array.from({ length: nodes }, (_, i) => ({ id: 'node' + i, agent: `cairn/1(node${i + 1})`, connected: true, counted: true, ping: 0.001 })),
      blocks: world.blocks.slice(b), moves: world.moves.slice(m), txs: world.txs.slice(x),
    }
  },
  getdepths: (txs, tips) => {
    const at = heights()
    return txs.map((txid) => {
      const held = parseInt(txid.slice(1, 12).replace(/0+$/, '') || '0', 16)
      const born = world.txs.find((t) => t.txid === txid)
      const first = born ? Math.round((born.seen + spacing / 2 - began) / spacing) : held
      return { txid, seen: born?.seen ?? 0, blocks: [id('b', first)], depths: tips.map((t) => Math.max(0, at.get(t) - first + 1)) }
    })
  },
  getstatus: () => ({ network: 'synthetic', version: '1', height, peers: nodes - 1, syncing: false, headers: height, mempool: { count: 3, bytes: 900 }, mining: { on: true, hashrate: 1e6 }, reorgs: { count: 0, deepest: 0 }, warnings: [] }),
  getmininginfo: () => ({ difficulty: 0.0005, networkhashps: 1e6 }),
  getblockchaininfo: () => ({ spacing: spacing / 1000 }),
  getrisk: () => [0.1, 0.25, 0.4].map((adversary) => ({ adversary, odds: Array.from({ length: 61 }, (_, z) => 0.3 ** z), enough: 6 })),
}

let watcher
const types = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
const server = createServer(async (q, a) => {
  if (q.url === '/events') {
    a.writeHead(200, { 'Content-Type': 'text/event-stream' })
    a.write('retry: 3000\n\n')
    watcher = a
  } else if (q.method === 'POST') {
    let body = ''
    for await (const part of q) body += part
    const answers = JSON.parse(body).map((c) => ({ jsonrpc: '2.0', id: c.id, result: methods[c.method](...c.params) }))
    a.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(answers))
  } else {
    const name = q.url === '/' ? 'index.html' : q.url.slice(1)
    a.writeHead(200, { 'Content-Type': types[extname(name)] }).end(await readFile(join(dist, name)))
  }
})
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))

const browser = await launch()
const page = await open(browser, { reducedMotion: 'no-preference' })
const cdp = await page.context().newCDPSession(page)
await cdp.send('Performance.enable', { timeDomain: 'threadTicks' }) // processor time: what else runs here does not count
await cdp.send('Network.enable')
let bytes = 0
cdp.on('Network.loadingFinished', (e) => { bytes += e.encodedDataLength })

/** Seconds of the main thread until now. */
async function spent() {
  const { metrics } = await cdp.send('Performance.getMetrics')
  const of = Object.fromEntries(metrics.map((m) => [m.name, m.value]))
  return { task: of.TaskDuration * 1000, script: of.ScriptDuration * 1000, layout: (of.LayoutDuration + of.RecalcStyleDuration) * 1000, heap: of.JSHeapUsedSize / 1e6 }
}
const less = (a, b) => Object.fromEntries(Object.keys(a).map((k) => [k, k === 'heap' ? a[k] : a[k] - b[k]]))
const say = (what, n, d, traffic) => console.log(`${what.padEnd(46)} task ${(d.task / n).toFixed(1).padStart(7)} ms  script ${(d.script / n).toFixed(1).padStart(7)} ms  style+layout ${(d.layout / n).toFixed(1).padStart(6)} ms  heap ${d.heap.toFixed(0)} MB  ${(traffic / n / 1000).toFixed(1)} kB`)

const clean = await spent()
await page.goto(`http://127.0.0.1:${server.address().port}/`)
await page.locator('.cell .depth').first().waitFor()
await page.waitForFunction(() => [...document.querySelectorAll('.sum')].some((e) => /^\d+$/.test(e.textContent)))
await setTimeout(1000)
let mark = await spent()
console.log(`${nodes} nodes, ${blocks} blocks, ${world.moves.length} moves, ${world.txs.length} payments`)
say('load, until drawn and a second later', 1, less(mark, clean), bytes)

for (const [what, zooms] of [['an update (one block on all nodes)', 0], ['the same, all of the past in view', 14]]) {
  for (let i = 0; i < zooms; i++) await page.getByRole('button', { name: 'Show more time' }).click()
  await setTimeout(1500)
  const idle = await spent()
  await setTimeout(2000)
  const still = less(await spent(), idle)
  say('  a second in which nothing comes', 2, still, 0)
  const before = await spent()
  bytes = 0
  for (let i = 0; i < updates; i++) {
    grow()
    watcher.write('event: tip\ndata: {}\n\n')
    await setTimeout(500)
  }
  say(what + ', half a second each', updates, less(await spent(), before), bytes)
  if (process.env.SHOTS) await page.screenshot({ path: join(process.env.SHOTS, `cost-${zooms}.png`) })
}
noComplaints(page)
await browser.close()
server.close()
server.closeAllConnections()
