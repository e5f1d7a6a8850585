// Who is here, where their cursor is, and that nobody can claim to be somebody else.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { person, sharedSession } from './support/edge.mjs'
import { Client, GONE_MS_MAX } from './support/stock.mjs'
import { until } from './support/wait.mjs'

let ada, bob
const present = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => present.forEach((client) => client.leave()))

async function enter (api, session, options) {
  const client = await Client.join(api, session.id, options)
  present.push(client)
  return client.synced()
}

test('each client sees the other’s cursor, and sees it move', async () => {
  const session = await sharedSession(ada, { content: 'hello world' })
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  for (const index of [5, 11]) {
    const position = Y.createRelativePositionFromTypeIndex(a.text, index)
    a.awareness.setLocalStateField('cursor', { anchor: position, head: position })
    await until(`a cursor at ${index}`, () => {
      const head = b.sees(a)?.cursor?.head
      return head && Y.createAbsolutePositionFromRelativePosition(head, b.doc)?.index === index
    })
  }
})

test('who comes later sees who is already here', async () => {
  const session = await sharedSession(ada)
  const a = await enter(ada, session)
  a.awareness.setLocalStateField('cursor', { anchor: null, head: null, note: 'early' })
  await a.decided(await enter(ada, session))
  const b = await enter(bob, session)
  await until('the state of the first', () => b.sees(a)?.cursor?.note === 'early')
})

test('a client’s name and id are what its token says, not what it says', async () => {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  b.awareness.setLocalStateField('user', { id: ada.user.id, name: 'Ada', role: 'owner', color: '#123456' })
  await b.decided(a)
  const { user } = a.sees(b)
  assert.equal(user.id, bob.user.id)
  assert.equal(user.name, 'Bob')
  assert.notEqual(user.role, 'owner')
})

test('a client cannot speak for another client', async () => {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  a.awareness.setLocalStateField('note', 'mine')
  await a.decided(b)
  // Bob's provider sends a newer state, and an end, in the name of Ada's client.
  const clock = b.awareness.meta.get(a.doc.clientID).clock
  const witness = await enter(ada, session)
  await until('the witness sees the original', () => witness.sees(a)?.note === 'mine')
  for (const state of [{ note: 'stolen' }, null]) {
    b.awareness.states.set(a.doc.clientID, state)
    b.awareness.meta.set(a.doc.clientID, { clock: clock + 5, lastUpdated: Date.now() })
    b.awareness.emit('update', [{ added: [], updated: [a.doc.clientID], removed: [] }, 'local'])
    await b.decided(witness)
    assert.equal(witness.sees(a)?.note, 'mine')
  }
})

test('a client that leaves in good order is gone for the others', async () => {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  await until('they see each other', () => a.sees(b) && b.sees(a))
  b.leave()
  await until('the state is removed', () => a.sees(b) === undefined, GONE_MS_MAX)
})

test('a client whose socket breaks is gone for the others, without a farewell', async () => {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  await until('they see each other', () => a.sees(b) && b.sees(a))
  b.vanish()
  await until('the state is removed', () => a.sees(b) === undefined, GONE_MS_MAX)
})
