// A person's feed: what they are told, wherever they are. Keeps the connection by the same rules as a
// room's (`connection.js`), and says what was missed in between.

import { ObservableV2 } from 'lib0/observable'
import { isRefusal } from './backoff.js'
import { begin, dueAt, passOf, statusOf, step } from './connection.js'
import { openFeedSocket, openFeedStream } from './feed-lines.js'

/** Longer delays overflow a timer. */
const TIMER_MS_MAX = 2 ** 31 - 1

/**
 * Events:
 * - `status` ({ status, code, error }): as of a room
 * - `stale` (): ask for the list; at first, and when it cannot be said what was missed
 * - `notification` (Notification): something has happened; each once, in order
 * - `unread` (number): how many were not read
 */
export class FeedClient extends ObservableV2 {
  /**
   * @param {object} options
   * @param {(options: { signal: AbortSignal }) => Promise<any>} options.connect what
   *   `POST /notifications/connect` answers; an error with a `status` of 400 to 499 is final
   * @param {string} options.origin of the edge, such as `https://code.example.org`
   * @param {typeof WebSocket} [options.WebSocket]
   * @param {typeof fetch} [options.fetch]
   * @param {EventTarget | null} [options.page] tells of the network and of being put away
   */
  constructor ({
    connect, origin, WebSocket = globalThis.WebSocket, fetch = globalThis.fetch.bind(globalThis),
    page = globalThis.window?.document ? globalThis.window : null
  }) {
    super()
    this.getFeed = connect
    this.origin = origin
    this.WebSocket = WebSocket
    this.fetch = fetch
    this.destroyed = false
    this.line = null
    this.asking = null
    this.timer = null
    /** How far this client is. @type {import('./feed-lines.js').Mark | null} */
    this.mark = null
    /** How many were not read, as far as this client was told. */
    this.unread = 0
    this.connection = begin()
    this.undoPage = page === null ? () => {} : this.watch(page)
  }

  /** `connecting`, `live`, `offline`, `ended` or `idle`. */
  get status () { return statusOf(this.connection) }

  /** Connects, and stays connected. Does nothing while it tries. */
  connect () { this.happens({ type: 'connect' }) }

  disconnect () { this.happens({ type: 'disconnect' }) }

  /** Ends, for good: no timer, listener or socket stays. */
  destroy () {
    if (this.destroyed) return
    this.disconnect()
    this.destroyed = true
    this.asking?.abort()
    clearTimeout(this.timer)
    this.undoPage()
    super.destroy()
  }

  // ---- The connection ----

  /** @param {Parameters<typeof step>[1]} event */
  happens (event) {
    if (this.destroyed) return
    const status = this.status
    const [next, effects] = step(this.connection, event, { now: Date.now(), random: Math.random() })
    this.connection = next
    for (const effect of effects) this.perform(effect)
    if (next.phase !== 'live' && next.phase !== 'opening') this.drop()
    this.plan()
    if (this.status !== status) this.emit('status', [{ status: this.status, code: next.code, error: next.error }])
  }

  perform (effect) {
    switch (effect.do) {
      case 'join': return this.getPass(effect.n, 'joined', 'joinFailed')
      case 'renew': return this.getPass(effect.n, 'renewed', 'renewFailed')
      case 'open': return this.open(effect)
      case 'ping': return this.line?.ping()
      case 'close': return this.drop()
    }
  }

  async getPass (n, success, failure) {
    this.asking?.abort()
    const asking = this.asking = new AbortController()
    try {
      const { feedToken, feedTokenExpiresAt, socketUrl, eventsUrl } = await this.getFeed({ signal: asking.signal })
      const at = { now: Date.now(), random: Math.random() }
      const url = new URL(socketUrl ?? eventsUrl, this.origin).href
      const pass = { ...passOf(feedToken, Date.parse(feedTokenExpiresAt), at), url, byStream: socketUrl == null }
      this.happens({ type: success, n, pass })
    } catch (error) {
      this.happens({ type: failure, n, final: isRefusal(error), error })
    }
  }

  open ({ n, pass }) {
    this.drop()
    const { WebSocket, fetch, mark: after } = this
    const { token, url } = pass
    const ends = {
      onFrame: (frame) => {
        this.happens({ type: 'heard', n })
        if (this.connection.n === n) this.receive(frame, n)
      },
      onHeard: () => this.happens({ type: 'heard', n }),
      onClose: (code) => this.happens({ type: 'closed', n, code })
    }
    this.line = pass.byStream
      ? openFeedStream({ url, token, after, fetch }, ends)
      : openFeedSocket({ url: url.replace(/^http/, 'ws'), token, after, WebSocket }, ends)
  }

  drop () {
    this.line?.close()
    this.line = null
  }

  plan () {
    clearTimeout(this.timer)
    const due = this.destroyed ? null : dueAt(this.connection)
    if (due === null) return
    const delay = Math.min(Math.max(due - Date.now(), 0), TIMER_MS_MAX)
    this.timer = setTimeout(() => this.happens({ type: 'tick' }), delay)
  }

  /** @param {any} page a window, or what tells as one does */
  watch (page) {
    const listeners = {
      online: () => this.happens({ type: 'wake' }),
      offline: () => this.happens({ type: 'wake' }),
      pagehide: () => this.happens({ type: 'hide' }),
      pageshow: () => this.happens({ type: 'show' }),
      visibilitychange: () => { if (page.document?.visibilityState === 'visible') this.happens({ type: 'wake' }) }
    }
    for (const [name, listener] of Object.entries(listeners)) page.addEventListener(name, listener, { passive: true })
    return () => {
      for (const [name, listener] of Object.entries(listeners)) page.removeEventListener(name, listener)
    }
  }

  // ---- What the feed says ----

  receive (frame, n) {
    switch (frame.type) {
      case 'hello': {
        const isStale = this.mark === null || frame.gap
        // What was missed follows, and is counted as it comes.
        this.mark = { seq: isStale ? frame.seq : this.mark.seq, readSeq: frame.readSeq }
        this.happens({ type: 'synced', n })
        if (isStale) this.emit('stale', [])
        return this.count(frame.unread)
      }
      case 'notification': {
        const { notification, unread } = frame
        if (this.mark === null || notification.seq <= this.mark.seq) return
        this.mark = { ...this.mark, seq: notification.seq }
        this.count(unread)
        return this.emit('notification', [notification])
      }
      case 'read':
        if (this.mark !== null) this.mark = { ...this.mark, readSeq: frame.readSeq }
        return this.count(frame.unread)
    }
  }

  count (unread) {
    if (unread === this.unread) return
    this.unread = unread
    this.emit('unread', [unread])
  }
}
