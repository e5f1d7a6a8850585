// A session's room: keeps a `Y.Doc` the same as everybody else's, says who is here, hands on the
// room's own frames, and keeps the connection. The rules of the connection are in `connection.js`,
// what is said of oneself in `presence.js`, what is stored in `saved.js`; here they meet sockets,
// timers and the document.

import { ObservableV2 } from 'lib0/observable'
import * as Y from 'yjs'
import { isRefusal } from './backoff.js'
import { begin, dueAt, passOf, statusOf, step } from './connection.js'
import * as frames from './frames.js'
import { Presence } from './presence.js'
import * as saving from './saved.js'
import { openSocket } from './socket.js'
import { openFeed } from './feed.js'

/** Our own frames; and that this client is silent while nothing happens. */
const CAPABILITIES = 'app1,quiet1'
const IDLE_MS = 120_000
/** Longer delays overflow a timer. */
const TIMER_MS_MAX = 2 ** 31 - 1
/** Between two frames with edits; what is made in between goes together. Nobody types faster, and a program that does keeps within what a room takes. */
const SPACING_MS = 20
/** The largest update that a room takes as such; a larger one has to be an answer. */
const UPDATE_BYTES_MAX = 1_000_000
/** An update without anything in it. */
const NOTHING = new Uint8Array([0, 0])
const ACTIVITY = ['pointerdown', 'keydown', 'wheel']

/**
 * Events:
 * - `status` ({ status, code, error }): `connecting`, `live`, `offline` (it tries again by itself),
 *   `ended` (it does not, until `connect` is called: `code` is the room's close code, or `error` is
 *   what joining was refused with), `idle`
 * - `access` ({ role, locked }): what this client may do
 * - `people` (Person[]): who is here, oneself first
 * - `saved` (boolean): whether the room has stored all edits of this client
 * - `denied` (reason): the room has not taken an edit
 * - `frame` (AppFrame): any other frame of the room's own
 */
export class RoomClient extends ObservableV2 {
  /**
   * @param {object} options
   * @param {(options: { signal: AbortSignal }) => Promise<any>} options.join what
   *   `POST /sessions/{id}/join` answers; an error with a `status` of 400 to 499 is final,
   *   but for 429, which is tried again after its `retryAfterSeconds`
   * @param {string} options.origin of the edge, such as `https://code.example.org`
   * @param {any} [options.joined] an answer that is there already
   * @param {Y.Doc} [options.doc]
   * @param {import('y-protocols/awareness').Awareness} [options.awareness]
   * @param {any} [options.user] who this is: others are told by the room, but this client is not
   * @param {number} [options.idleMs]
   * @param {typeof WebSocket} [options.WebSocket]
   * @param {typeof fetch} [options.fetch]
   * @param {EventTarget | null} [options.page] tells of the network, of being put away and of
   *   activity; the window, where there is one
   */
  constructor ({
    join, origin, joined = null, doc = new Y.Doc(), awareness, user, idleMs = IDLE_MS,
    WebSocket = globalThis.WebSocket, fetch = globalThis.fetch.bind(globalThis), page = globalThis.window?.document ? globalThis.window : null
  }) {
    super()
    this.join = join
    this.origin = origin
    this.doc = doc
    this.WebSocket = WebSocket
    this.fetch = fetch
    /** What this client may do; null until the room has said so. @type {{ role: string, locked: boolean } | null} */
    this.access = null
    this.destroyed = false
    /** @type {import('./socket.js').Line | null} */
    this.line = null
    this.joining = null
    this.synced = false
    this.saving = saving.begin()
    /** @type {Uint8Array[]} */
    this.unsent = []
    this.sentAt = -Infinity
    this.timers = { tick: null, send: null }
    /** When `tick` rings, if it is set. */
    this.tickAt = 0
    this.connection = begin(joined === null ? null : this.pass(joined))

    this.presence = new Presence({
      doc,
      awareness,
      idleMs,
      send: (states) => this.line?.send(frames.awareness(states)),
      onPeople: (people) => this.emit('people', [people])
    })
    this.awareness = this.presence.awareness
    if (user !== undefined) this.presence.set('user', user)

    this.onUpdate = (update, origin, _doc, transaction) => {
      if (origin === this) return
      this.edited(update)
      if (transaction.local) this.presence.typed()
    }
    doc.on('update', this.onUpdate)
    this.undoPage = page === null ? () => {} : this.watch(page)
  }

