// What the document was: keep a version, look at one beside the document as it is now, restore it,
// begin a session of one's own with it.

import { ApiError } from './api.js'
import { confirmed, createDialog } from './dialog.js'
import { h, show } from './dom.js'
import { openPlayback } from './playback.js'
import { mayAdminister, mayEdit, mayRun } from './roles.js'
import { clockTime, dayAndTime } from './times.js'

const PAGE = 50
const WHY = { automatic: 'Kept by itself', beforeRestore: 'Before a restore', manual: 'Kept' }
const SIGNS = { same: ' ', removed: '−', added: '+' }

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {import('./room.js').Room} options.room
 * @param {(words: string) => void} options.say
 * @param {(sessionId: string) => void} options.onForked
 */
export function createVersionsPanel ({ api, room, say, onForked }) {
  const sessionId = room.session.id
  // Who has signed out is told by the room of going: then there is no user any more.
  const selfId = api.user.id
  const list = h('ul', { class: 'versions', 'aria-label': 'Versions' })
  const problem = h('p', { class: 'problem', role: 'alert' })
  const message = h('input', { name: 'message', maxlength: 200, autocomplete: 'off', placeholder: 'What for?', 'aria-label': 'What the version is kept for' })
  const form = h('form', { class: 'keep-version', onsubmit: keep }, message, h('button', { type: 'submit' }, 'Keep a version'))
  const more = h('button', { type: 'button', class: 'link', hidden: true, onclick: loadMore }, 'Older versions')
  const playback = h('button', { type: 'button', class: 'link', onclick: () => openPlayback({ api, room, attempt, onForked }) }, 'Playback: how this text came about')
  const fork = h('button', { type: 'button', class: 'link', onclick: () => forkFrom(undefined) }, 'Fork: a session of your own with this text')
  const panel = h('div', { class: 'versions-panel' }, form, problem, list, more, playback, fork)
  let loading = null
  let stale = true
  let pages = 1

  async function attempt (work) {
    problem.textContent = ''
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      problem.textContent = [error.message, ...error.errors.map(({ field, message }) => `${field} ${message}.`)].join(' ')
      return null
    }
  }

  // ---- The list ----

  function row (version) {
    const { number, takenAt, displayName } = version
    return h('li', {}, h('button', { type: 'button', class: 'version-row', 'data-number': number, onclick: () => open(version) },
      h('span', { class: 'muted figure' }, `${number}`),
      h('span', { class: 'what' }, title(version)),
      h('span', { class: 'who' }, displayName ?? ''),
      h('time', { class: 'muted figure', datetime: takenAt }, clockTime(takenAt))))
  }

  async function load () {
    await attempt(async () => {
      const items = []
      let total = 0
      for (let page = 1; page <= pages; page += 1) {
        const answer = await api.versions(sessionId, { page, limit: PAGE })
        items.push(...answer.items)
        total = answer.total
      }
      const focused = document.activeElement?.dataset?.number
      show(list, ...items.map(row))
      if (items.length === 0) show(list, h('li', { class: 'muted empty' }, 'Nothing is kept yet. What you change is kept by itself from time to time.'))
      if (focused !== undefined) list.querySelector(`[data-number="${CSS.escape(focused)}"]`)?.focus()
      more.hidden = items.length >= total
    })
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

  function outdate () {
    stale = true
    if (!panel.hidden) refresh()
  }

  function loadMore () {
    pages += 1
    outdate()
  }

  async function keep (event) {
    event.preventDefault()
    const why = message.value.trim()
    // What one sees is kept: what was typed last may still be on its way to the room.
    await room.arrived()
    const version = await attempt(() => api.takeVersion(sessionId, why === '' ? {} : { message: why }))
    if (version === null) return
    if (message.value.trim() === why) message.value = ''
    say(`Version ${version.number} is kept.`)
    outdate()
  }

  // ---- One version ----

  async function open (version) {
    const { number } = version
    const shown = await attempt(() => Promise.all([api.versionDiff(sessionId, number), api.version(sessionId, number)]))
    if (shown === null) return
    const [diff, text] = shown
    const body = h('div', { class: 'version-body', tabindex: 0 })
    const changes = h('button', { type: 'button', onclick: () => look(true) }, 'Changes since')
    const whole = h('button', { type: 'button', onclick: () => look(false) }, 'Text')
    function look (since) {
      changes.setAttribute('aria-pressed', String(since))
      whole.setAttribute('aria-pressed', String(!since))
      show(body, ...(since ? diffParts(diff) : textParts(text)))
    }
    look(true)
    const act = (work) => async () => { if (await work() !== null) dialog.close() }
    const own = version.userId === selfId && mayRun(room.access.role)
    const dialog = createDialog(`Version ${number}`,
      h('p', { class: 'muted' }, [title(version), version.displayName, dayAndTime(version.takenAt), size(version.bytes)].filter(Boolean).join(' · ')),
      h('div', { class: 'version-views' }, changes, whole), body,
      h('div', { class: 'dialog-foot' },
        (own || mayAdminister(room.access.role)) && h('button', { type: 'button', class: 'danger', onclick: act(() => erase(version)) }, 'Delete'),
        h('button', { type: 'button', onclick: act(() => forkFrom(number)) }, 'Fork'),
        mayEdit(room.access) && h('button', { type: 'button', class: 'primary', onclick: act(() => restore(number)) }, 'Restore')))
    dialog.classList.add('version-dialog')
    dialog.addEventListener('close', () => dialog.remove(), { once: true })
    document.body.append(dialog)
    dialog.showModal()
  }

  async function restore (number) {
    return attempt(() => api.restoreVersion(sessionId, number))
  }

  async function erase ({ number }) {
    const sure = await confirmed({ title: `Delete version ${number}?`, words: 'Nobody can restore it any more.', action: 'Delete version' })
    if (!sure) return null
    const done = await attempt(async () => { await api.deleteVersion(sessionId, number); return true })
    outdate()
    return done
  }

  async function forkFrom (version) {
    const forked = await attempt(() => api.fork(sessionId, version === undefined ? {} : { version }))
    if (forked !== null) onForked(forked.id)
    return forked
  }

  function render () {
    form.hidden = !mayRun(room.access.role)
  }

  room.on('frame', (frame) => {
    if (frame.type === 'versionTaken') outdate()
    const what = { versionRestored: `version ${frame.number}`, stepRestored: 'an earlier moment' }[frame.type]
    if (what === undefined) return
    outdate()
    say(`${frame.userId === selfId ? 'You have' : `${frame.displayName} has`} restored ${what}.`)
  })
  room.on('access', render)
  render()
  return { panel, onShow: () => { if (stale) refresh() } }
}

