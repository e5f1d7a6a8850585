import assert from 'node:assert/strict'
import { test } from 'node:test'
import { said, size } from '../src/output-files.js'

test('what does not come back is said with its reason, and counted beyond what is named', () => {
  assert.equal(said([], 0), '')
  assert.equal(said([{ name: 'data.db', reason: 'type' }], 1), 'Not kept: data.db (a kind that does not come back).')
  const named = [{ name: 'a.png', reason: 'too_large' }, { name: '*', reason: 'from_the_future' }]
  assert.equal(said(named, 30), 'Not kept: a.png (too large), * (from_the_future), 28 more.')
})

test('a size has two or three digits and a unit', () => {
  const sizes = [0, 999, 1000, 12_345, 99_949, 99_950, 999_499, 999_500, 1_048_576]
  assert.deepEqual(sizes.map(size), ['0 B', '999 B', '1.0 KB', '12 KB', '100 KB', '100 KB', '999 KB', '1.0 MB', '1.0 MB'])
})
