// A list of sessions with search, filter and pages.

import { ApiError } from './api.js'
import { h, show } from './dom.js'
import { sessionHash } from './routes.js'
import { dayAndTime } from './times.js'

const PAGE_ITEMS = 12
/** A search begins when typing pauses for this long. */
const PAUSE_MS = 250

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {import('./languages.js').Languages} options.languages
 * @param {string} options.label
 * @param {'public'} [options.scope] one's own without
 * @param {string} options.empty what to say when there is none
 */
export function createSessionList ({ api, languages, label, scope, empty }) {
  const search = h('input', { type: 'search', placeholder: 'Search titles and descriptions', 'aria-label': `Search ${label.toLowerCase()}`, oninput: searchSoon })
  const language = h('select', { 'aria-label': `Language of ${label.toLowerCase()}`, onchange: () => load(1) })
  const list = h('ul', { class: 'sessions', 'aria-label': label })
  const pager = h('div', { class: 'pager' })
  const panel = h('div', {}, h('div', { class: 'filters', role: 'search' }, search, language), list, pager)
  let timer
  /** Answers may overtake each other: only the newest counts. */
  let asked = 0

  function searchSoon () {
    clearTimeout(timer)
    timer = setTimeout(() => load(1), PAUSE_MS)
  }

  async function load (page) {
    clearTimeout(timer)
    asked += 1
    const now = asked
    const q = search.value.trim()
    try {
      const { items, total } = await api.sessions({ scope, q, language: language.value, page, limit: PAGE_ITEMS })
      if (now !== asked) return
      const narrowed = q !== '' || language.value !== ''
      show(list, ...items.map((item) => row(item, languages)))
      if (total === 0) show(list, h('li', { class: 'muted empty' }, narrowed ? 'Nothing fits.' : empty))
      turn(page, Math.max(1, Math.ceil(total / PAGE_ITEMS)))
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      if (now === asked) show(list, h('li', { class: 'problem', role: 'alert' }, error.message))
    }
  }

  function turn (page, pages) {
    show(pager, ...(pages === 1 ? [] : [
      h('button', { type: 'button', disabled: page === 1, onclick: () => load(page - 1) }, 'Newer'),
      h('span', { class: 'muted' }, `${page} of ${pages}`),
      h('button', { type: 'button', disabled: page === pages, onclick: () => load(page + 1) }, 'Older')
    ]))
  }

  function fillLanguages () {
    const chosen = language.value
    show(language, h('option', { value: '' }, 'Every language'), ...languages.items.map(({ id, name }) => h('option', { value: id }, name)))
    language.value = chosen
  }

  languages.on('change', fillLanguages)
  fillLanguages()
  return {
    panel,
    load: () => { load(1) },
    destroy () {
      asked += 1
      clearTimeout(timer)
      languages.off('change', fillLanguages)
    }
  }
}

function row ({ id, title, language, isPublic, role, ownerName, participantCount, updatedAt }, languages) {
  const people = participantCount === 1 ? '1 person' : `${participantCount} people`
  const about = [languages.nameOf(language), role === 'owner' ? null : `by ${ownerName}`, role, people, isPublic ? null : 'private', dayAndTime(updatedAt)]
  return h('li', {}, h('a', { href: sessionHash(id) },
    h('strong', {}, title), h('span', { class: 'muted' }, about.filter(Boolean).join(' · '))))
}
