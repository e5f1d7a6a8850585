// Where others are in the text: what they have selected behind it, their carets with their names
// above it, and to them where oneself is.
//
// Nothing of it stands in the text's own elements. What a browser finds beside a selection that is
// replaced it may move into the new line, and a name there would be read as if somebody had typed it.
//
// On the wire it is what every CodeMirror binding of Yjs says: the field `cursor` of an awareness
// state, `{ anchor, head }` in relative positions.

import { Annotation, EditorSelection } from '@codemirror/state'
import { layer, RectangleMarker, ViewPlugin } from '@codemirror/view'
import * as Y from 'yjs'

/** Whoever has not said who they are. */
const NOBODY = { name: 'Somebody', color: '#6b7280' }
/** Somebody has moved, come or gone. */
const moved = Annotation.define()

/**
 * For an editor whose text is `text` already: it goes behind what binds them.
 * @param {Y.Text} text
 * @param {import('y-protocols/awareness').Awareness} awareness whose states hold plain users only
 * @returns {import('@codemirror/state').Extension}
 */
export function remoteSelections (text, awareness) {
  const update = ({ docChanged, viewportChanged, transactions }) =>
    docChanged || viewportChanged || transactions.some((transaction) => transaction.annotation(moved) === true)
  const drawn = (className, above, shapes) => layer({
    class: className,
    above,
    update,
    markers: (view) => othersIn(text, awareness, view.state.doc.length).flatMap((person) => shapes(view, person))
  })
  return [
    ViewPlugin.define((view) => new Standing(view, text, awareness)),
    drawn('cm-remote-selections', false, selectionOf),
    drawn('cm-remote-carets', true, caretOf)
  ]
}

/** Tells where oneself is, and the view when others are elsewhere. */
class Standing {
  constructor (view, text, awareness) {
    this.text = text
    this.awareness = awareness
    this.onChange = ({ added, updated, removed }) => {
      if ([...added, ...updated, ...removed].some((client) => client !== awareness.clientID)) view.dispatch({ annotations: moved.of(true) })
    }
    awareness.on('change', this.onChange)
  }

  /** Whoever has gone on elsewhere is shown where they were. */
  update ({ view, state, docChanged, selectionSet, focusChanged }) {
    const told = this.awareness.getLocalState()?.cursor
    if (!(docChanged || selectionSet || focusChanged) || !view.hasFocus || !view.dom.ownerDocument.hasFocus()) return
    const { anchor, head } = state.selection.main
    const cursor = { anchor: Y.createRelativePositionFromTypeIndex(this.text, anchor), head: Y.createRelativePositionFromTypeIndex(this.text, head) }
    if (!isSame(told?.anchor, cursor.anchor) || !isSame(told?.head, cursor.head)) this.awareness.setLocalStateField('cursor', cursor)
  }

  destroy () {
    this.awareness.off('change', this.onChange)
  }
}

const isSame = (told, position) => told !== undefined && Y.compareRelativePositions(Y.createRelativePositionFromJSON(told), position)

// ---- Others ----

/**
 * @typedef {object} Other
 * @property {number} client
 * @property {string} name
 * @property {string} color
 * @property {number} anchor
 * @property {number} head
 * @property {string} at what they have said of their caret: another when they move it, the same while others write before it
 */

/** @returns {Other[]} in a steady order */
function othersIn (text, awareness, length) {
  return [...awareness.getStates()].flatMap(([client, { user, cursor }]) => {
    if (client === awareness.clientID) return []
    const [anchor, head] = [indexOf(cursor?.anchor, text), indexOf(cursor?.head, text)]
    if (anchor === null || head === null || Math.max(anchor, head) > length) return []
    const { name, color } = user ?? NOBODY
    return [{ client, name, color, anchor, head, at: JSON.stringify(cursor.head) }]
  }).sort((a, b) => a.client - b.client)
}

/** Where in the text that is, or null: what others say of themselves is taken for nothing but that. */
function indexOf (said, text) {
  if (said === undefined || said === null) return null
  try {
    const found = Y.createAbsolutePositionFromRelativePosition(Y.createRelativePositionFromJSON(said), text.doc)
    return found?.type === text ? found.index : null
  } catch {
    return null
  }
}

// ---- Shapes ----

function selectionOf (view, { anchor, head, color }) {
  if (anchor === head) return []
  const pieces = RectangleMarker.forRange(view, 'cm-remote-selection', EditorSelection.range(anchor, head))
  return pieces.map((piece) => new Tinted(piece, color))
}

function caretOf (view, { client, name, color, head, at }) {
  if (head < view.viewport.from || head > view.viewport.to) return []
  const pieces = RectangleMarker.forRange(view, 'cm-remote-caret', EditorSelection.cursor(head))
  return pieces.map((piece) => new Caret(piece, color, `${client} ${at}`, name))
}

/** A rectangle in somebody's colour. */
class Tinted {
  constructor (rectangle, color) {
    this.rectangle = rectangle
    this.color = color
  }

  eq ({ rectangle, color }) {
    return this.color === color && this.rectangle.eq(rectangle)
  }

  draw () {
    const element = this.rectangle.draw()
    element.style.setProperty('--person', this.color)
    return element
  }

  update (element, { rectangle, color }) {
    return this.color === color && this.rectangle.update(element, rectangle)
  }
}

/** It is drawn anew when it is moved, which shows its name for a while; a text that flows takes it along. */
class Caret extends Tinted {
  constructor (rectangle, color, at, name) {
    super(rectangle, color)
    this.at = at
    this.name = name
  }

  eq (other) {
    return this.at === other.at && this.name === other.name && super.eq(other)
  }

  draw () {
    const element = super.draw()
    const name = document.createElement('span')
    name.className = 'cm-remote-name'
    name.textContent = this.name
    element.append(name)
    return element
  }

  update (element, other) {
    return this.at === other.at && this.name === other.name && super.update(element, other)
  }
}
