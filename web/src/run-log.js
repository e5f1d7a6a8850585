// What the room tells of runs, folded into what there is to show. Pure: no elements, no clock.
//
// A room shows one run at a time. A new attempt clears what an earlier one wrote; frames of an
// older execution that arrive late change nothing.

/** Characters kept for showing; the execution itself holds more. */
const SHOWN_CHARS_MAX = 200_000

export const NOTHING = Object.freeze({
  phase: 'idle', executionId: null, attemptId: null, chunks: [], shown: 0, clipped: false,
  missing: false, expected: 0, verdict: null
})

/**
 * Somebody here has asked for a run, and nothing has started yet.
 * @param {string} executionId
 */
export const queued = (executionId) => ({ ...NOTHING, phase: 'queued', executionId })

/**
 * The log after `frame` (an AppFrame). Harmless to repeat.
 */
export function fold (log, frame) {
  switch (frame.type) {
    case 'runStarted':
      if (log.attemptId === frame.attemptId) return log
      return started(frame)
    case 'runStage': {
      const now = adopt(log, frame)
      if (now === null || now.phase === frame.stage || now.phase === 'finished') return log
      return { ...now, phase: frame.stage, expected: now.expected + 1 }
    }
    case 'runOutput': {
      const now = adopt(log, frame)
      if (now === null || now.phase === 'finished' || frame.seq < now.expected) return log
      return { ...append(now, frame), expected: frame.seq + 1, missing: now.missing || frame.seq > now.expected }
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
 * The log once the execution itself was fetched: it holds all that was kept of the output.
 * An execution that is not the one shown changes nothing.
 */
export function settle (log, execution) {
  if (execution.id !== log.executionId || execution.status !== 'finished') return log
  const whole = execution.encoding === 'utf8' && (log.missing || log.chunks.length === 0)
  const chunks = whole
    ? [chunk('stderr', execution.compileOutput), chunk('stdout', execution.stdout), chunk('stderr', execution.stderr)]
        .filter(({ text }) => text !== '')
    : log.chunks
  return {
    ...log, ...ending(execution), chunks, phase: 'finished', missing: log.missing && !whole,
    message: execution.message, truncated: execution.truncated
  }
}

/** `seq` counts all reports of an attempt from 0: its start is the first. */
const started = ({ executionId, attemptId }) => ({ ...NOTHING, phase: 'starting', executionId, attemptId, expected: 1 })

/**
 * Who connects in the middle of a run has not seen its start. None if the frame is an old one: ids
 * of executions sort by time.
 */
function adopt (log, frame) {
  if (log.attemptId === frame.attemptId) return log
  const awaited = log.attemptId === null && log.executionId === frame.executionId
  const newer = log.executionId === null || log.executionId < frame.executionId
  return awaited || newer ? started(frame) : null
}

function append (log, { stream, text }) {
  const room = SHOWN_CHARS_MAX - log.shown
  const kept = text.slice(0, Math.max(0, room))
  return {
    ...log,
    chunks: kept === '' ? log.chunks : [...log.chunks, chunk(stream, kept)],
    shown: log.shown + kept.length,
    clipped: log.clipped || kept.length < text.length
  }
}

const chunk = (stream, text) => ({ stream, text: text ?? '' })

const ending = ({ verdict, exitCode, signal, cpuMs, wallMs, peakBytes }) =>
  ({ verdict, exitCode, signal, cpuMs, wallMs, peakBytes })
