// What the room tells of runs, folded into what there is to show. Pure: no elements, no clock.
//
// A room shows one run at a time. A new attempt clears what an earlier one wrote; frames of an
// older execution that arrive late change nothing. What is kept for showing is bounded: the
// beginning and the end of the output, so that a program that writes without end costs no more
// than one that writes a page.

import { Transcript } from './transcript.js'

/**
 * @typedef {object} RunLog
 * @property {'idle' | 'queued' | 'starting' | 'compile' | 'run' | 'finished'} phase
 * @property {string | null} executionId
 * @property {string | null} attemptId
 * @property {string | null} userId who asked for it, once that is known
 * @property {{ terminal?: { columns: number, rows: number } } | null} interactive that people can
 *   type while it runs, once that is known
 * @property {Transcript} output
 * @property {boolean} missing whether some of the output did not arrive here
 * @property {number} expected the number of the next report
 * @property {string | null} verdict and what else a result says, once there is one
 */

export const NOTHING = Object.freeze({
  phase: 'idle', executionId: null, attemptId: null, userId: null, interactive: null, output: Transcript.EMPTY,
  missing: false, expected: 0, verdict: null
})

/**
 * Somebody here has asked for a run, and nothing has started yet.
 * @param {string} executionId
 * @param {string | null} [userId]
 * @param {RunLog['interactive']} [interactive]
 * @returns {RunLog}
 */
export const queued = (executionId, userId = null, interactive = null) =>
  ({ ...NOTHING, phase: 'queued', executionId, userId, interactive })

/** @param {RunLog} log */
export const isOpen = ({ phase }) => phase !== 'idle' && phase !== 'finished'

/**
 * The log after `frame` (an AppFrame). Harmless to repeat.
 * @returns {RunLog}
 */
export function fold (log, frame) {
  switch (frame.type) {
    case 'runStarted':
      return log.attemptId === frame.attemptId ? log : started(log, frame)
    case 'runStage': {
      const now = adopt(log, frame)
      if (now === null || now.phase === frame.stage || now.phase === 'finished') return log
      return { ...now, phase: frame.stage, expected: now.expected + 1 }
    }
    case 'runOutput': {
      const now = adopt(log, frame)
      if (now === null || now.phase === 'finished' || frame.seq < now.expected) return log
      const stream = now.phase === 'compile' ? 'compile' : frame.stream
      return {
        ...now,
        output: now.output.append(stream, frame.text),
        expected: frame.seq + 1,
        missing: now.missing || frame.seq > now.expected
      }
    }
    case 'runFinished': {
      const now = adopt(log, frame)
      return now === null ? log : { ...now, ...ending(frame), phase: 'finished' }
    }
    default:
      return log
  }
}

/**
 * The log once the execution itself was fetched: it holds what frames do not carry, and all that
 * was kept of the output. An execution that is not the one shown changes nothing.
 *
 * It may overtake frames. Whoever was not told of the end by the room may lack the last of the output
 * as well, and what comes of it later is taken for that of a run that is over.
 * @returns {RunLog}
 */
export function settle (log, execution) {
  if (execution.id !== log.executionId) return log
  const userId = execution.userId ?? log.userId
  const interactive = execution.interactive ?? null
  const stopping = execution.cancelRequestedAt != null
  if (execution.status !== 'finished') {
    const same = log.userId === userId && (log.stopping ?? false) === stopping && isSame(log.interactive, interactive)
    return same ? log : { ...log, userId, stopping, interactive }
  }
  const whole = log.missing || log.output.isEmpty || isOpen(log)
  return {
    ...log,
    ...ending(execution),
    userId,
    interactive,
    phase: 'finished',
    output: whole ? transcriptOf(execution) : log.output,
    missing: false,
    message: execution.message,
    truncated: execution.truncated,
    files: execution.files,
    filesLeftOut: execution.filesLeftOut,
    filesLeftOutCount: execution.filesLeftOutCount
  }
}

/** What there is to show of an execution that was fetched and not watched. */
export const logOf = (execution) => settle(queued(execution.id), execution)

/** `seq` counts all reports of an attempt from 0: its start is the first. */
function started (log, { executionId, attemptId }) {
  const { userId, interactive } = log.executionId === executionId ? log : NOTHING
  return { ...NOTHING, phase: 'starting', executionId, attemptId, userId, interactive, expected: 1 }
}

/** Two of `interactive`. */
const isSame = (a, b) =>
  a === b || (a !== null && b !== null && a.terminal?.columns === b.terminal?.columns && a.terminal?.rows === b.terminal?.rows)

/**
 * Who connects in the middle of a run has not seen its start. None if the frame is an old one: ids
 * of executions sort by time.
 */
function adopt (log, frame) {
  if (log.attemptId === frame.attemptId) return log
  const awaited = log.attemptId === null && log.executionId === frame.executionId
  const newer = log.executionId === null || log.executionId < frame.executionId
  if (awaited && log.phase === 'finished') return null
  return awaited || newer ? started(log, frame) : null
}

/** Both streams, one after the other: in which order they were written is not known any more. */
function transcriptOf (execution) {
  if (execution.resultExpired) return Transcript.EMPTY.append('compile', 'What this run wrote is not kept any more.\n')
  const text = execution.encoding === 'base64' ? fromBase64 : (written) => written ?? ''
  const { stdoutTail, stderrTail, stdoutBytes, stderrBytes } = execution
  return Transcript.EMPTY
    .append('compile', execution.compileOutput ?? '')
    .appendKept('stdout', text(execution.stdout), text(stdoutTail), stdoutBytes)
    .appendKept('stderr', text(execution.stderr), text(stderrTail), stderrBytes)
}

/** For showing: what is not UTF-8 is replaced. */
function fromBase64 (data) {
  const bytes = Uint8Array.from(atob(data ?? ''), (letter) => letter.charCodeAt(0))
  return new TextDecoder().decode(bytes)
}

const ending = ({ verdict, exitCode, signal, cpuMs, wallMs, peakBytes }) =>
  ({ verdict, exitCode, signal, cpuMs, wallMs, peakBytes })
