// The form that makes a session.

import { ApiError } from './api.js'
import { h, show } from './dom.js'
import { withVersion } from './languages.js'

const DEFAULT_LANGUAGE = 'python'

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {import('./languages.js').Languages} options.languages
 * @param {(id: string) => void} options.onOpen
 */
export function createNewSession ({ api, languages, onOpen }) {
  const problem = h('p', { class: 'problem', role: 'alert' })
  const title = h('input', { id: 'title', name: 'title', required: true, maxlength: 100, autocomplete: 'off', placeholder: 'What are you going to write?' })
  const language = h('select', { id: 'language', name: 'language' })
  const shared = h('input', { id: 'shared', type: 'checkbox', checked: true })
  const editors = h('input', { id: 'editors', type: 'checkbox', checked: true })
  const submit = h('button', { class: 'primary', type: 'submit' }, 'Create session')
  const element = h('form', { class: 'card', onsubmit: create },
    h('h1', {}, 'New session'),
    h('div', { class: 'field' }, h('label', { for: 'title' }, 'Title'), title),
    h('div', { class: 'field' }, h('label', { for: 'language' }, 'Language'), language),
    h('label', { class: 'switch' }, shared, 'Public: listed here, anyone may join'),
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

  /** All can be chosen: what cannot be run yet can be written already. */
  function fillLanguages () {
    const chosen = language.value || DEFAULT_LANGUAGE
    // Without the table of languages, Python is still offered.
    const items = languages.items.length > 0 ? languages.items : [{ id: 'python', name: 'Python', versions: [], available: true }]
    show(language, ...items.map((item) => h('option', { value: item.id }, item.available ? withVersion(item) : `${item.name} (preparing)`)))
    language.value = chosen
  }

  languages.on('change', fillLanguages)
  fillLanguages()
  return { element, focus: () => title.focus(), destroy: () => languages.off('change', fillLanguages) }
}
