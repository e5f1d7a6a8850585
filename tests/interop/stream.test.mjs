// Rooms where there are no WebSockets, in which our client library uses the event stream: what its
// user sees is the same.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { edgeUrl, nonce, person, sharedSession } from './support/edge.mjs'
import { LibraryClient } from './support/library.mjs'
import { GONE_MS_MAX } from './support/stock.mjs'
import { pause, until } from './support/wait.mjs'
import { wire } from './support/wire.mjs'

/** A stream lasts this long, and is then taken up by another. */
const STREAM_MS = 25_000
let ada, bob
const present = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => present.forEach((client) => client.leave()))

function enter (api, session, options) {
  const client = new LibraryClient(api, session.id, options)
  present.push(client)
  return client.live()
}

const contentOf = async (api, session) => (await api.call('GET', `/sessions/${session.id}/content`)).content

test('a join says that this edge has event streams', async () => {
  const { roomUrl, roomStreamUrl } = await ada.join((await sharedSession(ada)).id)
  assert.equal(roomUrl, null)
  assert.equal(typeof roomStreamUrl, 'string')
})

test('two clients that edit at once end with one text, which is stored', async () => {
  const session = await sharedSession(ada, { content: 'base' })
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  assert.equal(a.content, 'base')
  for (let i = 0; i < 50; i += 1) {
    a.text.insert(Math.floor(i / 2), 'a')
    b.text.insert(b.text.length - Math.floor(i / 3), 'b')
    if (i % 10 === 9) await pause(50)
  }
  await Promise.all([a.saved(), b.saved()])
  await until('both have the same', () => a.content === b.content && a.content.length === 104)
  assert.equal(await contentOf(ada, session), a.content)
})

test('cursors, names, typing and tabs are shown, and who leaves is gone', async () => {
  const session = await sharedSession(ada)
  const [one, two, b] = [await enter(ada, session), await enter(ada, session), await enter(bob, session)]
  await until('b sees one person with two tabs', () => b.person(ada)?.tabs === 2 && b.room.people().length === 2)
  one.room.say('cursor', { anchor: null, head: null, note: 'here' })
  await until('a cursor', () => b.sees(one)?.cursor?.note === 'here')
  assert.equal(b.sees(one).user.name, 'Ada')
  // Who types goes on: it is told for some seconds only.
  await until('typing', () => { two.text.insert(0, 'x'); return b.person(ada)?.typing })
  two.leave()
  await until('one tab is left', () => b.person(ada)?.tabs === 1, GONE_MS_MAX)
})

test('streams end and are taken up without anybody noticing', async () => {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  const words = []
  const end = Date.now() + STREAM_MS + 8_000
  while (Date.now() < end) {
    const word = nonce()
    words.push(word)
    a.text.insert(a.text.length, word)
    await b.shows(words.join(''))
    await pause(300)
  }
  assert.deepEqual([a.statuses, b.statuses], [['connecting', 'live'], ['connecting', 'live']])
  assert.ok(b.sees(a))
})

test('a network that is cut and mended loses nothing of either side', async () => {
  const session = await sharedSession(ada, { content: 'base' })
  const line = await wire(edgeUrl())
  try {
    const a = await enter(ada, session, { origin: line.origin })
    const b = await enter(bob, session)
    line.cut()
    await a.becomes('offline')
    a.text.insert(0, 'offline ')
    b.text.insert(b.text.length, ' online')
    line.mend()
    await a.live()
    await Promise.all([a.shows('offline base online'), b.shows('offline base online')])
    await a.saved()
  } finally {
    line.close()
  }
})

test('roles and the lock hold at once, and who is removed is told so', async () => {
  const session = await sharedSession(ada, { isPublic: false, content: 'base' })
  await ada.addParticipant(session.id, bob.user.username, 'viewer')
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  await until('the role', () => b.room.access?.role === 'viewer')
  await ada.changeRole(session.id, bob.user.id, 'editor')
  await until('the promotion', () => b.room.access.role === 'editor')
  b.text.insert(4, ' more')
  await a.shows('base more')
  await ada.updateSession(session.id, { isLocked: true })
  await until('the lock', () => b.room.access.locked)
  b.text.insert(0, 'not ')
  await until('it is refused', () => b.denials.length === 1)
  assert.equal(await contentOf(ada, session), 'base more')
  await ada.updateSession(session.id, { isLocked: false })
  await a.shows('not base more')
  await b.saved()
  await ada.removeParticipant(session.id, bob.user.id)
  await b.becomes('ended')
  assert.equal(b.last.code, 4403)
  await until('and is gone', () => a.sees(b) === undefined)
})

test('what is written over HTTP is seen in open rooms', async () => {
  const session = await sharedSession(ada, { content: 'before' })
  const a = await enter(ada, session)
  await ada.call('PUT', `/sessions/${session.id}/content`, { content: 'after' })
  await a.shows('after')
})

test('without a good token the stream says 4401 and nothing else', async () => {
  const session = await sharedSession(ada, { content: 'secret' })
  const { roomStreamUrl } = await ada.join(session.id)
  for (const headers of [{}, { authorization: 'Bearer x' }, { authorization: `Bearer ${ada.accessToken}` }]) {
    const response = await fetch(`${edgeUrl()}${roomStreamUrl}/${session.id}/events`, { headers })
    assert.match(response.headers.get('content-type'), /^text\/event-stream/)
    assert.match(await response.text(), /^event: close\nid: \ndata: 4401\n\n$/)
    const posted = await fetch(`${edgeUrl()}${roomStreamUrl}/${session.id}/frames?connection=1`, { method: 'POST', headers, body: new Uint8Array([1, 3]) })
    assert.equal(posted.status, 401)
  }
})

test('an edit is seen soon, though nobody is told that there is one', async (t) => {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  const times = []
  for (let i = 0; i < 60; i += 1) {
    const begun = performance.now()
    a.text.insert(a.text.length, '.')
    await until('it is seen', () => b.content.length === i + 1)
    times.push(performance.now() - begun)
    await pause(20 + 7 * (i % 10))
  }
  times.sort((x, y) => x - y)
  const at = (part) => Math.round(times[Math.floor(part * times.length)])
  t.diagnostic(`an edit is seen after ${at(0.5)} ms (p50), ${at(0.95)} ms (p95), ${Math.round(times.at(-1))} ms (max), n = ${times.length}`)
})
