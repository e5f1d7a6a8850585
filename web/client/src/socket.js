// The way to a room by a WebSocket.

import { retryMsOfReason } from './backoff.js'

/** Answered by the runtime in the room's stead, which may go on sleeping. */
const PING = 'ping'
const SUBPROTOCOL = 'yjs'

/**
 * @typedef {object} Line a connection to a room
 * @property {(frame: Uint8Array) => void} send
 * @property {() => void} ping asks for a sign of life
 * @property {() => void} close nothing is told any more
 */

/**
 * @typedef {object} Ends what a connection tells
 * @property {() => void} onOpen
 * @property {(frame: Uint8Array) => void} onFrame
 * @property {() => void} onHeard a sign of life that is no frame
 * @property {(code: number, retryMs?: number) => void} onClose with how long the edge has asked to be
 *   left alone
 */

/**
 * @param {object} options
 * @param {string} options.url `ws:` or `wss:`, of the room
 * @param {string} options.token
 * @param {string} options.capabilities
 * @param {typeof WebSocket} options.WebSocket
 * @param {Ends} ends
 * @returns {Line}
 */
export function openSocket ({ url, token, capabilities, WebSocket }, { onOpen, onFrame, onHeard, onClose }) {
  // The token as a subprotocol keeps it out of logs, which have URLs.
  const socket = new WebSocket(`${url}?caps=${capabilities}`, [SUBPROTOCOL, `token.${token}`])
  socket.binaryType = 'arraybuffer'
  socket.onopen = onOpen
  socket.onmessage = ({ data }) => {
    if (typeof data === 'string') onHeard()
    else onFrame(new Uint8Array(data))
  }
  socket.onclose = ({ code, reason }) => onClose(code, retryMsOfReason(reason))
  // A `close` follows, and says more.
  socket.onerror = () => {}
  const send = (data) => { if (socket.readyState === socket.OPEN) socket.send(data) }
  return {
    send,
    ping: () => send(PING),
    close () {
      // `onerror` stays: in Node, closing a socket that is still being opened is an error event.
      socket.onopen = socket.onmessage = socket.onclose = null
      socket.close()
    }
  }
}
