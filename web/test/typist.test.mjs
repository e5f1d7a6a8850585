// What is typed on its way to the edge, which answers on command.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ApiError } from '../src/api.js'
import { Typist } from '../src/typist.js'

const text = (text) => ({ type: 'text', text })

/** An edge that answers when it is told to. */
function scene () {
  const requests = []
  const events = []
  const api = {
    giveInput: (id, inputs) => new Promise((resolve, reject) => {
      requests.push({ inputs, answer: () => resolve({ inputs: 0 }), refuse: (code) => reject(new ApiError({ status: 400, code })) })
    })
  }
  const typist = new Typist({
    api, executionId: 'e', onEnded: () => events.push('ended'), onRefused: ({ code }) => events.push(code)
  })
  return { typist, requests, events }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('one request is on its way at a time, and what is typed meanwhile goes with the next', async () => {
  const { typist, requests } = scene()
  for (const letter of 'abc') typist.do(text(letter))
  typist.do({ type: 'signal', signal: 'SIGINT' })
  typist.do(text('d'))
  assert.deepEqual(requests.map(({ inputs }) => inputs), [[text('a')]])
  requests[0].answer()
  await turn()
  assert.deepEqual(requests[1].inputs, [text('bc'), { type: 'signal', signal: 'SIGINT' }, text('d')])
  requests[1].answer()
  await turn()
  assert.equal(requests.length, 2)
})

test('a long text goes in parts, none of which breaks a character', async () => {
  const { typist, requests } = scene()
  const long = 'a' + '🦀'.repeat(5_000)
  typist.do(text(long))
  let sent = ''
  for (let i = 0; i < requests.length; i += 1) {
    const part = requests[i].inputs.map(({ text }) => text).join('')
    assert.ok(Buffer.byteLength(part) <= 16 * 1024)
    assert.ok(!part.includes('\ufffd') && part.isWellFormed?.() !== false)
    sent += part
    requests[i].answer()
    await turn()
  }
  assert.equal(sent, long)
})

test('what comes too fast is kept in its order and sent again', async () => {
  const { typist, requests, events } = scene()
  typist.do(text('a'))
  requests[0].refuse('too_much_input')
  typist.do(text('b'))
  while (requests.length < 2) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(requests[1].inputs.map(({ text }) => text).join(''), 'ab')
  assert.deepEqual(events, [])
})

test('of many sizes the last one counts', async () => {
  const { typist, requests } = scene()
  typist.do(text('a'))
  for (const columns of [80, 81, 82]) typist.do({ type: 'resize', columns, rows: 24 })
  requests[0].answer()
  await turn()
  assert.deepEqual(requests[1].inputs, [{ type: 'resize', columns: 82, rows: 24 }])
})

test('after the program’s end nothing is sent, and a refusal is told', async () => {
  const { typist, requests, events } = scene()
  typist.do(text('a'))
  requests[0].refuse('forbidden')
  await turn()
  typist.do(text('b'))
  requests[1].refuse('execution_finished')
  await turn()
  typist.do(text('c'))
  assert.equal(requests.length, 2)
  assert.deepEqual(events, ['forbidden', 'ended'])
})
