// The session's last runs: who, when, how it ended. A click shows the result.

import { ApiError } from './api.js'
import { h, show } from './dom.js'
import { logOf } from './run-log.js'
import { clockTime } from './times.js'
import { duration, shortVerdict } from './verdict.js'

const SHOWN_MAX = 30
const STATUS = { queued: 'Waiting', running: 'Running' }

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {string} options.sessionId
 * @param {(id: string) => string} options.languageName
 * @param {(log: import('./run-log.js').RunLog) => void} options.onShow
 */
export function createHistoryPanel ({ api, sessionId, languageName, onShow }) {
  const list = h('ul', { class: 'runs' })
  const problem = h('p', { class: 'problem', role: 'alert' })
  const panel = h('div', { class: 'history-panel' }, problem, list)
  let loading = null
  let stale = true

  /** @returns {HTMLElement} */
  function row (run) {
    const { id, displayName, language, status, verdict, wallMs, createdAt } = run
    const outcome = status === 'finished' ? (verdict === 'accepted' ? 'good' : 'bad') : 'open'
    return h('li', {}, h('button', { type: 'button', class: 'run-row', 'data-outcome': outcome, 'data-id': id, onclick: () => open(id) },
      h('span', { class: 'what' }, verdict === null ? STATUS[status] ?? status : shortVerdict(verdict)),
      h('span', { class: 'who' }, displayName),
      h('span', { class: 'muted' }, languageName(language)),
      h('span', { class: 'muted figure' }, wallMs == null ? '' : duration(wallMs)),
      h('time', { class: 'muted figure', datetime: createdAt }, clockTime(createdAt))))
  }

  async function open (id) {
    problem.textContent = ''
    try {
      onShow(logOf(await api.execution(id)))
    } catch (error) {
      fail(error)
    }
  }

  function fail (error) {
    if (!(error instanceof ApiError)) throw error
    problem.textContent = error.message
  }

  async function load () {
    const focused = document.activeElement?.dataset?.id
    try {
      const { items } = await api.sessionExecutions(sessionId, { limit: SHOWN_MAX })
      problem.textContent = ''
      show(list, ...items.map(row))
      if (items.length === 0) show(list, h('li', { class: 'muted empty' }, 'Nothing has been run here yet.'))
      if (focused !== undefined) list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus()
    } catch (error) {
      fail(error)
    }
  }

  const refresh = () => {
    // What is on its way may be of before: it is asked for again when that has come.
    if (loading !== null) return
    stale = false
    loading = load().finally(() => {
      loading = null
      if (stale && !panel.hidden) refresh()
    })
  }

  return {
    panel,
    onShow: () => { if (stale) refresh() },
    /** Something has begun or ended. It is asked for when somebody looks. */
    outdate () {
      stale = true
      if (!panel.hidden) refresh()
    }
  }
}
