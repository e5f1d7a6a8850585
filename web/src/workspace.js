// An open session: puts room, editor, runner and panels together. Each of them knows its own part;
// only this module knows all of them.

import { ApiError } from './api.js'
import { Seen, createChatPanel } from './chat-panel.js'
import { h, show } from './dom.js'
import { createEditor } from './editor.js'
import { createHistoryPanel } from './history-panel.js'
import { createInputPanel } from './input-panel.js'
import { createLanguageMenu, whyNotReady } from './language-menu.js'
import { createOnline } from './online.js'
import { createOutputPanel } from './output-panel.js'
import { createParticipantsPanel } from './participants-panel.js'
import { createPeople } from './people.js'
import { mayAdminister, mayEdit, mayRun } from './roles.js'
import { HOME_HASH, sessionHash } from './routes.js'
import { RUN_KEYS, STOP_KEYS, createRunButton } from './run-button.js'
import { Runner } from './runner.js'
import { SessionInfo } from './session-info.js'
import { createShareDialog } from './share-dialog.js'
import { accessWords, connectionWords, savedWords } from './standing.js'
import { createStarterOffer } from './starter-offer.js'
import { createTabs } from './tabs.js'
import { createVersionsPanel } from './versions-panel.js'

const SAYING_MS = 6_000
/** Sooner than that, what was typed is nearly always saved, and there is nothing to be told. */
const UNSAVED_MS = 1_000

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {import('./languages.js').Languages} options.languages
 * @param {import('./room.js').Room} options.room
 * @param {HTMLElement} options.toolbar
 * @param {() => void} options.onReopen
 */
