// Numbers and times as people say them.

export const short = (id: string): string => id.slice(0, 8)

export const group = (n: number): string => n.toLocaleString('en').replaceAll(',', '\u2009')

export const count = (n: number, one: string, many: string): string => `${group(n)} ${n === 1 ? one : many}`

export function span(ms: number): string {
  const s = Math.max(0, ms) / 1000
  if (s > 0 && s < 0.1) return `${(s * 1000).toPrecision(2)} ms`
  if (s < 10) return `${s.toFixed(1)} s`
  if (s < 100) return `${Math.round(s)} s`
  if (s < 6000) return `${Math.round(s / 60)} min`
  if (s < 172_800) return `${(s / 3600).toFixed(1)} h`
  return `${Math.round(s / 86_400)} days`
}

export const clock = (ms: number): string => new Date(ms).toLocaleTimeString('en-GB')

export const moment = (ms: number): string => new Date(ms).toLocaleString('en-GB')

export const coins = (n: number): string => `${n.toFixed(8).replace(/\.?0+$/, '')} CRN`

export function rate(n: number): string {
  for (const [unit, size] of [['GH/s', 1e9], ['MH/s', 1e6], ['kH/s', 1e3]] as const) {
    if (n >= size) return `${(n / size).toPrecision(3)} ${unit}`
  }
  return `${Math.round(n)} H/s`
}

export function bytes(n: number): string {
  if (n < 1000) return `${n} B`
  return n < 1e6 ? `${(n / 1e3).toFixed(1)} kB` : `${(n / 1e6).toFixed(1)} MB`
}

/** A probability. */
export function chance(p: number): string {
  if (p >= 1) return '100 %'
  if (p >= 0.0001) return `${Number((p * 100).toPrecision(2))} %`
  return p.toExponential(0).replace('e-', ' · 10⁻').replace(/^1 · /, '').replace(/⁻(\d+)$/, (_, d: string) => '⁻' + [...d].map((c) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[+c]).join(''))
}

export function list(words: string[]): string {
  if (words.length < 2) return words.join('')
  return `${words.slice(0, -1).join(', ')} and ${words[words.length - 1]}`
}

export const depthWord = (d: number | null | undefined): string => (d == null ? '?' : d < 0 ? '−1' : String(d))

export function depthSentence(d: number | null | undefined): string {
  if (d == null) return 'unknown'
  if (d < 0) return 'ruled out'
  return d === 0 ? 'not confirmed' : `depth ${d}`
}
