// Where one begins: a new session, one's own sessions, and everybody's public ones.

import { h } from './dom.js'
import { createNewSession } from './new-session.js'
import { createSessionList } from './session-list.js'
import { createTabs } from './tabs.js'

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {import('./languages.js').Languages} options.languages
 * @param {(id: string) => void} options.onOpen
 */
export function homeView ({ api, languages, onOpen }) {
  const form = createNewSession({ api, languages, onOpen })
  const own = createSessionList({ api, languages, label: 'Your sessions', empty: 'None yet. Create one, or open a link that somebody sent you.' })
  const open = createSessionList({ api, languages, label: 'Public sessions', scope: 'public', empty: 'Nobody has a public session yet.' })
  const tabs = createTabs('Sessions', [
    { id: 'own', name: 'Your sessions', panel: own.panel, onShow: own.load },
    { id: 'public', name: 'Public sessions', panel: open.panel, onShow: open.load }
  ])
  const element = h('main', { class: 'home' }, form.element,
    h('section', { class: 'lists', 'aria-label': 'Sessions' }, tabs.list, own.panel, open.panel))
  return {
    element,
    focus: form.focus,
    destroy () {
      form.destroy()
      own.destroy()
      open.destroy()
    }
  }
}
