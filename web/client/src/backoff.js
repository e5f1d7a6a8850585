// How long to wait before the next attempt. Drawn at random from a span that doubles with each
// failure, so that a room's clients, which all lose it at the same moment, do not come back at the
// same moment.

const FLOOR_MS = 100
const FIRST_SPAN_MS = 500
/** Nobody who is back on the network waits longer than this, and on average half of it. */
const SPAN_MS_MAX = 20_000
/** What a room that has asked for patience gets at least. */
const PATIENCE_MS = 1_000

/**
 * @param {number} failures in a row so far, from 1
 * @param {number} random from 0 up to, but not including, 1
 * @param {boolean} patience whether the room has asked for some
 * @returns {number} milliseconds
 */
export function backoffMs (failures, random, patience = false) {
  // The exponent is bounded, because 2 ** 2000 is infinite and 0 × ∞ no number.
  const span = Math.min(FIRST_SPAN_MS * 2 ** Math.min(failures - 1, 10), SPAN_MS_MAX)
  return (patience ? PATIENCE_MS : FLOOR_MS) + Math.floor(random * span)
}

/** Whether to ask again would be answered the same. @param {any} error */
export function isRefusal (error) {
  const status = error?.status ?? 0
  return status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429
}

/**
 * For how long the edge has asked to be left alone.
 * @param {unknown} seconds what the header `Retry-After` says, or a close in its stead
 * @returns {number} milliseconds
 */
export function retryMsOf (seconds) {
  const number = Number(seconds ?? 0)
  return Number.isFinite(number) && number > 0 ? number * 1_000 : 0
}

/**
 * For how long a close asks to be left alone: its reason may end in `retry-after=` and seconds.
 * @param {string | undefined} reason
 * @returns {number} milliseconds
 */
export const retryMsOfReason = (reason) => retryMsOf(/\bretry-after=(\d{1,6})$/.exec(reason ?? '')?.[1])
