// A wire to the edge that can be cut: what a lost network looks like to a browser.

import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/**
 * @param {string} origin where the wire ends
 * @returns {Promise<{ origin: string, cut(): void, mend(): void, close(): void }>}
 */
export async function wire (origin) {
  const { hostname, port } = new URL(origin)
  const ends = new Set()
  let broken = false
  const server = createServer((near) => {
    if (broken) return near.destroy()
    const far = connect(Number(port || 80), hostname)
    for (const [end, other] of [[near, far], [far, near]]) {
      ends.add(end)
      end.pipe(other)
      end.on('error', () => {})
      end.on('close', () => { ends.delete(end); other.destroy() })
    }
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
    close: () => { cut(); server.close() }
  }
}
