import { render } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Agreement } from './agreement'
import { forgetColours } from './colour'
import { StoreContext, useStore } from './hooks'
import { ask, listen, Locked } from './node'
import { Nodes } from './nodes'
import { Address, BlockPage, Payment, Reorganisations, Risk, Send, Waiting } from './pages'
import { Store } from './view'
import './style.css'

const store = new Store()

// Something happened: pull what is new, but never more often than this.
const pause = 200
let pulling = false
let again = false

async function pull(): Promise<void> {
  if (pulling) {
    again = true
    return
  }
  pulling = true
  again = false
  try {
    await store.record.pull()
    store.trouble = ''
  } catch (e) {
    store.locked = e instanceof Locked
    store.trouble = (e as Error).message
  }
  store.tell()
  window.setTimeout(() => {
    pulling = false
    if (again) void pull()
  }, pause)
}

/** Time goes on, live or played. */
function beat(): void {
  let last = performance.now()
  const calm = matchMedia('(prefers-reduced-motion: reduce)')
  const step = () => {
    const now = performance.now()
    const { view } = store
    if (view.playing > 0 && view.at !== 'live') store.go(view.at + (now - last) * view.playing)
    else if (view.at === 'live' && !document.hidden) store.tell()
    last = now
    window.setTimeout(step, view.playing > 0 ? (calm.matches ? 500 : 60) : calm.matches ? 1000 : 500)
  }
  step()
}

function useRoute(): string[] {
  const [hash, set] = useState(location.hash)
  useEffect(() => {
    const change = () => {
      set(location.hash)
      window.scrollTo(0, 0)
    }
    addEventListener('hashchange', change)
    return () => removeEventListener('hashchange', change)
  }, [])
  return hash.replace(/^#\/?/, '').split('/').map(decodeURIComponent)
}

const tabs: [string, string][] = [['', 'Agreement'], ['waiting', 'Waiting'], ['nodes', 'Nodes'], ['reorganisations', 'Reorganisations'], ['risk', 'Risk'], ['send', 'Send']]

function Page() {
  const store = useStore()
  const [where, what] = useRoute()
  if (store.locked) return <main class="locked"><h1>The link has expired</h1><p>The node started again. Open the new link that it printed.</p></main>
  return (
    <>
      <a class="skip" href="#content" onClick={(e) => { e.preventDefault(); document.getElementById('content')?.focus() }}>skip to the content</a>
      <nav class="top" aria-label="Pages">
        <a class="brand" href="#/"><Mark />Cairn <small>{store.record.status?.network}</small></a>
        <ul>{tabs.map(([to, name]) => <li key={to}><a href={'#/' + to} aria-current={where === to ? 'page' : undefined}>{name}</a></li>)}</ul>
        <Search />
        <Theme />
      </nav>
      {!store.connected && store.trouble && <p class="trouble" role="status">The node does not answer: {store.trouble}. What is shown was last known.</p>}
      <main id="content" tabIndex={-1}>{route(where, what)}</main>
    </>
  )
}

function route(where: string, what: string) {
  switch (where) {
    case 'payment': return <Payment key={what} id={what} />
    case 'block': return <BlockPage key={what} id={what} />
    case 'address': return <Address key={what} id={what} />
    case 'waiting': return <Waiting />
    case 'reorganisations': return <Reorganisations />
    case 'nodes': return <Nodes />
    case 'risk': return <Risk />
    case 'send': return <Send />
  }
  return <Agreement />
}

const Mark = () => (
  <svg class="mark" viewBox="0 0 32 32" width="26" height="26" aria-hidden="true"><ellipse cx="16" cy="25.5" rx="12" ry="4.6" /><ellipse cx="15.4" cy="16.6" rx="8.6" ry="3.9" /><ellipse cx="16.4" cy="9.2" rx="5.4" ry="3.1" /></svg>
)

/** Ids are looked for as blocks and payments, numbers as heights, anything else as an address. */
function Search() {
  const field = useRef<HTMLInputElement>(null)
  const [wrong, setWrong] = useState('')
  useEffect(() => {
    const focus = (e: KeyboardEvent) => {
      if (e.key === '/' && !(e.target as Element).closest('input, select, textarea')) {
        e.preventDefault()
        field.current?.focus()
      }
    }
    addEventListener('keydown', focus)
    return () => removeEventListener('keydown', focus)
  }, [])
  const find = async (text: string) => {
    setWrong('')
    try {
      if (/^\d+$/.test(text)) location.hash = '#/block/' + (await ask<string>('getblockhash', Number(text)))
      else if (/^[0-9a-f]{64}$/i.test(text)) {
        const { kind } = await ask<{ kind: string }>('getconvergence', text.toLowerCase())
        location.hash = (kind === 'tx' ? '#/payment/' : '#/block/') + text.toLowerCase()
      } else {
        await ask('getaddresscoins', text)
        location.hash = '#/address/' + text
      }
      if (field.current) field.current.value = ''
    } catch {
      setWrong('nothing is known by that name')
    }
  }
  return (
    <form role="search" class="search" onSubmit={(e) => { e.preventDefault(); void find(field.current?.value.trim() ?? '') }}>
      <input ref={field} type="search" aria-label="Find a payment, block, height or address" placeholder="id, height or address" spellcheck={false} autocomplete="off" onInput={() => setWrong('')} />
      <span role="status" class={wrong ? 'wrong' : 'hidden'}>{wrong}</span>
    </form>
  )
}

function Theme() {
  const [look, set] = useState(localStorage.getItem('look') ?? '')
  useEffect(() => {
    if (look) document.documentElement.dataset.look = look
    else delete document.documentElement.dataset.look
    forgetColours()
    store.tell()
  }, [look])
  const dark = look ? look === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches
  const turn = () => {
    const to = dark ? 'light' : 'dark'
    localStorage.setItem('look', to)
    set(to)
  }
  return <button class="theme" onClick={turn} aria-label={dark ? 'Use light colours' : 'Use dark colours'}>{dark ? '☀' : '☾'}</button>
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  forgetColours()
  store.tell()
})

listen(() => void pull(), (connected) => {
  store.connected = connected
  store.tell()
})
void pull()
window.setInterval(() => void pull(), 5000) // who falls silent sends no event
beat()
render(<StoreContext.Provider value={store}><Page /></StoreContext.Provider>, document.getElementById('page') as HTMLElement)
