// A bare WebSocket: for who has no right to be in a room, and for what a stock client never sends.

import { once } from 'node:events'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import WebSocket from 'ws'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'

const MESSAGE_SYNC = 0
const LIMIT_MS = 60_000
/** How long a browser waits, once a socket is closed by a frame, for the connection to end too. */
const CLOSE_MS = 2_000

/** As a browser's: a connection ends soon after its closing frame. */
export class Socket extends WebSocket {
  /** All of this process that have not ended. */
  static open = new Set()

  constructor (url, protocols, options = {}) {
    super(url, protocols, { closeTimeout: CLOSE_MS, ...options })
    Socket.open.add(this)
    this.on('close', () => Socket.open.delete(this))
  }
}

/**
 * Opens a room's socket, asks for the document as a client does, and stays until it is closed.
 *
 * @param {string} url with everything in it
 * @param {object} [options]
 * @param {string[]} [options.protocols]
 * @param {Record<string, string>} [options.headers]
 * @returns {Promise<{ code: number, reason: string, frames: Uint8Array[], upgraded: boolean }>}
 */
export function knock (url, { protocols = [], headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new Socket(url, protocols, { headers })
    const frames = []
    let upgraded = false
    const limit = setTimeout(() => {
      socket.terminate()
      reject(new Error(`the room kept the socket open; it sent ${frames.length} frames`))
    }, LIMIT_MS)
    socket.on('open', () => {
      upgraded = true
      socket.send(askForDocument())
    })
    socket.on('message', (data) => frames.push(new Uint8Array(data)))
    socket.on('error', (error) => { if (!upgraded) { clearTimeout(limit); reject(error) } })
    socket.on('close', (code, reason) => {
      clearTimeout(limit)
      resolve({ code, reason: reason.toString(), frames, upgraded })
    })
  })
}

/**
 * Opens a room's socket and says nothing, not even what every provider says of itself.
 * @param {string} url with a good token in it
 */
export async function listen (url) {
  const socket = new WebSocket(url)
  const frames = []
  const times = []
  let closed = null
  socket.on('message', (data) => { frames.push(Buffer.from(data)); times.push(performance.now()) })
  socket.on('close', (code) => { closed = code })
  await once(socket, 'open')
  times.push(performance.now())
  return {
    closeCode: () => closed,
    heard: (text) => frames.some((frame) => frame.includes(text)),
    longestSilenceMs: () => [...times.slice(1), performance.now()].reduce((longest, time, i) => Math.max(longest, time - times[i]), 0),
    leave: () => socket.terminate()
  }
}

/** Whether a frame carries any of the document. */
export const carriesDocument = (frame) => decoding.readVarUint(decoding.createDecoder(frame)) === MESSAGE_SYNC

function askForDocument () {
  const encoder = encoding.createEncoder()
  encoding.writeVarUint(encoder, MESSAGE_SYNC)
  syncProtocol.writeSyncStep1(encoder, new Y.Doc())
  return encoding.toUint8Array(encoder)
}
