// How others come in: the link, and whether it is enough.

import { ApiError } from './api.js'
import { createDialog } from './dialog.js'
import { h } from './dom.js'
import { EDITOR, VIEWER, mayAdminister } from './roles.js'
import { shareLink } from './routes.js'

const COPIED_MS = 3_000

/**
 * @param {object} options
 * @param {import('./session-info.js').SessionInfo} options.info
 */
export function createShareDialog ({ info }) {
  const { session: { id } } = info
  const link = h('input', { readonly: true, 'aria-label': 'Link to this session', value: shareLink(id), onfocus: () => link.select() })
  const copy = h('button', { type: 'button', class: 'primary', onclick: copyLink }, 'Copy link')
  const copied = h('span', { class: 'sr-only', role: 'status' })
  const words = h('p', { class: 'share-words' })
  const isPublic = h('input', { type: 'checkbox', onchange: () => change({ isPublic: isPublic.checked }) })
  const joinRole = h('select', { onchange: () => change({ joinRole: joinRole.value }) },
    h('option', { value: EDITOR }, 'edit and run'), h('option', { value: VIEWER }, 'read and watch'))
  const problem = h('p', { class: 'problem', role: 'alert' })
  const settings = h('div', { class: 'share-settings' },
    h('label', { class: 'switch' }, isPublic, 'Public: every signed-in person may join'),
    h('label', { class: 'switch' }, 'Those who join may', joinRole))
  const dialog = createDialog('Share this session',
    h('div', { class: 'share-link' }, link, copy), copied, words, settings, problem)
  dialog.classList.add('share')
  let timer
  /** Changes that the edge has not answered yet: until then they are shown as they were asked for. */
  let changing = 0

  async function copyLink () {
    clearTimeout(timer)
    try {
      await navigator.clipboard.writeText(link.value)
      copy.textContent = 'Copied'
      copied.textContent = 'The link is on your clipboard.'
    } catch {
      // Where the page is not served over HTTPS, the browser keeps the clipboard to itself.
      link.focus()
      copied.textContent = 'The link is selected: copy it with your keyboard.'
      copy.textContent = 'Selected'
    }
    timer = setTimeout(() => { copy.textContent = 'Copy link'; copied.textContent = '' }, COPIED_MS)
  }

  async function change (changes) {
    problem.textContent = ''
    changing += 1
    try {
      await info.update(changes)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      problem.textContent = error.message
    } finally {
      changing -= 1
      render()
    }
  }

  function render () {
    const { session } = info
    if (changing === 0) {
      isPublic.checked = session.isPublic
      joinRole.value = session.joinRole
      joinRole.disabled = !session.isPublic
    }
    settings.hidden = !mayAdminister(info.role)
    words.textContent = session.isPublic
      ? `Everybody who is signed in and opens the link joins and may ${session.joinRole === VIEWER ? 'read and watch' : 'edit and run'}.`
      : 'This session is private: the link opens it only for people whom its owner or an admin has added under People.'
  }

  info.on('change', render)
  return {
    element: dialog,
    open () {
      problem.textContent = ''
      render()
      dialog.showModal()
      link.focus()
    }
  }
}
