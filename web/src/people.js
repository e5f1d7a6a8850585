// Who is here, as a row of initials.

import { badge } from './badge.js'
import { h, show } from './dom.js'
import { doing, presenceWords } from './standing.js'

const SHOWN_MAX = 5

export function createPeople () {
  const element = h('ul', { class: 'people', 'aria-label': 'Here now' })

  /** @param {ReturnType<import('./room.js').Room['people']>} people */
  function render (people) {
    const rest = people.slice(SHOWN_MAX)
    show(element, ...people.slice(0, SHOWN_MAX).map(person), rest.length > 0 && more(rest))
  }
  return { element, render }
}

function person (someone) {
  const { name, color, self } = someone
  const label = [self ? `${name} (you)` : name, presenceWords(someone)].filter(Boolean).join(', ')
  return h('li', { title: label, 'data-doing': doing(someone) }, badge(name, color), h('span', { class: 'sr-only' }, label))
}

function more (people) {
  const names = people.map(({ name }) => name).join(', ')
  return h('li', { title: names },
    h('span', { class: 'badge more', 'aria-hidden': 'true' }, `+${people.length}`), h('span', { class: 'sr-only' }, names))
}
