// One session: puts room, editor, runner and panel together. Each of them knows its own part; only
// this view knows all of them.

import { ApiError } from './api.js'
import { h, show } from './dom.js'
import { createEditor } from './editor.js'
import { createOutputPanel } from './output-panel.js'
import { createPeople } from './people.js'
import { Room } from './room.js'
import { HOME_HASH, shareLink } from './routes.js'
import { Runner } from './runner.js'

const STATES = { connecting: 'Connecting', live: 'Live', offline: 'Offline: connecting again', ended: 'Disconnected' }
const SAYING_MS = 4_000
const MAC = navigator.userAgent.includes('Mac')

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {string} options.sessionId
 * @param {() => void} options.onReopen show this session from its beginning
 */
export function sessionView ({ api, sessionId, onReopen }) {
  const element = h('main', { class: 'session' }, h('p', { class: 'notice', role: 'status' }, 'Opening the session…'))
  const toolbar = h('div', { class: 'toolbar' })
  let opened = null
  let closed = false

  Room.open(api, sessionId).then((room) => {
    if (closed) return room.leave()
    opened = assemble({ api, room, toolbar, onReopen })
    show(element, ...opened.parts)
    room.connect()
  }).catch((error) => {
    if (!(error instanceof ApiError)) throw error
    show(element, h('div', { class: 'notice', role: 'alert' },
      h('p', {}, error.message),
      h('p', {}, h('button', { type: 'button', onclick: onReopen }, 'Try again'), ' ', h('a', { href: HOME_HASH }, 'Your sessions'))))
  })

  return {
    element,
    toolbar,
    destroy () {
      closed = true
      opened?.destroy()
    }
  }
}

function assemble ({ api, room, toolbar, onReopen }) {
  const { session } = room
  const people = createPeople()
  const panel = createOutputPanel()
  const editor = createEditor({ room, language: session.language, onRun: () => run() })

  // ---- What can be done ----

  const runButton = h('button', { class: 'primary run', type: 'button', onclick: () => run(), title: `Run (${MAC ? '⌘' : 'Ctrl'}+Enter)`, 'aria-keyshortcuts': 'Control+Enter Meta+Enter' }, 'Run')
  const linkButton = h('button', { type: 'button', onclick: copyLink }, 'Copy link')
  const lockButton = h('button', { type: 'button', onclick: toggleLock })
  const stdin = h('textarea', { id: 'stdin', rows: 3, spellcheck: 'false', 'aria-label': 'Input of the program' })

  // ---- What is told ----

  const connection = h('span', { class: 'connection', role: 'status' })
  const access = h('span', { class: 'muted' })
  const saying = h('span', { class: 'saying', role: 'status' })
  const ending = h('div', { class: 'ending', role: 'alert', hidden: true })
  let sayingTimer
  let focused = false

  function say (words) {
    clearTimeout(sayingTimer)
    saying.textContent = words
    sayingTimer = setTimeout(() => { saying.textContent = '' }, SAYING_MS)
  }

  // ---- Runs ----

  let busy = false
  const runner = new Runner({
    api,
    sessionId: session.id,
    onLog: panel.render,
    onBusy: (now) => { busy = now; renderAccess() },
    onRefused: say
  })
  const run = () => { if (!runButton.disabled) runner.start(stdin.value) }

  // ---- The room ----

  function renderAccess () {
    const { role, locked } = room.access
    const ended = room.state.kind === 'ended'
    const mayEdit = !ended && (locked ? role === 'owner' : role !== 'viewer')
    editor.setEditable(mayEdit)
    runButton.disabled = ended || busy || role === 'viewer'
    runButton.textContent = busy ? 'Running…' : 'Run'
    lockButton.hidden = role !== 'owner' && role !== 'admin'
    lockButton.textContent = locked ? 'Unlock' : 'Lock'
    lockButton.title = locked ? 'Let editors edit again' : 'Only the owner may edit while it is locked'
    access.textContent = locked ? `${role}, locked` : role
  }

  function renderState ({ kind, words, restart }) {
    connection.textContent = STATES[kind]
    connection.dataset.state = kind
    if (kind === 'live' && !focused) {
      focused = true
      editor.focus()
    }
    if (kind !== 'ended') return
    // The past that did not fit is gone with this view; a new one begins with the room's.
    if (restart) return onReopen()
    renderAccess()
    ending.hidden = false
    show(ending, h('p', {}, words), h('button', { type: 'button', onclick: onReopen }, 'Open again'), h('a', { href: HOME_HASH }, 'Your sessions'))
  }

  async function toggleLock () {
    try {
      await api.updateSession(session.id, { isLocked: !room.access.locked })
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      say(error.message)
    }
  }

  async function copyLink () {
    const link = shareLink(session.id)
    try {
      await navigator.clipboard.writeText(link)
      say('The link is on your clipboard.')
    } catch {
      // Where the page is not served over HTTPS, the browser keeps the clipboard to itself.
      prompt('The link to this session:', link)
    }
  }

  room.on('state', renderState)
  room.on('access', renderAccess)
  room.on('people', people.render)
  room.on('frame', (frame) => runner.receive(frame))
  renderState(room.state)
  renderAccess()
  people.render(room.people())

  // ---- The parts ----

  document.title = `${session.title} – CodeCrafter`
  show(toolbar,
    h('div', { class: 'title' }, h('h1', {}, session.title), h('span', { class: 'tag' }, session.language)),
    people.element, linkButton, lockButton, runButton)
  const parts = [
    ending,
    h('div', { class: 'workspace' },
      h('section', { class: 'panel editor', 'aria-label': 'Editor' }, editor.element),
      h('div', { class: 'side' }, panel.element,
        h('details', { class: 'panel stdin' }, h('summary', {}, 'Program input'), stdin))),
    h('footer', { class: 'status' }, connection, access, saying,
      h('span', { class: 'muted keys' }, `${MAC ? '⌘' : 'Ctrl'}+Enter runs`))
  ]

  // Ctrl-Enter runs from everywhere; in the editor, its own key map is first.
  const onKey = (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) {
      event.preventDefault()
      run()
    }
  }
  addEventListener('keydown', onKey)

  return {
    parts,
    destroy () {
      removeEventListener('keydown', onKey)
      clearTimeout(sayingTimer)
      runner.stop()
      editor.destroy()
      room.leave()
    }
  }
}
