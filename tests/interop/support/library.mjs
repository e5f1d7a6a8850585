// People in a room, each by our own client library.

import { RoomClient, colorOf } from '../../../web/client/src/index.js'
import { Socket } from './raw.mjs'
import { until } from './wait.mjs'

export class LibraryClient {
  /**
   * @param {import('../../../web/src/api.js').Api} api
   * @param {string} sessionId
   * @param {object} [options] of `RoomClient`, in place of the usual
   */
  constructor (api, sessionId, options = {}) {
    /** How often it has joined. */
    this.joins = 0
    this.frames = []
    this.statuses = []
    this.denials = []
    this.last = null
    this.room = new RoomClient({
      join: () => { this.joins += 1; return api.join(sessionId) },
      origin: api.origin,
      user: { id: api.user.id, name: api.user.displayName, color: colorOf(api.user.id) },
      WebSocket: Socket,
      ...options
    })
    this.doc = this.room.doc
    this.text = this.doc.getText('content')
    this.awareness = this.room.awareness
    this.room.on('frame', (frame) => this.frames.push(frame))
    this.room.on('denied', (reason) => this.denials.push(reason))
    this.room.on('status', (change) => { this.last = change; this.statuses.push(change.status) })
    this.room.connect()
  }

  get content () { return this.text.toString() }

  async live (limitMs) {
    await this.becomes('live', limitMs)
    return this
  }

  becomes (status, limitMs) {
    return until(`a client becomes ${status} (now ${this.room.status})`, () => this.room.status === status, limitMs)
  }

  /** Resolves when this client's main file is `content`. */
  shows (content, limitMs) {
    return until(`a client shows ${JSON.stringify(content.slice(0, 60))}`, () => this.content === content, limitMs)
  }

  saved (limitMs) {
    return until('the room says that all is stored', () => this.room.saved, limitMs)
  }

  /** The awareness state that this client sees of `other`. */
  sees (other) { return this.awareness.getStates().get(other.doc.clientID) }

  person (api) { return this.room.people().find(({ id }) => id === api.user.id) }

  leave () { this.room.destroy() }
}
