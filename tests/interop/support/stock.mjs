// People in a room, each by the unmodified provider of y-websocket.

import * as decoding from 'lib0/decoding'
import { readAuthMessage } from 'y-protocols/auth'
import { WebsocketProvider } from 'y-websocket'
import { WebsocketProvider as WebsocketProvider30 } from 'y-websocket-3.0'
import * as Y from 'yjs'
import { nonce } from './edge.mjs'
import { Socket } from './raw.mjs'
import { until } from './wait.mjs'

const PROVIDERS = { 3.1: WebsocketProvider, '3.0': WebsocketProvider30 }
const MESSAGE_AUTH = 2
const MESSAGE_APP = 110
/** Sooner than who is silent is forgotten anyway, after 30 s: whoever is gone by then was taken back. */
export const GONE_MS_MAX = 20_000

// Every provider says goodbye when the process ends; a test file has many.
process.setMaxListeners(100)

export class Client {
  /**
   * Joins the session and connects to its room.
   *
   * @param {import('../../../web/src/api.js').Api} api whose room token it is
   * @param {string} sessionId
   * @param {object} [options]
   * @param {'3.1' | '3.0'} [options.version] of y-websocket
   * @param {boolean} [options.frames] ask for CodeCrafter's own frames
   * @param {Y.Doc} [options.doc] with edits made before
   * @returns {Promise<Client>} not yet connected; see `synced`
   */
  static async join (api, sessionId, options = {}) {
    return new Client(api.origin, sessionId, await api.join(sessionId), options)
  }

  constructor (origin, sessionId, joined, { version = '3.1', frames = true, doc = new Y.Doc() } = {}) {
    this.joined = joined
    this.doc = doc
    this.text = doc.getText('content')
    /** Our frames, in the order of arrival, with `receivedAt` in milliseconds. */
    this.frames = []
    /** Why the room has refused something, in its words. */
    this.denials = []
    this.closeCodes = []
    this.statuses = []
    this.provider = new PROVIDERS[version](roomsUrl(origin, joined), sessionId, doc, {
      connect: false,
      params: { token: joined.roomToken, ...(frames ? { caps: 'app1' } : {}) },
      WebSocketPolyfill: Socket,
      disableBc: true
    })
    this.awareness = this.provider.awareness
    // As every editor binding does. A state that was never set has the clock 0, and y-protocols
    // shows no peer before it has a higher one.
    this.awareness.setLocalStateField('user', { name: 'somebody', color: '#30bced' })
    // As the provider's own, which writes the reason, and the token, into the log.
    this.provider.messageHandlers[MESSAGE_AUTH] = (_encoder, decoder) => {
      readAuthMessage(decoder, this.doc, (_doc, reason) => this.denials.push(reason))
    }
    if (frames) {
      this.provider.messageHandlers[MESSAGE_APP] = (_encoder, decoder) => {
        const frame = JSON.parse(new TextDecoder().decode(decoding.readVarUint8Array(decoder)))
        this.frames.push({ ...frame, receivedAt: performance.now() })
      }
    }
    this.provider.on('connection-close', (event) => { if (event !== null) this.closeCodes.push(event.code) })
    this.provider.on('status', ({ status }) => this.statuses.push(status))
    this.provider.connect()
  }

  /** Resolves with this client when the room's document has arrived. */
  async synced (limitMs) {
    await until('the first sync', () => this.provider.synced, limitMs)
    return this
  }

  get content () { return this.text.toString() }

  /** Resolves when this client's main file is `content`. */
  shows (content, limitMs) {
    return until(`a client shows ${JSON.stringify(content.slice(0, 60))}`, () => this.content === content, limitMs)
  }

  /** @param {(frame: any) => boolean} wanted */
  frame (what, wanted, limitMs) {
    return until(what, () => this.frames.find(wanted), limitMs)
  }

  /** The awareness state that this client sees of `other`. */
  sees (other) { return this.awareness.getStates().get(other.doc.clientID) }

  /**
   * Resolves when `witness` has seen something that this client sent after all it has sent so far:
   * the room handles the frames of a socket in order, so it has decided about each of them.
   */
  async decided (witness) {
    const mark = nonce()
    this.awareness.setLocalStateField('mark', mark)
    await until('the room passes on what a client says about itself', () => witness.sees(this)?.mark === mark)
  }

  closedWith (code, limitMs) {
    return until(`the room closes the socket with ${code} (so far: ${this.closeCodes})`, () => this.closeCodes.includes(code), limitMs)
  }

  /** Leaves like a browser tab that is closed in good order. */
  leave () {
    this.provider.destroy()
    this.awareness.destroy()
  }

  /** Leaves like a machine that lost its power: no farewell, and no way back. */
  vanish () {
    this.provider.shouldConnect = false
    this.provider.ws.terminate()
  }
}

/** The room's document as somebody sees it who has never been there. */
export async function roomContent (api, sessionId) {
  const client = await Client.join(api, sessionId, { frames: false })
  try {
    await client.synced()
    return client.content
  } finally {
    client.leave()
  }
}

/** `ws://…` of the rooms, without the session. */
export const roomsUrl = (origin, joined) => new URL(joined.roomUrl, origin).href.replace(/^http/, 'ws')
