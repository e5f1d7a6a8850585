// The history, as the client library reads and plays it: the text of every moment, whichever way one
// goes there, and however it comes in pages.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HistoryPlayer, HistoryReader, applyStep } from '../client/src/index.js'
import { momentWords, piecesOf } from '../src/playback.js'

const main = (...splices) => ({ path: null, change: 'changed', splices: splices.map(([at, removed, inserted]) => ({ at, removed, inserted })) })
const file = (path, change, ...splices) => ({ ...main(...splices), path, change })
const step = (number, ...files) => ({ number, at: new Date(number * 1_000).toISOString(), userIds: [number % 2 === 0 ? 'bob' : 'ada'], files })
const NAMES = [{ userId: 'ada', displayName: 'Ada' }]

/** An edge that has these steps, and answers with at most `most` at a time. */
function edge (steps, { most = Infinity, start = { content: '', files: [] } } = {}) {
  const texts = [start]
  for (const step of steps) texts.push(applyStep(texts.at(-1), step))
  const first = steps[0]?.number ?? 1
  const asked = []
  const read = async ({ from: wanted, limit }) => {
    asked.push(wanted)
    const last = first + steps.length - 1
    const from = Math.min(Math.max(wanted, first), last + 1)
    const here = steps.slice(from - first, from - first + Math.min(limit, most))
    const end = from + here.length
    return { first, last, from, start: texts[from - first], steps: here, people: NAMES, next: end <= last ? end : null }
  }
  return { read, texts, asked, first }
}

/** Edits by chance, the same each time. */
function edits (count) {
  let luck = 7
  const below = (n) => (luck = (luck * 48_271) % 2_147_483_647) % n
  let text = ''
  return Array.from({ length: count }, (_, n) => {
    const at = below(text.length + 1)
    const removed = below(5) === 0 ? below(text.length - at + 1) : 0
    const inserted = 'x'.repeat(below(3)) + String(n)
    text = text.slice(0, at) + inserted + text.slice(at + removed)
    return step(n + 11, main([at, removed, inserted]))
  })
}

test('a step changes, adds and removes files, and leaves what it was given', () => {
  const text = { content: 'one 😀 two', files: [{ path: 'b', content: 'b' }] }
  const next = applyStep(text, step(1, main([0, 3, '1'], [7, 3, '2']), file('a/é', 'added', [0, 0, 'new']), file('b', 'removed')))
  assert.deepEqual(next, { content: '1 😀 2', files: [{ path: 'a/é', content: 'new' }] })
  assert.equal(text.content, 'one 😀 two')
  assert.deepEqual(applyStep(next, step(2, file('a/é', 'changed', [3, 0, '!']))).files, [{ path: 'a/é', content: 'new!' }])
  assert.throws(() => applyStep(next, step(3, main([99, 1, '']))), RangeError)
})

test('every moment is what it was, forwards, backwards and by leaps, however short the pages are', async () => {
  const steps = edits(700)
  for (const most of [3, 64, Infinity]) {
    const { read, texts, first } = edge(steps, { most })
    const history = await new HistoryReader({ read }).open()
    assert.deepEqual([history.first, history.last, history.start], [11, 710, 10])
    const order = steps.map(({ number }) => number)
    const leaps = order.map((_, n) => order[(n * 397) % order.length])
    for (const number of [...order, ...order.toReversed(), ...leaps, history.start]) {
      const moment = await history.at(number)
      assert.equal(moment.text.content, texts[number - first + 1].content, `moment ${number} of pages of ${most}`)
      assert.equal(moment.step?.number ?? history.start, number)
    }
  }
})

test('a moment says who and when, also of somebody whose account is gone', async () => {
  const history = new HistoryReader({ read: edge(edits(4)).read })
  const [first, second] = [await history.at(11), await history.at(12)]
  assert.deepEqual(first.people, [{ userId: 'ada', displayName: 'Ada' }])
  assert.deepEqual(second.people, [{ userId: 'bob', displayName: null }])
  assert.equal(second.step.at, new Date(12_000).toISOString())
})

