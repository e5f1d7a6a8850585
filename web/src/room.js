// One session's realtime side: the document, who is here, our frames, and the socket's fate.
//
// The socket is the stock y-websocket provider. What this module adds: it joins for a room token,
// joins again when the token is not taken any more, hands on our frames (message id 110), and says
// in one word where the connection stands. It knows nothing of the page.

import { ObservableV2 } from 'lib0/observable'
import * as decoding from 'lib0/decoding'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { ApiError } from './api.js'
import { CONFLICT, UNAUTHORIZED, explain } from './close-codes.js'
import { colorOf, safeColor } from './colors.js'

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

/**
 * Events:
 * - `state` ({ kind, words? }): `connecting`, `live`, `offline` (it tries again by itself),
 *   `ended` (it does not; `words` say why, and only a new Room can go on)
 * - `access` ({ role, locked }): what this client may do
 * - `people` (Person[]): who is here, oneself first
 * - `frame` (AppFrame): any other frame of ours
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
        if (client !== this.awareness.clientID) plainUser(this.awareness.getStates().get(client), client)
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
    })
    this.provider.on('connection-close', () => this.become({ kind: 'offline' }))
    this.provider.on('closed', ({ code }) => this.closed(code))
  }

  /** Apart from the constructor, so that nobody misses the first events. */
  connect () {
    this.provider.connect()
  }

  /** Others see at once that one has left. */
  leave () {
    this.left = true
    this.provider.destroy()
    this.awareness.destroy()
    this.doc.destroy()
    this.destroy()
  }

  /** @returns {{ id: string, name: string, color: string, self: boolean }[]} one per user */
  people () {
    const self = this.awareness.clientID
    const found = new Map()
    const states = [...this.awareness.getStates()].sort(([a], [b]) => (b === self) - (a === self))
    for (const [client, { user }] of states) {
      if (user === undefined) continue
      const { id, name, color } = user
      if (!found.has(id)) found.set(id, { id, name, color, self: client === self })
    }
    return [...found.values()]
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
      this.emit('access', [this.access])
    } else {
      this.emit('frame', [frame])
    }
  }

  closed (code) {
    // If a new token is refused, a third one will be too.
    if (code === UNAUTHORIZED && this.tokenWorked) this.rejoin()
    else this.become({ kind: 'ended', words: explain(code), restart: code === CONFLICT })
  }

  /** Gets another room token and connects again; the document and its unsent edits stay. */
  async rejoin () {
    try {
      const joined = await this.api.join(this.session.id)
      if (this.left) return
      this.tokenWorked = false
      this.provider.params = this.params(joined)
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
  const { id = client, name, color } = state.user ?? {}
  if (typeof name !== 'string') {
    delete state.user
    return
  }
  const safe = safeColor(color, String(id))
  state.user = { id: String(id), name: name.slice(0, NAME_CHARS_MAX), color: safe, colorLight: `${safe}33` }
}
