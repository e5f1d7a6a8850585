// What the people of a session say to each other, and who is typing. Text is shown as text.
//
// Messages come with the room's frames and are asked for over HTTP: at first, for what is older, and
// when a number is missing. That somebody types is a field of their awareness state.

import { ApiError } from './api.js'
import { h, show } from './dom.js'
import { mayAdminister } from './roles.js'
import { clockTime } from './times.js'

const PAGE = 50
const CHARS_MAX = 2_000
/** Whoever has not pressed a key for so long is not typing any more. */
const TYPING_MS = 4_000
const NAMES_MAX = 3

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {import('./room.js').Room} options.room
 * @param {Seen} options.seen
 * @param {(unread: number) => void} options.onUnread
 */
export function createChatPanel ({ api, room, seen, onUnread }) {
  const sessionId = room.session.id
  // Who has signed out is told by the room of going: then there is no user any more.
  const selfId = api.user.id
  const log = new ChatLog()
  const list = h('ol', { class: 'chat-log', role: 'log', 'aria-label': 'Chat', tabindex: 0 })
  const older = h('button', { type: 'button', class: 'link', hidden: true, onclick: loadOlder }, 'Older messages')
  const typing = h('p', { class: 'muted chat-typing', 'aria-live': 'polite' })
  const problem = h('p', { class: 'problem', role: 'alert' })
  const text = h('textarea', { rows: 1, maxlength: CHARS_MAX, placeholder: 'Message', 'aria-label': 'Message', onkeydown: onKey, oninput: onInput })
  const form = h('form', { class: 'chat-form', onsubmit: send }, text, h('button', { type: 'submit' }, 'Send'))
  const panel = h('div', { class: 'chat-panel' }, older, list, typing, problem, form)
  /** The message that did not arrive, with the key by which the server knows it if it did after all. */
  let unsent = null
  /** What was said and is not known to have arrived. The first is on its way. */
  const waiting = []
  let loading = null
  let stale = true
  let typingTimer = null

  // ---- Messages ----

  function fail (error) {
    if (!(error instanceof ApiError)) throw error
    problem.textContent = error.message
  }

  async function load () {
    stale = false
    try {
      const { items, more } = await api.messages(sessionId, { limit: PAGE })
      log.take(items, more)
      problem.textContent = ''
      render()
    } catch (error) {
      fail(error)
    }
  }

  function refresh () {
    stale = true
    loading ??= load().finally(() => {
      loading = null
      if (stale) refresh()
    })
  }

  async function loadOlder () {
    const height = list.scrollHeight
    try {
      const { items, more } = await api.messages(sessionId, { limit: PAGE, before: log.first })
      log.take(items, more)
      render()
      list.scrollTop += list.scrollHeight - height
    } catch (error) {
      fail(error)
    }
  }

  // The box is free for the next message at once; what did not arrive comes back into it.
  function send (event) {
    event?.preventDefault()
    const said = text.value.trim()
    if (said === '') return
    const message = unsent?.text === said ? unsent : { text: said, key: crypto.randomUUID() }
    unsent = null
    text.value = ''
    problem.textContent = ''
    type(false)
    text.focus()
    waiting.push(message)
    if (waiting.length === 1) deliver()
  }

  /** One after the other: requests may overtake each other, and so would what was said. */
  async function deliver () {
    try {
      for (; waiting.length > 0; waiting.shift()) take(await api.sendMessage(sessionId, waiting[0]))
    } catch (error) {
      unsent = waiting[0]
      const back = waiting.splice(0).map(({ text }) => text)
      text.value = [...back, text.value].filter((part) => part !== '').join('\n')
      fail(error)
      if (error.code === 'offline') problem.textContent = 'Not sent: the server cannot be reached. Send it again.'
    }
  }

  async function erase ({ seq }) {
    try {
      await api.deleteMessage(sessionId, seq)
      log.erase(seq)
      render()
    } catch (error) {
      fail(error)
    }
  }

  function take (message) {
    if (log.misses(message)) return refresh()
    log.take([message], log.more)
    render()
  }

  // ---- Typing ----

  function onKey (event) {
    if (event.key !== 'Enter' || event.shiftKey || event.ctrlKey || event.metaKey || event.isComposing) return
    send(event)
  }

  function onInput () {
    type(text.value.trim() !== '')
  }

  function type (now) {
    clearTimeout(typingTimer)
    const before = room.awareness.getLocalState()?.typing === true
    if (now !== before) room.awareness.setLocalStateField('typing', now)
    if (now) typingTimer = setTimeout(() => type(false), TYPING_MS)
  }

  function renderTyping () {
    const names = new Map()
    for (const [client, state] of room.awareness.getStates()) {
      if (client !== room.awareness.clientID && state.typing === true && state.user?.name !== undefined) names.set(state.user.id, state.user.name)
    }
    names.delete(selfId)
    const words = typingWords([...names.values()])
    if (typing.textContent !== words) typing.textContent = words
  }

  // ---- What is shown ----

  const looked = () => !panel.hidden && document.visibilityState !== 'hidden'

  function row (message) {
    const { seq, userId, displayName, sentAt, deleted } = message
    const own = userId === selfId
    return h('li', { class: own ? 'own' : '', 'data-seq': seq },
      h('div', { class: 'chat-head' },
        h('span', { class: 'person-name' }, own ? 'You' : displayName),
        h('time', { class: 'muted', datetime: sentAt }, clockTime(sentAt)),
        !deleted && (own || mayAdminister(room.access.role)) && h('button', { type: 'button', class: 'quiet', title: 'Delete', 'aria-label': `Delete the message of ${own ? 'yours' : displayName}`, onclick: () => erase(message) }, '✕')),
      deleted ? h('p', { class: 'muted' }, 'Deleted.') : h('p', { class: 'chat-text' }, message.text))
  }

  function render () {
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
    show(list, ...log.messages.map(row))
    if (log.messages.length === 0) show(list, h('li', { class: 'muted empty' }, 'Nothing was said yet.'))
    older.hidden = !log.more
    if (atEnd) list.scrollTop = list.scrollHeight
    count()
  }

  function count () {
    if (looked()) seen.set(sessionId, log.last)
    onUnread(log.unread(seen.get(sessionId), selfId))
  }

  function receive (frame) {
    if (frame.type === 'chatMessage') take(frame.message)
    else if (frame.type === 'chatDeleted') {
      log.erase(frame.seq)
      render()
    }
  }

  // What was said while the connection was away came with no frame.
  const onState = ({ kind }) => { if (kind === 'live') refresh() }
  room.on('frame', receive)
  room.on('state', onState)
  room.on('access', render)
  room.awareness.on('change', renderTyping)
  document.addEventListener('visibilitychange', count)
  render()
  return {
    panel,
    onShow () {
      list.scrollTop = list.scrollHeight
      count()
    },
    destroy () {
      clearTimeout(typingTimer)
      document.removeEventListener('visibilitychange', count)
    }
  }
}

