// Run, or stop what runs: one button, whose state is that of the run that everybody watches; and
// beside it, as long as nothing runs, one that runs in a terminal.

import { h } from './dom.js'

const MAC = navigator.userAgent.includes('Mac')
export const RUN_KEYS = `${MAC ? '⌘' : 'Ctrl'}+Enter`
export const TERMINAL_KEYS = `${MAC ? '⇧⌘' : 'Ctrl+Shift'}+Enter`
export const STOP_KEYS = `${MAC ? '⌘' : 'Ctrl'}+.`

/**
 * @param {object} options
 * @param {(how: { onTerminal: boolean }) => void} options.onRun
 * @param {() => void} options.onStop
 * @param {(words: string) => void} options.onRefused it was pressed while it may not be
 */
export function createRunButton ({ onRun, onStop, onRefused }) {
  const main = h('button', { type: 'button', onclick: () => (state.busy ? stop() : run()) })
  const terminal = h('button', {
    type: 'button',
    class: 'in-terminal',
    title: `Run it in a terminal, and type while it runs (${TERMINAL_KEYS})`,
    'aria-keyshortcuts': 'Control+Shift+Enter Meta+Shift+Enter',
    onclick: () => run({ onTerminal: true })
  }, 'Terminal')
  const element = h('div', { class: 'run-buttons' }, main, terminal)
  let state = { busy: false, stopping: false, refusal: null }

  /** It stays in the order of the Tab key, and says why it does nothing. */
  function render (next) {
    state = next
    const { busy, stopping, refusal } = state
    main.className = busy ? 'stop' : 'primary run'
    main.textContent = stopping ? 'Stopping…' : busy ? 'Stop' : 'Run'
    main.title = refusal ?? (busy ? `Stop (${STOP_KEYS})` : `Run (${RUN_KEYS})`)
    main.setAttribute('aria-disabled', String(refusal !== null || stopping))
    main.setAttribute('aria-keyshortcuts', busy ? 'Control+. Meta+.' : 'Control+Enter Meta+Enter')
    terminal.hidden = busy
    terminal.setAttribute('aria-disabled', String(refusal !== null))
  }

  const allowed = () => {
    if (state.refusal !== null) onRefused(state.refusal)
    return state.refusal === null
  }
  const run = ({ onTerminal = false } = {}) => { if (!state.busy && allowed()) onRun({ onTerminal }) }
  const stop = () => { if (state.busy && !state.stopping && allowed()) onStop() }

  return { element, render, run, stop }
}
