// The client library's pure parts: when to try again, the life of a connection, what is stored, and
// who is here.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { backoffMs, retryMsOf, retryMsOfReason } from '../client/src/backoff.js'
import { begin, dueAt, passOf, statusOf, step } from '../client/src/connection.js'
import { peopleOf } from '../client/src/people.js'
import * as saving from '../client/src/saved.js'

const T0 = 1_800_000_000_000
const HOUR = 3_600_000

/** A connection and a clock that is turned by hand; `did` is what the last event asked for. */
function world ({ pass = null, random = 0.5 } = {}) {
  const self = {
    now: T0,
    state: begin(pass),
    did: [],
    give (event) {
      const [state, effects] = step(self.state, event, { now: self.now, random })
      self.state = state
      self.did = effects.map((effect) => effect.do)
      return self
    },
    /** As the other side of the present attempt. */
    told: (type, rest = {}) => self.give({ type, n: self.state.n, ...rest }),
    /** Lets time pass up to when the connection wanted to be woken. */
    due () {
      self.now = dueAt(self.state)
      return self.give({ type: 'tick' })
    },
    live: () => self.give({ type: 'connect' }).told('synced'),
    status: () => statusOf(self.state)
  }
  return self
}

const pass = (token, life = 12 * HOUR) => passOf(token, T0 + life, { now: T0, random: 0.5 })

test('delays grow, are spread by chance, and stay below their cap', () => {
  const spans = [1, 2, 3, 10, 1e6].map((failures) => [backoffMs(failures, 0), backoffMs(failures, 0.999999)])
  for (const [shortest, longest] of spans) {
    assert.equal(shortest, 100)
    assert.ok(longest <= 20_100)
  }
  assert.deepEqual(spans.map(([, longest]) => longest), [599, 1099, 2099, 20_099, 20_099])
  assert.ok(backoffMs(1, 0, true) >= 1_000, 'a room that asks for patience gets it')
})

test('without a pass it joins first, and with one it does not', () => {
  const without = world().give({ type: 'connect' })
  assert.deepEqual(without.did, ['join'])
  assert.deepEqual(without.told('joined', { pass: pass('a') }).did, ['open'])
  assert.equal(without.status(), 'connecting')
  assert.equal(without.told('synced').status(), 'live')
  assert.deepEqual(world({ pass: pass('a') }).give({ type: 'connect' }).did, ['open'])
})

test('a pass that has ended, or is about to, is replaced before it is tried', () => {
  const w = world({ pass: pass('old', HOUR) })
  w.now += HOUR - 1_000
  assert.deepEqual(w.give({ type: 'connect' }).did, ['join'])
})

test('a refused pass is replaced once; when the new one is refused too, it is over', () => {
  const w = world({ pass: pass('a') }).live()
  assert.deepEqual(w.told('closed', { code: 4401 }).did, ['join'])
  assert.deepEqual(w.told('joined', { pass: pass('b') }).did, ['open'])
  w.told('closed', { code: 4401 })
  assert.deepEqual([w.status(), w.state.code, w.did], ['ended', 4401, []])
})

test('a pass that worked may be refused again later', () => {
  const w = world({ pass: pass('a') }).live()
  for (const token of ['b', 'c', 'd']) {
    assert.deepEqual(w.told('closed', { code: 4401 }).did, ['join'])
    w.told('joined', { pass: pass(token) }).told('synced')
    assert.equal(w.status(), 'live')
  }
})

test('codes from 4400 to 4499 end it, all others are mended', () => {
  for (const code of [4400, 4403, 4404, 4409, 4413, 4499]) {
    const w = world({ pass: pass('a') }).live().told('closed', { code })
    assert.deepEqual([w.status(), w.state.code, dueAt(w.state)], ['ended', code, null])
  }
  for (const code of [1000, 1001, 1006, 1012, 4503, 4529, 4000]) {
    const w = world({ pass: pass('a') }).live().told('closed', { code })
    assert.equal(w.status(), 'offline')
    assert.deepEqual(w.due().did, ['open'])
  }
})

test('failures are counted until a connection has lasted, not merely until one opens', () => {
  const w = world({ pass: pass('a') }).live()
  const delays = []
  for (let i = 0; i < 6; i += 1) {
    w.told('closed', { code: 1006 })
    delays.push(dueAt(w.state) - w.now)
    w.due().told('synced')
  }
  assert.deepEqual(delays, [...delays].sort((a, b) => a - b))
  assert.ok(delays[5] > 10 * delays[0])
  w.now += 60_000
  w.told('closed', { code: 1006 })
  assert.equal(dueAt(w.state) - w.now, delays[0])
})

test('a silent room is asked for a sign of life, and given up without one', () => {
  const w = world({ pass: pass('a') }).live()
  assert.deepEqual(w.due().did, ['ping'])
  w.told('heard')
  assert.equal(w.status(), 'live')
  assert.deepEqual(w.due().did, ['ping'])
  assert.deepEqual(w.due().did, ['close'])
  assert.equal(w.status(), 'offline')
})

