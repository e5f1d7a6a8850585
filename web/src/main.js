// The page: who is signed in, which view is shown, and the bar above it.
//
// Reading order: api, tokens → sign-in-view, home-view, bell → session-view, workspace → room,
// session-info, editor → runner, run-log, transcript, output-panel → the other panels.

import { Api, ApiError } from './api.js'
import { createBell } from './bell.js'
import { h, show } from './dom.js'
import { homeView } from './home-view.js'
import { Languages } from './languages.js'
import { HOME_HASH, sessionHash, sessionOf } from './routes.js'
import { sessionView } from './session-view.js'
import { signInView } from './sign-in-view.js'
import { TokenStore } from './tokens.js'

const store = new TokenStore(localStorage)
const api = new Api({ store, onSignedOut: render })
const app = document.getElementById('app')
let view = null
let languages = null
/** Of whoever is signed in, through all views. @type {{ userId: string, bell: ReturnType<typeof createBell> } | null} */
let ringing = null

function render () {
  view?.destroy?.()
  document.title = 'CodeCrafter'
  const sessionId = sessionOf(location.hash)
  view = choose(sessionId)
  show(app, bar(view.toolbar), view.element)
  view.focus?.()
}

function choose (sessionId) {
  if (api.user === null) return signInView({ api, invited: sessionId !== null, onSignedIn: render })
  languages ??= new Languages(api)
  if (sessionId === null) return homeView({ api, languages, onOpen: (id) => { location.hash = sessionHash(id) } })
  return sessionView({ api, languages, sessionId, onReopen: render })
}

function bell () {
  const userId = api.user?.id ?? null
  if (ringing !== null && ringing.userId !== userId) {
    ringing.bell.destroy()
    ringing = null
  }
  if (userId === null) return null
  ringing ??= { userId, bell: createBell({ api }) }
  return ringing.bell.element
}

function bar (toolbar) {
  const ring = bell()
  return h('header', { class: 'bar' },
    h('a', { class: 'brand', href: HOME_HASH, 'aria-label': 'CodeCrafter: your sessions' },
      h('span', { class: 'mark', 'aria-hidden': 'true' }, '‹›'), h('span', { class: 'name' }, 'CodeCrafter')),
    toolbar ?? h('div', { class: 'toolbar' }),
    api.user !== null && h('div', { class: 'account' },
      ring,
      h('span', { class: 'muted' }, api.user.displayName),
      h('button', { class: 'link', type: 'button', onclick: signOut }, 'Sign out')))
}

/** The view goes first: what it still asked for would be refused once the edge has ended the login. */
function signOut () {
  const told = api.signOut()
  render()
  return told
}

/** A login that is remembered is taken up first; without an answer, that can be tried again. */
async function begin () {
  try {
    await api.resume()
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return show(app, bar(), h('main', {}, h('div', { class: 'notice', role: 'alert' },
      h('p', {}, error.message), h('button', { type: 'button', onclick: begin }, 'Try again'))))
  }
  render()
}

addEventListener('hashchange', render)
store.onCleared(() => {
  api.forget()
  render()
})
begin()
