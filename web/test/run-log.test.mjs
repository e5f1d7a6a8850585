import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTHING, fold, isOpen, logOf, queued, settle } from '../src/run-log.js'

const EXECUTION = '01890a5d-ac96-774b-bcce-b302099a8057'
const LATER = '01890a5d-ac97-774b-bcce-b302099a8057'
const of = (type, more = {}) => ({ type, executionId: EXECUTION, attemptId: 'a1', ...more })
const output = (seq, text, more) => of('runOutput', { seq, stream: 'stdout', text, ...more })
const finished = of('runFinished', { verdict: 'accepted', exitCode: 0, cpuMs: 20, wallMs: 30, peakBytes: 1 })
const play = (frames, log = NOTHING) => frames.reduce(fold, log)
const text = (log) => log.output.blocks.map((block) => block.text).join('')

/** `seq` 0 and 1 are the start and the stage. */
const START = [of('runStarted'), of('runStage', { stage: 'run' })]

test('a run is shown from its start to its verdict', () => {
  const log = play([...START, output(2, 'one\n'), output(3, 'two\n'), finished])
  assert.equal(log.phase, 'finished')
  assert.equal(log.verdict, 'accepted')
  assert.equal(text(log), 'one\ntwo\n')
  assert.equal(log.missing, false)
})

test('a frame that comes twice counts once', () => {
  const frames = [...START, output(2, 'one\n'), output(3, 'two\n'), finished]
  assert.deepEqual(play(frames.flatMap((frame) => [frame, frame])), play(frames))
})

test('a gap in the numbers is output that did not arrive', () => {
  assert.equal(play([...START, output(2, 'one'), output(4, 'three')]).missing, true)
})

test('a second attempt clears what the first one wrote', () => {
  const again = { attemptId: 'a2' }
  const log = play([...START, output(2, 'lost'), of('runStarted', again), of('runStage', { stage: 'run', ...again }), output(2, 'kept', again)])
  assert.equal(text(log), 'kept')
  assert.equal(log.missing, false)
})

test('an execution whose result is not kept any more says so', () => {
  const execution = {
    id: EXECUTION, status: 'finished', encoding: 'utf8', stdout: null, stderr: null, compileOutput: null, resultExpired: true,
    truncated: false, message: null, verdict: 'accepted', exitCode: 0, userId: 'ada'
  }
  const log = logOf(execution)
  assert.equal(text(log), 'What this run wrote is not kept any more.\n')
  assert.equal(log.verdict, 'accepted')
})

test('a late frame of an older execution changes nothing', () => {
  const log = play([of('runStarted', { executionId: LATER, attemptId: 'b1' })])
  assert.equal(play([output(7, 'old'), finished], log), log)
})

test('who connects in the middle of a run sees the rest, and that there was more', () => {
  const log = play([output(5, 'rest\n'), { ...finished }])
  assert.equal(text(log), 'rest\n')
  assert.equal(log.missing, true)
  assert.equal(log.phase, 'finished')
})

test('the fetched execution fills what is missing, and only that', () => {
  const execution = {
    id: EXECUTION, status: 'finished', encoding: 'utf8', stdout: 'one\ntwo\n', stderr: '', compileOutput: null,
    truncated: false, message: null, verdict: 'accepted', exitCode: 0, userId: 'ada'
  }
  const gap = settle(play([...START, output(3, 'two\n'), finished]), execution)
  assert.equal(text(gap), 'one\ntwo\n')
  assert.equal(gap.missing, false)

  const whole = play([...START, output(2, 'one\n'), output(3, 'two\n'), finished])
  assert.equal(settle(whole, execution).output, whole.output)
  assert.equal(settle(whole, execution).userId, 'ada')

  const nobodyAnswered = settle(queued(EXECUTION), { ...execution, stdout: null, stderr: null, verdict: 'expired' })
  assert.equal(nobodyAnswered.phase, 'finished')
  assert.equal(nobodyAnswered.verdict, 'expired')
  assert.deepEqual(settle(whole, { ...execution, id: LATER }), whole)
})

test('an end that overtakes the last of the output brings it along', () => {
  const execution = {
    id: EXECUTION, status: 'finished', encoding: 'utf8', stdout: 'one\ntwo\n', stderr: 'oops\n', compileOutput: null,
    truncated: false, message: null, verdict: 'accepted', exitCode: 0, userId: 'ada'
  }
  const fetched = settle(play([...START, output(2, 'one\n')]), execution)
  assert.equal(text(fetched), 'one\ntwo\noops\n')
  const late = play([output(3, 'two\n'), output(4, 'oops\n', { stream: 'stderr' }), finished], fetched)
  assert.deepEqual([text(settle(late, execution)), late.missing], ['one\ntwo\noops\n', false])
})

test('what the compiler says is told apart from what the program writes', () => {
  const log = play([of('runStarted'), of('runStage', { stage: 'compile' }), output(2, 'warning', { stream: 'stderr' }), of('runStage', { stage: 'run' }), output(4, 'oops', { stream: 'stderr' })])
  assert.deepEqual(log.output.blocks.map(({ stream, text }) => [stream, text]), [['compile', 'warning'], ['stderr', 'oops']])
})

test('a result from the history shows the beginning and the end of what was cut', () => {
  const log = logOf({
    id: EXECUTION, status: 'finished', userId: 'bob', encoding: 'utf8', compileOutput: 'a warning', stdout: 'start', stdoutTail: 'end', stdoutBytes: 1_000_008,
    stderr: 'bad', stderrTail: null, stderrBytes: 3, truncated: true, message: null, verdict: 'runtime_error', exitCode: null, signal: 'SIGSEGV'
  })
  assert.deepEqual(log.output.blocks.map(({ stream }) => stream), ['compile', 'stdout', 'gap', 'stdout', 'stderr'])
  assert.match(text(log), /start\n… about 1,000,000 bytes were not kept …\nend/)
  assert.deepEqual([log.signal, log.truncated, log.phase], ['SIGSEGV', true, 'finished'])
})

test('bytes that are no text are shown as far as they can be', () => {
  const log = logOf({ id: EXECUTION, status: 'finished', encoding: 'base64', stdout: '/2hp', stderr: '', verdict: 'accepted' })
  assert.equal(text(log), '\ufffdhi')
})

test('an execution that is still open stays so, and tells who asked for it and for its end', () => {
  const log = settle(queued(EXECUTION), { id: EXECUTION, status: 'queued', userId: 'ada', cancelRequestedAt: '2026-01-01T00:00:00.000Z' })
  assert.ok(isOpen(log))
  assert.deepEqual([log.userId, log.stopping], ['ada', true])
  assert.equal(settle(log, { id: EXECUTION, status: 'running', userId: 'ada', cancelRequestedAt: '2026-01-01T00:00:00.000Z' }), log)
})

test('that a run is interactive survives its frames, and a new size is a change', () => {
  const terminal = (columns) => ({ terminal: { columns, rows: 24 } })
  let log = queued(EXECUTION, 'ada', terminal(80))
  log = play([...START, output(2, 'name? ')], log)
  assert.deepEqual(log.interactive, terminal(80))
  const running = { id: EXECUTION, status: 'running', userId: 'ada' }
  assert.equal(settle(log, { ...running, interactive: terminal(80) }), log)
  log = settle(log, { ...running, interactive: terminal(120) })
  assert.deepEqual([log.interactive, text(log)], [terminal(120), 'name? '])
  assert.equal(play([of('runStarted', { executionId: LATER, attemptId: 'a9' })], log).interactive, null)
})
