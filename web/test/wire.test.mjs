// The conversation in docs/realtime.md, read and written by the client library. What the room makes
// of it is tested with the room: `edge/src/room/tests/worked.rs`.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { test } from 'node:test'
import * as encoding from 'lib0/encoding'
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate } from 'y-protocols/awareness'
import * as Y from 'yjs'
import { createEventParser } from '../client/src/events.js'
import * as frames from '../client/src/frames.js'

const document = await readFile(new URL('../../docs/realtime.md', import.meta.url), 'utf8')
const block = (kind) => document.split(`\`\`\`${kind}\n`)[1].split('```')[0].trimEnd().split('\n')

/** Two digits for a byte, or text in quotes; what follows three spaces is for people. */
const bytesOf = (written) => Uint8Array.from([...written.split('   ')[0].matchAll(/'([^']*)'|([0-9a-f]{2})/g)]
  .flatMap(([, text, byte]) => text === undefined ? [parseInt(byte, 16)] : [...new TextEncoder().encode(text)]))

const lines = block('wire').map((line) => {
  const [, from, to, written] = /^(\w+) → (\w+) {2}(.*)$/.exec(line)
  return { from, to, bytes: bytesOf(written), line }
})
const hex = (bytes) => Buffer.from(bytes).toString('hex')

test('every frame of the conversation is read whole, as what the document says it is', () => {
  const kinds = [['SyncStep1', 'syncStep1'], ['SyncStep2', 'syncStep2'], ['Update', 'update'], ['awareness', 'awareness'],
    ['query', 'queryAwareness'], ['permission', 'denied'], ['saved', 'app'], ['who you', 'app']]
  for (const { bytes, line } of lines) {
    const { kind } = frames.parse(bytes)
    assert.notEqual(kind, 'unknown', line)
    const said = line.split('   ')[1]
    const wanted = kinds.find(([word]) => said.startsWith(word))
    if (wanted !== undefined) assert.equal(kind, wanted[1], line)
  }
})

test('the library writes the same bytes for the same things', () => {
  for (const { bytes, line } of lines) {
    const message = frames.parse(bytes)
    const again = {
      syncStep1: () => frames.syncStep1(message.stateVector),
      syncStep2: () => frames.syncStep2(message.update),
      update: () => frames.update(message.update),
      awareness: () => frames.awareness(message.states)
    }[message.kind]
    if (again !== undefined) assert.equal(hex(again()), hex(bytes), line)
  }
})

test('Yjs makes the edits of the conversation, and a reader of it ends where its writer does', () => {
  const ada = new Y.Doc()
  ada.clientID = 1
  const made = []
  ada.on('update', (update) => made.push(hex(frames.update(update))))
  ada.getText('content').insert(0, 'hi')
  ada.getText('content').delete(0, 1)
  const by = (name) => lines.filter(({ from, bytes }) => from === name && frames.parse(bytes).kind === 'update')
  assert.deepEqual(by('Ada').map(({ bytes }) => hex(bytes)), made)
  const bob = new Y.Doc()
  for (const { bytes } of by('room')) Y.applyUpdate(bob, frames.parse(bytes).update)
  assert.equal(bob.getText('content').toString(), 'i')
  const asked = lines.filter(({ from, bytes }) => from === 'Ada' && frames.parse(bytes).kind === 'syncStep1').at(-1)
  assert.equal(hex(asked.bytes), hex(frames.syncStep1(Y.encodeStateVector(bob))))
})

test('y-protocols says of a client what the conversation says, and takes it back', () => {
  const ada = new Awareness(Object.assign(new Y.Doc(), { clientID: 1 }))
  const bob = new Awareness(new Y.Doc())
  ada.setLocalState({ typing: true })
  const said = lines.filter(({ bytes }) => frames.parse(bytes).kind === 'awareness')
  assert.equal(hex(frames.awareness(encodeAwarenessUpdate(ada, [1]))), hex(said.find(({ from }) => from === 'Ada').bytes))
  for (const { to, bytes } of said) {
    if (to !== 'Bob') continue
    const { states } = frames.parse(bytes)
    assert.deepEqual(frames.clientsOf(states), [1])
    applyAwarenessUpdate(bob, states, 'room')
  }
  assert.equal(bob.getStates().has(1), false)
  ada.destroy()
  bob.destroy()
})

test('a body of frames is written as the library writes it', () => {
  const body = encoding.encode((encoder) => {
    for (const frame of [frames.syncStep1(new Uint8Array([0])), new Uint8Array([3])]) encoding.writeVarUint8Array(encoder, frame)
  })
  assert.equal(hex(body), hex(bytesOf(block('body')[0])))
})

test('events are read however the stream is cut into pieces', () => {
  const stream = 'event: open\nid: 7.0\ndata: 7\n\nid: 7.3\n\nevent: frame\r\nid: 7.4\r\ndata: AAA=\r\n\r\n: a comment\n\nretry: 250\nevent: close\ndata: 4529\n\nretry: soon\nid: 7.5\n\n'
  const wanted = [
    { event: 'open', data: '7', id: '7.0', retryMs: 0 },
    { event: '', data: '', id: '7.3', retryMs: 0 },
    { event: 'frame', data: 'AAA=', id: '7.4', retryMs: 0 },
    { event: 'close', data: '4529', id: '', retryMs: 250 },
    { event: '', data: '', id: '7.5', retryMs: 0 }
  ]
  for (let size = 1; size <= stream.length; size += 1) {
    const parse = createEventParser()
    const events = []
    for (let at = 0; at < stream.length; at += size) events.push(...parse(stream.slice(at, at + size)))
    assert.deepEqual(events, wanted, `in pieces of ${size}`)
  }
})
