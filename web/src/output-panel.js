// Shows a run log: what the program writes while it writes it, and how it ended.

import { h, show } from './dom.js'
import { NOTHING } from './run-log.js'

const PHASES = {
  idle: '', queued: 'Waiting for an executor', starting: 'Starting', compile: 'Compiling', run: 'Running'
}

const VERDICTS = {
  accepted: 'Finished',
  runtime_error: 'Runtime error',
  time_limit: 'Time limit reached',
  output_limit: 'Output limit reached',
  memory_limit: 'Memory limit reached',
  compile_error: 'Does not compile',
  expired: 'No executor answered',
  cancelled: 'Cancelled',
  internal_error: 'The executor failed'
}

export function createOutputPanel () {
  const status = h('span', { class: 'run-status', role: 'status' })
  const figures = h('dl', { class: 'figures' })
  const text = h('pre', { class: 'output-text', role: 'log', 'aria-label': 'Output', tabindex: '0' })
  const note = h('p', { class: 'output-note' })
  const element = h('section', { class: 'panel output', 'aria-label': 'Run' },
    h('header', { class: 'panel-head' }, h('h2', {}, 'Output'), status),
    text, note, figures)
  let shown = NOTHING

  /** Only what is new is added: a screen reader reads that, and a selection survives. */
  function renderText (log) {
    const sameRun = log.attemptId === shown.attemptId && log.executionId === shown.executionId
    const grown = sameRun && shown.chunks.every((chunk, i) => chunk === log.chunks[i])
    const atEnd = text.scrollHeight - text.scrollTop - text.clientHeight < 24
    if (!grown) show(text)
    for (const { stream, text: written } of log.chunks.slice(grown ? shown.chunks.length : 0)) {
      text.append(h('span', { class: stream }, written))
    }
    if (atEnd || !grown) text.scrollTop = text.scrollHeight
  }

  function render (log) {
    renderText(log)
    status.textContent = log.phase === 'finished' ? VERDICTS[log.verdict] ?? log.verdict : PHASES[log.phase]
    element.dataset.outcome = log.phase === 'finished' ? (log.verdict === 'accepted' ? 'good' : 'bad') : log.phase
    note.textContent = remark(log)
    show(figures, ...measured(log).flatMap(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]))
    shown = log
  }

  render(NOTHING)
  return { element, render }
}

function remark (log) {
  if (log.phase === 'idle') return 'Run the program, and everybody in this session sees what it writes.'
  const parts = []
  if (log.message) parts.push(log.message)
  if (log.missing) parts.push('Some of the output did not arrive here.')
  if (log.clipped || log.truncated) parts.push('There was more output than is kept.')
  if (log.phase === 'finished' && log.chunks.length === 0 && parts.length === 0) parts.push('The program wrote nothing.')
  return parts.join(' ')
}

function measured (log) {
  if (log.phase !== 'finished') return []
  return [
    ['Time', log.wallMs == null ? null : seconds(log.wallMs)],
    ['CPU', log.cpuMs == null ? null : seconds(log.cpuMs)],
    ['Memory', log.peakBytes == null ? null : `${(log.peakBytes / 2 ** 20).toFixed(1)} MiB`],
    ['Exit code', log.exitCode],
    ['Signal', log.signal]
  ].filter(([, value]) => value != null)
}

const seconds = (ms) => ms < 1000 ? `${ms} ms` : `${(ms / 1000).toFixed(2)} s`
