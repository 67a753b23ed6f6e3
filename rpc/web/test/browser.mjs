// Chromium, as the distribution has it, and what every test of the page needs.
import { chromium } from 'playwright-core'
import assert from 'node:assert/strict'

const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
]

export const launch = () => chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: flags })

/** A page that remembers every complaint of the browser's, those about the policy among them. */
export async function open(browser, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce', ...options })
  const page = await context.newPage()
  page.complaints = []
  page.outside = []
  page.on('console', (m) => ['error', 'warning'].includes(m.type()) && page.complaints.push(m.text()))
  page.on('pageerror', (e) => page.complaints.push(e.stack))
  page.on('request', (r) => new URL(r.url()).hostname !== '127.0.0.1' && page.outside.push(r.url()))
  page.setDefaultTimeout(40_000)
  return page
}

export function noComplaints(page) {
  assert.deepEqual(page.complaints, [], 'the browser complains')
  assert.deepEqual(page.outside, [], 'the page asks somebody else')
}
