// What is looked at: a time, and how much of it. Everything that is drawn follows from the record and this.
import { Record } from './record'

export type Live = 'live'

export interface View {
  at: number | Live // ms; live is always now
  width: number // ms that are drawn
  playing: number // times as fast as it was; 0 stands
}

export const speeds = [1, 5, 20, 60]

/** The share of the drawn time that lies before the moment looked at. */
export const before = { live: 0.97, past: 0.75 }

const perBlock = 18 // pixels, at first

export class Store {
  record = new Record()
  view: View = { at: 'live', width: 90_000, playing: 0 }
  connected = false
  trouble = ''
  locked = false
  picked = '' // a payment
  private zoomed = false
  private watchers = new Set<() => void>()

  /** The moment looked at, ms by the node's clock. */
  moment(): number {
    return this.view.at === 'live' ? this.record.now() : this.view.at
  }

  /** The time at the left edge. */
  left(): number {
    return this.moment() - this.view.width * (this.view.at === 'live' ? before.live : before.past)
  }

  watch(f: () => void): () => void {
    this.watchers.add(f)
    return () => this.watchers.delete(f)
  }

  tell(): void {
    for (const f of this.watchers) f()
  }

  /** Chooses how much time fits into so many pixels, unless a person chose: a young record gets more room. */
  fit(pixels: number): void {
    if (this.zoomed || this.view.at !== 'live' || pixels <= 0 || !this.record.status) return
    const whole = (pixels / perBlock) * this.record.spacing * 1000
    const age = this.record.now() - this.record.began
    const width = whole * (age < 0.24 * whole ? 0.25 : age < 0.48 * whole ? 0.5 : 1)
    if (width !== this.view.width) this.view = { ...this.view, width }
  }

  /** Looks at a time; what is not over yet is live. */
  go(at: number): void {
    const now = this.record.now()
    const first = Math.min(this.record.began || now, now)
    this.view = { ...this.view, at: at >= now - 500 ? 'live' : Math.max(first, at) }
    if (this.view.at === 'live') this.view.playing = 0
    this.tell()
  }

  live(): void {
    this.view = { ...this.view, at: 'live', playing: 0 }
    this.tell()
  }

  /** Draws so many times as much of the past. */
  zoom(factor: number): void {
    this.zoomed = true
    const least = this.record.spacing * 5000
    const most = Math.max(60 * least, (this.record.now() - this.record.began) * 1.4)
    this.view = { ...this.view, width: Math.min(most, Math.max(least, this.view.width * factor)) }
    this.tell()
  }

  play(times: number): void {
    if (times > 0 && this.view.at === 'live') {
      const past = Math.min(this.view.width * 0.75, this.record.now() - this.record.began)
      this.view.at = this.record.now() - past
    }
    this.view = { ...this.view, playing: times }
    this.tell()
  }

  pick(tx: string): void {
    this.picked = this.picked === tx ? '' : tx
    this.tell()
  }
}
