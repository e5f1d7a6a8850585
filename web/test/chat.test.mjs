import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ChatLog, Seen, typingWords } from '../src/chat-panel.js'

const message = (seq, userId = 'ada') => ({ seq, sentAt: '2026-11-20T12:00:00.000Z', userId, displayName: userId, text: `message ${seq}`, deleted: false })
const seqs = (log) => log.messages.map(({ seq }) => seq)

test('messages are there once and in order, however they come', () => {
  const log = new ChatLog()
  log.take([3, 4].map((seq) => message(seq)), true)
  log.take([message(5)], log.more)
  log.take([message(5)], log.more)
  assert.deepEqual([seqs(log), log.more], [[3, 4, 5], true])
  log.take([1, 2].map((seq) => message(seq)), false)
  assert.deepEqual([seqs(log), log.more], [[1, 2, 3, 4, 5], false])
})

test('a gap is noticed, and what lies before it is not shown as if nothing were missing', () => {
  const log = new ChatLog()
  log.take([1, 2].map((seq) => message(seq)), false)
  assert.ok(!log.misses(message(3)) && log.misses(message(4)))
  log.take([50, 51].map((seq) => message(seq)), true)
  assert.deepEqual([seqs(log), log.more], [[50, 51], true])
})

test('what is deleted stays deleted, whatever comes late', () => {
  const log = new ChatLog()
  log.take([message(1)], false)
  log.erase(1)
  log.take([message(1)], false)
  assert.deepEqual([log.messages[0].text, log.messages[0].deleted], ['', true])
})

test('unread are those of others behind the last that was seen', () => {
  const log = new ChatLog()
  log.take([message(1, 'bob'), message(2, 'ada'), message(3, 'bob'), message(4, 'bob')], false)
  assert.equal(log.unread(0, 'ada'), 3)
  assert.equal(log.unread(3, 'ada'), 1)
  log.erase(4)
  assert.equal(log.unread(3, 'ada'), 0)
})

test('what was seen is remembered by session and never goes back', () => {
  const items = new Map()
  const storage = { getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value) }
  const seen = new Seen(storage)
  seen.set('one', 4)
  seen.set('one', 2)
  assert.deepEqual([seen.get('one'), seen.get('two')], [4, 0])
  storage.setItem = () => { throw new Error('full') }
  seen.set('one', 9)
  assert.equal(seen.get('one'), 4)
})

test('who types is told in words', () => {
  assert.deepEqual([[], ['Ada'], ['Ada', 'Bob'], ['Ada', 'Bob', 'Eve'], ['a', 'b', 'c', 'd']].map(typingWords),
    ['', 'Ada is typing…', 'Ada and Bob are typing…', 'Ada, Bob and Eve are typing…', 'Several people are typing…'])
})
