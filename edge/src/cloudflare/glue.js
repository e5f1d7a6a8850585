// What the adapter asks of the platform, one call each. Every crossing between JavaScript and
// WebAssembly costs about as much as what this adapter does with the answer, so what belongs
// together crosses together.

/**
 * Method, URL, then name and value of each header, a line each: none of them can contain one.
 *
 * @param {Request} request
 * @returns {string}
 */
export function requestHead (request) {
  let head = `${request.method}\n${request.url}`
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
