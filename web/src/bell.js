// What one is told wherever one is: a bell with how much of it is unread, and the list behind it.

import { FeedClient } from '../client/src/index.js'
import { ApiError } from './api.js'
import { h, show } from './dom.js'
import { HOME_HASH, sessionHash } from './routes.js'
import { roleName } from './roles.js'
import { clockTime } from './times.js'
import { shortVerdict } from './verdict.js'

const PAGE = 30

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 */
export function createBell ({ api }) {
  const feed = new FeedClient({
    connect: () => api.connectFeed(),
    origin: api.origin || location.origin
  })
  const count = h('span', { class: 'bell-count', hidden: true })
  const button = h('button', { type: 'button', class: 'quiet bell-button', 'aria-expanded': 'false', 'aria-haspopup': 'true', onclick: toggle },
    h('span', { class: 'bell-mark', 'aria-hidden': 'true' }), count)
  const list = h('ol', { class: 'notes', 'aria-label': 'Notifications' })
  const older = h('button', { type: 'button', class: 'link', hidden: true, onclick: loadOlder }, 'Older notifications')
  const problem = h('p', { class: 'problem', role: 'alert' })
  const panel = h('div', { class: 'notes-panel', hidden: true }, list, problem, older)
  const element = h('div', { class: 'bell' }, button, panel)
  /** Newest first. @type {any[]} */
  let notes = []
  let more = false
  /** What is asked for may be overtaken by what is asked for later. */
  let asked = 0

  async function attempt (work) {
    try {
      await work()
      problem.textContent = ''
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      problem.textContent = error.message
    }
  }

  async function load () {
    const mine = asked += 1
    const answer = await api.notifications({ limit: PAGE })
    if (mine !== asked) return
    ;({ items: notes, more } = answer)
    render()
    if (!panel.hidden && answer.unread > 0) await api.readNotifications(answer.seq)
  }

  function loadOlder () {
    return attempt(async () => {
      const answer = await api.notifications({ limit: PAGE, before: notes.at(-1).seq })
      notes = [...notes, ...answer.items]
      more = answer.more
      render()
    })
  }

  const refresh = () => panel.hidden ? undefined : attempt(load)

  function toggle () {
    panel.hidden = !panel.hidden
    button.setAttribute('aria-expanded', String(!panel.hidden))
    refresh()
  }

  function close () {
    if (!panel.hidden) toggle()
  }

  function row ({ at, read, event }) {
    const { words, where } = told(event)
    return h('li', { class: read ? 'read' : 'unread' },
      h('a', { href: where, onclick: close }, words),
      h('time', { class: 'muted', datetime: at }, clockTime(at)))
  }

  function render () {
    if (notes.length === 0) show(list, h('li', { class: 'muted empty' }, 'Nothing yet.'))
    else show(list, ...notes.map(row))
    older.hidden = !more
  }

  function renderCount (unread) {
    count.hidden = unread === 0
    count.textContent = unread > 99 ? '99+' : String(unread)
    button.setAttribute('aria-label', unread === 0 ? 'Notifications' : `Notifications: ${unread} unread`)
  }

  const onClick = ({ target }) => { if (!element.contains(target)) close() }
  const onKey = ({ key }) => { if (key === 'Escape') close() }
  addEventListener('click', onClick)
  addEventListener('keydown', onKey)
  feed.on('unread', renderCount)
  feed.on('notification', refresh)
  feed.on('stale', refresh)
  renderCount(0)
  render()
  feed.connect()
  return {
    element,
    destroy () {
      removeEventListener('click', onClick)
      removeEventListener('keydown', onKey)
      feed.destroy()
    }
  }
}

/** What has happened, in a sentence, and where to go then. Kinds that are not known are news too. */
export function told (event) {
  const { sessionId, title, by } = event
  const who = by?.displayName || 'Somebody'
  const where = sessionId === undefined ? HOME_HASH : sessionHash(sessionId)
  switch (event.type) {
    case 'added': return { words: `${who} added you to “${title}” as ${roleName(event.role).toLowerCase()}.`, where }
    case 'roleChanged': return { words: `${who} made you ${roleName(event.role).toLowerCase()} of “${title}”.`, where }
    case 'removed': return { words: `${who} removed you from “${title}”.`, where: HOME_HASH }
    case 'locked': return { words: `${who} locked “${title}”.`, where }
    case 'unlocked': return { words: `${who} unlocked “${title}”.`, where }
    case 'runFinished': return { words: `Your run in “${title}” has ended: ${shortVerdict(event.verdict).toLowerCase()}.`, where }
    case 'mentioned': return { words: `${who} named you in “${title}”: ${event.text}`, where }
    default: return { words: `Something has happened${title === undefined ? '' : ` in “${title}”`}.`, where }
  }
}
