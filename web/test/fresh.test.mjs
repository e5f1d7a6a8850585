// What keeps itself fresh: the table of languages, and the session's settings and people.

import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { ObservableV2 } from 'lib0/observable'
import { ApiError } from '../src/api.js'
import { Languages } from '../src/languages.js'
import { SessionInfo } from '../src/session-info.js'

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('the table of languages is asked for until everything can be run, and not after', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const answers = [[{ id: 'go', available: false }], new ApiError({}), [{ id: 'go', available: true }]]
  const asked = mock.fn(async () => {
    const answer = answers.shift()
    if (answer instanceof Error) throw answer
    return { items: answer }
  })
  const languages = new Languages({ languages: asked })
  const changes = []
  languages.on('change', (items) => changes.push(items[0].available))
  await settled()
  for (let i = 0; i < 4; i += 1) {
    t.mock.timers.tick(60_000)
    await settled()
  }
  assert.equal(asked.mock.callCount(), 3)
  assert.deepEqual(changes, [false, true])
  languages.destroy()
})

/** A session whose edge counts its questions. */
function scene () {
  const room = Object.assign(new ObservableV2(), {
    session: { id: 's', title: 'old', participants: [] }, access: { role: 'admin', locked: false }, state: { kind: 'live' }, tell: mock.fn()
  })
  const api = {
    session: mock.fn(async () => ({ id: 's', title: 'new', participants: [] })),
    updateSession: mock.fn(async (id, changes) => ({ id, title: 'old', participants: [], ...changes }))
  }
  return { room, api, info: new SessionInfo(api, room) }
}

test('many hints are one question, and the first is not kept waiting', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  // Nothing happens between the hints, however long this takes.
  t.mock.method(performance, 'now', () => 1_000)
  const { room, api, info } = scene()
  for (let i = 0; i < 100; i += 1) room.emit('told', ['session', `${i}`, 'b'])
  t.mock.timers.tick(1)
  await settled()
  assert.equal(api.session.mock.callCount(), 1)
  assert.equal(info.session.title, 'new')
  room.emit('told', ['session', 'again', 'b'])
  t.mock.timers.tick(1)
  assert.equal(api.session.mock.callCount(), 1)
  t.mock.timers.tick(1_000)
  assert.equal(api.session.mock.callCount(), 2)
  info.destroy()
})

test('a change of one’s own is shown at once and told to the others', async () => {
  const { room, info } = scene()
  await info.update({ title: 'mine' })
  assert.equal(info.session.title, 'mine')
  assert.equal(room.tell.mock.calls[0].arguments[0], 'session')
  info.destroy()
})

test('an answer that was overtaken by a later one is not shown', async () => {
  const { room, api, info } = scene()
  const answers = []
  api.session = () => new Promise((resolve) => answers.push((title) => resolve({ id: 's', title, participants: [] })))
  const asked = [info.refresh(), info.refresh()]
  answers[1]('newer')
  answers[0]('older')
  await Promise.all(asked)
  assert.equal(info.session.title, 'newer')
  const before = info.refresh()
  await info.update({ title: 'mine' })
  answers[2]('of before')
  await before
  assert.equal(info.session.title, 'mine')
  assert.equal(room.tell.mock.callCount(), 1)
  info.destroy()
})

test('in a session that is closed to one, one has no role', () => {
  const { room, info } = scene()
  assert.equal(info.role, 'admin')
  room.state = { kind: 'ended' }
  assert.equal(info.role, null)
  info.destroy()
})
