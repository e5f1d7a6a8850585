// Shows a transcript: one element for each block. Only what is new is touched, at most once a
// frame of the screen, so that a flood of output leaves the page usable; a selection survives, and
// a screen reader reads what was added.

import { h } from './dom.js'

/** This close to its end, a reader wants to see the end. */
const NEAR_PX = 24
const SPOKEN = { stderr: 'Error output', compile: 'Compiler' }

export function createOutputText () {
  const element = h('pre', { class: 'output-text', role: 'log', 'aria-label': 'Output', tabindex: '0' })
  /** @type {Map<number, { span: HTMLElement, block: object }>} */
  let shown = new Map()
  let wanted = { key: null, blocks: [] }
  let key = null
  let frame = null

  function draw () {
    frame = null
    const fresh = wanted.key !== key
    const atEnd = fresh || element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_PX
    if (fresh) {
      element.replaceChildren()
      shown = new Map()
      key = wanted.key
    }
    const next = new Map()
    let before = null
    for (const block of wanted.blocks) {
      const entry = shown.get(block.id) ?? { span: h('span', { class: block.stream, title: SPOKEN[block.stream] }), block: null }
      shown.delete(block.id)
      if (entry.block !== block) write(entry, block)
      const place = before === null ? element.firstChild : before.nextSibling
      if (entry.span !== place) element.insertBefore(entry.span, place)
      before = entry.span
      next.set(block.id, entry)
    }
    for (const { span } of shown.values()) span.remove()
    shown = next
    if (atEnd) element.scrollTop = element.scrollHeight
  }

  /** A block that grew gets its new letters; anything else is written anew. */
  function write (entry, block) {
    const text = entry.span.firstChild
    const old = entry.block?.text
    if (text !== null && block.text.startsWith(old)) text.appendData(block.text.slice(old.length))
    else entry.span.textContent = block.text
    entry.block = block
  }

  return {
    element,
    /**
     * @param {string} ofRun what is shown of another run is cleared first
     * @param {import('./transcript.js').Transcript} transcript
     */
    render (ofRun, transcript) {
      wanted = { key: `${ofRun}`, blocks: transcript.blocks }
      frame ??= requestAnimationFrame(draw)
    },
    destroy: () => cancelAnimationFrame(frame)
  }
}