test('after sleep, or on another network, a connection is doubted at once', () => {
  const slept = world({ pass: pass('a') }).live()
  slept.now += 8 * HOUR
  assert.deepEqual(slept.give({ type: 'tick' }).did, ['ping'])
  assert.ok(dueAt(slept.state) - slept.now <= 5_000)
  const moved = world({ pass: pass('a') }).live().give({ type: 'wake' })
  assert.deepEqual(moved.did, ['ping'])
  moved.now += 3_000
  assert.deepEqual(moved.give({ type: 'wake' }).did, [], 'but not over and over')
  assert.deepEqual(moved.due().did, ['close'])
})

test('whoever waits goes at once when the network is back', () => {
  const w = world({ pass: pass('a') }).live().told('closed', { code: 1006 })
  assert.deepEqual(w.give({ type: 'wake' }).did, ['open'])
})

test('a pass is renewed before it ends, and its connection replaced without being offline', () => {
  const w = world({ pass: pass('a', HOUR) }).live()
  while (!w.did.includes('renew')) {
    w.due()
    if (w.did.includes('ping')) w.told('heard')
  }
  assert.ok(w.now - T0 > 0.6 * HOUR && w.now - T0 < 0.95 * HOUR)
  w.told('renewed', { pass: pass('b', 2 * HOUR) })
  assert.deepEqual(w.did, ['close', 'open'])
  assert.equal(w.status(), 'live')
  w.told('synced')
  assert.equal(w.status(), 'live')
})

test('renewing that fails is tried again, and costs no connection', () => {
  const w = world({ pass: pass('a', HOUR) }).live()
  w.now += HOUR * 0.81
  assert.deepEqual(w.told('heard').give({ type: 'tick' }).did, ['renew', 'ping'])
  w.told('renewFailed')
  assert.equal(w.status(), 'live')
  assert.ok(w.state.pass.renewAt > w.now)
})

test('joining that is refused is final, joining that fails is not', () => {
  const error = new Error('gone')
  const refused = world().give({ type: 'connect' }).told('joinFailed', { final: true, error })
  assert.deepEqual([refused.status(), refused.state.error], ['ended', error])
  const failed = world().give({ type: 'connect' }).told('joinFailed', { final: false, error })
  assert.equal(failed.status(), 'offline')
  assert.deepEqual(failed.due().did, ['join'])
  const hung = world().give({ type: 'connect' }).due()
  assert.equal(hung.status(), 'offline')
})

test('who joins too often comes back when the edge has said, and not before', () => {
  const told = { final: false, error: null, retryMs: 60_000 }
  const w = world().give({ type: 'connect' }).told('joinFailed', told)
  assert.equal(w.status(), 'offline')
  assert.ok(w.state.until >= w.now + 60_000 && w.state.until < w.now + 61_000)
  assert.deepEqual(w.due().did, ['join'])
  const renewing = world({ pass: pass('a', HOUR) }).live()
  renewing.now += HOUR * 0.81
  renewing.told('heard').give({ type: 'tick' }).told('renewFailed', { retryMs: 90_000 })
  assert.equal(renewing.state.pass.renewAt, renewing.now + 90_000)
})

test('who is closed with a time to come back does not come before it, whatever the network does', () => {
  for (const again of [{ type: 'wake' }, { type: 'show' }, { type: 'connect' }]) {
    const w = world({ pass: pass('a') }).live().told('closed', { code: 4529, retryMs: 60_000 })
    const { until } = w.state
    assert.ok(until >= w.now + 60_000 && until < w.now + 62_000)
    if (again.type === 'show') w.give({ type: 'hide' })
    if (again.type === 'connect') w.give({ type: 'disconnect' })
    assert.deepEqual([w.give(again).did, dueAt(w.state), w.status()], [[], until, 'offline'], again.type)
    assert.deepEqual(w.due().did, ['open'])
  }
})

test('a time to come back is read from headers and from reasons, and nothing else is one', () => {
  assert.deepEqual(['12', 1, 0, '-1', 'Fri, 31 Dec 1999 23:59:59 GMT', null, undefined].map(retryMsOf), [12_000, 1_000, 0, 0, 0, 0, 0])
  assert.deepEqual(['too fast; retry-after=7', 'retry-after=7 or so', 'too fast', '', undefined].map(retryMsOfReason), [7_000, 0, 0, 0, 0])
})

test('what an earlier connection tells means nothing to the present one', () => {
  const w = world({ pass: pass('a') }).live()
  const { n } = w.state
  w.told('closed', { code: 1006 }).due()
  const before = w.state
  for (const event of [{ type: 'closed', code: 4403 }, { type: 'synced' }, { type: 'heard' }]) w.give({ ...event, n })
  assert.deepEqual(w.state, before)
})

