// Run, or stop what runs: one button, whose state is that of the run that everybody watches.

import { h } from './dom.js'

const MAC = navigator.userAgent.includes('Mac')
export const RUN_KEYS = `${MAC ? '⌘' : 'Ctrl'}+Enter`
export const STOP_KEYS = `${MAC ? '⌘' : 'Ctrl'}+.`

/**
 * @param {object} options
 * @param {() => void} options.onRun
 * @param {() => void} options.onStop
 * @param {(words: string) => void} options.onRefused it was pressed while it may not be
 */
export function createRunButton ({ onRun, onStop, onRefused }) {
  const element = h('button', { type: 'button', onclick: () => (state.busy ? stop() : run()) })
  let state = { busy: false, stopping: false, refusal: null }

  /** It stays in the order of the Tab key, and says why it does nothing. */
  function render (next) {
    state = next
    const { busy, stopping, refusal } = state
    element.className = busy ? 'stop' : 'primary run'
    element.textContent = stopping ? 'Stopping…' : busy ? 'Stop' : 'Run'
    element.title = refusal ?? (busy ? `Stop (${STOP_KEYS})` : `Run (${RUN_KEYS})`)
    element.setAttribute('aria-disabled', String(refusal !== null || stopping))
    element.setAttribute('aria-keyshortcuts', busy ? 'Control+. Meta+.' : 'Control+Enter Meta+Enter')
  }

  const allowed = () => {
    if (state.refusal !== null) onRefused(state.refusal)
    return state.refusal === null
  }
  const run = () => { if (!state.busy && allowed()) onRun() }
  const stop = () => { if (state.busy && !state.stopping && allowed()) onStop() }

  return { element, render, run, stop }
}
