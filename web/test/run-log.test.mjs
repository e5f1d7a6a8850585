import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NOTHING, fold, queued, settle } from '../src/run-log.js'

const EXECUTION = '01890a5d-ac96-774b-bcce-b302099a8057'
const LATER = '01890a5d-ac97-774b-bcce-b302099a8057'
const of = (type, more = {}) => ({ type, executionId: EXECUTION, attemptId: 'a1', ...more })
const output = (seq, text, more) => of('runOutput', { seq, stream: 'stdout', text, ...more })
const finished = of('runFinished', { verdict: 'accepted', exitCode: 0, cpuMs: 20, wallMs: 30, peakBytes: 1 })
const play = (frames, log = NOTHING) => frames.reduce(fold, log)
const text = (log) => log.chunks.map((chunk) => chunk.text).join('')

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
    truncated: false, message: null, verdict: 'accepted', exitCode: 0
  }
  const gap = settle(play([...START, output(3, 'two\n'), finished]), execution)
  assert.equal(text(gap), 'one\ntwo\n')
  assert.equal(gap.missing, false)

  const whole = play([...START, output(2, 'one\n'), output(3, 'two\n'), finished])
  assert.equal(settle(whole, execution).chunks, whole.chunks)

  const nobodyAnswered = settle(queued(EXECUTION), { ...execution, stdout: null, stderr: null, verdict: 'expired' })
  assert.equal(nobodyAnswered.phase, 'finished')
  assert.equal(nobodyAnswered.verdict, 'expired')
  assert.deepEqual(settle(whole, { ...execution, id: LATER }), whole)
})

test('what is shown is bounded', () => {
  const log = play([...START, output(2, 'x'.repeat(150_000)), output(3, 'y'.repeat(150_000))])
  assert.equal(text(log).length, 200_000)
  assert.equal(log.clipped, true)
})
