// What the adapter asks of the platform, one call each. Every crossing between JavaScript and
// WebAssembly costs about as much as what this adapter does with the answer, so what belongs
// together crosses together.

import { waitUntil } from 'cloudflare:workers'

/**
 * Who is at the other end of the connection; empty if the platform does not say. Cloudflare says it
 * in a header of its own, in which a client can write nothing there; elsewhere it can, so the header
 * counts only where Cloudflare has also said from which of its places the request comes. A bare
 * workerd says it with a port.
 *
 * @param {Request} request
 * @returns {string}
 */
function peerOf ({ cf, headers }) {
  if (typeof cf?.colo === 'string') return headers.get('cf-connecting-ip') ?? ''
  return typeof cf?.clientIp === 'string' ? cf.clientIp : ''
}

/**
 * The peer, method, URL, then name and value of each header, a line each: none of them can contain
 * one.
 *
 * @param {Request} request
 * @returns {string}
 */
export function requestHead (request) {
  let head = `${peerOf(request)}\n${request.method}\n${request.url}`
  for (const [name, value] of request.headers) head += `\n${name}\n${value}`
  return head
}

/**
 * @param {number} status
 * @param {string} head name and value of each header, a line each
 * @param {Uint8Array | undefined} body
 * @param {WebSocket | undefined} webSocket with status 101: the client's end
 * @returns {Response}
 */
export function makeResponse (status, head, body, webSocket) {
  const headers = []
  if (head !== '') {
    const lines = head.split('\n')
    for (let i = 0; i < lines.length; i += 2) headers.push([lines[i], lines[i + 1]])
  }
  return new Response(body, { status, headers, webSocket })
}

/**
 * What the platform has charged for since this isolate began. Objects of a deployment may live in
 * isolates of their own; in one workerd they share this one.
 */
const costs = { rowsRead: 0, rowsWritten: 0, objectRequests: 0, socketMessages: 0, kvWrites: 0 }

/** @returns {string} as JSON */
export const costsSoFar = () => JSON.stringify(costs)

/** @param {keyof typeof costs} name */
export function count (name) {
  costs[name] += 1
}

/** Counts a message that came on a socket. */
export function countMessage () {
  costs.socketMessages += 1
}

/** Objects are addressed by stub; only the path of this URL means anything. */
const ORIGIN = 'https://object'

/**
 * @param {Record<string, DurableObjectNamespace>} env
 * @param {string} binding
 * @param {string} name of the object
 * @param {string} path
 * @param {Uint8Array} body
 * @returns {Promise<[number, Uint8Array]>} the answer's status and body
 */
export async function postToObject (env, binding, name, path, body) {
  costs.objectRequests += 1
  const stub = env[binding].getByName(name)
  const response = await stub.fetch(ORIGIN + path, { method: 'POST', body })
  return [response.status, new Uint8Array(await response.arrayBuffer())]
}

/**
 * @param {Record<string, DurableObjectNamespace>} env
 * @param {string} binding
 * @param {string} name of the object
 * @param {string} path
 * @param {string} header
 * @param {string} value
 * @returns {Promise<WebSocket>} the client's end of a socket that the object has accepted
 */
export async function connectToObject (env, binding, name, path, header, value) {
  costs.objectRequests += 1
  const stub = env[binding].getByName(name)
  const response = await stub.fetch(ORIGIN + path, { headers: { upgrade: 'websocket', [header]: value } })
  if (response.webSocket === null) throw new Error(`the object answered ${response.status}`)
  return response.webSocket
}

/** How long a collector of spans may take, in milliseconds. */
const COLLECTOR_MS_MAX = 10_000

/**
 * @param {{ COLLECTOR?: Fetcher }} env
 * @param {string} url
 * @param {Uint8Array} body JSON
 * @returns {Promise<void>} fails if the collector did not take it
 */
export async function postToCollector (env, url, body) {
  const headers = { 'content-type': 'application/json' }
  const signal = AbortSignal.timeout(COLLECTOR_MS_MAX)
  const request = new Request(url, { method: 'POST', headers, body, signal, redirect: 'manual' })
  const response = await (env.COLLECTOR ?? globalThis).fetch(request)
  await response.body?.cancel()
  if (!response.ok) throw new Error(`it answered ${response.status}`)
}

/**
 * Lets the present request's work go on after its answer, until this has ended.
 *
 * @param {Promise<unknown>} promise
 */
export function keepAlive (promise) {
  waitUntil(promise)
}

/**
 * @param {SqlStorage} sql
 * @param {string} query
 * @param {unknown[]} values
 * @returns {unknown[][] | undefined} the columns' names, then each row; undefined if the statement
 *   gives no rows
 */
export function execute (sql, query, values) {
  const cursor = sql.exec(query, ...values)
  const columns = cursor.columnNames
  const rows = columns.length === 0 ? undefined : [columns, ...cursor.raw()]
  costs.rowsRead += cursor.rowsRead
  costs.rowsWritten += cursor.rowsWritten
  return rows
}

/**
 * The open sockets of a room, so that a broadcast crosses once and has one buffer for all of them:
 * the platform sends that as it is, and nobody writes to it.
 */
export class Sockets {
  /** @type {({ socket: WebSocket, app: boolean } | undefined)[]} by number */
  #places = []
  /** @type {Map<WebSocket, number>} */
  #numbers = new Map()

  /**
   * @param {WebSocket} socket
   * @param {boolean} app whether it takes our own frames
   * @returns {number} which it is here
   */
  add (socket, app) {
    const free = this.#places.indexOf(undefined)
    const number = free === -1 ? this.#places.length : free
    this.#places[number] = { socket, app }
    this.#numbers.set(socket, number)
    return number
  }

  /**
   * @param {WebSocket} socket
   * @returns {number} -1 if it is not here
   */
  numberOf (socket) {
    return this.#numbers.get(socket) ?? -1
  }

  /**
   * @param {number} number
   * @returns {WebSocket | undefined}
   */
  take (number) {
    const socket = this.#places[number]?.socket
    this.#places[number] = undefined
    this.#numbers.delete(socket)
    return socket
  }

  /**
   * @param {number} number
   * @returns {WebSocket | undefined}
   */
  get (number) {
    return this.#places[number]?.socket
  }

  /**
   * @param {number} number
   * @param {Uint8Array} frame inside WebAssembly: gone when this returns
   */
  send (number, frame) {
    const place = this.#places[number]
    if (place !== undefined) send(place.socket, frame.slice())
  }

  /**
   * @param {Uint8Array} frame inside WebAssembly: gone when this returns
   * @param {number} except the number of the one that does not get it, or -1
   * @param {boolean} appOnly only to those that take our own frames
   */
  broadcast (frame, except, appOnly) {
    const own = frame.slice()
    for (let number = 0; number < this.#places.length; number += 1) {
      const place = this.#places[number]
      if (place !== undefined && number !== except && (place.app || !appOnly)) send(place.socket, own)
    }
  }
}

/** Fails for a socket that is closing; the room hears of that by itself. */
function send (socket, frame) {
  try {
    socket.send(frame)
  } catch {}
}

/**
 * @param {number} millis
 * @param {() => void} callback
 */
export function later (millis, callback) {
  setTimeout(callback, millis)
}
