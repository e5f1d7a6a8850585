// What the page does when a room closes its socket, against a room that closes on command.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { afterEach, test } from 'node:test'
import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'
import WebSocket, { WebSocketServer } from 'ws'
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness'
import * as syncProtocol from 'y-protocols/sync'
import * as Y from 'yjs'
import { ApiError } from '../src/api.js'
import { Room } from '../src/room.js'

globalThis.WebSocket = WebSocket
const endings = []
afterEach(async () => { for (const end of endings.splice(0).reverse()) await end() })

/**
 * A room that closes the sockets that carry a token of `refusals` with its code, and answers the
 * others; and an edge where every joining gives the next token: `token-1`, `token-2` …
 */
async function scene (refusals) {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  const doc = new Y.Doc()
  server.on('connection', (socket, request) => {
    const token = request.headers['sec-websocket-protocol'].split(/, ?/)[1].replace(/^token\./, '')
    if (token in refusals) return socket.close(refusals[token])
    socket.on('message', (data) => {
      const decoder = decoding.createDecoder(new Uint8Array(data))
      const encoder = encoding.createEncoder()
      if (decoding.readVarUint(decoder) !== 0) return
      encoding.writeVarUint(encoder, 0)
      syncProtocol.readSyncMessage(decoder, encoder, doc, null)
      if (encoding.length(encoder) > 1) socket.send(encoding.toUint8Array(encoder))
    })
    const ask = encoding.createEncoder()
    encoding.writeVarUint(ask, 0)
    syncProtocol.writeSyncStep1(ask, doc)
    socket.send(encoding.toUint8Array(ask))
  })
  endings.push(() => {
    for (const client of server.clients) client.terminate()
    return new Promise((resolve) => server.close(resolve))
  })

  let joins = 0
  const api = {
    origin: `http://127.0.0.1:${server.address().port}`,
    user: { id: 'u', displayName: 'Ada' },
    refuse: null,
    session: async () => {
      if (api.seen === null) throw new ApiError({ status: 404, code: 'session_not_found' })
      return api.seen
    },
    seen: { role: 'editor' },
    async join () {
      if (api.refuse !== null && joins > 0) throw api.refuse
      joins += 1
      return { session: { id: 's', role: 'editor', isLocked: false }, roomToken: `token-${joins}`, roomUrl: '/rooms' }
    }
  }
  return { api, server, doc, joins: () => joins }
}

async function enter (api) {
  const room = await Room.open(api, 's')
  endings.push(() => room.leave())
  return room
}

const becomes = (room, kind) => new Promise((resolve) => {
  room.on('state', (state) => { if (state.kind === kind) resolve(state) })
})

test('a token that is not taken any more is replaced, and what was typed meanwhile arrives', async () => {
  const { api, doc, joins } = await scene({ 'token-1': 4401 })
  const room = await enter(api)
  room.text.insert(0, 'typed before')
  const arrived = new Promise((resolve) => doc.on('update', resolve))
  const live = becomes(room, 'live')
  room.connect()
  await Promise.all([live, arrived])
  assert.equal(joins(), 2)
  assert.equal(doc.getText('content').toString(), 'typed before')
})

test('when the new token is refused too, it ends instead of asking for ever', async () => {
  const { api, joins } = await scene({ 'token-1': 4401, 'token-2': 4401 })
  const room = await enter(api)
  const ended = becomes(room, 'ended')
  room.connect()
  assert.match((await ended).words, /access/)
  assert.equal(joins(), 2)
})

test('when joining again is refused, the refusal’s words are shown', async () => {
  const { api } = await scene({ 'token-1': 4401 })
  api.refuse = new ApiError({ status: 404, code: 'session_not_found', title: 'There is no such session.' })
  const room = await enter(api)
  const ended = becomes(room, 'ended')
  room.connect()
  assert.equal((await ended).words, 'There is no such session.')
})

test('a final close code ends the room, in words; a conflict asks for a new beginning', async () => {
  for (const [code, restart] of [[4403, false], [4404, false], [4409, true], [4413, false]]) {
    const { api } = await scene({ 'token-1': code })
    const room = await enter(api)
    const ended = becomes(room, 'ended')
    room.connect()
    const state = await ended
    assert.ok(state.words.length > 20)
    assert.equal(state.restart, restart)
  }
})

