// Asking the node: JSON-RPC in batches, and the wake-up calls of /events.

/** What the node refused, in its words. */
export class Refusal extends Error {
  constructor(message: string, readonly code: number) {
    super(message)
  }
}

/** The session is over: the node started again, or the link was never opened. */
export class Locked extends Error {}

export type Call = [method: string, ...params: unknown[]]

let last = 0

/** Asks for several things at once; each answer is a value or a Refusal. */
export async function askAll(calls: Call[]): Promise<unknown[]> {
  const body = calls.map(([method, ...params]) => ({ jsonrpc: '2.0', id: ++last, method, params }))
  const answer = await fetch('/', {
    method: 'POST',
    credentials: 'same-origin',
    headers: { 'Content-Type': 'application/json', 'X-Cairn-Page': '1' },
    body: JSON.stringify(body),
  })
  if (answer.status === 401) throw new Locked('Open the link that the node printed at its start.')
  if (!answer.ok) throw new Error(`the node answers ${answer.status}`)
  const replies = (await answer.json()) as { result?: unknown; error?: { message: string; code: number } }[]
  return replies.map((r) => (r.error ? new Refusal(r.error.message, r.error.code) : r.result))
}

export async function ask<T>(...call: Call): Promise<T> {
  const [answer] = await askAll([call])
  if (answer instanceof Refusal) throw answer
  return answer as T
}

const names = ['block_connected', 'block_disconnected', 'reorg', 'tx_accepted', 'tx_removed', 'tip', 'gap']

/** Calls wake whenever something happened; the browser connects again by itself. */
export function listen(wake: () => void, state: (connected: boolean) => void): () => void {
  let events: EventSource
  let retry = 0
  const open = () => {
    events = new EventSource('/events')
    events.onopen = () => {
      state(true)
      wake()
    }
    events.onerror = () => {
      state(false)
      if (events.readyState !== EventSource.CLOSED) return
      retry = window.setTimeout(open, 3000) // refused, not lost: the browser does not try again
    }
    for (const name of names) events.addEventListener(name, wake)
  }
  open()
  return () => {
    window.clearTimeout(retry)
    events.close()
  }
}