test('a page that is put away leaves, and comes back', () => {
  const w = world({ pass: pass('a') }).live().give({ type: 'hide' })
  assert.deepEqual(w.did, ['close'])
  assert.equal(dueAt(w.state), null)
  assert.deepEqual(w.give({ type: 'show' }).did, ['open'])
  const idle = world().give({ type: 'hide' }).give({ type: 'show' })
  assert.deepEqual([idle.did, idle.status()], [[], 'idle'])
})

test('whoever leaves stays away until told to connect, also after an end', () => {
  const w = world({ pass: pass('a') }).live().give({ type: 'disconnect' })
  assert.deepEqual([w.did, w.status()], [['close'], 'idle'])
  assert.deepEqual(w.give({ type: 'wake' }).did, [])
  const ended = world({ pass: pass('a') }).live().told('closed', { code: 4403 })
  assert.deepEqual(ended.give({ type: 'wake' }).did, [])
  assert.deepEqual(ended.give({ type: 'connect' }).did, ['join'])
})

test('any order of events leaves a state that either ends or has a next step', () => {
  // A generator of its own, so that a failure replays.
  let seed = 20_261_121
  const draw = (n) => { seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0; return Math.floor(seed / 2 ** 32 * n) }
  const types = ['connect', 'disconnect', 'hide', 'show', 'wake', 'tick', 'joined', 'joinFailed', 'renewed', 'renewFailed', 'heard', 'synced', 'closed']
  const w = world()
  for (let i = 0; i < 20_000; i += 1) {
    w.now += draw(3) === 0 ? draw(100_000) : draw(50)
    const type = types[draw(types.length)]
    const codes = [1006, 4401, 4403, 4503]
    const told = types.indexOf(type) < 6 ? {} : { n: w.state.n - (draw(4) === 0 ? 1 : 0) }
    w.give({ type, ...told, pass: passOf(`t${i}`, w.now + HOUR, { now: w.now, random: 0.5 }), final: draw(2) === 0, error: null, code: codes[draw(codes.length)] })
    const { phase } = w.state
    if (type === 'tick') assert.ok(dueAt(w.state) === null || dueAt(w.state) > w.now, `asks for a tick at once: ${JSON.stringify(w.state)} at ${w.now}, step ${i}`)
    assert.equal(dueAt(w.state) === null, ['idle', 'asleep', 'ended'].includes(phase), `${phase} after ${type}, step ${i}`)
  }
})

// ---- What is stored ----

/** A connection on which the room has asked and was answered, and has named the answer. */
const settled = () => saving.stored(saving.offered(saving.begin()), 1)

test('an edit is saved when the room has named every frame up to it, and not before', () => {
  let saved = saving.edited(settled(), true)
  assert.ok(!saving.isSaved(saved))
  saved = saving.edited(saving.sent(saved), true)
  assert.ok(!saving.isSaved(saving.stored(saved, 1)), 'the second is not even sent')
  saved = saving.sent(saved)
  assert.ok(!saving.isSaved(saving.stored(saved, 1)))
  assert.ok(saving.isSaved(saving.stored(saving.stored(saved, 1), 1)))
  assert.ok(saving.isSaved(saving.stored(saved, 2)))
})

test('what was edited offline is saved when the room has named the answer with it', () => {
  let saved = saving.edited(saving.interrupted(saving.edited(settled(), true)), false)
  saved = saving.stored(saving.sent(saved), 1)
  assert.ok(!saving.isSaved(saved), 'an edit since does not tell of those before')
  assert.ok(saving.isSaved(saving.stored(saving.offered(saved), 1)))
})

test('who was asked for nothing, having nothing, needs no answer for what comes then', () => {
  assert.ok(saving.isSaved(saving.stored(saving.sent(saving.edited(saving.begin(), true)), 1)))
  assert.ok(!saving.isSaved(saving.stored(saving.sent(saving.edited(saving.begin(), false)), 1)))
})

test('a connection that begins and ends without an edit leaves nothing unsaved', () => {
  assert.ok(saving.isSaved(saving.interrupted(saving.offered(saving.begin()))))
})

// ---- Who is here ----

test('a person with several tabs is one person: typing in any of them, idle in all', () => {
  const ada = { id: 'a', name: 'Ada', role: 'owner', color: '#111111' }
  const bob = { id: 'b', name: 'Bob', role: 'editor', color: '#222222' }
  const states = new Map([
    [9, { user: bob, idle: true }],
    [3, { user: ada, idle: true }],
    [7, { user: ada, typing: true }],
    [8, { user: bob, idle: true }],
    [5, { cursor: null }],
    [6, { user: null }]
  ])
  const people = peopleOf(states, 3)
  assert.deepEqual(people.map(({ id, tabs, typing, idle, self }) => ({ id, tabs, typing, idle, self })), [
    { id: 'a', tabs: 2, typing: true, idle: false, self: true },
    { id: 'b', tabs: 2, typing: false, idle: true, self: false }
  ])
})
