// The life of a connection as a pure function: a state, an event and the time go in, the next state
// and what is to be done come out. It knows no socket, no timer and no document.
//
// The rule for who drives it: do the effects in order, and give it `tick` at `dueAt(state)`.
//
//   idle ─connect─▶ joining ─joined─▶ opening ─synced─▶ live
//                      ▲                 │ closed          │ closed
//                      └───── waiting ◀──┴─────────────────┘      or, for good, ended

import { UNAUTHORIZED, asksForPatience, isFinal } from './close-codes.js'
import { backoffMs } from './backoff.js'

/** How long joining may take. */
const JOIN_MS = 20_000
/** How long a connection may be silent before the document has come. */
const OPEN_MS = 20_000
/** So long after the last sign of life, one is asked for. */
const PING_AFTER_MS = 25_000
/** So long may it take. */
const PONG_MS = 10_000
/** And so long when there is reason to doubt: after sleep, or another network. */
const PONG_IN_DOUBT_MS = 4_000
/** A connection that lasted so long worked: what comes after it begins to count failures anew. */
const STABLE_MS = 10_000
/** A timer that comes so much too late says that the machine has slept. */
const SLEPT_MS = 5_000
/** A pass that ends so soon is not worth trying. */
const LAST_MS = 5_000
/** A pass is replaced after this part of its life, and up to as much again by chance. */
const RENEW_AFTER = 0.7
const RENEW_SPREAD = 0.2
/** Between attempts to renew a pass while joining does not work. */
const RENEW_AGAIN_MS = 30_000

/**
 * What opens a room.
 * @typedef {object} Pass
 * @property {string} token
 * @property {number | null} endsAt in milliseconds since 1970; null if nobody said
 * @property {number | null} renewAt
 */

/**
 * @typedef {object} State
 * @property {'idle' | 'joining' | 'opening' | 'live' | 'waiting' | 'asleep' | 'ended'} phase
 * @property {number} n which attempt it is: what is told of an earlier one means nothing
 * @property {number} failures in a row
 * @property {Pass | null} pass
 * @property {string | null} openedWith the token of the present connection
 * @property {boolean} rejoined whether the pass was got because the room had refused another
 * @property {number} since when the phase began
 * @property {number} until when to try again, while waiting
 * @property {number} notBefore until when the edge has asked to be left alone
 * @property {number} heardAt when the room last gave a sign of life
 * @property {number | null} pingedAt when one was asked for, if it has not come
 * @property {number} pongMs how long it may take
 * @property {boolean} renewing
 * @property {boolean} swapping whether a connection that works is being replaced by another
 * @property {boolean} tried whether a connection has ever worked or failed
 * @property {number | null} code of the close that ended it
 * @property {unknown} error of the joining that ended it
 */

/** @typedef {{ do: 'join' | 'renew', n: number } | { do: 'open', n: number, pass: Pass } | { do: 'close', farewell: boolean } | { do: 'ping' }} Effect */

/** @returns {State} */
export const begin = (pass = null) => ({
  phase: 'idle', n: 0, failures: 0, pass, openedWith: null, rejoined: false, since: 0, until: 0, notBefore: 0, heardAt: 0,
  pingedAt: null, pongMs: PONG_MS, renewing: false, swapping: false, tried: false, code: null, error: null
})

/**
 * @param {string} token
 * @param {number} endsAt NaN if nobody said
 * @param {{ now: number, random: number }} at
 * @returns {Pass}
 */
export function passOf (token, endsAt, { now, random }) {
  const life = endsAt - now
  if (!(life > 0)) return { token, endsAt: null, renewAt: null }
  return { token, endsAt, renewAt: now + life * (RENEW_AFTER + random * RENEW_SPREAD) }
}

/**
 * How it stands, in a word: `connecting` for the first time, `live`, `offline` and trying again by
 * itself, `ended` until somebody connects again, `idle`.
 * @param {State} state
 */
export function statusOf ({ phase, swapping, tried }) {
  if (phase === 'live' || swapping) return 'live'
  if (phase === 'idle' || phase === 'ended') return phase
  return tried ? 'offline' : 'connecting'
}

