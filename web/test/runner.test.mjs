// The run that everybody watches, against an edge that answers on command.

import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { ApiError } from '../src/api.js'
import { Runner } from '../src/runner.js'
import { isOpen } from '../src/run-log.js'

const ID = '01890a5d-ac96-774b-bcce-b302099a8057'
const LATER = '01890a5d-ac97-774b-bcce-b302099a8057'
const runners = []
afterEach(() => runners.splice(0).forEach((runner) => runner.leave()))

/** An edge that knows `executions`, by id. */
function scene (executions = {}) {
  const said = { told: [], refused: [], cancelled: [], typed: [] }
  const api = {
    async createExecution ({ interactive }) { return { id: ID, userId: 'me', interactive } },
    async giveInput (id, inputs) { said.typed.push([id, ...inputs]) },
    async execution (id) {
      if (!(id in executions)) throw new ApiError({ status: 404, code: 'execution_not_found' })
      return { id, sessionId: 's', userId: 'ada', cancelRequestedAt: null, ...executions[id] }
    },
    async cancelExecution (id) {
      said.cancelled.push(id)
      return { id, status: 'running', userId: 'ada', cancelRequestedAt: '2026-01-01T00:00:00.000Z' }
    }
  }
  const runner = new Runner({
    api, sessionId: 's', onLog: () => {}, onTell: (words) => said.told.push(words), onRefused: (words) => said.refused.push(words)
  })
  runners.push(runner)
  return { api, runner, said, executions }
}

const finished = { status: 'finished', verdict: 'accepted', encoding: 'utf8', stdout: 'hi\n', stderr: '' }
const frame = (type, more) => ({ type, executionId: ID, attemptId: 'a1', ...more })

test('a run is open from the request to the result, and a second one has to wait', async () => {
  const { runner, said, executions } = scene()
  const start = runner.start({})
  assert.ok(runner.busy)
  await Promise.all([start, runner.start({})])
  assert.deepEqual(said.told, [ID])
  assert.equal(runner.log.phase, 'queued')
  executions[ID] = finished
  await runner.check()
  assert.equal(runner.log.verdict, 'accepted')
  assert.ok(!runner.busy)
})

test('somebody else’s run is watched from their word on, if the edge confirms it', async () => {
  const { runner } = scene({ [ID]: { status: 'queued' }, [LATER]: { status: 'queued', sessionId: 'another' } })
  await runner.follow(ID)
  assert.equal(runner.log.executionId, ID)
  assert.ok(runner.busy)
  await runner.follow(LATER)
  await runner.follow('not an id')
  assert.equal(runner.log.executionId, ID)
})

test('the end of a run that never started is known as soon as somebody tells of it', async () => {
  const { runner, executions } = scene({ [ID]: { status: 'queued' } })
  await runner.follow(ID)
  executions[ID] = { ...finished, verdict: 'cancelled' }
  await runner.follow(`${ID} stop`)
  assert.equal(runner.log.verdict, 'cancelled')
})

test('an old word does not bring an old run back', async () => {
  const { runner } = scene({ [ID]: finished })
  runner.receive({ ...frame('runStarted'), executionId: LATER })
  await runner.follow(ID)
  assert.equal(runner.log.executionId, LATER)
})

test('everybody can stop the run that is open, once', async () => {
  const { runner, said } = scene({ [ID]: { status: 'running' } })
  await runner.stop()
  await runner.follow(ID)
  await Promise.all([runner.stop(), runner.stop()])
  assert.deepEqual(said.cancelled, [ID])
  assert.deepEqual(said.told, [`${ID} stop`])
  assert.ok(runner.stopping)
  runner.receive(frame('runFinished', { verdict: 'cancelled' }))
  assert.ok(!runner.stopping && !isOpen(runner.log))
})

test('a run that has ended before it could be stopped is shown as it ended', async () => {
  const { api, runner, executions } = scene({ [ID]: { status: 'running' } })
  await runner.follow(ID)
  api.cancelExecution = async () => {
    executions[ID] = finished
    throw new ApiError({ status: 409, code: 'execution_finished' })
  }
  await runner.stop()
  await runner.check()
  assert.equal(runner.log.verdict, 'accepted')
})

test('a refusal is told with its fields, and the next run may be asked for', async () => {
  const { api, runner, said } = scene()
  api.createExecution = async () => { throw new ApiError({ status: 422, title: 'No.', errors: [{ field: 'args', message: 'is at most 32 arguments' }] }) }
  await runner.start({})
  assert.deepEqual(said.refused, ['No. args is at most 32 arguments.'])
  assert.ok(!runner.busy)
})

test('what is typed goes to the open run if it takes any, and a new size is told to the others', async () => {
  const { runner, said, executions } = scene()
  await runner.start({ interactive: { terminal: { columns: 80, rows: 24 } } })
  runner.type({ type: 'text', text: 'a' })
  runner.type({ type: 'resize', columns: 100, rows: 24 })
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(said.typed, [[ID, { type: 'text', text: 'a' }], [ID, { type: 'resize', columns: 100, rows: 24 }]])
  assert.equal(runner.log.interactive.terminal.columns, 100)
  assert.deepEqual(said.told, [ID, `${ID} 100x24`])
  executions[ID] = finished
  await runner.check()
  runner.type({ type: 'text', text: 'b' })
  assert.equal(said.typed.length, 2)
})

test('a run that takes no input is not typed at', async () => {
  const { runner, said } = scene()
  await runner.start({})
  runner.type({ type: 'text', text: 'a' })
  assert.deepEqual(said.typed, [])
})
