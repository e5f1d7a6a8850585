// A wire to the edge that can be cut or held up: what a lost or a slow network looks like to a
// browser.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/**
 * @param {string} origin where the wire ends
 * @returns {Promise<{ origin: string, cut(): void, mend(): void, hold(): void, release(): void, close(): void }>}
 *   `hold` keeps what open WebSockets send until `release`, and nothing else
 */
export async function wire (origin) {
  const { hostname, port } = new URL(origin)
  const ends = new Set()
  const sockets = new Map()
  let broken = false
  const server = createServer((near) => {
    if (broken) return near.destroy()
    const far = connect(Number(port || 80), hostname)
    for (const [end, other] of [[near, far], [far, near]]) {
      ends.add(end)
      end.pipe(other)
      end.on('error', () => {})
      end.on('close', () => { ends.delete(end); sockets.delete(end); other.destroy() })
    }
    near.once('data', (head) => { if (/^upgrade: *websocket/im.test(head)) sockets.set(near, far) })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    broken = true
    for (const end of ends) end.destroy()
  }
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    cut,
    mend: () => { broken = false },
    hold: () => { for (const [near, far] of sockets) near.unpipe(far).pause() },
    release: () => { for (const [near, far] of sockets) near.pipe(far) },
    close: () => { cut(); server.close() }
  }
}