test('what has come since is found, and the step that has grown is read again', async () => {
  const steps = edits(3)
  let now = edge(steps.slice(0, 2))
  const history = await new HistoryReader({ read: (query) => now.read(query) }).open()
  await history.at(12)
  const grown = step(12, main([0, 0, 'grown ']))
  now = edge([steps[0], grown, step(13, main([0, 0, 'more ']))])
  await history.open()
  assert.equal(history.last, 13)
  assert.ok((await history.at(12)).text.content.startsWith('grown '))
  assert.ok((await history.at(13)).text.content.startsWith('more grown '))
})

test('a history without steps is one moment', async () => {
  const { read } = edge([], { start: { content: '', files: [] } })
  const history = await new HistoryReader({ read }).open()
  const moment = await history.at(5)
  assert.deepEqual([moment.number, moment.step, moment.text.content], [0, null, ''])
})

test('it plays to the end, stops, and begins anew', async () => {
  const { read, texts } = edge(edits(5))
  const history = await new HistoryReader({ read }).open()
  const player = new HistoryPlayer({ history, stepsPerSecond: 500 })
  const seen = []
  player.on('moment', ({ number, text }) => seen.push([number, text.content]))
  for (const _ of [1, 2]) {
    const ended = new Promise((resolve) => player.on('playing', (playing) => { if (!playing) resolve() }))
    await player.play()
    await ended
    assert.deepEqual(seen.splice(0), texts.map(({ content }, n) => [10 + n, content]))
  }
  player.destroy()
})

test('of several moments that are asked for at once, the last is shown', async () => {
  const { read } = edge(edits(600), { most: 50 })
  const waiting = []
  const slow = (query) => new Promise((resolve) => waiting.push(() => resolve(read(query))))
  const answer = async () => { while (waiting.length > 0) { waiting.pop()(); await new Promise(setImmediate) } }
  const player = new HistoryPlayer({ history: new HistoryReader({ read: slow }) })
  const seen = []
  player.on('moment', ({ number }) => seen.push(number))
  const opened = player.seek(11)
  await answer()
  await opened
  const both = [player.seek(500), player.seek(300)]
  await answer()
  await Promise.all(both)
  assert.deepEqual(seen, [11, 300])
})

test('a page that cannot be read makes it stand still and say so', async () => {
  const { read } = edge(edits(500))
  let broken = false
  const player = new HistoryPlayer({
    history: new HistoryReader({ read: async (query) => { if (broken) throw new Error('offline'); return read(query) } }),
    stepsPerSecond: 500
  })
  await player.seek(209)
  broken = true
  const failed = new Promise((resolve) => player.once('error', resolve))
  await player.play()
  assert.equal((await failed).message, 'offline')
  assert.deepEqual([player.playing, player.moment.number], [false, 210])
  broken = false
  await player.move(1)
  assert.equal(player.moment.number, 211)
})

test('what a step has put there is marked, and where it has only removed, the place', () => {
  const pieces = piecesOf('1 😀 2', [{ at: 0, removed: 3, inserted: '1' }, { at: 7, removed: 3, inserted: '2' }])
  assert.deepEqual(pieces, [{ text: '1', marked: true }, { text: ' 😀 ', marked: false }, { text: '2', marked: true }])
  assert.deepEqual(piecesOf('ab', [{ at: 1, removed: 5, inserted: '' }]), [
    { text: 'a', marked: false }, { text: '', marked: true }, { text: 'b', marked: false }
  ])
  assert.deepEqual(piecesOf('ab', []), [{ text: 'ab', marked: false }])
})

test('a moment is named by its place, its people and its time', () => {
  const history = { start: 10, last: 14 }
  const words = (number, step, people = []) => momentWords({ number, step, people, text: { content: '', files: [] } }, history)
  assert.equal(words(10, null), 'Step 0 of 4 · before the first edit that is kept')
  assert.equal(words(12, null), 'Step 2 of 4 · cannot be read any more')
  assert.match(words(11, step(11)), /^Step 1 of 4 · the session began with this · /)
  const two = [{ userId: 'ada', displayName: 'Ada' }, { userId: 'x', displayName: null }]
  assert.match(words(14, step(14), two), /^Step 4 of 4 · Ada and somebody who has left · /)
})
