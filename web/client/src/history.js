// How a session's document came about: what it was after each step, and a player that goes through
// the steps. Nothing here touches the document itself.
//
// Moments are numbered by the step that leads to them. The moment before the first step that is
// kept is one less than that.

import { ObservableV2 } from 'lib0/observable'

const STEPS = 200
const PAGES_MAX = 16
/** A text is kept this often in a page, so that to go back means to make few steps again. */
const TEXT_EVERY = 32
const STEPS_PER_SECOND = 4

/**
 * The text with a step made in it; what is given stays as it was.
 * @param {import('./index.js').HistoryText} text
 * @param {import('./index.js').HistoryStep} step
 * @returns {import('./index.js').HistoryText}
 */
export function applyStep (text, step) {
  let content = text.content
  const files = new Map(text.files.map((file) => [file.path, file.content]))
  for (const { path, change, splices } of step.files) {
    if (path === null) content = spliced(content, splices)
    else if (change === 'removed') files.delete(path)
    else files.set(path, spliced(change === 'added' ? '' : files.get(path) ?? '', splices))
  }
  // Paths are sorted as the edge sorts them: by their characters, whatever the language.
  const paths = [...files.keys()].sort((a, b) => a < b ? -1 : a > b ? 1 : 0)
  return { content, files: paths.map((path) => ({ path, content: files.get(path) })) }
}

/** Positions are those before the step, so it begins with the last one. */
function spliced (text, splices) {
  return splices.reduceRight((text, { at, removed, inserted }) => {
    if (at + removed > text.length) throw new RangeError('a step of the history does not fit its text')
    return text.slice(0, at) + inserted + text.slice(at + removed)
  }, text)
}

/** Reads the history page by page, and keeps the pages that were read last. */
export class HistoryReader {
  /** @param {{ read: (query: { from: number, limit: number }) => Promise<import('./index.js').HistoryPage> }} options */
  constructor ({ read }) {
    this.read = read
    /** The first step that is kept, and the last one; null until `open` is done. */
    this.first = null
    this.last = null
    this.pages = []
    this.people = new Map()
  }

  /** Finds out what there is. To call it again later finds out what has come since. */
  async open () {
    // What was the newest step may have grown.
    this.pages = this.pages.filter(({ end }) => this.last === null || end <= this.last)
    await this.load(this.last ?? 1)
    return this
  }

  /** The moment before the first step. */
  get start () { return this.first === null ? null : this.first - 1 }

  /**
   * The document after step `number`; the nearest moment, if that is none.
   * @param {number} number
   * @returns {Promise<import('./index.js').Moment>}
   */
  async at (number) {
    if (this.first === null) await this.open()
    const wanted = Math.min(Math.max(number, this.start), this.last)
    if (wanted === this.start) {
      const page = await this.pageOf(this.first)
      return { number: wanted, text: page.texts[0], step: null, people: [] }
    }
    const page = await this.pageOf(wanted)
    const made = page.steps.filter((step) => step.number <= wanted).length
    const step = page.steps[made - 1]?.number === wanted ? page.steps[made - 1] : null
    const people = (step?.userIds ?? []).map((userId) => ({ userId, displayName: this.people.get(userId) ?? null }))
    return { number: wanted, text: textAfter(page, made), step, people }
  }

  async pageOf (number) {
    const known = this.pages.find(({ from, end }) => from <= number && number < end)
    if (known !== undefined) {
      this.pages = [...this.pages.filter((page) => page !== known), known]
      return known
    }
    // Pages begin at the same places whichever way one comes; some are short.
    let from = this.first + Math.floor((number - this.first) / STEPS) * STEPS
    for (;;) {
      const page = await this.load(from)
      // Where it leads no further there is nothing more: a history may be empty.
      if (number < page.end || page.end <= from) return page
      from = page.end
    }
  }

  async load (from) {
    const answer = await this.read({ from, limit: STEPS })
    const { first, last, start, steps, people, next } = answer
    this.first = first
    this.last = last
    for (const { userId, displayName } of people) this.people.set(userId, displayName)
    const page = { from: answer.from, end: next ?? last + 1, steps, texts: [start] }
    this.pages = [...this.pages.filter(({ from }) => from !== page.from), page].slice(-PAGES_MAX)
    return page
  }
}

/** The text after so many steps of a page. */
function textAfter (page, count) {
  let done = Math.min(Math.floor(count / TEXT_EVERY), page.texts.length - 1)
  let text = page.texts[done]
  for (let n = done * TEXT_EVERY; n < count; n += 1) {
    text = applyStep(text, page.steps[n])
    if ((n + 1) % TEXT_EVERY === 0 && page.texts.length === (n + 1) / TEXT_EVERY) page.texts.push(text)
  }
  return text
}

/**
 * Goes through a history. `moment` tells what is to be shown, `playing` whether it goes on by
 * itself, `error` that a page could not be read: it stands still then.
 */
export class HistoryPlayer extends ObservableV2 {
  /** @param {{ history: HistoryReader, stepsPerSecond?: number }} options */
  constructor ({ history, stepsPerSecond = STEPS_PER_SECOND }) {
    super()
    this.history = history
    this.stepsPerSecond = stepsPerSecond
    /** @type {import('./index.js').Moment | null} */
    this.moment = null
    this.playing = false
    this.wanted = null
    this.timer = null
    this.seeking = 0
  }

  /** Shows the moment after a step. Of several that are asked for at once, the last is shown. */
  async seek (number) {
    const turn = this.seeking += 1
    this.wanted = number
    try {
      const moment = await this.history.at(number)
      if (turn !== this.seeking) return
      this.wanted = moment.number
      this.moment = moment
      this.emit('moment', [moment])
    } catch (error) {
      if (turn !== this.seeking) return
      this.wanted = this.moment?.number ?? null
      this.pause()
      this.emit('error', [error])
    }
  }

  /** So many steps on, or back. */
  move (steps) {
    return this.seek((this.wanted ?? this.history.start ?? 0) + steps)
  }

  /** Goes on by itself; from the end, it begins anew. */
  async play () {
    if (this.playing) return
    this.set(true)
    if (this.wanted === null || this.wanted >= (this.history.last ?? Infinity)) await this.seek(this.history.start ?? 0)
    this.wait()
  }

  pause () {
    clearTimeout(this.timer)
    if (this.playing) this.set(false)
  }

  /** Stands still for good. */
  destroy () {
    this.seeking += 1
    this.pause()
    super.destroy()
  }

  set (playing) {
    this.playing = playing
    this.emit('playing', [playing])
  }

  wait () {
    clearTimeout(this.timer)
    if (!this.playing) return
    this.timer = setTimeout(async () => {
      await this.move(1)
      if (this.wanted >= this.history.last) this.pause()
      else this.wait()
    }, 1_000 / this.stepsPerSecond)
  }
}
