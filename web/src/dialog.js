// Dialogs of the browser's own kind: it keeps the focus inside, closes them with Escape, and gives
// the focus back.

import { h } from './dom.js'

let dialogs = 0

/**
 * @param {string} title
 * @param {...(Node | string | false)} children
 */
export function createDialog (title, ...children) {
  const heading = h('h2', { id: `dialog-${dialogs += 1}` }, title)
  const close = h('button', { type: 'button', class: 'quiet', 'aria-label': 'Close', onclick: () => element.close() }, '✕')
  const element = h('dialog', { 'aria-labelledby': heading.id },
    h('header', { class: 'dialog-head' }, heading, close), ...children)
  // A click on what lies behind closes it.
  element.addEventListener('click', (event) => { if (event.target === element) element.close() })
  return element
}

/**
 * Asks before something that cannot be taken back.
 * @param {{ title: string, words: string, action: string }} options
 * @returns {Promise<boolean>}
 */
export function confirmed ({ title, words, action }) {
  return new Promise((resolve) => {
    let answer = false
    const no = h('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel')
    const yes = h('button', { type: 'button', class: 'primary', onclick: () => { answer = true; dialog.close() } }, action)
    const dialog = createDialog(title, h('p', {}, words), h('div', { class: 'dialog-foot' }, no, yes))
    dialog.addEventListener('close', () => { dialog.remove(); resolve(answer) }, { once: true })
    document.body.append(dialog)
    dialog.showModal()
    no.focus()
  })
}
