// What a program has written, as far as it is shown: the beginning, and the end, with a note of
// what was left out between them. A value: appending gives a new one, and blocks that did not
// change stay the same objects, so that whoever shows them need touch only what is new.

/** Characters kept of the beginning, and as many of the end. */
const SIDE_CHARS_MAX = 64 * 1024
/** Short writes are joined up to this length: a block is one element on the page. */
const BLOCK_CHARS_MAX = 4 * 1024
/** Streams that take turns make many short blocks: this many on a side. */
const SIDE_BLOCKS_MAX = 2_000

/**
 * @typedef {{ id: number, stream: 'stdout' | 'stderr' | 'compile', text: string }} Block
 * @typedef {{ id: number, stream: 'gap', text: string }} Gap
 */

export class Transcript {
  constructor ({ head = [], tail = [], headChars = 0, tailChars = 0, dropped = 0, nextId = 0 } = {}) {
    Object.assign(this, { head, tail, headChars, tailChars, dropped, nextId })
  }

  get isEmpty () { return this.head.length === 0 }

  /** Whether something between beginning and end was left out. */
  get isClipped () { return this.dropped > 0 }

  /** @returns {(Block | Gap)[]} in the order in which they are read */
  get blocks () {
    if (this.dropped === 0) return [...this.head, ...this.tail]
    const text = `… ${this.dropped.toLocaleString('en')} characters are not shown …`
    return [...this.head, { id: -1, stream: 'gap', text }, ...this.tail]
  }

  /** @returns {Transcript} this one, and `text` after it */
  append (stream, text) {
    if (text === '') return this
    const next = new Transcript({ ...this, head: [...this.head], tail: [...this.tail] })
    let rest = text
    // What follows the end of the beginning belongs to the end, however short it is.
    if (next.tail.length === 0) rest = next.fillHead(stream, rest)
    if (rest !== '') next.fillTail(stream, rest)
    return next
  }

  /**
   * What was kept of a stream: its beginning, and its end if there was more.
   * @param {number | null} [bytes] that were written, kept or not
   */
  appendKept (stream, start, end, bytes) {
    if (end === '') return this.append(stream, start)
    const left = Math.max(0, (bytes ?? 0) - start.length - end.length)
    const words = left === 0 ? '…' : `… about ${left.toLocaleString('en')} bytes were not kept …`
    return this.append(stream, start).append('gap', `\n${words}\n`).append(stream, end)
  }

  fillHead (stream, text) {
    let rest = text
    while (rest !== '' && this.headChars < SIDE_CHARS_MAX && this.head.length < SIDE_BLOCKS_MAX) {
      const piece = this.push(this.head, stream, rest, SIDE_CHARS_MAX - this.headChars)
      this.headChars += piece
      rest = rest.slice(piece)
    }
    return rest
  }

  fillTail (stream, text) {
    let rest = text
    // Of a long text, only the end can stay.
    const beyond = rest.length - SIDE_CHARS_MAX
    if (beyond > 0) {
      const cut = boundary(rest, beyond)
      this.dropped += this.tailChars + cut
      this.tail = []
      this.tailChars = 0
      rest = rest.slice(cut)
    }
    while (rest !== '') {
      const piece = this.push(this.tail, stream, rest, Infinity)
      this.tailChars += piece
      rest = rest.slice(piece)
    }
    while (this.tailChars - this.tail[0].text.length >= SIDE_CHARS_MAX || this.tail.length > SIDE_BLOCKS_MAX) {
      const { length } = this.tail.shift().text
      this.tailChars -= length
      this.dropped += length
    }
  }

  /** Puts the beginning of `text` into the last block or a new one. @returns {number} characters taken */
  push (blocks, stream, text, room) {
    const last = blocks.at(-1)
    if (last?.stream === stream && last.text.length < BLOCK_CHARS_MAX) {
      const length = boundary(text, Math.min(text.length, BLOCK_CHARS_MAX - last.text.length, room))
      blocks[blocks.length - 1] = { ...last, text: last.text + text.slice(0, length) }
      return length
    }
    const length = boundary(text, Math.min(text.length, BLOCK_CHARS_MAX, room))
    blocks.push({ id: this.nextId, stream, text: text.slice(0, length) })
    this.nextId += 1
    return length
  }

  static EMPTY = Object.freeze(new Transcript())
}

/** `at`, or one more where that would cut a character of two code units in half. */
function boundary (text, at) {
  const unit = text.charCodeAt(at - 1)
  return at < text.length && unit >= 0xd800 && unit < 0xdc00 ? at + 1 : at
}