/**
 * When to say `tick`; null for never.
 * @param {State} state
 * @returns {number | null}
 */
export function dueAt (state) {
  switch (state.phase) {
    case 'joining': return state.since + JOIN_MS
    case 'opening': return Math.max(state.since, state.heardAt) + OPEN_MS
    case 'waiting': return state.until
    case 'live': {
      const life = state.pingedAt === null ? state.heardAt + PING_AFTER_MS : state.pingedAt + state.pongMs
      const renewAt = state.renewing ? null : state.pass?.renewAt ?? null
      return renewAt === null ? life : Math.min(life, renewAt)
    }
    default: return null
  }
}

/**
 * @param {State} state
 * @param {{ type: 'connect' | 'disconnect' | 'hide' | 'show' | 'wake' | 'tick' }
 *   | { type: 'joined' | 'renewed', n: number, pass: Pass }
 *   | { type: 'joinFailed', n: number, final: boolean, error: unknown, retryMs?: number }
 *   | { type: 'renewFailed', n: number, retryMs?: number }
 *   | { type: 'heard' | 'synced', n: number }
 *   | { type: 'closed', n: number, code: number, retryMs?: number }} event
 * @param {{ now: number, random: number }} at
 * @returns {[State, Effect[]]}
 */
export function step (state, event, at) {
  if ('n' in event && event.n !== state.n) return [state, []]
  switch (event.type) {
    case 'connect':
      return state.phase === 'idle' || state.phase === 'ended' ? go({ ...state, failures: 0, code: null, error: null }, at) : [state, []]
    case 'disconnect': return rest(state, 'idle', at)
    // A page that is put away must not stay in the room, and may come back.
    case 'hide': return state.phase === 'idle' || state.phase === 'ended' ? [state, []] : rest(state, 'asleep', at)
    case 'show': return state.phase === 'asleep' ? go({ ...state, failures: 0 }, at) : wake(state, at)
    case 'wake': return wake(state, at)
    case 'tick': return tick(state, at)
    case 'joined': return state.phase === 'joining' ? open({ ...state, pass: event.pass }, at) : [state, []]
    case 'joinFailed':
      if (state.phase !== 'joining') return [state, []]
      return event.final ? [end(state, { error: event.error }, at), []] : fail(state, at, false, event.retryMs)
    case 'renewed': {
      const renewed = { ...state, pass: event.pass, renewing: false }
      // Now, rather than when the room closes what the old one had opened: who goes by themselves
      // may return without anybody seeing them leave.
      if (state.phase !== 'live') return [renewed, []]
      const [opening, effects] = open({ ...renewed, swapping: true }, at)
      return [opening, [{ do: 'close', farewell: false }, ...effects]]
    }
    case 'renewFailed': {
      const { pass } = state
      return [{ ...state, renewing: false, pass: pass && { ...pass, renewAt: at.now + Math.max(RENEW_AGAIN_MS, event.retryMs ?? 0) } }, []]
    }
    case 'heard': return [{ ...state, heardAt: at.now, pingedAt: null }, []]
    case 'synced':
      if (state.phase !== 'opening') return [state, []]
      return [{ ...state, phase: 'live', since: at.now, heardAt: at.now, pingedAt: null, rejoined: false, swapping: false, tried: true }, []]
    case 'closed': return closed(state, event, at)
    default: return [state, []]
  }
}

function closed (state, { code, retryMs }, at) {
  if (state.phase !== 'opening' && state.phase !== 'live') return [state, []]
  if (code === UNAUTHORIZED) {
    // A newer pass than the one that was refused has come meanwhile.
    if (state.pass !== null && state.pass.token !== state.openedWith) return open({ ...state, tried: true, swapping: false }, at)
    // If a pass is refused that was got for this, the next one would be too.
    if (state.rejoined) return [end(state, { code }, at), []]
    return go({ ...state, pass: null, rejoined: true, tried: true, swapping: false }, at)
  }
  if (isFinal(code)) return [end(state, { code }, at), []]
  return fail(state, at, asksForPatience(code), retryMs)
}

