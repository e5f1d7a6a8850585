// Sends what somebody does at the keyboard of a program, in its order: one request at a time, with
// all that was done meanwhile in the next.

import { ApiError } from './api.js'

/** What one request takes (the edge's limits, with room for several bytes a letter). */
const INPUTS_MAX = 32
const CHARS_MAX = 4_000
/** What waits here at most, so that a held key against a dead line does not pile up. */
const WAITING_CHARS_MAX = 64_000
const AGAIN_MS = 500

export class Typist {
  /**
   * @param {object} options
   * @param {import('./api.js').Api} options.api
   * @param {string} options.executionId
   * @param {() => void} options.onEnded the program takes no input any more
   * @param {(error: ApiError) => void} options.onRefused what was typed is lost
   * @param {() => void} [options.onSent]
   */
  constructor ({ api, executionId, onEnded, onRefused, onSent = () => {} }) {
    Object.assign(this, { api, executionId, onEnded, onRefused, onSent })
    /** @type {object[]} */
    this.waiting = []
    this.chars = 0
    this.sending = false
    this.ended = false
  }

  /** @param {object} input as the edge takes it */
  do (input) {
    if (this.ended) return
    for (const piece of pieces(input)) this.add(piece)
    if (!this.sending) this.send()
  }

  add (input) {
    const length = input.text?.length ?? 0
    if (this.chars + length > WAITING_CHARS_MAX) return
    this.chars += length
    const last = this.waiting.at(-1)
    if (input.type === 'text' && last?.type === 'text' && last.text.length + length <= CHARS_MAX) {
      this.waiting[this.waiting.length - 1] = { type: 'text', text: last.text + input.text }
    } else if (input.type === 'resize' && last?.type === 'resize') {
      this.waiting[this.waiting.length - 1] = input
    } else {
      this.waiting.push(input)
    }
  }

  /** The next request's share. */
  take () {
    const inputs = []
    let chars = 0
    while (this.waiting.length > 0 && inputs.length < INPUTS_MAX) {
      const length = this.waiting[0].text?.length ?? 0
      if (chars > 0 && chars + length > CHARS_MAX) break
      chars += length
      inputs.push(this.waiting.shift())
    }
    this.chars -= chars
    return inputs
  }

  async send () {
    this.sending = true
    while (this.waiting.length > 0 && !this.ended) {
      const inputs = this.take()
      try {
        await this.api.giveInput(this.executionId, inputs)
        this.onSent()
      } catch (error) {
        if (!(error instanceof ApiError)) throw error
        if (error.code === 'too_much_input') {
          this.waiting.unshift(...inputs)
          for (const { text } of inputs) this.chars += text?.length ?? 0
          await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
        } else if (error.code === 'execution_finished' || error.code === 'input_ended') {
          this.end()
          this.onEnded()
        } else {
          this.onRefused(error)
        }
      }
    }
    this.sending = false
  }

  /** Nothing is sent any more. */
  end () {
    this.ended = true
    this.waiting = []
  }
}

/** A long text in parts that a request takes; no character is cut in half. */
function * pieces (input) {
  if (input.type !== 'text') return yield input
  const letters = [...input.text]
  for (let at = 0; at < letters.length; at += CHARS_MAX / 2) {
    yield { type: 'text', text: letters.slice(at, at + CHARS_MAX / 2).join('') }
  }
}
