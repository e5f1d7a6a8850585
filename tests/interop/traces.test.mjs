// What people have really typed ends in a room as it ended when it was recorded. It is replayed far
// faster than anybody may send, so rooms close the sockets again and again; the stock provider
// connects anew and offers what is left, and nothing may be lost by that.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { readTrace } from '../traces/trace.mjs'
import { person, sharedSession } from './support/edge.mjs'
import { Client, roomContent } from './support/stock.mjs'
import { pause } from './support/wait.mjs'

const TOO_FAST = 4529
const LIMIT_MS = 300_000
/** Edits between two looks at the network: what a client types while nothing arrives. */
const AT_ONCE = 50

let ada, bob
const present = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => present.forEach((client) => client.leave()))

async function enter (api, session) {
  const client = await Client.join(api, session.id)
  present.push(client)
  return client.synced()
}

function splice (text, splices) {
  for (const [position, removed, inserted] of splices) {
    if (removed > 0) text.delete(position, removed)
    if (inserted !== '') text.insert(position, inserted)
  }
}

test('a source file that one person has written', { timeout: 2 * LIMIT_MS }, async () => {
  const { edits, end } = readTrace('rustcode')
  const session = await sharedSession(ada)
  const [writer, reader] = [await enter(ada, session), await enter(bob, session)]
  for (const [number, { splices }] of edits.entries()) {
    writer.doc.transact(() => splice(writer.text, splices))
    if (number % AT_ONCE === 0) await pause(0)
  }
  assert.equal(writer.content, end)
  await reader.shows(end, LIMIT_MS)
  assert.equal(await roomContent(bob, session.id), end)
  // None of it is final for a provider.
  assert.deepEqual(writer.closeCodes.filter((code) => code !== TOO_FAST), [])
})

test('a text that two people have written at the same time', { timeout: 2 * LIMIT_MS }, async () => {
  const { edits, end } = readTrace('friendsforever')
  const session = await sharedSession(ada)
  const clients = [await enter(ada, session), await enter(bob, session)]
  // Each author's own document knows exactly what they knew. What it says goes to their client,
  // which knows whatever has come from the room.
  const authors = clients.map((client, index) => {
    const doc = new Y.Doc()
    // As it was recorded: where both wrote at the same place, the first has the lower id.
    doc.clientID = 5_000 + index
    const said = []
    doc.on('update', (update, origin) => {
      if (origin === 'other') return
      said.push(update)
      Y.applyUpdate(client.doc, update)
    })
    return { doc, said, heard: 0, made: 0 }
  })
  const numbers = []
  for (const [index, { author, parents, splices }] of edits.entries()) {
    const [me, other] = [authors[author], authors[1 - author]]
    for (const parent of parents) {
      if (edits[parent].author === author) continue
      for (; me.heard < numbers[parent]; me.heard += 1) {
        Y.applyUpdate(me.doc, other.said[me.heard], 'other')
        // The room may be behind; a client never sends what goes on from something it has not.
        Y.applyUpdate(clients[author].doc, other.said[me.heard])
      }
    }
    me.doc.transact(() => splice(me.doc.getText('content'), splices))
    numbers[index] = me.said.length
    if (index % AT_ONCE === 0) await pause(0)
  }
  await Promise.all(clients.map((client) => client.shows(end, LIMIT_MS)))
  assert.equal(await roomContent(ada, session.id), end)
})
