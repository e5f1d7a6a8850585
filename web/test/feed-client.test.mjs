// A person's feed, against one that speaks on command: what was missed is told once, and the
// connection is kept.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { afterEach, test } from 'node:test'
import WebSocket, { WebSocketServer } from 'ws'
import { FeedClient } from '../client/src/index.js'
import { told } from '../src/bell.js'

const endings = []
afterEach(async () => { for (const end of endings.splice(0).reverse()) await end() })

const note = (seq) => ({ type: 'notification', notification: { seq, at: '', read: false, event: { type: 'added' } }, unread: seq })
const hello = (seq, gap = false) => ({ type: 'hello', seq, readSeq: 0, unread: seq, gap })
const happens = (feed, event) => new Promise((resolve) => feed.once(event, resolve))

function client (origin, pass, { page = null, WebSocket: Socket = WebSocket } = {}) {
  let passes = 0
  const feed = new FeedClient({
    origin,
    page,
    WebSocket: Socket,
    connect: async () => ({ feedToken: `token-${passes += 1}`, feedTokenExpiresAt: 'never', ...pass })
  })
  endings.push(() => feed.destroy())
  const seen = []
  feed.on('notification', ({ seq }) => seen.push(seq))
  feed.on('stale', () => seen.push('stale'))
  return { feed, seen, passes: () => passes }
}

/** @param {(socket: WebSocket, url: string, token: string) => void} onSocket */
async function sockets (onSocket) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  server.on('connection', (socket, request) => {
    const token = request.headers['sec-websocket-protocol'].split(/, ?/)[1].replace(/^token\./, '')
    onSocket({ say: (frame) => socket.send(JSON.stringify(frame)), close: (code, reason) => socket.close(code, reason) }, request.url, token)
  })
  endings.push(() => {
    for (const each of server.clients) each.terminate()
    return new Promise((resolve) => server.close(resolve))
  })
  return `http://127.0.0.1:${server.address().port}`
}

test('over a socket, each notification is told once, also across a cut', async () => {
  const urls = []
  const origin = await sockets((socket, url) => {
    urls.push(url)
    socket.say(hello(urls.length))
    if (urls.length === 1) {
      socket.say(note(2))
      socket.close(1011)
    } else {
      for (const seq of [2, 3]) socket.say(note(seq))
    }
  })
  const { feed, seen } = client(origin, { socketUrl: '/feed', eventsUrl: '/events' })
  feed.connect()
  while (seen.length < 3) await happens(feed, 'notification')
  assert.deepEqual(seen, ['stale', 2, 3])
  assert.deepEqual(urls, ['/feed', '/feed?after=2.0'])
  assert.equal(feed.unread, 3)
})

test('what cannot be told is said to be so', async () => {
  let n = 0
  const origin = await sockets((socket) => {
    n += 1
    socket.say(hello(n * 100, n === 2))
    if (n === 1) socket.close(1011)
  })
  const { feed, seen } = client(origin, { socketUrl: '/feed', eventsUrl: '/events' })
  feed.connect()
  while (seen.length < 2) await happens(feed, 'stale')
  assert.deepEqual(seen, ['stale', 'stale'])
  assert.deepEqual(feed.mark, { seq: 200, readSeq: 0 })
})

test('a token that is refused is replaced once', async () => {
  const origin = await sockets((socket, _url, token) => token === 'token-1' ? socket.close(4401) : socket.say(hello(0)))
  const { feed, passes } = client(origin, { socketUrl: '/feed', eventsUrl: '/events' })
  feed.connect()
  while (feed.status !== 'live') await happens(feed, 'status')
  assert.equal(passes(), 2)
  const refusing = await sockets((socket) => socket.close(4401))
  const other = client(refusing, { socketUrl: '/feed', eventsUrl: '/events' })
  other.feed.connect()
  while (other.feed.status !== 'ended') await happens(other.feed, 'status')
  assert.equal(other.passes(), 2)
})

/** Waits until `feed` has lost its connection, and then looks whether the network brings it back at once. */
async function restsWhileAsked (feed, page, asked) {
  while (feed.connection.phase !== 'waiting') await happens(feed, 'status')
  page.dispatchEvent(new Event('online'))
  page.dispatchEvent(new Event('pagehide'))
  page.dispatchEvent(new Event('pageshow'))
  const left = feed.connection.until - Date.now()
  assert.ok(left > 55_000 && left < 62_000, `comes back in ${left} ms`)
  assert.equal(asked(), 1)
}

