// The session as the edge tells it over HTTP: title, language, people, who may join. Kept fresh:
// asked for again when somebody tells of a change, when people come or change, and when the page
// is looked at again.

import { ObservableV2 } from 'lib0/observable'
import { ApiError } from './api.js'

/** Hints come from others: at most one question in this time, whatever they say. */
const REFRESH_MS_MIN = 500

/** Events: `change` (session). */
export class SessionInfo extends ObservableV2 {
  /**
   * @param {import('./api.js').Api} api
   * @param {import('./room.js').Room} room
   */
  constructor (api, room) {
    super()
    this.api = api
    this.room = room
    this.session = room.session
    this.timer = null
    this.refreshedAt = -Infinity
    /** How often the edge was asked, and which of the answers is shown: one may overtake another. */
    this.asked = 0
    this.answered = 0
    this.ended = false
    let roles = ''
    room.on('told', (topic) => { if (topic === 'session') this.refreshSoon() })
    room.on('access', () => this.refreshSoon())
    room.on('people', (people) => {
      const now = people.map(({ id, role }) => `${id} ${role}`).sort().join()
      if (now !== roles) this.refreshSoon()
      roles = now
    })
    this.onSeen = () => { if (document.visibilityState === 'visible') this.refreshSoon() }
    globalThis.document?.addEventListener('visibilitychange', this.onSeen)
  }

  /**
   * One's own role, of which the room hears first; none once the session is closed to one.
   * @returns {string | null}
   */
  get role () { return this.room.state.kind === 'ended' ? null : this.room.access.role }

  /** How somebody is called; null if that is not known. */
  nameOf (userId) {
    return this.session.participants.find((participant) => participant.userId === userId)?.displayName ?? null
  }

  /** Changes settings. Throws an ApiError. */
  async update (changes) {
    const session = await this.api.updateSession(this.session.id, changes)
    // Whatever was asked before this is known may be of before it.
    this.take(session, this.asked += 1)
    this.tell()
  }

  /** Does something to people that the others should hear of. Throws an ApiError. */
  async change (work) {
    await work(this.api, this.session.id)
    this.tell()
    await this.refresh()
  }

  tell () {
    this.room.tell('session', `${Date.now()} ${Math.random()}`)
  }

  refreshSoon () {
    const waitMs = Math.max(0, this.refreshedAt + REFRESH_MS_MIN - performance.now())
    this.timer ??= setTimeout(() => {
      this.timer = null
      this.refresh()
    }, waitMs)
  }

  async refresh () {
    if (this.ended || this.room.state.kind === 'ended') return
    this.refreshedAt = performance.now()
    const turn = this.asked += 1
    try {
      this.take(await this.api.session(this.session.id), turn)
    } catch (error) {
      // The room tells of the loss of access; all else passes.
      if (!(error instanceof ApiError)) throw error
    }
  }

  take (session, turn) {
    if (turn < this.answered) return
    this.answered = turn
    if (this.ended || JSON.stringify(session) === JSON.stringify(this.session)) return
    this.session = session
    this.emit('change', [session])
  }

  destroy () {
    this.ended = true
    clearTimeout(this.timer)
    globalThis.document?.removeEventListener('visibilitychange', this.onSeen)
    super.destroy()
  }
}
