// The bytes of frames, both ways: y-protocols, and message 110 of our own. A frame is one message.

import * as decoding from 'lib0/decoding'
import * as encoding from 'lib0/encoding'

const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const APP = 110

const STEP_1 = 0
const STEP_2 = 1
const UPDATE = 2

/** @param {(encoder: encoding.Encoder) => void} write */
const frame = (write) => encoding.encode(write)

/** @param {number} step @param {Uint8Array} body */
const sync = (step, body) => frame((encoder) => {
  encoding.writeVarUint(encoder, SYNC)
  encoding.writeVarUint(encoder, step)
  encoding.writeVarUint8Array(encoder, body)
})

/** "This is what I have." @param {Uint8Array} stateVector */
export const syncStep1 = (stateVector) => sync(STEP_1, stateVector)

/** "This is what you lack." @param {Uint8Array} update */
export const syncStep2 = (update) => sync(STEP_2, update)

/** "This was done just now." @param {Uint8Array} update */
export const update = (update) => sync(UPDATE, update)

/** @param {Uint8Array} states as `encodeAwarenessUpdate` of y-protocols makes them */
export const awareness = (states) => frame((encoder) => {
  encoding.writeVarUint(encoder, AWARENESS)
  encoding.writeVarUint8Array(encoder, states)
})

/**
 * @typedef {{ kind: 'syncStep1', stateVector: Uint8Array }
 *   | { kind: 'syncStep2' | 'update', update: Uint8Array }
 *   | { kind: 'awareness', states: Uint8Array }
 *   | { kind: 'queryAwareness' }
 *   | { kind: 'denied', reason: string }
 *   | { kind: 'app', frame: { type: string } & Record<string, any> }
 *   | { kind: 'unknown' }} Message
 */

/**
 * @param {Uint8Array} bytes a whole frame
 * @returns {Message} throws if it is cut short; what a later protocol may add is `unknown`
 */
export function parse (bytes) {
  const decoder = decoding.createDecoder(bytes)
  switch (decoding.readVarUint(decoder)) {
    case SYNC: return parseSync(decoder)
    case AWARENESS: return { kind: 'awareness', states: decoding.readVarUint8Array(decoder) }
    case AUTH: return decoding.readVarUint(decoder) === 0
      ? { kind: 'denied', reason: decoding.readVarString(decoder) }
      : { kind: 'unknown' }
    case QUERY_AWARENESS: return { kind: 'queryAwareness' }
    case APP: return { kind: 'app', frame: JSON.parse(new TextDecoder().decode(decoding.readVarUint8Array(decoder))) }
    default: return { kind: 'unknown' }
  }
}

/** @param {decoding.Decoder} decoder @returns {Message} */
function parseSync (decoder) {
  switch (decoding.readVarUint(decoder)) {
    case STEP_1: return { kind: 'syncStep1', stateVector: decoding.readVarUint8Array(decoder) }
    case STEP_2: return { kind: 'syncStep2', update: decoding.readVarUint8Array(decoder) }
    case UPDATE: return { kind: 'update', update: decoding.readVarUint8Array(decoder) }
    default: return { kind: 'unknown' }
  }
}

/**
 * @param {Uint8Array} states the body of an awareness frame
 * @returns {number[]} whom it speaks of
 */
export function clientsOf (states) {
  const decoder = decoding.createDecoder(states)
  return Array.from({ length: decoding.readVarUint(decoder) }, () => {
    const client = decoding.readVarUint(decoder)
    decoding.readVarUint(decoder)
    decoding.readVarString(decoder)
    return client
  })
}
