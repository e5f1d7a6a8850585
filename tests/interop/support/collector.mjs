// A collector of OpenTelemetry where the edge and the executor under test send their spans to.

import { once } from 'node:events'
import { createServer } from 'node:http'

const ADDRESS = process.env.CODECRAFTER_COLLECTOR

/** Why there is none; false if there is one. */
export const noCollector = ADDRESS ? false : 'needs CODECRAFTER_COLLECTOR, the address that the edge and the executor send spans to'

/** Of which spans are, and their attributes by name. */
const flat = (service) => ({ attributes, ...span }) => ({ service, ...span, ...named(attributes) })
const named = (attributes) => Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))

/** @returns {Promise<{ spans: Record<string, string>[], close(): void }>} what has come so far */
export async function collector () {
  const spans = []
  const server = createServer(async (request, response) => {
    let body = ''
    try {
      for await (const part of request) body += part
    } catch {
      // Whoever sends has lost patience, and sends it again.
      return
    }
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      const service = named(resource.attributes)['service.name']
      for (const scope of scopeSpans) spans.push(...scope.spans.map(flat(service)))
    }
    response.end()
  })
  const [host, port] = ADDRESS.split(':')
  server.listen(Number(port), host)
  await once(server, 'listening')
  return { spans, close: () => { server.close(); server.closeAllConnections() } }
}
