// One session's realtime side: the document, who is here, our frames, and the socket's fate.
//
// The socket is the stock y-websocket provider. What this module adds: it joins for a room token,
// joins again before the token ends or when it is not taken any more, hands on our frames (message
// id 110), and says in one word where the connection stands. It knows nothing of the page.
//
// Clients also tell each other, in a field of their awareness states, what they have just changed
// over HTTP, so that nobody need ask over and over. It is a hint and no more: whoever reads one
// asks the edge what is true.

import { ObservableV2 } from 'lib0/observable'
import * as decoding from 'lib0/decoding'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { ApiError } from './api.js'
import { CONFLICT, FORBIDDEN, UNAUTHORIZED, explain, explainForbidden } from './close-codes.js'
import { colorOf, safeColor } from './colors.js'
import { mayEdit } from './roles.js'

/** The root `Y.Text` that holds the main file. */
const MAIN_TEXT = 'content'
/** y-protocols: the room says why it refused something. */
const MESSAGE_AUTH = 2
/** Message id of our frames: `varUint(110) varUint8Array(json)`, for who asks with `caps=app1`. */
const MESSAGE_APP = 110
const CAPABILITY_APP = 'app1'

const NAME_CHARS_MAX = 50
/** Between attempts to join again while the server does not answer. */
const RETRY_MS = 2_000
/** A token is replaced when this part of its life is over. */
const RENEW_AFTER = 0.8
/** Longer delays overflow a browser's timer. */
const TIMER_MS_MAX = 2 ** 31 - 1
const TOLD_CHARS_MAX = 64

