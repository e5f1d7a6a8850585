// A person as a circle with initials.

import { h } from './dom.js'

/**
 * @param {string} name
 * @param {string} [color] a plain hexadecimal one; grey without
 */
export function badge (name, color) {
  const circle = h('span', { class: 'badge', 'aria-hidden': 'true' }, initials(name))
  if (color !== undefined) circle.style.backgroundColor = color
  return circle
}

const initials = (name) => {
  const words = name.split(/[\s._-]+/).filter(Boolean)
  const letters = words.length > 1 ? [words[0], words[words.length - 1]].map((word) => [...word][0]) : [...name].slice(0, 2)
  return letters.join('').toUpperCase()
}
