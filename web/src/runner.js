// Asks for a run of the session's live document, and keeps the run log.
//
// The room's frames carry the output. Who asked for the run also asks for its end every now and
// then, so that a lost frame, or an executor that never answers, does not leave a run open.

import { ApiError } from './api.js'
import { NOTHING, fold, queued, settle } from './run-log.js'

const POLL_MS = 3_000

export class Runner {
  /**
   * @param {object} options
   * @param {import('./api.js').Api} options.api
   * @param {string} options.sessionId
   * @param {(log: object) => void} options.onLog
   * @param {(busy: boolean) => void} options.onBusy one's own run is open
   * @param {(words: string) => void} options.onRefused
   */
  constructor ({ api, sessionId, onLog, onBusy, onRefused }) {
    Object.assign(this, { api, sessionId, onLog, onBusy, onRefused })
    this.log = NOTHING
    this.own = null
    this.timer = null
  }

  /** One run of one's own at a time. */
  async start (stdin) {
    if (this.own !== null) return
    this.own = 'asking'
    this.onBusy(true)
    try {
      const request = { sessionId: this.sessionId, ...(stdin === '' ? {} : { stdin }) }
      const { id } = await this.api.createExecution(request)
      if (this.own === null) return
      this.own = id
      // Its first frames may have come before the answer.
      if (this.log.executionId !== id) this.update(queued(id))
      if (this.log.phase === 'finished') await this.check()
      else this.poll()
    } catch (error) {
      this.idle()
      if (!(error instanceof ApiError)) throw error
      this.onRefused(error.message)
    }
  }

  receive (frame) {
    this.update(fold(this.log, frame))
    if (frame.type === 'runFinished' && frame.executionId === this.own) this.check()
  }

  /** The run goes on; nobody here waits for it any more. */
  stop () {
    clearTimeout(this.timer)
    this.own = null
  }

  update (log) {
    if (log === this.log) return
    this.log = log
    this.onLog(log)
  }

  poll () {
    this.timer = setTimeout(() => this.check(), POLL_MS)
  }

  /** Fetches one's own execution: what frames did not carry is in it. */
  async check () {
    clearTimeout(this.timer)
    const id = this.own
    const execution = await this.api.execution(id).catch(() => null)
    if (this.own !== id) return
    if (execution?.status !== 'finished') return this.poll()
    this.update(settle(this.log, execution))
    this.idle()
  }

  idle () {
    clearTimeout(this.timer)
    this.own = null
    this.onBusy(false)
  }
}