const title = ({ kind, message }) => message ?? WHY[kind] ?? kind

/** @param {number} bytes */
function size (bytes) {
  return bytes < 1_000 ? `${bytes} bytes` : `${(bytes / 1_000).toFixed(bytes < 10_000 ? 1 : 0)} kB`
}

function diffParts ({ files, truncated }) {
  if (files.length === 0) return [h('p', { class: 'muted' }, 'The document is still the same.')]
  const parts = files.map(({ path, change, added, removed, hunks }) => h('section', { class: 'diff', 'aria-label': path ?? 'Main file' },
    h('h3', {}, path ?? 'Main file', ' ', h('span', { class: 'muted' }, change === 'changed' ? `+${added} −${removed}` : change === 'added' ? 'is new' : 'is gone')),
    ...hunks.map(({ oldStart, newStart, lines }) => h('pre', { class: 'hunk', 'data-at': `${oldStart},${newStart}` },
      ...lines.map(({ kind, text }) => h('span', { class: `diff-line ${kind}` }, `${SIGNS[kind]} ${text}\n`))))))
  if (truncated) parts.push(h('p', { class: 'muted' }, 'There is more than is shown here.'))
  return parts
}

function textParts ({ content, files }) {
  return [
    h('pre', { class: 'version-text' }, content),
    ...files.flatMap(({ path, content }) => [h('h3', {}, path), h('pre', { class: 'version-text' }, content)])
  ]
}
