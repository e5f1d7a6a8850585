// Offers a first program while the document is empty. Lies over the editor, so that nothing moves
// when it comes and goes.

import { h } from './dom.js'
import { offersStarter, starterOf } from './starters.js'

/**
 * @param {object} options
 * @param {import('./room.js').Room} options.room
 * @param {() => void} options.onTaken
 */
export function createStarterOffer ({ room, onTaken }) {
  const button = h('button', { type: 'button', onclick: take })
  const element = h('div', { class: 'starter-offer', hidden: true }, button)
  let language = { id: '', name: '' }
  let editable = false

  function take () {
    const text = starterOf(language.id)
    // One change: it is undone at once, and others never see half of it.
    room.doc.transact(() => {
      room.text.delete(0, room.text.length)
      room.text.insert(0, text)
    })
    onTaken()
  }

  function render () {
    // The length alone decides mostly: a long document is not read at every key.
    const short = room.text.length < 1_000
    element.hidden = !editable || room.state.kind !== 'live' || !short || !offersStarter(language.id, room.text.toString())
    button.textContent = `Start with a small ${language.name} program`
  }

  room.text.observe(render)
  room.on('state', render)

  return {
    element,
    /** @param {{ language: { id: string, name: string }, editable: boolean }} next */
    update (next) {
      ({ language, editable } = next)
      render()
    }
  }
}
