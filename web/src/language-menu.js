// The session's language: a menu for those who may change it, a word for the others.

import { h, show } from './dom.js'
import { inFull, withVersion } from './languages.js'

const PREPARING = 'No executor offers this language at the moment. A new executor prepares its languages one after the other; this menu follows by itself.'

/**
 * @param {object} options
 * @param {import('./languages.js').Languages} options.languages
 * @param {(id: string) => void} options.onChoose
 */
export function createLanguageMenu ({ languages, onChoose }) {
  const select = h('select', { class: 'language', 'aria-label': 'Language', onchange: () => onChoose(select.value) })
  const word = h('span', { class: 'tag language' })
  const element = h('span', { class: 'language-menu' }, select, word)
  let current = { id: '', changeable: false }

  function render (next = current) {
    current = next
    const { id, changeable } = current
    const language = languages.find(id)
    select.hidden = !changeable
    word.hidden = changeable
    word.textContent = language === undefined ? id : withVersion(language)
    word.title = 'Owner and admins can change the language'
    select.title = language === undefined ? '' : language.available ? inFull(language) : PREPARING

    const items = languages.items.length > 0 ? languages.items : [{ id, name: id, versions: [], available: true }]
    const ready = items.filter(({ available }) => available)
    const others = items.filter(({ available }) => !available)
    show(select,
      ...ready.map((item) => h('option', { value: item.id }, withVersion(item))),
      others.length > 0 && h('optgroup', { label: 'Preparing, not ready to run' },
        ...others.map((item) => h('option', { value: item.id, disabled: item.id !== id, title: PREPARING }, `${item.name} (preparing)`))))
    // Before the table knows it, the session's own language is shown all the same.
    if (!items.some((item) => item.id === id)) select.prepend(h('option', { value: id }, id))
    select.value = id
  }

  const onTable = () => render()
  languages.on('change', onTable)
  return { element, render, destroy: () => languages.off('change', onTable) }
}

/**
 * Why a program in that language cannot be run now; null if it can.
 * @param {import('./languages.js').Languages} languages
 * @param {string} id
 */
export function whyNotReady (languages, id) {
  const language = languages.find(id)
  return language?.available === false ? `${language.name} is being prepared: no executor offers it yet. It can be run as soon as one does.` : null
}
