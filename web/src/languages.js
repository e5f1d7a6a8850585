// The table of languages: what there is, in which version, and whether somebody can run it now.
// Asks again for as long as something is not available and somebody looks at the page.

import { ObservableV2 } from 'lib0/observable'
import { ApiError } from './api.js'

/** A new executor prepares its images one after the other, which takes minutes. */
const AGAIN_MS = 5_000
const AGAIN_MS_MAX = 60_000

/** @typedef {{ id: string, name: string, versions: string[], endOfLife?: string, available: boolean }} Language */

/** Events: `change` (Language[]). */
export class Languages extends ObservableV2 {
  /** @param {import('./api.js').Api} api */
  constructor (api) {
    super()
    this.api = api
    /** @type {Language[]} */
    this.items = []
    this.timer = null
    this.waitMs = AGAIN_MS
    this.ended = false
    this.load()
  }

  /** @returns {Language | undefined} */
  find (id) { return this.items.find((language) => language.id === id) }

  /** `Python`, also before the table has arrived. */
  nameOf (id) { return this.find(id)?.name ?? id }

  async load () {
    clearTimeout(this.timer)
    let items
    try {
      items = (await this.api.languages()).items
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
    }
    if (this.ended) return
    if (items !== undefined && JSON.stringify(items) !== JSON.stringify(this.items)) {
      this.items = items
      this.waitMs = AGAIN_MS
      this.emit('change', [items])
    }
    if (this.items.length > 0 && this.items.every(({ available }) => available)) return
    this.timer = setTimeout(() => this.loadWhenSeen(), this.waitMs)
    this.waitMs = Math.min(AGAIN_MS_MAX, this.waitMs * 1.5)
  }

  /** A page in the background asks nothing. */
  loadWhenSeen () {
    if (globalThis.document?.visibilityState !== 'hidden') return this.load()
    document.addEventListener('visibilitychange', () => { if (!this.ended) this.load() }, { once: true })
  }

  destroy () {
    this.ended = true
    clearTimeout(this.timer)
    super.destroy()
  }
}

/**
 * `3.11.2` of what a runtime prints about itself, such as `Python 3.11.2` or
 * `go version go1.19.8 linux/amd64`.
 * @param {string} printed
 */
export const shortVersion = (printed) => /\d+(?:\.\d+)+/.exec(printed)?.[0] ?? printed.trim()

/** `Python 3.11.2`: the newest that can be run. @param {Language} language */
export const withVersion = ({ name, versions }) =>
  versions.length === 0 ? name : `${name} ${shortVersion(versions[0])}`

/** All versions as printed, the newest with the end of its life. @param {Language} language */
export const inFull = ({ versions: [newest, ...others], endOfLife }) => {
  if (newest === undefined) return ''
  return [endOfLife === undefined ? newest : `${newest}, security fixes until ${endOfLife}`, ...others].join('\n')
}
