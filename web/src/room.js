// One session's realtime side: the document, who is here, our frames, and where the connection
// stands. The connection itself is the client library's; what this module adds is the page's part:
// the session's API, the words, and what happens when a room is over.
//
// Clients also tell each other, in a field of their awareness states, what they have just changed
// over HTTP, so that nobody need ask over and over. It is a hint and no more: whoever reads one
// asks the edge what is true.

import { ObservableV2 } from 'lib0/observable'
import * as Y from 'yjs'
import { RoomClient, colorOf } from '../client/src/index.js'
import { ApiError } from './api.js'
import { CONFLICT, FORBIDDEN, explain, explainForbidden } from './close-codes.js'
import { mayEdit } from './roles.js'

/** The root `Y.Text` that holds the main file. */
const MAIN_TEXT = 'content'
/** The root `Y.Map` of further files: a `Y.Text` by path. */
const FILES_MAP = 'files'
const TOLD_CHARS_MAX = 64

/**
 * Events:
 * - `state` ({ kind, words? }): `connecting`, `live`, `offline` (it tries again by itself),
 *   `ended` (it does not; `words` say why, and only a new Room can go on)
 * - `access` ({ role, locked }): what this client may do
 * - `people` (Person[]): who is here, oneself first
 * - `saved` (boolean): whether the room has stored all that was typed here
 * - `frame` (AppFrame): any other frame of ours
 * - `told` (topic, value, userId): somebody has changed something, see `tell`
 */
export class Room extends ObservableV2 {
  /**
   * Joins the session and connects to its room.
   * @returns {Promise<Room>} throws an ApiError if the session cannot be joined
   */
  static async open (api, sessionId) {
    return new Room(api, await api.join(sessionId))
  }

  constructor (api, joined) {
    super()
    this.api = api
    this.session = joined.session
    this.state = { kind: 'connecting' }
    this.access = { role: joined.session.role, locked: joined.session.isLocked }
    this.doc = new Y.Doc()
    this.text = this.doc.getText(MAIN_TEXT)
    this.left = false
    /** Whether the room has told once what it holds. */
    this.synced = false
    /** Whether something was typed that the room may not have. */
    this.unsent = false
    /** What was last heard from each client, by client and topic. */
    this.heard = new Map()
    this.doc.on('update', (_update, origin) => {
      if (origin !== this.client && this.state.kind !== 'live') this.unsent = true
    })

    if (joined.roomUrl == null && joined.roomStreamUrl == null) throw new ApiError({ code: 'no_rooms', title: 'This server has no live rooms.' })
    this.client = new RoomClient({
      doc: this.doc,
      joined,
      origin: api.origin || location.href,
      join: () => api.join(this.session.id),
      user: { id: api.user.id, name: api.user.displayName, color: colorOf(api.user.id) }
    })
    this.awareness = this.client.awareness
    this.awareness.on('change', ({ added, updated }) => {
      for (const client of [...added, ...updated]) {
        if (client !== this.awareness.clientID) this.hear(client, this.awareness.getStates().get(client))
      }
    })
    this.client.on('people', (people) => this.emit('people', [people]))
    this.client.on('saved', (saved) => this.emit('saved', [saved]))
    this.client.on('frame', (frame) => this.emit('frame', [frame]))
    this.client.on('access', (access) => {
      this.access = access
      this.settleUnsent()
      this.emit('access', [access])
    })
    this.client.on('status', (status) => this.follow(status))
  }

  /** Apart from the constructor, so that nobody misses the first events. */
  connect () {
    this.client.connect()
  }

  /** Others see at once that one has left. */
  leave () {
    this.left = true
    this.client.destroy()
    this.doc.destroy()
    this.destroy()
  }

  /** @returns {ReturnType<RoomClient['people']>} one per user */
  people () {
    return this.client.people()
  }

  /** Whether the room has stored all that was typed here. */
  get saved () { return this.client.saved }

  /**
   * What is to run: the text as it is seen here. What was typed last may still be on its way to the
   * room, so a run of what the room holds would be of a program that nobody looks at. Nothing
   * before the room has told what it holds.
   * @returns {{ code?: string, files?: { path: string, content: string }[] }}
   */
  source () {
    if (!this.synced) return {}
    const files = []
    for (const [path, text] of this.doc.getMap(FILES_MAP)) {
      if (text instanceof Y.Text) files.push({ path, content: text.toString() })
    }
    return { code: this.text.toString(), files }
  }

  /** Resolves when the room has stored all that was typed here, or does not take it now. */
  arrived () {
    const events = ['saved', 'state', 'access']
    return new Promise((resolve) => {
      const look = () => {
        if (!this.saved && this.state.kind === 'live' && mayEdit(this.access)) return
        for (const event of events) this.off(event, look)
        resolve()
      }
      for (const event of events) this.on(event, look)
      look()
    })
  }

  /**
   * Tells the others that something has changed: `session` its settings or people, `run` a run,
   * whose id comes first.
   * @param {'session' | 'run'} topic
   * @param {string} value another one for another change
   */
  tell (topic, value) {
    this.client.say('told', { ...this.awareness.getLocalState()?.told, [topic]: value })
  }

  hear (client, { user, told }) {
    for (const topic of ['session', 'run']) {
      const value = told?.[topic]
      const key = `${client} ${topic}`
      if (typeof value !== 'string' || value.length > TOLD_CHARS_MAX || this.heard.get(key) === value) continue
      this.heard.set(key, value)
      this.emit('told', [topic, value, user?.id ?? null])
    }
  }

  become (state) {
    if (this.left || this.state.kind === 'ended') return
    this.state = state
    this.emit('state', [state])
  }

  async follow ({ status, code, error }) {
    if (status !== 'ended') {
      this.synced ||= status === 'live'
      if (status !== 'idle') this.become({ kind: status })
      if (status === 'live') this.settleUnsent()
      return
    }
    if (error !== null) return this.become({ kind: 'ended', words: error.message })
    const words = code === FORBIDDEN ? explainForbidden(await this.now()) : explain(code)
    this.become({ kind: 'ended', words, restart: code === CONFLICT })
  }

  /** What was typed while the connection was away is with the room now, unless it may not be. */
  settleUnsent () {
    if (!this.unsent || this.state.kind !== 'live') return
    this.unsent = false
    if (mayEdit(this.access)) return
    this.client.disconnect()
    this.become({ kind: 'ended', words: 'You may not edit this session any more. What you typed while you were offline was not taken: copy what you need, then open the session again.' })
  }

  /** The session as the edge tells it; null if it tells nothing. */
  async now () {
    try {
      return await this.api.session(this.session.id)
    } catch (error) {
      if (error instanceof ApiError) return null
      throw error
    }
  }
}
