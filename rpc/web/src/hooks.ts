import { createContext } from 'preact'
import { useContext, useEffect, useRef, useState } from 'preact/hooks'
import { ask } from './node'
import { Store } from './view'

export const StoreContext = createContext<Store>(new Store())

/** The store; the component is drawn again, once a frame, when it changes. */
export function useStore(): Store {
  const store = useContext(StoreContext)
  const [, redraw] = useState(0)
  useEffect(() => {
    let frame = 0
    const stop = store.watch(() => {
      frame ||= requestAnimationFrame(() => {
        frame = 0
        redraw((n) => n + 1)
      })
    })
    return () => {
      cancelAnimationFrame(frame)
      stop()
    }
  }, [store])
  return store
}

/** The width of an element, in pixels. */
export function useWidth<T extends Element>(): [{ current: T | null }, number] {
  const ref = useRef<T>(null)
  const [width, set] = useState(0)
  useEffect(() => {
    const watcher = new ResizeObserver(([e]) => set(Math.floor(e.contentRect.width)))
    if (ref.current) watcher.observe(ref.current)
    return () => watcher.disconnect()
  }, [])
  return [ref, width]
}

/** What the node answers to a call; asked again when the record changes, if again. */
export function useAnswer<T>(again: number, ...call: [string, ...unknown[]]): { value?: T; error?: string } {
  const [state, set] = useState<{ key: string; value?: T; error?: string }>({ key: '' })
  const key = JSON.stringify(call)
  useEffect(() => {
    let over = false
    ask<T>(...call).then(
      (value) => over || set({ key, value }),
      (e: Error) => over || set({ key, error: e.message }),
    )
    return () => {
      over = true
    }
  }, [key, again])
  return state.key === key ? state : {}
}
