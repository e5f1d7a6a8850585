// The two ways to a person's feed: a WebSocket, or event streams one after the other. Both look the
// same from outside.

import { retryMsOf, retryMsOfReason } from './backoff.js'
import { UNAUTHORIZED } from './close-codes.js'
import { createEventParser } from './events.js'

/** As of a socket that was cut. */
const CUT = 1006
const PING = 'ping'
const PONG = 'pong'
const SUBPROTOCOL = 'yjs'

/**
 * How far a client is.
 * @typedef {{ seq: number, readSeq: number }} Mark
 */

/**
 * @typedef {object} Ends what a connection tells
 * @property {(frame: { type: string, [field: string]: any }) => void} onFrame
 * @property {() => void} onHeard a sign of life that is no frame
 * @property {(code: number, retryMs?: number) => void} onClose with how long the edge has asked to be
 *   left alone
 */

/**
 * @param {{ url: string, token: string, after: Mark | null, WebSocket: typeof WebSocket }} options
 * @param {Ends} ends
 */
export function openFeedSocket ({ url, token, after, WebSocket }, { onFrame, onHeard, onClose }) {
  const query = after === null ? '' : `?after=${idOf(after)}`
  const socket = new WebSocket(`${url}${query}`, [SUBPROTOCOL, `token.${token}`])
  socket.onmessage = ({ data }) => data === PONG ? onHeard() : onFrame(JSON.parse(data))
  socket.onclose = ({ code, reason }) => onClose(code, retryMsOfReason(reason))
  // A `close` follows, and says more.
  socket.onerror = () => {}
  return {
    ping () { if (socket.readyState === socket.OPEN) socket.send(PING) },
    close () {
      socket.onmessage = socket.onclose = null
      // Browsers complain of a socket that is closed while it is being opened.
      if (socket.readyState === socket.CONNECTING) socket.onopen = () => socket.close()
      else socket.close()
    }
  }
}

/**
 * The first stream is asked how it stands, and so ends at once; each of the others is held open until
 * there is something to tell.
 *
 * @param {{ url: string, token: string, after: Mark | null, fetch: typeof fetch }} options
 * @param {Ends} ends
 */
export function openFeedStream ({ url, token, after, fetch }, { onFrame, onHeard, onClose }) {
  const reading = new AbortController()
  const headers = { authorization: `Bearer ${token}` }
  let lastId = after === null ? '' : idOf(after)
  let closed = false
  let resting

  function end (code, retryMs = 0) {
    if (closed) return
    closed = true
    reading.abort()
    onClose(code, retryMs)
  }

  async function next (query) {
    const response = await fetch(`${url}${query}`, { headers, signal: reading.signal })
    if (!response.ok) return end(response.status === 401 ? UNAUTHORIZED : CUT, retryMsOf(response.headers.get('retry-after')))
    const text = await response.text()
    if (closed) return
    onHeard()
    const parser = createEventParser()
    let wait = 0
    for (const { data, id, retryMs } of parser(text)) {
      wait = retryMs || wait
      if (id !== '' && !(query === '' && lastId !== '')) lastId = id
      if (data !== '') onFrame(JSON.parse(data))
      if (closed) return
    }
    return wait
  }

  async function read () {
    for (let query = ''; !closed; query = `?after=${lastId}`) {
      const wait = await next(query)
      if (!closed && wait > 0) await new Promise((resolve) => { resting = setTimeout(resolve, wait) })
    }
  }

  read().catch(() => end(CUT))
  return {
    // Each stream ends within half a minute: that is the sign of life.
    ping () {},
    close () {
      closed = true
      clearTimeout(resting)
      reading.abort()
    }
  }
}

/** @param {Mark} mark */
const idOf = ({ seq, readSeq }) => `${seq}.${readSeq}`
