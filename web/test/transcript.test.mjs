import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Transcript } from '../src/transcript.js'

const text = (transcript) => transcript.blocks.map((block) => block.text).join('')

test('short writes to one stream share a block, and streams stay apart', () => {
  const transcript = Transcript.EMPTY.append('stdout', 'a').append('stdout', 'b').append('stderr', 'c').append('stdout', 'd')
  assert.deepEqual(transcript.blocks.map(({ stream, text }) => [stream, text]), [['stdout', 'ab'], ['stderr', 'c'], ['stdout', 'd']])
})

test('appending leaves the former value and its full blocks as they were', () => {
  const before = Transcript.EMPTY.append('stdout', 'x'.repeat(5_000))
  const after = before.append('stdout', 'y')
  assert.equal(text(before).length, 5_000)
  assert.equal(after.blocks[0], before.blocks[0])
  assert.notEqual(after.blocks[1], before.blocks[1])
  assert.equal(after.blocks[1].id, before.blocks[1].id)
})

test('of ten megabytes the beginning and the end are kept, in few blocks', () => {
  let transcript = Transcript.EMPTY
  const line = `${'z'.repeat(999)}\n`
  transcript = transcript.append('stdout', 'first\n')
  for (let i = 0; i < 10_000; i += 1) transcript = transcript.append('stdout', line)
  transcript = transcript.append('stdout', 'last\n')
  assert.ok(transcript.isClipped)
  assert.ok(text(transcript).length < 140_000)
  assert.ok(transcript.blocks.length < 50)
  assert.match(text(transcript), /^first\n/)
  assert.match(text(transcript), /last\n$/)
  const kept = transcript.blocks.filter(({ stream }) => stream !== 'gap').reduce((sum, block) => sum + block.text.length, 0)
  assert.equal(kept + transcript.dropped, 6 + 10_000_000 + 5)
})

test('one write of ten megabytes is as good as many', () => {
  const transcript = Transcript.EMPTY.append('stdout', `first${'z'.repeat(10_000_000)}last`)
  assert.ok(text(transcript).length < 140_000)
  assert.match(text(transcript), /^first.*last$/s)
})

test('streams that take turns cannot make elements without end', () => {
  let transcript = Transcript.EMPTY
  for (let i = 0; i < 20_000; i += 1) transcript = transcript.append(i % 2 === 0 ? 'stdout' : 'stderr', 'x')
  assert.ok(transcript.blocks.length <= 4_001)
})

test('a character is never cut in half', () => {
  const transcript = Transcript.EMPTY.append('stdout', 'a' + '😀'.repeat(200_000))
  for (const { text } of transcript.blocks) assert.ok(text.isWellFormed?.() ?? !/[\ud800-\udbff]$/.test(text))
})
