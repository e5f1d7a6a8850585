// A session's room: keeps a `Y.Doc` the same as everybody else's, says who is here, and hands on the
// room's own frames. What keeps it connected is in `connected.js`, what is said of oneself in
// `presence.js`, what is stored in `saved.js`; here they meet the document.

import * as Y from 'yjs'
import { Connected } from './connected.js'
import * as frames from './frames.js'
import { Presence } from './presence.js'
import { openRoomStream } from './room-stream.js'
import * as saving from './saved.js'
import { openSocket } from './socket.js'

/** Our own frames; and that this client is silent while nothing happens. */
const CAPABILITIES = 'app1,quiet1'
const IDLE_MS = 120_000
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
export class RoomClient extends Connected {
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
    join, joined = null, doc = new Y.Doc(), awareness, user, idleMs = IDLE_MS, ...options
  }) {
    super({ ...options, answer: joined })
    this.join = join
    this.doc = doc
    /** What this client may do; null until the room has said so. @type {{ role: string, locked: boolean } | null} */
    this.access = null
    this.synced = false
    this.saving = saving.begin()
    /** @type {Uint8Array[]} */
    this.unsent = []
    this.sentAt = -Infinity
    this.sending = null

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
  }

  /** Whether the room has stored all edits of this client. */
  get saved () { return saving.isSaved(this.saving) }

  /** @returns {import('./people.js').Person[]} one for each person, oneself first */
  people () { return this.presence.people() }

  /** Says something of this client to everybody: a field of its awareness state. */
  say (field, value) { this.presence.set(field, value) }

  /** Somebody is at this client, in a way that the page does not tell of by itself. */
  active () { this.presence.active() }

  /** Leaves, for good. The document stays, and an awareness that was given. */
  destroy () {
    if (this.destroyed) return
    super.destroy()
    this.cancelSending()
    this.doc.off('update', this.onUpdate)
    this.presence.destroy()
  }

  // ---- The connection ----

  ask (options) { return this.join(options) }

  /** The edge says by what it answers which way there is into the room. */
  wayOf ({ session, roomToken, roomTokenExpiresAt, roomUrl, roomStreamUrl }) {
    const path = roomUrl ?? roomStreamUrl
    if (path == null) throw Object.assign(new Error('This server has no live rooms.'), { status: 404, code: 'no_rooms' })
    return { token: roomToken, expiresAt: roomTokenExpiresAt, path: `${path}/${session.id}`, byStream: roomUrl == null }
  }

  lineTo ({ url, token, byStream }, ends) {
    const { WebSocket, fetch } = this
    return byStream
      ? openRoomStream({ url, token, capabilities: CAPABILITIES, fetch }, ends)
      : openSocket({ url, token, capabilities: CAPABILITIES, WebSocket }, ends)
  }

  opened () {
    this.line.send(frames.syncStep1(Y.encodeStateVector(this.doc)))
    this.presence.opened()
  }

  /** Others see at once that this client leaves. */
  farewell () { this.line?.send(frames.awareness(this.presence.farewell())) }

  drop () {
    super.drop()
    this.synced = false
  }

  lost () {
    this.presence.lost()
    this.saving = saving.interrupted(this.saving)
    this.unsent = []
    this.cancelSending()
  }

  listenersTo (page) {
    const activity = ACTIVITY.map((name) => [name, () => this.presence.active()])
    return { ...super.listenersTo(page), ...Object.fromEntries(activity) }
  }

  // ---- What the room says ----

  /** @param {Uint8Array} bytes @param {number} n */
  receive (bytes, n) {
    const message = frames.parse(bytes)
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
    if (this.sending !== null) return
    const wait = this.sentAt + SPACING_MS - Date.now()
    if (wait <= 0) this.flush()
    // A clock that was set back makes nobody wait for longer.
    else this.sending = setTimeout(() => this.flush(), Math.min(wait, SPACING_MS))
  }

  cancelSending () {
    clearTimeout(this.sending)
    this.sending = null
  }

  flush () {
    this.cancelSending()
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
}
