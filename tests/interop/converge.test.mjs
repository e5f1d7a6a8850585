// Stock clients end with the same text, whatever happens in between.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { person, sharedSession } from './support/edge.mjs'
import { Client, GONE_MS_MAX, roomContent } from './support/stock.mjs'
import { pause, until } from './support/wait.mjs'

let ada, bob
const present = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => present.forEach((client) => client.leave()))

async function enter (api, session, options) {
  const client = await Client.join(api, session.id, options)
  present.push(client)
  return client
}

/** Types `text` at the end, a letter at a time, as fast as a quick typist whose keys are never idle. */
async function type (client, text) {
  for (const letter of text) {
    client.text.insert(client.text.length, letter)
    await pause(2)
  }
}

async function agree (clients, length) {
  await until('all clients have all letters', () => clients.every((client) => client.content.length === length))
  for (const client of clients) assert.equal(client.content, clients[0].content)
}

for (const [first, second] of [['3.1', '3.1'], ['3.0', '3.1'], ['3.0', '3.0']]) {
  test(`y-websocket ${first} and ${second} converge when both type at once`, async () => {
    const session = await sharedSession(ada)
    const [a, b] = await Promise.all([enter(ada, session, { version: first }), enter(bob, session, { version: second })])
    await Promise.all([a.synced(), b.synced()])
    await Promise.all([type(a, 'a'.repeat(200)), type(b, 'b'.repeat(200))])
    await agree([a, b], 400)
    assert.equal(await roomContent(ada, session.id), a.content)
  })
}

test('text beyond the basic plane, deletions and replacements arrive whole', async () => {
  const session = await sharedSession(ada)
  const [a, b] = await Promise.all([enter(ada, session), enter(bob, session)])
  await Promise.all([a.synced(), b.synced()])
  a.text.insert(0, 'naïve 😀 日本語 e\u0301 end')
  await b.shows(a.content)
  b.doc.transact(() => {
    b.text.delete(0, 6)
    b.text.insert(0, '👩‍👩‍👧 ')
  })
  await a.shows('👩‍👩‍👧 😀 日本語 e\u0301 end')
})

test('further files live beside the main one', async () => {
  const session = await sharedSession(ada)
  const [a, b] = await Promise.all([enter(ada, session), enter(bob, session)])
  await Promise.all([a.synced(), b.synced()])
  a.doc.getMap('files').set('lib/util.py', new Y.Text('x = 1\n'))
  const file = await until('the file arrives', () => b.doc.getMap('files').get('lib/util.py'))
  file.insert(0, '# shared\n')
  await until('its edit arrives', () => a.doc.getMap('files').get('lib/util.py').toString() === '# shared\nx = 1\n')
})

test('edits made offline by both sides are merged when one connects again', async () => {
  const session = await sharedSession(ada)
  const [a, b] = await Promise.all([enter(ada, session), enter(bob, session)])
  await Promise.all([a.synced(), b.synced()])
  a.text.insert(0, 'start ')
  await b.shows('start ')

  a.provider.disconnect()
  await type(a, 'from-the-train')
  await type(b, 'from-the-office')
  a.provider.connect()

  await agree([a, b], 'start from-the-trainfrom-the-office'.length)
  assert.match(a.content, /^start (from-the-trainfrom-the-office|from-the-officefrom-the-train)$/)
})

test('a document written before the first connection reaches the room', async () => {
  const session = await sharedSession(ada)
  const doc = new Y.Doc()
  doc.getText('content').insert(0, 'written on the way')
  const a = await enter(ada, session, { doc })
  await a.synced()
  const b = await enter(bob, session)
  await b.shows('written on the way')
})

test('what is typed during the handshake is not lost', async () => {
  const session = await sharedSession(ada)
  const b = await (await enter(bob, session)).synced()
  b.text.insert(0, '#')
  // From before the socket opens until well after the first sync, without a pause.
  const a = await enter(ada, session)
  let typed = 0
  const press = () => { a.text.insert(a.text.length, 'x'); typed += 1 }
  press()
  while (!a.provider.synced) {
    press()
    // A handshake that takes long is not made shorter by more frames than a room takes.
    await pause(typed < 300 ? 0 : 10)
  }
  for (let i = 0; i < 20; i += 1) press()
  await agree([a, b], typed + 1)
  assert.deepEqual(a.closeCodes, [])
})

test('two tabs of one user are two clients of one document', async () => {
  const session = await sharedSession(ada)
  const [left, right] = await Promise.all([enter(ada, session), enter(ada, session)])
  await Promise.all([left.synced(), right.synced()])
  left.text.insert(0, 'left ')
  await right.shows('left ')
  right.text.insert(5, 'right')
  await left.shows('left right')
  await until('each tab sees the other', () => left.sees(right) && right.sees(left))

  left.leave()
  await until('the tab that closed is gone', () => right.sees(left) === undefined, GONE_MS_MAX)
  right.text.insert(0, 'still ')
  await (await enter(bob, session)).shows('still left right')
  assert.deepEqual(right.closeCodes, [])
})

test('a lone client that only looks keeps its connection', async () => {
  const session = await sharedSession(ada)
  const a = await (await enter(ada, session)).synced()
  // The provider gives a connection up when it has heard nothing for 30 s; it looks every 3 s.
  await pause(36_000)
  assert.deepEqual(a.statuses, ['connecting', 'connected'])
})
