// Asks for runs of what the session holds and for their end, and keeps the run log: the one
// run that everybody in the room watches, whoever asked for it.
//
// The room's frames carry the output. Beside that, everybody asks for the open run every now and
// then, so that a lost frame, an executor that never answers, or an end that came before any start
// does not leave it open; and once at its end, for what frames do not carry.

import { ApiError } from './api.js'
import { NOTHING, fold, isOpen, queued, settle } from './run-log.js'
import { Typist } from './typist.js'

const OWN_POLL_MS = 3_000
/** All who watch ask: less often than the one who has asked for it. */
const POLL_MS = 10_000
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

export class Runner {
  /**
   * @param {object} options
   * @param {import('./api.js').Api} options.api
   * @param {string} options.sessionId
   * @param {(log: import('./run-log.js').RunLog) => void} options.onLog
   * @param {(words: string) => void} options.onTell what the others' runners should `follow`: a run
   *   was asked for, or its end
   * @param {(words: string) => void} options.onRefused
   */
  constructor ({ api, sessionId, onLog, onTell, onRefused }) {
    Object.assign(this, { api, sessionId, onLog, onTell, onRefused })
    this.log = NOTHING
    /** Whether a request is on its way. */
    this.asking = false
    this.stopping = false
    this.own = null
    /** @type {Typist | null} */
    this.typist = null
    this.timer = null
    this.left = false
  }

  /** Whether a run is open, or about to be. */
  get busy () { return this.asking || isOpen(this.log) }

  /**
   * One run at a time.
   * @param {{ code?: string, files?: object[], stdin?: string, args?: string[], interactive?: { terminal?: { columns: number, rows: number } } }} input
   */
  async start (input) {
    if (this.busy) return
    this.asking = true
    this.onLog(this.log)
    try {
      const { id, userId, interactive = null } = await this.api.createExecution({ sessionId: this.sessionId, ...input })
      this.asking = false
      if (this.left) return
      this.own = id
      this.onTell(id)
      // Its first frames may have come before the answer.
      if (this.log.executionId !== id) this.update(queued(id, userId, interactive))
      else this.update({ ...this.log, userId, interactive })
      if (this.log.phase === 'finished') this.check()
    } catch (error) {
      this.asking = false
      this.refused(error)
    }
  }

  /** Asks for the end of the open run, whoever began it. */
  async stop () {
    const { executionId } = this.log
    if (!isOpen(this.log) || this.stopping) return
    this.stopping = true
    this.onLog(this.log)
    try {
      const execution = await this.api.cancelExecution(executionId)
      this.onTell(`${executionId} stop`)
      this.update(settle(this.log, execution))
    } catch (error) {
      this.stopping = false
      if (error.code === 'execution_finished') this.check()
      else this.refused(error)
    }
  }

  /** Does something at the keyboard of the open run's program. @param {object} input as the edge takes it */
  type (input) {
    const { executionId } = this.log
    if (!isOpen(this.log) || this.log.interactive === null) return
    if (this.typist?.executionId !== executionId) this.typist = this.newTypist(executionId)
    this.typist.do(input)
    if (input.type !== 'resize') return
    // The others learn from the edge how wide it is now.
    this.update({ ...this.log, interactive: { terminal: { columns: input.columns, rows: input.rows } } })
    this.typist.onSent = () => {
      this.typist.onSent = () => {}
      this.onTell(`${executionId} ${input.columns}x${input.rows}`)
    }
  }

  newTypist (executionId) {
    return new Typist({
      api: this.api,
      executionId,
      onEnded: () => this.check(),
      onRefused: (error) => this.refused(error)
    })
  }

  /** Somebody has said that there is something to see of a run: the edge knows whether it is so. */
  async follow (words) {
    const [id] = words.split(' ')
    const { executionId } = this.log
    if (executionId === id && isOpen(this.log)) return this.check()
    if (!ID.test(id) || (executionId !== null && executionId >= id)) return
    const execution = await this.api.execution(id).catch(() => null)
    if (this.left || execution?.sessionId !== this.sessionId) return
    const overtaken = this.log.executionId !== null && this.log.executionId >= id
    const log = settle(overtaken ? this.log : queued(id), execution)
    if (!overtaken || log !== this.log) this.update(log)
  }

  receive (frame) {
    this.update(fold(this.log, frame))
    if (frame.type === 'runFinished' && frame.executionId === this.log.executionId) this.check()
    // Who joined during a run does not know whose it is.
    if (frame.type === 'runStarted' && this.log.userId === null) this.check()
  }

  /** The run goes on; nobody here watches any more. */
  leave () {
    clearTimeout(this.timer)
    this.typist?.end()
    this.left = true
  }

  update (log) {
    if (log === this.log || this.left) return
    if (log.executionId !== this.log.executionId || !isOpen(log)) this.stopping = false
    this.log = log
    clearTimeout(this.timer)
    if (isOpen(log)) this.timer = setTimeout(() => this.check(), log.executionId === this.own ? OWN_POLL_MS : POLL_MS)
    this.onLog(log)
  }

  /** Fetches the execution that is shown: what frames did not carry is in it. */
  async check () {
    clearTimeout(this.timer)
    const { executionId } = this.log
    const execution = await this.api.execution(executionId).catch(() => null)
    if (this.left || this.log.executionId !== executionId) return
    if (execution !== null) this.update(settle(this.log, execution))
    if (isOpen(this.log)) {
      clearTimeout(this.timer)
      this.timer = setTimeout(() => this.check(), executionId === this.own ? OWN_POLL_MS : POLL_MS)
    }
  }

  refused (error) {
    if (!(error instanceof ApiError)) throw error
    if (this.left) return
    this.onLog(this.log)
    this.onRefused([error.message, ...error.errors.map(({ field, message }) => `${field} ${message}.`)].join(' '))
  }
}
