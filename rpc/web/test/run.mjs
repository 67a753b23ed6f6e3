// The page with three real nodes: a payment, a split with one coin spent on both sides, and how it heals.
// CAIRN names the program; SHOTS a folder for screenshots (default: a temporary one).
import assert from 'node:assert/strict'
import { spawn, execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { launch, noComplaints, open } from './browser.mjs'

const cairn = process.env.CAIRN ?? '../../bin/cairn'
const run = promisify(execFile)
const folder = await mkdtemp(join(tmpdir(), 'cairn-page-'))
const shots = process.env.SHOTS ?? (await mkdtemp(join(tmpdir(), 'cairn-shots-')))
const lab = join(folder, 'lab')
const dir = (node) => ['--data-dir', join(lab, node)]

let up, browser, page, links, first, second

/** Runs the program and gives what it prints as JSON. */
async function tell(...args) {
  const { stdout } = await run(cairn, [...args, '--json'], { timeout: 60_000 })
  return JSON.parse(stdout)
}

const pay = async (amount, from, to, via = from) => (await tell('lab', 'send', amount, '--dir', lab, '--from', from, '--to', to, '--via', via)).txid

/** Three nodes; their links are in what the lab prints. */
async function startLab() {
  up = spawn(cairn, ['lab', 'up', '--no-watch', '--dir', lab, '--nodes', '3'], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  await new Promise((resolve, reject) => {
    const hear = (text) => /up; Ctrl-C/.test((said += text)) && resolve()
    up.stdout.on('data', hear)
    up.stderr.on('data', hear)
    up.on('exit', () => reject(new Error(`the lab ended: ${said}`)))
  })
  return Object.fromEntries([...said.matchAll(/(node\d)\s+(http:\S+token=\S+)/g)].map((m) => [m[1], m[2]]))
}

before(async () => {
  ;[links, browser] = await Promise.all([startLab(), launch()])
  page = await open(browser)
})

after(async () => {
  await browser?.close()
  if (up?.exitCode === null) {
    const ended = new Promise((resolve) => up.once('exit', resolve))
    up.kill('SIGINT')
    await ended
  }
  await rm(folder, { recursive: true, force: true })
})

const row = (id) => page.locator(`tr:has(a[href="#/payment/${id}"])`)

/** The numbers in the cells of a payment's row, one a node. */
const depths = (id) =>
  page.evaluate((id) => {
    const row = document.querySelector(`tr:has(a[href="#/payment/${id}"])`)
    return [...(row?.querySelectorAll('.cell .depth') ?? [])].map((e) => Number(e.textContent.replace('−', '-')))
  }, id)

/** Looks again and again until a payment's depths on the three nodes are as they should be. */
async function cells(id, fits, what) {
  let seen
  for (const end = Date.now() + 30_000; Date.now() < end; await setTimeout(100)) {
    seen = await depths(id)
    if (seen.length === 3 && fits(seen)) return
  }
  assert.fail(`${what}: ${seen} never fitted ${fits}`)
}

const headline = (text) => page.waitForFunction((t) => document.querySelector('h1')?.textContent.includes(t), text, { polling: 100 })

test('nothing is shown without the link', async () => {
  const stranger = await open(browser)
  const answer = await stranger.goto(new URL('/', links.node3).href)
  assert.equal(answer.status(), 401)
  await stranger.close()
})

test('the link opens the page and leaves the address', async () => {
  await page.goto(links.node3)
  assert.equal(new URL(page.url()).search, '')
  await headline('All 3 nodes agree')
})

test('a payment grows deep on all nodes', async () => {
  await run(cairn, ['rpc', 'waitforblockheight', '3', '20000', ...dir('node1')])
  const id = await pay('2.5', 'node1', 'node2')
  await cells(id, (d) => d.every((n) => n >= 2), 'the first payment')
})

test('on both sides of a split one coin is spent, and both grow', async () => {
  await run(cairn, ['peers', 'off', ...dir('node3')])
  first = await pay('7', 'node1', 'node2')
  second = await pay('7', 'node1', 'node3', 'node3')
  await run(cairn, ['mine', 'stop', ...dir('node3')])
  await run(cairn, ['mine', 'generate', '1', ...dir('node3')])
  await cells(second, (d) => d[2] >= 1 && d[0] <= 0, 'the loser, on its own side')
  await page.screenshot({ path: join(shots, 'split.png') })
  const { height } = await tell('status', ...dir('node3'))
  while ((await tell('status', ...dir('node1'))).height < height + 2) await run(cairn, ['mine', 'generate', '1', ...dir('node1')])
  await run(cairn, ['wait', first, '--confirmations', '1', '--nodes', '1', ...dir('node1')])
})

test('healed, every node rules the loser out and agrees again', async () => {
  await run(cairn, ['peers', 'on', ...dir('node3')])
  await cells(second, (d) => d.every((n) => n === -1), 'the loser')
  await cells(first, (d) => d.every((n) => n >= 2), 'the winner')
  await headline('All 3 nodes agree')
  assert.match(await row(second).locator('.sum').first().textContent(), /−1/)
  for (const [name, width, height, colorScheme] of [['desktop', 1440, 900, 'light'], ['dark', 1440, 900, 'dark'], ['phone', 390, 844, 'light']]) {
    await page.setViewportSize({ width, height })
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await cells(second, (d) => d.every((n) => n === -1), 'the loser')
    await page.screenshot({ path: join(shots, `healed-${name}.png`) })
    const wide = await page.evaluate(() => document.documentElement.scrollWidth)
    assert.ok(wide <= width, `${name}: ${wide} pixels wide`)
  }
  await page.setViewportSize({ width: 1440, height: 900 })
  await page.emulateMedia({ colorScheme: 'light' })
})

test('the reorganisation is in the log, with the fate of the payment', async () => {
  await page.getByRole('link', { name: 'Reorganisations', exact: true }).click()
  const change = page.locator('.reorg', { hasText: second.slice(0, 8) })
  await change.getByText('ruled out').waitFor()
  await change.getByRole('link', { name: first.slice(0, 8) }).first().waitFor()
  await page.screenshot({ path: join(shots, 'reorganisations.png') })
})

test('the past can be seen again', async () => {
  await page.locator('.reorg', { hasText: second.slice(0, 8) }).getByRole('button', { name: 'see it happen' }).click()
  await cells(second, (d) => d[2] >= 1, 'the loser, before it was undone')
  await page.screenshot({ path: join(shots, 'past.png') })
  await page.locator('.score').focus()
  for (let i = 0; i < 3; i++) await page.keyboard.press('ArrowRight')
  await cells(second, (d) => d.every((n) => n === -1), 'the loser, some blocks later')
  await page.keyboard.press('End')
  await page.getByRole('button', { name: 'live', pressed: true }).waitFor()
})

test('a payment tells why it is ruled out, and when nodes agreed', async () => {
  await page.goto(new URL('/#/payment/' + second, links.node3).href)
  await page.locator('.reason', { hasText: 'spends the same coin' }).waitFor()
  await page.goto(new URL('/#/payment/' + first, links.node3).href)
  await page.getByRole('cell', { name: / s$/ }).first().waitFor()
  await page.screenshot({ path: join(shots, 'payment.png') })
})

test('blocks, addresses and heights are found', async () => {
  const field = page.getByRole('searchbox')
  await page.keyboard.press('/')
  assert.ok(await field.evaluate((e) => e === document.activeElement))
  await field.fill('2')
  await field.press('Enter')
  await page.getByRole('heading', { name: 'Block 2' }).waitFor()
  await page.screenshot({ path: join(shots, 'block.png') })
  const { nodes } = JSON.parse(await readFile(join(lab, 'lab.json'), 'utf8'))
  await field.fill(nodes[0].address)
  await field.press('Enter')
  await page.getByRole('heading', { name: 'CRN' }).waitFor()
  await field.fill('no such thing')
  await field.press('Enter')
  await page.getByText('nothing is known by that name').waitFor()
})

test('only signed transactions are sent', async () => {
  await page.getByRole('link', { name: 'Send', exact: true }).click()
  await page.getByLabel('transaction in hex').fill('00ff')
  await page.getByRole('button', { name: 'check' }).click()
  await page.getByText('TX decode failed').waitFor()
  assert.ok(await page.getByRole('button', { name: 'send' }).isDisabled())
  const { hex } = await tell('rpc', 'getrawtransaction', first, '1', ...dir('node1'))
  await page.getByLabel('transaction in hex').fill(hex)
  await page.getByRole('button', { name: 'check' }).click()
  await page.getByText('The node would refuse it').waitFor()
  const { nodes } = JSON.parse(await readFile(join(lab, 'lab.json'), 'utf8'))
  const signed = await tell('send', nodes[1].address, '0.75', '--sign-only', '--wallet', nodes[0].wallet, '--network-file', join(lab, 'network.json'), ...dir('node1'))
  await page.getByLabel('transaction in hex').fill(signed.hex)
  await page.getByRole('button', { name: 'check' }).click()
  await page.getByText('The node would take it').waitFor()
  await page.getByText('0.75 CRN').waitFor()
  await page.getByRole('button', { name: 'send' }).click()
  await page.getByRole('status').getByRole('link').click()
  await page.getByText('on more than half').waitFor()
  const refused = await page.evaluate(() => fetch('/', { method: 'POST', headers: { 'X-Cairn-Page': '1' }, body: '{"jsonrpc":"2.0","id":1,"method":"stop"}' }).then((r) => r.text()))
  assert.match(refused, /may not ask for stop/)
})

test('everybody can use it', async () => {
  const axe = await readFile(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8')
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    for (const hash of ['#/', '#/waiting', '#/nodes', '#/reorganisations', '#/risk', '#/send', '#/payment/' + first]) {
      await page.goto(new URL('/' + hash, links.node3).href)
      await page.locator('h1').waitFor()
      await page.evaluate(`${axe}; 0`) // evaluated by the debugger, which the policy does not bind
      const { violations } = await page.evaluate(() => window.axe.run())
      assert.deepEqual(violations.map((v) => `${colorScheme} ${hash} ${v.id}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160)).join('\n')}`), [])
    }
  }
})

test('the browser has nothing to complain of', () => {
  noComplaints(page)
  console.log(`screenshots: ${shots}`)
})
