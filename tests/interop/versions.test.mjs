// Versions and chat in a live room: what stock clients see of a restore, and what they are told.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { nonce, person, sharedSession } from './support/edge.mjs'
import { Client } from './support/stock.mjs'
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

const framed = (client, type) => client.frames.filter((frame) => frame.type === type)

test('a restored version is an edit: cursors and undo survive, and the room is told whose it is', async () => {
  const session = await sharedSession(ada, { content: 'one\ntwo\nthree\n' })
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  const { number } = await ada.takeVersion(session.id, { message: 'as it began' })
  await until('the room tells of it', () => framed(b, 'versionTaken').some(({ version }) => version.number === number))

  const undo = new Y.UndoManager(b.text)
  b.text.insert(0, 'ONE ')
  b.text.insert(b.text.length, 'four\n')
  const cursor = Y.createRelativePositionFromTypeIndex(b.text, b.text.toString().indexOf('two') + 1)
  await until('Ada has it', () => a.text.toString() === b.text.toString())

  const { before } = await ada.restoreVersion(session.id, number)
  assert.equal(before.kind, 'beforeRestore')
  for (const client of [a, b]) {
    await until('the text is back', () => client.text.toString() === 'one\ntwo\nthree\n')
    await until('it is told', () => framed(client, 'versionRestored').length === 1)
    const [told] = framed(client, 'versionRestored')
    assert.deepEqual([told.number, told.userId, told.displayName], [number, ada.user.id, 'Ada'])
  }
  assert.equal(Y.createAbsolutePositionFromRelativePosition(cursor, b.doc).index, 'one\nt'.length)

  // The undo of one's own edits goes on after it, and does not undo the restore.
  b.text.insert(0, 'zero\n')
  undo.undo()
  await until('undone', () => a.text.toString() === b.text.toString())
  assert.ok(b.text.toString().includes('two\nthree\n'), b.text.toString())

  const then = await ada.version(session.id, before.number)
  assert.equal(then.content, 'ONE one\ntwo\nthree\nfour\n')
})

test('a fork has the text of its version, and edits of it stay there', async () => {
  const session = await sharedSession(ada, { content: 'shared\n' })
  const a = await enter(ada, session)
  const forked = await bob.fork(session.id, { title: 'Mine' })
  const b = await enter(bob, forked)
  assert.equal(b.text.toString(), 'shared\n')
  b.text.insert(0, 'mine ')
  await until('stored', async () => (await bob.call('GET', `/sessions/${forked.id}/content`)).content === 'mine shared\n')
  assert.equal(a.text.toString(), 'shared\n')
})

test('a message reaches everybody who asked for our frames, and disturbs nobody else', async () => {
  const session = await sharedSession(ada)
  const [a, b, plain] = [await enter(ada, session), await enter(bob, session), await enter(bob, session, { frames: false })]
  const text = `<img src=x onerror=alert(1)> ${nonce()}`
  const sent = await bob.sendMessage(session.id, { text, key: nonce() })
  for (const client of [a, b]) {
    await until('the message', () => framed(client, 'chatMessage').length === 1)
    assert.deepEqual(framed(client, 'chatMessage')[0].message, sent)
  }
  await ada.deleteMessage(session.id, sent.seq)
  await until('it is deleted', () => framed(b, 'chatDeleted').some(({ seq }) => seq === sent.seq))
  assert.equal((await bob.messages(session.id)).items[0].text, '')

  plain.text.insert(0, 'still here')
  await until('the stock client goes on', () => a.text.toString() === 'still here')
  assert.deepEqual([plain.frames, plain.closeCodes], [[], []])
})
