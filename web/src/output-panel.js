// Shows a run: what the program writes while it writes it, how it ended, and what it took. Either
// the run that everybody watches, or a result from the history until one goes back.

import { h, show } from './dom.js'
import { createOutputFiles } from './output-files.js'
import { createOutputText } from './output-text.js'
import { NOTHING, isOpen } from './run-log.js'
import { createTerminal } from './terminal.js'
import { duration, sentence } from './verdict.js'

const PHASES = {
  idle: '', queued: 'Waiting for an executor…', starting: 'Starting…', compile: 'Compiling…', run: 'Running…'
}

/** Verdicts of which the sentence says all that the executor's message does. */
const TOLD = new Set(['accepted', 'runtime_error', 'cancelled'])

/**
 * @param {object} options
 * @param {(userId: string) => string | null} options.nameOf
 * @param {(executionId: string, name: string) => Promise<Blob>} options.fetchFile
 * @param {(input: object) => void} options.onInput something is done at the program's keyboard
 * @param {(log: import('./run-log.js').RunLog) => boolean} options.isOwn it was begun here, not only
 *   by the same person
 * @param {() => boolean} options.mayType
 */
export function createOutputPanel ({ nameOf, fetchFile, onInput, isOwn, mayType }) {
  const by = h('span', { class: 'run-by muted' })
  const past = h('button', { type: 'button', class: 'link', hidden: true, onclick: () => showPast(null) }, 'Back to the latest')
  const text = createOutputText()
  const terminal = createTerminal({
    onText: (text) => onInput({ type: 'text', text }),
    // One window decides: that of whoever began the run.
    onRoom: (size) => { if (pastLog === null && isOpen(live) && isOwn(live)) onInput({ type: 'resize', ...size }) }
  })
  const files = createOutputFiles({ fetchFile })
  const status = h('p', { class: 'run-status', role: 'status' })
  const note = h('p', { class: 'output-note' })
  const figures = h('dl', { class: 'figures' })
  const element = h('section', { class: 'panel output', 'aria-label': 'Run' },
    h('header', { class: 'panel-head' }, h('h2', {}, 'Output'), by, past),
    text.element,
    terminal.element,
    files.element,
    h('footer', { class: 'run-foot' }, status, note, figures))
  let live = NOTHING
  let pastLog = null
  let stopping = false

  function render () {
    const log = pastLog ?? live
    const ofRun = `${pastLog === null ? 'live' : 'past'} ${log.executionId} ${log.attemptId}`
    const onTerminal = log.interactive !== null
    text.element.hidden = onTerminal
    terminal.element.hidden = !onTerminal
    if (onTerminal) {
      const typing = pastLog === null && isOpen(log) && mayType()
      const answering = typing && isOwn(log)
      terminal.render(ofRun, log.output, { size: log.interactive.terminal, typing, answering })
    } else {
      text.render(ofRun, log.output)
    }
    files.render(log)
    const name = log.userId === null ? null : nameOf(log.userId)
    by.textContent = name === null ? '' : `${pastLog === null ? 'run' : 'an earlier run'} by ${name}`
    past.hidden = pastLog === null
    const words = log.phase === 'finished' ? sentence(log) : stopping && isOpen(log) ? 'Stopping…' : PHASES[log.phase]
    if (status.textContent !== words) status.textContent = words
    element.dataset.outcome = log.phase === 'finished' ? (log.verdict === 'accepted' ? 'good' : 'bad') : log.phase
    note.textContent = remark(log)
    show(figures, ...measured(log).map(([name, value]) => h('div', {}, h('dt', {}, name), h('dd', {}, value))))
  }

  /** @param {import('./run-log.js').RunLog | null} log null goes back to the run that all watch */
  function showPast (log) {
    pastLog = log
    render()
  }

  render()
  return {
    element,
    /** @param {import('./run-log.js').RunLog} log @param {boolean} isStopping */
    render (log, isStopping) {
      // What begins now is what one wants to see.
      if (log.executionId !== live.executionId) pastLog = null
      live = log
      stopping = isStopping || log.stopping === true
      render()
    },
    /** Names may have become known. */
    rename: render,
    showPast,
    /** The size of a terminal here. */
    room () {
      text.element.hidden = true
      return terminal.room()
    },
    /** What is typed goes to the program. */
    focus: () => terminal.focus(),
    destroy () {
      text.destroy()
      terminal.destroy()
    }
  }
}

function remark (log) {
  if (log.phase === 'idle') return 'Run the program, and everybody in this session sees what it writes.'
  const parts = []
  if (log.message && !TOLD.has(log.verdict)) parts.push(log.message)
  if (log.missing) parts.push('Some of the output did not arrive here.')
  if (log.truncated && parts.length === 0) parts.push('It wrote more than is kept: beginning and end are there.')
  if (log.phase === 'finished' && log.output.isEmpty && !log.files?.length && parts.length === 0) parts.push('The program wrote nothing.')
  return parts.join(' ')
}

/** What the sentence does not say. */
function measured (log) {
  if (log.phase !== 'finished') return []
  return [
    ['CPU time', log.cpuMs == null ? null : duration(log.cpuMs)],
    ['Exit code', log.exitCode],
    ['Signal', log.signal]
  ].filter(([, value]) => value != null)
}
