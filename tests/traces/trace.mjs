// Reads the recorded editing of this folder: see README.md.

import { readFileSync } from 'node:fs'
import { inflateSync } from 'node:zlib'

/**
 * @typedef {object} Edit
 * @property {number} author counted from 0
 * @property {number[]} parents the edits that its author had seen last, by their index
 * @property {[number, number, string][]} splices position, how much is removed, what is inserted
 */

/**
 * @param {'rustcode' | 'automerge-paper' | 'friendsforever'} name
 * @returns {{ edits: Edit[], end: string }} the edits, each after its parents, and the text at the end
 */
export function readTrace (name) {
  const bytes = inflateSync(readFileSync(new URL(`${name}.bin`, import.meta.url)))
  let at = 0
  const number = () => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++]
      value += (byte & 127) * factor
      if (byte < 128) return value
    }
  }
  const text = () => {
    const length = number()
    at += length
    return bytes.toString('utf8', at - length, at)
  }
  const column = (length, read = number) => Array.from({ length }, read)

  const edits = number()
  const splices = number()
  const counts = column(edits)
  const authors = column(edits)
  const parents = column(edits, () => column(number())).map((back, index) => back.map((n) => index - n))
  const moves = column(splices).map((n) => n % 2 === 0 ? n / 2 : -(n + 1) / 2)
  const removed = column(splices)
  const inserted = column(splices)
  const written = text()
  const end = text()

  let splice = 0
  let position = 0
  let taken = 0
  const next = () => {
    position += moves[splice]
    const insert = written.slice(taken, taken += inserted[splice])
    const made = [position, removed[splice], insert]
    position += insert.length
    splice += 1
    return made
  }
  return {
    edits: counts.map((count, index) => ({
      author: authors[index],
      parents: parents[index],
      splices: column(count, next)
    })),
    end
  }
}