/**
 * Events:
 * - `state` ({ kind, words? }): `connecting`, `live`, `offline` (it tries again by itself),
 *   `ended` (it does not; `words` say why, and only a new Room can go on)
 * - `access` ({ role, locked }): what this client may do
 * - `people` (Person[]): who is here, oneself first
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
    /** Whether the present token has opened the room, or none was refused yet. */
    this.tokenWorked = true
    this.left = false
    /** Whether something was typed that the room may not have. */
    this.unsent = false
    /** What was last heard from each client, by client and topic. */
    this.heard = new Map()
    this.doc.on('update', (_update, origin) => {
      if (origin !== this.provider && this.state.kind !== 'live') this.unsent = true
    })

    if (joined.roomUrl == null) throw new ApiError({ code: 'no_rooms', title: 'This server has no live rooms.' })
    const server = new URL(joined.roomUrl, api.origin || location.href)
    server.protocol = server.protocol.replace('http', 'ws')
    this.provider = new WebsocketProvider(server.href, this.session.id, this.doc, {
      connect: false,
      params: this.params(joined),
      // Tabs meet in the room only, so that each shows what the room has accepted.
      disableBc: true
    })
    this.awareness = this.provider.awareness
    this.awareness.setLocalStateField('user', {
      id: api.user.id, name: api.user.displayName, color: colorOf(api.user.id)
    })
    // Before any other listener: what they show of a person has gone through `plainUser`.
    this.awareness.on('change', ({ added, updated }) => {
      for (const client of [...added, ...updated]) {
        if (client === this.awareness.clientID) continue
        const state = this.awareness.getStates().get(client)
        plainUser(state, client)
        this.hear(client, state)
      }
      this.emit('people', [this.people()])
    })

    // The access frame and the close code say it better, and the provider's own handler would write
    // the room token into the console.
    this.provider.messageHandlers[MESSAGE_AUTH] = () => {}
    this.provider.messageHandlers[MESSAGE_APP] = (_encoder, decoder) => {
      this.receive(decoding.readVarUint8Array(decoder))
    }
    this.provider.on('sync', (synced) => {
      if (!synced) return
      this.tokenWorked = true
      this.become({ kind: 'live' })
      this.settleUnsent()
    })
    this.provider.on('connection-close', () => this.become({ kind: 'offline' }))
    this.provider.on('closed', ({ code }) => this.closed(code))
    this.renewLater(joined)
  }

  /** Apart from the constructor, so that nobody misses the first events. */
  connect () {
    this.provider.connect()
  }

  /** Others see at once that one has left. */
  leave () {
    this.left = true
    clearTimeout(this.renewal)
    this.provider.destroy()
    this.awareness.destroy()
    this.doc.destroy()
    this.destroy()
  }

  /** @returns {{ id: string, name: string, role: string | undefined, color: string, self: boolean }[]} one per user */
  people () {
    const self = this.awareness.clientID
    const found = new Map()
    const states = [...this.awareness.getStates()].sort(([a], [b]) => (b === self) - (a === self))
    for (const [client, { user }] of states) {
      if (user === undefined) continue
      const { id, name, role, color } = user
      if (!found.has(id)) found.set(id, { id, name, role, color, self: client === self })
    }
    return [...found.values()]
  }

  /**
   * Tells the others that something has changed: `session` its settings or people, `run` a run,
   * whose id comes first.
   * @param {'session' | 'run'} topic
   * @param {string} value another one for another change
   */
  tell (topic, value) {
    this.awareness.setLocalStateField('told', { ...this.awareness.getLocalState()?.told, [topic]: value })
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

  params ({ roomToken }) {
    return { token: roomToken, caps: CAPABILITY_APP }
  }

  become (state) {
    if (this.left || this.state.kind === 'ended') return
    this.state = state
    this.emit('state', [state])
  }

  receive (bytes) {
    const frame = JSON.parse(new TextDecoder().decode(bytes))
    if (frame.type === 'welcome' || frame.type === 'access') {
      this.access = { role: frame.role, locked: frame.locked }
      this.settleUnsent()
      this.emit('access', [this.access])
    } else {
      this.emit('frame', [frame])
    }
  }

  /** What was typed while the connection was away is with the room now, unless it may not be. */
  settleUnsent () {
    if (!this.unsent || this.state.kind !== 'live') return
    this.unsent = false
    if (mayEdit(this.access)) return
    this.provider.disconnect()
    this.become({ kind: 'ended', words: 'You may not edit this session any more. What you typed while you were offline was not taken: copy what you need, then open the session again.' })
  }

  async closed (code) {
    // If a new token is refused, a third one will be too.
    if (code === UNAUTHORIZED && this.tokenWorked) return this.rejoin()
    const words = code === FORBIDDEN ? explainForbidden(await this.now()) : explain(code)
    this.become({ kind: 'ended', words, restart: code === CONFLICT })
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

  /** In time for the next connection; the present one goes on with the token that it has. */
  renewLater ({ roomTokenExpiresAt }) {
    clearTimeout(this.renewal)
    const lifeMs = Date.parse(roomTokenExpiresAt) - Date.now()
    if (!(lifeMs > 0)) return
    this.renewal = setTimeout(async () => {
      const joined = await this.api.join(this.session.id).catch(() => null)
      if (joined === null || this.left) return
      this.provider.params = this.params(joined)
      this.renewLater(joined)
    }, Math.min(lifeMs * RENEW_AFTER, TIMER_MS_MAX))
  }

  /** Gets another room token and connects again; the document and its unsent edits stay. */
  async rejoin () {
    try {
      const joined = await this.api.join(this.session.id)
      if (this.left) return
      this.tokenWorked = false
      this.provider.params = this.params(joined)
      this.renewLater(joined)
      this.provider.connect()
    } catch (error) {
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) {
        this.become({ kind: 'ended', words: error.message })
      } else if (!this.left) {
        setTimeout(() => { if (!this.left) this.rejoin() }, RETRY_MS)
      }
    }
  }
}

/**
 * Leaves of `state.user` what can be shown without a doubt: cursors carry the colour in a style
 * attribute, and whatever else is in it would be a peer's say in how this page looks.
 */
function plainUser (state, client) {
  const { id = client, name, role, color } = state.user ?? {}
  if (typeof name !== 'string') {
    delete state.user
    return
  }
  const safe = safeColor(color, String(id))
  state.user = { id: String(id), name: name.slice(0, NAME_CHARS_MAX), role: String(role), color: safe, colorLight: `${safe}33` }
}