function tick (state, at) {
  const due = dueAt(state)
  if (due === null || at.now < due) return [state, []]
  const slept = at.now - due > SLEPT_MS
  if (state.phase === 'live') return tickLive(state, slept, at)
  if (slept) return wake(state, at)
  switch (state.phase) {
    case 'joining': return fail(state, at)
    case 'waiting': return go(state, at)
    default: return cut(state, at)
  }
}

function tickLive (state, slept, at) {
  const overdue = state.pingedAt !== null && at.now >= state.pingedAt + state.pongMs
  if (overdue && !slept) return cut(state, at)
  const renews = !state.renewing && state.pass?.renewAt != null && at.now >= state.pass.renewAt
  const pings = overdue || slept || (state.pingedAt === null && at.now >= state.heardAt + PING_AFTER_MS)
  const next = {
    ...state,
    renewing: state.renewing || renews,
    ...(pings ? { pingedAt: at.now, pongMs: slept ? PONG_IN_DOUBT_MS : PONG_MS } : {})
  }
  return [next, [...(renews ? [{ do: 'renew', n: state.n }] : []), ...(pings ? [{ do: 'ping' }] : [])]]
}

/** There is reason to think that the network is back, or that the connection is not. */
function wake (state, at) {
  switch (state.phase) {
    case 'waiting': return go(state, at)
    // Whatever it waited for was asked for before the sleep.
    case 'joining': return go(state, at)
    case 'opening': return [{ ...state, since: at.now }, []]
    case 'live':
      if (state.pingedAt !== null && at.now - state.pingedAt < PONG_IN_DOUBT_MS) return [state, []]
      return [{ ...state, pingedAt: at.now, pongMs: PONG_IN_DOUBT_MS }, [{ do: 'ping' }]]
    default: return [state, []]
  }
}

/**
 * The next attempt, with the pass that there is, if it is still good; but not while the edge has asked
 * to be left alone, whatever there is reason to think of the network.
 */
function go (state, at) {
  const { pass, notBefore } = state
  if (at.now < notBefore) return [{ ...state, phase: 'waiting', n: state.n + 1, until: notBefore, since: at.now, tried: true }, []]
  if (pass !== null && (pass.endsAt === null || at.now < pass.endsAt - LAST_MS)) return open(state, at)
  const n = state.n + 1
  return [{ ...state, phase: 'joining', n, pass: null, since: at.now }, [{ do: 'join', n }]]
}

function open (state, at) {
  const n = state.n + 1
  const opening = { phase: 'opening', n, openedWith: state.pass.token, since: at.now, heardAt: at.now, pingedAt: null, renewing: false }
  return [{ ...state, ...opening }, [{ do: 'open', n, pass: state.pass }]]
}

/** The other side does not answer: closes, and tries again. */
function cut (state, at) {
  const [next, effects] = fail(state, at)
  return [next, [{ do: 'close', farewell: false }, ...effects]]
}

/** Tries again, and not before the edge has said that it makes sense. */
function fail (state, { now, random }, patience = false, retryMs = 0) {
  const worked = state.phase === 'live' && now - state.since >= STABLE_MS
  const failures = worked ? 1 : state.failures + 1
  const until = now + retryMs + backoffMs(failures, random, patience)
  const notBefore = retryMs > 0 ? until : state.notBefore
  return [{ ...state, phase: 'waiting', n: state.n + 1, failures, until, notBefore, since: now, swapping: false, renewing: false, tried: true }, []]
}

function rest (state, phase, { now }) {
  const effects = state.phase === 'opening' || state.phase === 'live' ? [{ do: 'close', farewell: true }] : []
  return [{ ...state, phase, n: state.n + 1, since: now, swapping: false, renewing: false }, effects]
}

const end = (state, { code = null, error = null }, { now }) =>
  ({ ...state, phase: 'ended', n: state.n + 1, since: now, pass: null, rejoined: false, swapping: false, renewing: false, tried: true, code, error })