export function createWorkspace ({ api, languages, room, toolbar, onReopen }) {
  const info = new SessionInfo(api, room)
  let tabs = null
  const sessionId = room.session.id
  // Who has signed out is told by the room of going: then there is no user any more.
  const selfId = api.user.id
  const people = createPeople()
  const input = createInputPanel()
  const output = createOutputPanel({
    nameOf: (userId) => info.nameOf(userId),
    fetchFile: (executionId, name) => api.executionFile(executionId, name),
    onInput: (input) => runner.type(input),
    isOwn: ({ executionId }) => runner.asking || runner.own === executionId,
    mayType: () => mayRun(room.access.role)
  })
  const history = createHistoryPanel({
    api, sessionId, languageName: (id) => languages.nameOf(id), onShow: output.showPast
  })
  const participants = createParticipantsPanel({ info, selfId, onLeft: () => { location.hash = HOME_HASH } })
  const online = createOnline({ api, sessionId, onOnline: participants.setOnline })
  const chat = createChatPanel({ api, room, seen: new Seen(localStorage), onUnread: (unread) => tabs?.rename('chat', chatName(unread)) })
  const versions = createVersionsPanel({ api, room, say, onForked: (id) => { location.hash = sessionHash(id) } })
  const share = createShareDialog({ info })
  const language = createLanguageMenu({ languages, onChoose: (id) => update({ language: id }) })
  const runButton = createRunButton({ onRun: run, onStop: () => runner.stop(), onRefused: say })
  const editor = createEditor({ room, onRun: () => runButton.run() })
  const starter = createStarterOffer({ room, onTaken: editor.focus })
  const runner = new Runner({
    api,
    sessionId,
    onLog: renderRun,
    onTell: (words) => room.tell('run', words),
    onRefused: say
  })

  // ---- What is told, always at the same place ----

  const connection = h('span', { class: 'connection', role: 'status' })
  const access = h('span', { class: 'access muted', role: 'status' })
  const saved = h('span', { class: 'saved muted', role: 'status' })
  const saying = h('span', { class: 'saying', role: 'status' })
  const ending = h('div', { class: 'ending', role: 'alert', hidden: true })
  let sayingTimer
  let savedTimer
  let focused = false

  function say (words) {
    clearTimeout(sayingTimer)
    saying.textContent = words
    sayingTimer = setTimeout(() => { saying.textContent = '' }, SAYING_MS)
  }

  function renderSaved (isSaved) {
    clearTimeout(savedTimer)
    const tell = () => {
      saved.textContent = savedWords(isSaved)
      saved.dataset.saved = String(isSaved)
    }
    if (isSaved) tell()
    else savedTimer = setTimeout(tell, UNSAVED_MS)
  }

  // ---- Runs ----

  async function run ({ onTerminal }) {
    try {
      const given = { ...room.source(), ...input.read() }
      if (onTerminal) given.interactive = { terminal: await output.room() }
      await runner.start(given)
      if (onTerminal) output.focus()
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      tabs.choose('input')
      say(error.message)
    }
  }

  let outlined = ''
  function renderRun (log) {
    output.render(log, runner.stopping)
    renderButtons()
    const outline = `${log.executionId} ${log.phase === 'finished'}`
    if (outline !== outlined) history.outdate()
    outlined = outline
  }

  // ---- What may be done ----

  const title = h('h1', {}, info.session.title)
  const lockButton = h('button', { type: 'button', class: 'lock', onclick: () => update({ isLocked: !room.access.locked }) })

  function whyNotRun () {
    return mayRun(room.access.role) ? whyNotReady(languages, info.session.language) : 'Viewers watch: an admin can make you an editor.'
  }

  function whyNotStop () {
    const { userId } = runner.log
    const own = userId === null || userId === selfId
    return own || mayAdminister(room.access.role) ? null : 'Whoever began this run can stop it, and admins can.'
  }

  function renderButtons () {
    const refusal = room.state.kind === 'ended' ? 'The session is not open any more.' : runner.busy ? whyNotStop() : whyNotRun()
    runButton.render({ busy: runner.busy, stopping: runner.stopping, refusal })
  }

  function render () {
    const { session } = info
    const { role, locked } = room.access
    const open = room.state.kind !== 'ended'
    const editable = open && mayEdit(room.access)
    document.title = `${session.title} – CodeCrafter`
    title.textContent = session.title
    editor.setEditable(editable)
    editor.setLanguage(session.language)
    starter.update({ language: { id: session.language, name: languages.nameOf(session.language) }, editable })
    language.render({ id: session.language, changeable: open && mayAdminister(role) })
    lockButton.hidden = !mayAdminister(role)
    lockButton.textContent = locked ? 'Unlock' : 'Lock'
    lockButton.setAttribute('aria-pressed', String(locked))
    lockButton.title = locked ? 'Let editors edit again' : 'Only the owner may edit while it is locked'
    access.textContent = open ? accessWords(room.access) : ''
    access.dataset.restricted = String(!editable)
    renderButtons()
    participants.render()
    output.rename()
    tabs.rename('people', `People (${session.participants.length})`)
  }

  function renderState (state) {
    connection.textContent = connectionWords(state)
    connection.dataset.state = state.kind
    if (state.kind === 'live' && !focused) {
      focused = true
      editor.focus()
    }
    if (state.kind !== 'ended') return
    // The past that did not fit is gone with this view; a new one begins with the room's.
    if (state.restart) return onReopen()
    render()
    ending.hidden = false
    show(ending, h('p', {}, state.words), h('button', { type: 'button', onclick: onReopen }, 'Open again'), h('a', { href: HOME_HASH }, 'Your sessions'))
  }

  async function update (changes) {
    try {
      await info.update(changes)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      say(error.message)
      render()
    }
  }

  // ---- The parts ----

  const shareButton = h('button', { type: 'button', 'aria-haspopup': 'dialog', onclick: share.open }, 'Share')
  show(toolbar,
    h('div', { class: 'title' }, title, language.element),
    people.element, shareButton, lockButton, runButton.element)
  tabs = createTabs('Session', [
    { id: 'people', name: 'People', panel: participants.panel },
    { id: 'runs', name: 'Runs', panel: history.panel, onShow: history.onShow },
    { id: 'input', name: 'Input', panel: input.panel },
    { id: 'chat', name: chatName(0), panel: chat.panel, onShow: chat.onShow },
    { id: 'versions', name: 'Versions', panel: versions.panel, onShow: versions.onShow }
  ])
  input.onInput(() => tabs.rename('input', input.filled ? 'Input •' : 'Input'))
  const parts = [
    ending,
    h('div', { class: 'workspace' },
      h('section', { class: 'panel editor', 'aria-label': 'Editor' }, editor.element, starter.element),
      h('div', { class: 'side' }, output.element,
        h('section', { class: 'panel drawer', 'aria-label': 'People, runs, input, chat and versions' }, tabs.list,
          participants.panel, history.panel, input.panel, chat.panel, versions.panel))),
    h('footer', { class: 'status' }, connection, saved, access, saying,
      h('span', { class: 'muted keys' }, `${RUN_KEYS} runs · ${STOP_KEYS} stops`)),
    share.element
  ]

  room.on('state', renderState)
  room.on('access', render)
  room.on('saved', renderSaved)
  room.on('people', (now) => { people.render(now); participants.setPresent(now); online.soon() })
  room.on('frame', (frame) => runner.receive(frame))
  room.on('told', (topic, value) => { if (topic === 'run') runner.follow(value) })
  info.on('change', render)
  languages.on('change', render)
  people.render(room.people())
  participants.setPresent(room.people())
  render()
  renderState(room.state)

  // The keys work everywhere; in the editor, its own key map is first.
  const onKey = (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.defaultPrevented) return
    if (event.key === 'Enter') runButton.run({ onTerminal: event.shiftKey })
    else if (event.key === '.') runButton.stop()
    else return
    event.preventDefault()
  }
  addEventListener('keydown', onKey)

  return {
    parts,
    destroy () {
      removeEventListener('keydown', onKey)
      clearTimeout(sayingTimer)
      clearTimeout(savedTimer)
      languages.off('change', render)
      language.destroy()
      chat.destroy()
      online.destroy()
      runner.leave()
      output.destroy()
      info.destroy()
      editor.destroy()
      room.leave()
    }
  }
}

const chatName = (unread) => unread === 0 ? 'Chat' : `Chat (${unread})`