  /** `connecting`, `live`, `offline`, `ended` or `idle`. */
  get status () { return statusOf(this.connection) }

  /** Whether the room has stored all edits of this client. */
  get saved () { return saving.isSaved(this.saving) }

  /** @returns {import('./people.js').Person[]} one for each person, oneself first */
  people () { return this.presence.people() }

  /** Connects, and stays connected. Does nothing while it tries. */
  connect () { this.happens({ type: 'connect' }) }

  /** Leaves the room; others see it at once. Edits are kept in the document. */
  disconnect () { this.happens({ type: 'disconnect' }) }

  /** Says something of this client to everybody: a field of its awareness state. */
  say (field, value) { this.presence.set(field, value) }

  /** Somebody is at this client, in a way that the page does not tell of by itself. */
  active () { this.presence.active() }

  /** Leaves, for good. The document stays, and an awareness that was given. */
  destroy () {
    if (this.destroyed) return
    this.disconnect()
    this.destroyed = true
    this.joining?.abort()
    for (const timer of Object.values(this.timers)) clearTimeout(timer)
    this.undoPage()
    this.doc.off('update', this.onUpdate)
    this.presence.destroy()
    super.destroy()
  }

  // ---- The connection ----

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

  perform (effect) {
    switch (effect.do) {
      case 'join': return this.getPass(effect.n, 'joined', 'joinFailed')
      case 'renew': return this.getPass(effect.n, 'renewed', 'renewFailed')
      case 'open': return this.open(effect)
      case 'ping': return this.line?.ping()
      case 'close':
        if (effect.farewell) this.line?.send(frames.awareness(this.presence.farewell()))
        return this.drop()
    }
  }

  async getPass (n, success, failure) {
    this.joining?.abort()
    const joining = this.joining = new AbortController()
    try {
      const joined = await this.join({ signal: joining.signal })
      this.happens({ type: success, n, pass: this.pass(joined) })
    } catch (error) {
      this.happens({ type: failure, n, final: isRefusal(error), error, retryMs: retryMs(error) })
    }
  }

  /** The edge says by what it answers which way there is into the room. */
  pass ({ session, roomToken, roomTokenExpiresAt, roomUrl, roomFeedUrl }) {
    const path = roomUrl ?? roomFeedUrl
    if (path == null) throw Object.assign(new Error('This server has no live rooms.'), { status: 404, code: 'no_rooms' })
    const url = new URL(`${path}/${session.id}`, this.origin).href
    const at = { now: Date.now(), random: Math.random() }
    return { ...passOf(roomToken, Date.parse(roomTokenExpiresAt), at), url, byFeed: roomUrl == null }
  }

  open ({ n, pass }) {
    this.drop()
    this.synced = false
    const { WebSocket, fetch } = this
    const heard = () => this.happens({ type: 'heard', n })
    const { token, url } = pass
    const ends = {
      onOpen: () => {
        this.line.send(frames.syncStep1(Y.encodeStateVector(this.doc)))
        this.presence.opened()
      },
      onFrame: (bytes) => {
        heard()
        this.receive(frames.parse(bytes), n)
      },
      onHeard: heard,
      onClose: (code) => this.happens({ type: 'closed', n, code })
    }
    this.line = pass.byFeed
      ? openFeed({ url, token, capabilities: CAPABILITIES, fetch }, ends)
      : openSocket({ url: url.replace(/^http/, 'ws'), token, capabilities: CAPABILITIES, WebSocket }, ends)
  }

  /** The present connection means nothing any more. */
  drop () {
    this.line?.close()
    this.line = null
    this.synced = false
  }

  lost () {
    this.presence.lost()
    this.saving = saving.interrupted(this.saving)
    this.unsent = []
    this.cancel('send')
  }

  plan () {
    const due = this.destroyed ? null : dueAt(this.connection)
    // Every sign of life puts it off: a timer that rings too early costs less than a new one each time.
    if (due !== null && this.timers.tick !== null && this.tickAt <= due) return
    this.cancel('tick')
    if (due === null) return
    this.tickAt = due
    this.after('tick', due - Date.now(), () => this.happens({ type: 'tick' }))
  }