/** Messages in their order, each once. */
export class ChatLog {
  constructor () {
    /** @type {{ seq: number, sentAt: string, userId: string, displayName: string, text: string, deleted: boolean }[]} */
    this.messages = []
    /** Whether there are older ones. */
    this.more = false
  }

  get first () { return this.messages[0]?.seq ?? 0 }
  get last () { return this.messages.at(-1)?.seq ?? 0 }

  /** Whether there must be others between the last one and this. */
  misses ({ seq }) { return seq > this.last + 1 }

  /** @param {ChatLog['messages']} items @param {boolean} more whether there are older ones than these */
  take (items, more) {
    if (items.length === 0) {
      this.more = more
      return
    }
    // What lies behind a gap is asked for again when somebody wants to see it.
    if (this.misses(items[0])) this.messages = []
    if (this.messages.length === 0 || items[0].seq <= this.first) this.more = more
    const known = new Map(this.messages.map((message) => [message.seq, message]))
    for (const item of items) known.set(item.seq, known.get(item.seq)?.deleted === true ? known.get(item.seq) : item)
    this.messages = [...known.values()].sort((a, b) => a.seq - b.seq)
  }

  erase (seq) {
    this.messages = this.messages.map((message) => message.seq === seq ? { ...message, text: '', deleted: true } : message)
  }

  /** How many of others there are behind the one that was seen last. */
  unread (seen, selfId) {
    return this.messages.filter(({ seq, userId, deleted }) => seq > seen && userId !== selfId && !deleted).length
  }
}

/** Up to which message somebody has looked, by session, in this browser. */
export class Seen {
  /** @param {Pick<Storage, 'getItem' | 'setItem'>} storage */
  constructor (storage) {
    this.storage = storage
  }

  get (sessionId) {
    return Number(this.storage.getItem(key(sessionId)) ?? 0) || 0
  }

  set (sessionId, seq) {
    if (seq <= this.get(sessionId)) return
    try {
      this.storage.setItem(key(sessionId), String(seq))
    } catch {
      // Full, or not allowed: then it is counted again at the next visit.
    }
  }
}

const key = (sessionId) => `codecrafter.chat.${sessionId}`

/** @param {string[]} names */
export function typingWords (names) {
  if (names.length === 0) return ''
  if (names.length > NAMES_MAX) return 'Several people are typing…'
  const list = names.length === 1 ? names[0] : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
  return `${list} ${names.length === 1 ? 'is' : 'are'} typing…`
}
