// One scale of colours for depth, everywhere. The style sheet holds it, so that light and dark differ.
import type { Depth } from './record'

export const deepest = 6

export const depthName = (d: Depth): string => (d == null ? 'unknown' : d < 0 ? 'off' : String(Math.min(d, deepest)))

let scale: Map<string, string> | undefined

/** The colour of a depth, for what is painted. */
export function depthColour(d: Depth): string {
  if (!scale) {
    const style = getComputedStyle(document.documentElement)
    const names = ['unknown', 'off', ...Array.from({ length: deepest + 1 }, (_, i) => String(i))]
    scale = new Map(names.map((n) => [n, style.getPropertyValue(`--d-${n}`).trim()]))
  }
  return scale.get(depthName(d)) as string
}

/** Call it when the style changed. */
export const forgetColours = (): void => {
  scale = undefined
}