  // ---- What the room says ----

  /** @param {frames.Message} message @param {number} n */
  receive (message, n) {
    switch (message.kind) {
      case 'syncStep1':
        this.flush()
        this.saving = saving.offered(this.saving)
        return this.line.send(frames.syncStep2(Y.encodeStateAsUpdate(this.doc, message.stateVector)))
      case 'syncStep2':
        Y.applyUpdate(this.doc, message.update, this)
        return this.answered(n)
      case 'update': return Y.applyUpdate(this.doc, message.update, this)
      case 'awareness': return this.presence.hear(message.states)
      case 'queryAwareness': return this.presence.sayNow()
      case 'denied': return this.emit('denied', [message.reason])
      case 'app': return this.frame(message.frame)
    }
  }

  answered (n) {
    if (this.synced) return
    this.synced = true
    this.presence.synced()
    this.happens({ type: 'synced', n })
  }

  frame (frame) {
    switch (frame.type) {
      case 'saved': return this.becomeSaved(saving.stored(this.saving, frame.edits))
      case 'welcome':
      case 'access':
        this.access = { role: frame.role, locked: frame.locked }
        if (frame.type === 'access' && !this.saved && this.mayEdit()) this.offer()
        return this.emit('access', [this.access])
      default: return this.emit('frame', [frame])
    }
  }

  // ---- What this client edits ----

  edited (update) {
    this.becomeSaved(saving.edited(this.saving, this.synced))
    // Before the document has come, it is part of the answer to the room's question.
    if (!this.synced) return
    this.unsent.push(update)
    if (this.timers.send !== null) return
    const wait = this.sentAt + SPACING_MS - Date.now()
    if (wait <= 0) this.flush()
    else this.after('send', wait, () => this.flush())
  }

  flush () {
    this.cancel('send')
    if (this.unsent.length > 0 && this.line !== null) {
      this.sentAt = Date.now()
      const update = this.unsent.length === 1 ? this.unsent[0] : Y.mergeUpdates(this.unsent)
      this.line.send(update.length > UPDATE_BYTES_MAX ? frames.syncStep2(update) : frames.update(update))
      this.saving = saving.sent(this.saving)
    }
    this.unsent = []
  }

  /** What the room has not taken may be taken now: an answer makes it ask for what it lacks. */
  offer () {
    if (this.line === null || !this.synced) return
    this.flush()
    this.line.send(frames.syncStep2(NOTHING))
    this.saving = saving.sent(this.saving)
  }

  /** True of a room that has not said anything about it. */
  mayEdit () {
    if (this.access === null) return true
    const { role, locked } = this.access
    return locked ? role === 'owner' : role !== 'viewer'
  }

  becomeSaved (next) {
    const before = this.saved
    this.saving = next
    if (this.saved !== before) this.emit('saved', [this.saved])
  }

  // ---- How ----

  /** @param {any} page a window, or what tells as one does */
  watch (page) {
    const listeners = {
      online: () => this.happens({ type: 'wake' }),
      offline: () => this.happens({ type: 'wake' }),
      pagehide: () => this.happens({ type: 'hide' }),
      pageshow: () => this.happens({ type: 'show' }),
      visibilitychange: () => { if (page.document?.visibilityState === 'visible') this.happens({ type: 'wake' }) },
      ...Object.fromEntries(ACTIVITY.map((name) => [name, () => this.presence.active()]))
    }
    for (const [name, listener] of Object.entries(listeners)) page.addEventListener(name, listener, { passive: true })
    return () => {
      for (const [name, listener] of Object.entries(listeners)) page.removeEventListener(name, listener)
    }
  }

  after (name, ms, work) {
    clearTimeout(this.timers[name])
    this.timers[name] = setTimeout(() => { this.timers[name] = null; work() }, Math.min(Math.max(ms, 0), TIMER_MS_MAX))
  }

  cancel (name) {
    clearTimeout(this.timers[name])
    this.timers[name] = null
  }
}

/** For how long the edge has asked not to be asked again. @param {any} error */
function retryMs (error) {
  const seconds = error?.retryAfterSeconds
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0
}
