// Who is here, as a row of initials.

import { h, show } from './dom.js'

const SHOWN_MAX = 6

export function createPeople () {
  const element = h('ul', { class: 'people', 'aria-label': 'In this session' })

  /** @param {ReturnType<import('./room.js').Room['people']>} people */
  function render (people) {
    const rest = people.slice(SHOWN_MAX)
    show(element, ...people.slice(0, SHOWN_MAX).map(badge), rest.length > 0 && more(rest))
  }
  return { element, render }
}

function badge ({ name, color, self }) {
  const label = self ? `${name} (you)` : name
  const circle = h('span', { class: 'badge', 'aria-hidden': 'true' }, initials(name))
  circle.style.backgroundColor = color
  return h('li', { title: label }, circle, h('span', { class: 'sr-only' }, label))
}

function more (people) {
  const names = people.map(({ name }) => name).join(', ')
  return h('li', { title: names },
    h('span', { class: 'badge more', 'aria-hidden': 'true' }, `+${people.length}`), h('span', { class: 'sr-only' }, names))
}

const initials = (name) => {
  const words = name.split(/[\s._-]+/).filter(Boolean)
  const letters = words.length > 1 ? [words[0], words[words.length - 1]].map((word) => [...word][0]) : [...name].slice(0, 2)
  return letters.join('').toUpperCase()
}
