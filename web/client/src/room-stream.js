// The way to a room where there are no WebSockets: frames go by `POST` and come by server-sent
// events. It looks like a socket from outside.
//
// A stream lasts some seconds and is then taken up by the next one where it was, by the id of the
// last event; the connection to the room is the same. What is sent while a `POST` is under way goes
// together with the next.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import { retryMsOf } from './backoff.js'
import { createEventParser } from './events.js'

/** As of a socket that was cut. */
const CUT = 1006
/** Streams in a row that may end without having said anything. */
const EMPTY_STREAMS_MAX = 2

/**
 * @param {object} options
 * @param {string} options.url of the room
 * @param {string} options.token
 * @param {string} options.capabilities
 * @param {typeof fetch} options.fetch
 * @param {import('./socket.js').Ends} ends
 * @returns {import('./socket.js').Line}
 */
export function openRoomStream ({ url, token, capabilities, fetch }, { onOpen, onFrame, onHeard, onClose }) {
  const authorization = `Bearer ${token}`
  const reading = new AbortController()
  let connection = null
  let lastId = null
  let closed = false
  let posting = false
  /** @type {Uint8Array[]} */
  let waiting = []

  function end (code, retryMs = 0) {
    if (closed) return
    closed = true
    reading.abort()
    onClose(code, retryMs)
  }

  const refusedBy = (response) => end(CUT, retryMsOf(response.headers.get('retry-after')))

  async function read () {
    let empty = 0
    while (!closed) {
      const after = lastId === null ? '' : `&after=${lastId}`
      const response = await fetch(`${url}/events?caps=${capabilities}${after}`, { headers: { authorization }, signal: reading.signal })
      if (!response.ok) return refusedBy(response)
      const heard = await readEvents(response.body)
      empty = heard ? 0 : empty + 1
      if (empty > EMPTY_STREAMS_MAX) return end(CUT)
    }
  }

  async function readEvents (body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader()
    const parser = createEventParser()
    let heard = false
    for (;;) {
      const { value, done } = await reader.read()
      if (done || closed) return heard
      heard = true
      onHeard()
      for (const event of parser(value)) {
        if (event.id !== '') lastId = event.id
        take(event)
        if (closed) return heard
      }
    }
  }

  function take ({ event, data, retryMs }) {
    if (event === 'open') {
      // The room has let go of the connection that was there before: this is another one.
      if (connection !== null) return end(CUT)
      connection = data
      onOpen()
    } else if (event === 'frame') {
      onFrame(Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)))
    } else if (event === 'close') {
      end(Number(data), retryMs)
    }
  }

  async function post (leave = false) {
    posting = true
    const frames = waiting
    waiting = []
    const body = encoding.encode((encoder) => frames.forEach((frame) => encoding.writeVarUint8Array(encoder, frame)))
    const response = await fetch(`${url}/frames?connection=${connection}${leave ? '&leave=1' : ''}`, {
      method: 'POST',
      // The page may be gone before it is answered.
      keepalive: leave,
      headers: { authorization, 'content-type': 'application/octet-stream' },
      body
    })
    if (!response.ok) return refusedBy(response)
    const decoder = decoding.createDecoder(new Uint8Array(await response.arrayBuffer()))
    posting = false
    if (closed) return
    onHeard()
    while (decoding.hasContent(decoder) && !closed) onFrame(decoding.readVarUint8Array(decoder))
    if (waiting.length > 0 && !closed && !posting) post().catch(() => end(CUT))
  }

  read().catch(() => end(CUT))
  return {
    send (frame) {
      if (closed || connection === null) return
      waiting.push(frame)
      // With what else is said in the same turn.
      if (waiting.length === 1 && !posting) queueMicrotask(() => { if (!posting && !closed && waiting.length > 0) post().catch(() => end(CUT)) })
    },
    ping () {
      if (!closed && connection !== null && !posting) post().catch(() => end(CUT))
    },
    close () {
      if (closed) return
      closed = true
      reading.abort()
      if (connection !== null) post(true).catch(() => {})
    }
  }
}