test('who was removed is told so, and who only may not edit, that', async () => {
  for (const [seen, words] of [[null, /were removed.*add you/], [{ role: null }, /were removed.*join again/], [{ role: 'viewer' }, /may not edit/]]) {
    const { api } = await scene({ 'token-1': 4403 })
    api.seen = seen
    const room = await enter(api)
    const ended = becomes(room, 'ended')
    room.connect()
    assert.match((await ended).words, words)
  }
})

test('what somebody tells is heard once for each change, from whom it came, and only if it is text', async () => {
  const { api } = await scene({})
  const room = await enter(api)
  const heard = []
  room.on('told', (...told) => heard.push(told))
  const user = { id: 'b', name: 'Bob', color: '#123456' }
  say(room, 1, { user, told: { run: 'r1', session: { not: 'text' } } }, 1)
  say(room, 1, { user, cursor: null, told: { run: 'r1' } }, 2)
  say(room, 1, { user, told: { run: 'r2', session: 'x'.repeat(1_000) } }, 3)
  assert.deepEqual(heard, [['run', 'r1', 'b'], ['run', 'r2', 'b']])
})

test('what was typed offline and is not taken ends the session with words, and keeps the text', async () => {
  const { api, server } = await scene({})
  const room = await enter(api)
  const live = becomes(room, 'live')
  room.connect()
  await live
  const offline = becomes(room, 'offline')
  for (const socket of server.clients) socket.close(1012)
  await offline
  room.text.insert(0, 'lost')
  const ended = becomes(room, 'ended')
  room.access = { role: 'viewer', locked: false }
  assert.match((await ended).words, /not taken/)
  assert.equal(room.text.toString(), 'lost')
})

test('what was typed has arrived when the room says so, or does not take it', async () => {
  const { api, server } = await scene({})
  const room = await enter(api)
  const live = becomes(room, 'live')
  room.connect()
  await live
  await room.arrived()
  let arrived = false
  const typed = () => {
    arrived = false
    room.text.insert(0, 'x')
    return room.arrived().then(() => { arrived = true })
  }
  let waits = typed()
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(arrived, false)
  const saved = encoding.encode((encoder) => {
    encoding.writeVarUint(encoder, 110)
    encoding.writeVarUint8Array(encoder, new TextEncoder().encode('{"type":"saved","edits":9}'))
  })
  for (const socket of server.clients) socket.send(saved)
  await waits
  waits = typed()
  room.client.emit('access', [{ role: 'viewer', locked: false }])
  await waits
})

test('any other close is told, and mended without asking', async () => {
  const { api, server, joins } = await scene({})
  const room = await enter(api)
  let reached = becomes(room, 'live')
  room.connect()
  await reached
  const offline = becomes(room, 'offline')
  reached = becomes(room, 'live')
  for (const socket of server.clients) socket.close(1012)
  await Promise.all([offline, reached])
  assert.equal(joins(), 1)
})

test('people are listed once each, oneself first, and with colours that are colours', async () => {
  const { api } = await scene({})
  const room = await enter(api)
  const others = [[1, 'b', 'Bob', '#123456'], [2, 'b', 'Bob', '#123456'], [3, 'm', 'Mallory', 'red; position: fixed']]
  for (const [client, id, name, color] of others) say(room, client, { user: { id, name, color, colorLight: color } })
  say(room, 4, { user: { id: 'x', name: { not: 'text' } } })
  say(room, 5, {})
  const people = room.people()
  assert.deepEqual(people.map(({ name, self }) => [name, self]), [['Ada', true], ['Bob', false], ['Mallory', false]])
  assert.equal(people[1].color, '#123456')
  assert.match(people[2].color, /^#[0-9a-f]{6}$/)
  // Cursors are drawn from the states themselves.
  for (const { user } of room.awareness.getStates().values()) assert.doesNotMatch(JSON.stringify(user ?? null), /position/)
})

/** As if `client` had sent that about itself. */
function say (room, client, state, times = 1) {
  const awareness = new Awareness(Object.assign(new Y.Doc(), { clientID: client }))
  for (let i = 0; i < times; i += 1) awareness.setLocalState(state)
  applyAwarenessUpdate(room.awareness, encodeAwarenessUpdate(awareness, [client]), 'peer')
  awareness.destroy()
}
