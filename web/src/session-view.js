// One session: opens its room and shows it, or says why it cannot be opened.

import { ApiError } from './api.js'
import { h, show } from './dom.js'
import { Room } from './room.js'
import { HOME_HASH } from './routes.js'
import { createWorkspace } from './workspace.js'

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {import('./languages.js').Languages} options.languages
 * @param {string} options.sessionId
 * @param {() => void} options.onReopen show this session from its beginning
 */
export function sessionView ({ api, languages, sessionId, onReopen }) {
  const element = h('main', { class: 'session' }, h('p', { class: 'notice', role: 'status' }, 'Opening the session…'))
  const toolbar = h('div', { class: 'toolbar' })
  let workspace = null
  let closed = false

  Room.open(api, sessionId).then((room) => {
    if (closed) return room.leave()
    workspace = createWorkspace({ api, languages, room, toolbar, onReopen })
    show(element, ...workspace.parts)
    room.connect()
  }).catch((error) => {
    if (!(error instanceof ApiError)) throw error
    show(element, h('div', { class: 'notice', role: 'alert' },
      h('p', {}, error.message),
      error.code === 'session_not_found' && h('p', { class: 'muted' },
        `Or it is private: then its owner can add you under your user name, ${api.user?.username}.`),
      h('p', {}, h('button', { type: 'button', onclick: onReopen }, 'Try again'), ' ', h('a', { href: HOME_HASH }, 'Your sessions'))))
  })

  return {
    element,
    toolbar,
    destroy () {
      closed = true
      workspace?.destroy()
    }
  }
}
