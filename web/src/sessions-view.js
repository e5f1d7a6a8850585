// The sessions that one has joined, and a new one.

import { ApiError } from './api.js'
import { h, show } from './dom.js'
import { sessionHash } from './routes.js'

const PAGE_ITEMS = 12

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {(id: string) => void} options.onOpen
 */
export function sessionsView ({ api, onOpen }) {
  const problem = h('p', { class: 'problem', role: 'alert' })
  const title = h('input', { id: 'title', name: 'title', required: true, maxlength: 100, autocomplete: 'off', placeholder: 'What are you going to write?' })
  const language = h('select', { id: 'language', name: 'language' }, h('option', { value: 'python' }, 'Python'))
  const shared = h('input', { id: 'shared', type: 'checkbox', checked: true })
  const editors = h('input', { id: 'editors', type: 'checkbox', checked: true })
  const submit = h('button', { class: 'primary', type: 'submit' }, 'Create session')
  const list = h('ul', { class: 'sessions' })
  const pager = h('div', { class: 'pager' })

  const form = h('form', { class: 'card', onsubmit: create },
    h('h1', {}, 'New session'),
    h('div', { class: 'field' }, h('label', { for: 'title' }, 'Title'), title),
    h('div', { class: 'field' }, h('label', { for: 'language' }, 'Language'), language),
    h('label', { class: 'switch' }, shared, 'Whoever has the link may join'),
    h('label', { class: 'switch' }, editors, 'Those who join may edit and run'),
    problem, submit)

  shared.addEventListener('change', () => { editors.disabled = !shared.checked })

  async function create (event) {
    event.preventDefault()
    problem.textContent = ''
    submit.disabled = true
    try {
      const session = await api.createSession({
        title: title.value.trim(),
        language: language.value,
        isPublic: shared.checked,
        joinRole: editors.checked ? 'editor' : 'viewer'
      })
      onOpen(session.id)
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      problem.textContent = [error.message, ...error.errors.map(({ field, message }) => `${field}: ${message}`)].join(' ')
    } finally {
      submit.disabled = false
    }
  }

  async function fillLanguages () {
    const { items } = await api.languages()
    if (items.length === 0) return
    show(language, ...items.map(({ id, name, available }) =>
      h('option', { value: id, selected: id === 'python' }, available ? name : `${name} (no executor now)`)))
  }

  async function fillSessions (page) {
    const { items, total } = await api.sessions(page, PAGE_ITEMS)
    const pages = Math.max(1, Math.ceil(total / PAGE_ITEMS))
    show(list, ...items.map(row))
    if (total === 0) show(list, h('li', { class: 'muted empty' }, 'None yet. Create one, or open a link that somebody sent you.'))
    show(pager, ...(pages === 1 ? [] : [
      h('button', { type: 'button', disabled: page === 1, onclick: () => fillSessions(page - 1) }, 'Newer'),
      h('span', { class: 'muted' }, `${page} of ${pages}`),
      h('button', { type: 'button', disabled: page === pages, onclick: () => fillSessions(page + 1) }, 'Older')
    ]))
  }

  const fail = (error) => {
    if (!(error instanceof ApiError)) throw error
    show(list, h('li', { class: 'problem' }, error.message))
  }
  fillSessions(1).catch(fail)
  // Without the table of languages, Python is still offered.
  fillLanguages().catch(() => {})

  const element = h('main', { class: 'home' }, form,
    h('section', { 'aria-labelledby': 'yours' }, h('h2', { id: 'yours' }, 'Your sessions'), list, pager))
  return { element, focus: () => title.focus() }
}

function row ({ id, title, language, role, participantCount, updatedAt }) {
  const people = participantCount === 1 ? 'only you' : `${participantCount} people`
  const when = new Date(updatedAt).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })
  return h('li', {}, h('a', { href: sessionHash(id) },
    h('strong', {}, title),
    h('span', { class: 'muted' }, `${language} · ${role} · ${people} · ${when}`)))
}
