// What keeps a client connected: gets passes, opens lines and replaces them, and listens to the page.
// The rules are in `connection.js`; here they meet sockets, timers and the clock. Who extends it says
// what its pass opens, and what it does with what it hears.

import { ObservableV2 } from 'lib0/observable'
import { isRefusal, retryMsOf } from './backoff.js'
import { begin, dueAt, passOf, statusOf, step } from './connection.js'

/** Longer delays overflow a timer. */
const TIMER_MS_MAX = 2 ** 31 - 1

/**
 * What an answer of the edge opens.
 * @typedef {object} Way
 * @property {string} token
 * @property {string | undefined} expiresAt when the token ends; undefined if nobody said
 * @property {string} path of the socket or the stream
 * @property {boolean} byStream whether it is an event stream, in place of a socket
 */

/** @typedef {import('./connection.js').Pass & { url: string, byStream: boolean }} OpenPass */

/**
 * @typedef {object} Ends what a line tells
 * @property {() => void} onOpen
 * @property {(frame: any) => void} onFrame
 * @property {() => void} onHeard a sign of life that is no frame
 * @property {(code: number, retryMs?: number) => void} onClose with how long the edge has asked to be
 *   left alone
 */

/**
 * A client that stays connected. Event: `status` ({ status, code, error }).
 *
 * Who extends it has `ask`, `wayOf`, `lineTo` and `receive`, and says `synced` when a connection is of
 * use; the rest has defaults that do nothing.
 */
export class Connected extends ObservableV2 {
  /**
   * @param {object} options
   * @param {string} options.origin
   * @param {any} [options.answer] of `ask`, that is there already
   * @param {typeof WebSocket} [options.WebSocket]
   * @param {typeof fetch} [options.fetch]
   * @param {EventTarget | null} [options.page] the window, where there is one
   */
  constructor ({
    origin, answer = null, WebSocket = globalThis.WebSocket, fetch = globalThis.fetch.bind(globalThis),
    page = globalThis.window?.document ? globalThis.window : null
  }) {
    super()
    this.origin = origin
    this.WebSocket = WebSocket
    this.fetch = fetch
    this.destroyed = false
    /** @type {any} */
    this.line = null
    this.asking = null
    this.tick = null
    /** When `tick` rings, if it is set. */
    this.tickAt = 0
    this.connection = begin(answer === null ? null : this.passOf(answer))
    this.unwatch = page === null ? () => {} : this.watch(page)
  }

  // ---- What each kind of client says ----

  /** Asks the edge for a pass. @param {{ signal: AbortSignal }} _options @returns {Promise<any>} */
  ask (_options) { throw new Error('to be extended') }

  /** @param {any} _answer @returns {Way} */
  wayOf (_answer) { throw new Error('to be extended') }

  /** Opens a line. @param {OpenPass} _pass @param {Ends} _ends @returns {any} with `ping` and `close` */
  lineTo (_pass, _ends) { throw new Error('to be extended') }

  /** @param {any} _frame @param {number} _n the connection that has brought it */
  receive (_frame, _n) { throw new Error('to be extended') }

  /** The line is open. */
  opened () {}

  /** The last words on a line that is closed on purpose. */
  farewell () {}

  /** A connection that was of use is so no longer. */
  lost () {}

  /** What the page tells of. @param {any} page @returns {{ [event: string]: () => void }} */
  listenersTo (page) {
    return {
      online: () => this.happens({ type: 'wake' }),
      offline: () => this.happens({ type: 'wake' }),
      pagehide: () => this.happens({ type: 'hide' }),
      pageshow: () => this.happens({ type: 'show' }),
      visibilitychange: () => { if (page.document?.visibilityState === 'visible') this.happens({ type: 'wake' }) }
    }
  }

  // ---- What all of them are ----

  /** `connecting`, `live`, `offline`, `ended` or `idle`. */
  get status () { return statusOf(this.connection) }

  /** Connects, and stays connected. Does nothing while it tries. */
  connect () { this.happens({ type: 'connect' }) }

  /** Goes, until `connect` is called. */
  disconnect () { this.happens({ type: 'disconnect' }) }

  /** Ends, for good: no timer, listener or line stays. */
  destroy () {
    if (this.destroyed) return
    this.disconnect()
    this.destroyed = true
    this.asking?.abort()
    clearTimeout(this.tick)
    this.unwatch()
    super.destroy()
  }

  /** @param {Parameters<typeof step>[1]} event */
  happens (event) {
    if (this.destroyed) return
    const before = this.connection
    const status = this.status
    const [next, effects] = step(before, event, { now: Date.now(), random: Math.random() })
    this.connection = next
    if (next.phase !== 'live' && before.phase === 'live') this.lost()
    for (const effect of effects) this.perform(effect)
    if (next.phase !== 'live' && next.phase !== 'opening') this.drop()
    this.plan()
    if (this.status !== status) this.emit('status', [{ status: this.status, code: next.code, error: next.error }])
  }

  /** @param {import('./connection.js').Effect} effect */
  perform (effect) {
    switch (effect.do) {
      case 'join': return this.getPass(effect.n, 'joined', 'joinFailed')
      case 'renew': return this.getPass(effect.n, 'renewed', 'renewFailed')
      case 'open': return this.open(effect)
      case 'ping': return this.line?.ping()
      case 'close':
        if (effect.farewell) this.farewell()
        return this.drop()
    }
  }

  async getPass (n, success, failure) {
    this.asking?.abort()
    const asking = this.asking = new AbortController()
    try {
      const answer = await this.ask({ signal: asking.signal })
      this.happens({ type: success, n, pass: this.passOf(answer) })
    } catch (error) {
      this.happens({ type: failure, n, final: isRefusal(error), error, retryMs: retryMsOf(error?.retryAfterSeconds) })
    }
  }

  /** @returns {OpenPass} */
  passOf (answer) {
    const { token, expiresAt, path, byStream } = this.wayOf(answer)
    const { href } = new URL(path, this.origin)
    const url = byStream ? href : href.replace(/^http/, 'ws')
    return { ...passOf(token, Date.parse(expiresAt), { now: Date.now(), random: Math.random() }), url, byStream }
  }

  open ({ n, pass }) {
    this.drop()
    const heard = () => this.happens({ type: 'heard', n })
    this.line = this.lineTo(pass, {
      onOpen: () => this.opened(),
      onFrame: (frame) => {
        heard()
        if (this.connection.n === n) this.receive(frame, n)
      },
      onHeard: heard,
      onClose: (code, retryMs) => this.happens({ type: 'closed', n, code, retryMs })
    })
  }

  /** What comes by the present line means nothing any more. */
  drop () {
    this.line?.close()
    this.line = null
  }

  plan () {
    const due = this.destroyed ? null : dueAt(this.connection)
    // Every sign of life puts it off: a timer that rings too early costs less than a new one each time.
    if (due !== null && this.tick !== null && this.tickAt <= due) return
    clearTimeout(this.tick)
    this.tick = null
    if (due === null) return
    this.tickAt = due
    const ring = () => { this.tick = null; this.happens({ type: 'tick' }) }
    this.tick = setTimeout(ring, Math.min(Math.max(due - Date.now(), 0), TIMER_MS_MAX))
  }

  /** @param {any} page a window, or what tells as one does */
  watch (page) {
    const listeners = Object.entries(this.listenersTo(page))
    for (const [name, listener] of listeners) page.addEventListener(name, listener, { passive: true })
    return () => { for (const [name, listener] of listeners) page.removeEventListener(name, listener) }
  }
}
