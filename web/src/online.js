// Which participants of a session are online, wherever they are. Asked for again now and then, and
// when somebody comes into the room or leaves it.

import { ApiError } from './api.js'

const AGAIN_MS = 30_000
/** People come and go in groups: at most one question in this time. */
const SOON_MS = 1_000

/**
 * @param {object} options
 * @param {import('./api.js').Api} options.api
 * @param {string} options.sessionId
 * @param {(userIds: string[]) => void} options.onOnline
 */
export function createOnline ({ api, sessionId, onOnline }) {
  let timer = null
  let ended = false

  async function ask () {
    if (ended) return
    plan(AGAIN_MS)
    if (document.visibilityState === 'hidden') return
    try {
      const { userIds } = await api.online(sessionId)
      if (!ended) onOnline(userIds)
    } catch (error) {
      // The room tells of the loss of access; all else passes.
      if (!(error instanceof ApiError)) throw error
    }
  }

  function plan (ms) {
    clearTimeout(timer)
    timer = setTimeout(ask, ms)
  }

  const soon = () => { if (!ended) plan(SOON_MS) }
  document.addEventListener('visibilitychange', soon)
  ask()
  return {
    soon,
    destroy () {
      ended = true
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', soon)
    }
  }
}
