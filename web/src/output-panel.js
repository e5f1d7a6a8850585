// Shows a run: what the program writes while it writes it, how it ended, and what it took. Either
// the run that everybody watches, or a result from the history until one goes back.

import { h, show } from './dom.js'
import { createOutputText } from './output-text.js'
import { NOTHING, isOpen } from './run-log.js'
import { duration, sentence } from './verdict.js'

const PHASES = {
  idle: '', queued: 'Waiting for an executor…', starting: 'Starting…', compile: 'Compiling…', run: 'Running…'
}

/** Verdicts of which the sentence says all that the executor's message does. */
const TOLD = new Set(['accepted', 'runtime_error', 'cancelled'])

/**
 * @param {object} options
 * @param {(userId: string) => string | null} options.nameOf
 */
export function createOutputPanel ({ nameOf }) {
  const by = h('span', { class: 'run-by muted' })
  const past = h('button', { type: 'button', class: 'link', hidden: true, onclick: () => showPast(null) }, 'Back to the latest')
  const text = createOutputText()
  const status = h('p', { class: 'run-status', role: 'status' })
  const note = h('p', { class: 'output-note' })
  const figures = h('dl', { class: 'figures' })
  const element = h('section', { class: 'panel output', 'aria-label': 'Run' },
    h('header', { class: 'panel-head' }, h('h2', {}, 'Output'), by, past),
    text.element,
    h('footer', { class: 'run-foot' }, status, note, figures))
  let live = NOTHING
  let pastLog = null
  let stopping = false

  function render () {
    const log = pastLog ?? live
    text.render(`${pastLog === null ? 'live' : 'past'} ${log.executionId} ${log.attemptId}`, log.output)
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
    destroy: () => text.destroy()
  }
}

function remark (log) {
  if (log.phase === 'idle') return 'Run the program, and everybody in this session sees what it writes.'
  const parts = []
  if (log.message && !TOLD.has(log.verdict)) parts.push(log.message)
  if (log.missing) parts.push('Some of the output did not arrive here.')
  if (log.truncated && parts.length === 0) parts.push('It wrote more than is kept: beginning and end are there.')
  if (log.phase === 'finished' && log.output.isEmpty && parts.length === 0) parts.push('The program wrote nothing.')
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