test('a feed comes back when it is asked to, and not before', async () => {
  const page = new EventTarget()
  let opened = 0
  const bySocket = await sockets((socket) => { opened += 1; socket.close(4529, 'too fast; retry-after=60') })
  const one = client(bySocket, { socketUrl: '/feed', eventsUrl: '/events' }, { page })
  one.feed.connect()
  await restsWhileAsked(one.feed, page, () => opened)

  let streams = 0
  const server = createServer((_request, response) => {
    streams += 1
    response.writeHead(429, { 'retry-after': '60' }).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => { server.closeAllConnections(); server.close() })
  const two = client(`http://127.0.0.1:${server.address().port}`, { socketUrl: null, eventsUrl: '/events' }, { page })
  two.feed.connect()
  await restsWhileAsked(two.feed, page, () => streams)

  let asked = 0
  const three = new FeedClient({
    origin: 'http://127.0.0.1:1',
    page,
    connect: async () => { asked += 1; throw Object.assign(new Error('too often'), { status: 429, retryAfterSeconds: 60 }) }
  })
  endings.push(() => three.destroy())
  three.connect()
  await restsWhileAsked(three, page, () => asked)
})

test('a feed that rests between two streams leaves nothing behind when it ends', async () => {
  let answered = 0
  const server = createServer((_request, response) => {
    answered += 1
    const events = `retry: 60000\nevent: hello\ndata: ${JSON.stringify(hello(1))}\n\nid: 1.0\n\n`
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(events)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => { server.closeAllConnections(); server.close() })
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
  const before = timers()
  const { feed } = client(`http://127.0.0.1:${server.address().port}`, { socketUrl: null, eventsUrl: '/events' })
  feed.connect()
  await happens(feed, 'stale')
  await new Promise((resolve) => setImmediate(resolve))
  assert.ok(timers() > before)
  feed.destroy()
  assert.deepEqual([timers(), answered], [before, 1])
})

test('event streams follow each other, and say how far the client is', async () => {
  const urls = []
  const event = (frame) => `event: ${frame.type}\ndata: ${JSON.stringify(frame)}\n\n`
  const answers = [
    `retry: 1\n${event(hello(1))}id: 1.0\n\n`,
    `retry: 1\n${event(note(2))}${event(note(3))}id: 3.0\n\n`,
    'retry: 1\nid: 3.0\n\n',
    `retry: 1\n${event({ type: 'read', readSeq: 3, unread: 0 })}id: 3.3\n\n`
  ]
  const server = createServer((request, response) => {
    urls.push([request.url, request.headers.authorization])
    const answer = answers[urls.length - 1]
    // The last is held open.
    if (answer !== undefined) response.writeHead(200, { 'content-type': 'text/event-stream' }).end(answer)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  endings.push(() => { server.closeAllConnections(); server.close() })
  const { feed, seen } = client(`http://127.0.0.1:${server.address().port}`, { socketUrl: null, eventsUrl: '/events' })
  feed.connect()
  while (urls.length < 5) await new Promise((resolve) => setTimeout(resolve, 5))
  assert.deepEqual(seen, ['stale', 2, 3])
  assert.deepEqual(urls.map(([url]) => url), ['/events', '/events?after=1.0', '/events?after=3.0', '/events?after=3.0', '/events?after=3.3'])
  assert.ok(urls.every(([, authorization]) => authorization === 'Bearer token-1'))
  assert.deepEqual([feed.unread, feed.mark], [0, { seq: 3, readSeq: 3 }])
})

test('every kind of news is a sentence, and so is one that is not known', () => {
  const event = { sessionId: 's', title: 'T', by: { displayName: 'Ada' } }
  assert.deepEqual(told({ ...event, type: 'added', role: 'editor' }), { words: 'Ada added you to “T” as editor.', where: '#/s/s' })
  assert.deepEqual(told({ ...event, type: 'removed' }), { words: 'Ada removed you from “T”.', where: '#/' })
  assert.equal(told({ ...event, type: 'runFinished', verdict: 'time_limit' }).words, 'Your run in “T” has ended: time limit.')
  assert.equal(told({ ...event, type: 'mentioned', text: 'hi' }).words, 'Ada named you in “T”: hi')
  assert.equal(told({ type: 'promoted' }).words, 'Something has happened.')
})
