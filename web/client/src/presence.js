// What this client says of itself, and what it knows of others: an `Awareness` of y-protocols, which
// every editor binding takes, without its clock that speaks every 15 s.
//
// Nothing is sent while nothing happens, so that a room in which nobody does anything can sleep.
// That others are still here is for the room to know: it takes back what a connection said when the
// connection has gone. A stock client forgets whoever is silent for 30 s, so as long as one is here
// this client speaks up as often as it does; the room is kept awake by that client anyway.

import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, outdatedTimeout, removeAwarenessStates } from 'y-protocols/awareness'
import { clientsOf } from './frames.js'
import { peopleOf, plainUser } from './people.js'

const RENEW_MS = outdatedTimeout / 2
const LOOK_MS = 3_000
/** Without a key for so long, one is not typing. */
const TYPING_MS = 3_000
/** Between two frames: a cursor that is dragged moves often enough with that. */
const SPACING_MS = 50
/** Others are kept on the page for so long while the connection is replaced. */
const RETURN_MS = 5_000

export class Presence {
  /**
   * @param {object} options
   * @param {import('yjs').Doc} options.doc
   * @param {Awareness} [options.awareness] one that exists; it is not destroyed with this
   * @param {number} options.idleMs without a sign of activity for so long, one is idle
   * @param {(states: Uint8Array) => void} options.send
   * @param {(people: import('./people.js').Person[]) => void} options.onPeople
   */
  constructor ({ doc, awareness, idleMs, send, onPeople }) {
    this.owned = awareness === undefined
    this.awareness = awareness ?? new Awareness(doc)
    // Its own clock renews and forgets; here the room does.
    clearInterval(this.awareness._checkInterval)
    this.idleMs = idleMs
    this.returnMs = RETURN_MS
    this.send = send
    this.onPeople = onPeople
    this.connected = false
    this.sentAt = -Infinity
    /** Others who were here when the connection went, and were not heard of since. */
    this.unconfirmed = new Set()
    this.timers = { send: null, typing: null, idle: null, forget: null }
    this.onChange = ({ added, updated }, origin) => {
      for (const client of [...added, ...updated]) {
        if (client !== this.awareness.clientID) plainUser(this.awareness.getStates().get(client), client)
      }
      if (origin === 'local') this.say()
      this.onPeople(this.people())
    }
    this.awareness.on('change', this.onChange)
    this.look = setInterval(() => this.lookAround(), LOOK_MS)
    this.look.unref?.()
    // Another one sees a state only once its clock is above 0, and needs the sign of who is steady.
    this.awareness.setLocalState({ ...this.awareness.getLocalState(), steady: true })
    this.active()
  }

  people () {
    return peopleOf(this.awareness.getStates(), this.awareness.clientID)
  }

  // ---- What this client says ----

  /** @param {string} field @param {any} value */
  set (field, value) {
    if (this.awareness.getLocalState() !== null) this.awareness.setLocalStateField(field, value)
  }

  typed () {
    this.active()
    this.mark('typing', true)
    this.after('typing', TYPING_MS, () => this.mark('typing', undefined))
  }

  /** Somebody is at this client. */
  active () {
    this.mark('idle', undefined)
    this.after('idle', this.idleMs, () => this.mark('idle', true))
  }

  mark (field, value) {
    if (this.awareness.getLocalState()?.[field] !== value) this.set(field, value)
  }

  /** Sends the newest state: at once, or together with what comes in the next moment. */
  say () {
    if (!this.connected || this.timers.send !== null) return
    const wait = this.sentAt + SPACING_MS - Date.now()
    if (wait <= 0) this.sayNow()
    else this.after('send', wait, () => this.sayNow())
  }

  sayNow () {
    if (!this.connected) return
    this.sentAt = Date.now()
    this.send(encodeAwarenessUpdate(this.awareness, [this.awareness.clientID]))
  }

  // ---- The connection ----

  /** The first words of a connection: newer than all before, for who has seen them taken back. */
  opened () {
    this.connected = true
    this.awareness.setLocalState(this.awareness.getLocalState())
    clearTimeout(this.timers.send)
    this.timers.send = null
    this.sayNow()
  }

  /** The document has come, and before it everybody who is here: others are not. */
  synced () {
    this.cancel('forget')
    this.forget()
  }

  /** @param {Uint8Array} states */
  hear (states) {
    for (const client of clientsOf(states)) this.unconfirmed.delete(client)
    applyAwarenessUpdate(this.awareness, states, 'room')
  }

  /** Those who are here may still be when the connection is back in a moment. */
  lost () {
    this.connected = false
    this.cancel('send')
    this.unconfirmed = new Set(this.others())
    this.after('forget', this.returnMs, () => this.forget())
  }

  /** @returns {Uint8Array} that this client is gone */
  farewell () {
    const { awareness } = this
    return encodeAwarenessUpdate(awareness, [awareness.clientID], new Map())
  }

  destroy () {
    clearInterval(this.look)
    for (const name of Object.keys(this.timers)) this.cancel(name)
    removeAwarenessStates(this.awareness, this.others(), 'left')
    this.awareness.off('change', this.onChange)
    if (this.owned) this.awareness.destroy()
  }

  // ---- How ----

  others () {
    return [...this.awareness.getStates().keys()].filter((client) => client !== this.awareness.clientID)
  }

  forget () {
    removeAwarenessStates(this.awareness, [...this.unconfirmed], 'room')
    this.unconfirmed.clear()
  }

  lookAround () {
    const { awareness } = this
    const now = Date.now()
    const renewing = this.others().filter((client) => awareness.getStates().get(client)?.steady !== true)
    const silent = renewing.filter((client) => now - awareness.meta.get(client).lastUpdated > outdatedTimeout)
    if (silent.length > 0) removeAwarenessStates(awareness, silent, 'timeout')
    if (this.connected && renewing.length > silent.length && now - this.sentAt >= RENEW_MS) {
      awareness.setLocalState(awareness.getLocalState())
      this.sayNow()
    }
  }

  after (name, ms, work) {
    clearTimeout(this.timers[name])
    this.timers[name] = setTimeout(() => { this.timers[name] = null; work() }, ms)
    // In Node it keeps no process alive; the connection does.
    this.timers[name].unref?.()
  }

  cancel (name) {
    clearTimeout(this.timers[name])
    this.timers[name] = null
  }
}
