// Which of this client's edits the room has stored. Pure.
//
// The room says of how many frames with edits it has all, counted from the oldest of this connection
// that it has not said it of yet; an edit that it does not take is never among them, nor what comes
// after it, until the client has answered the room's next question with everything it has
// (docs/realtime.md).

/**
 * @typedef {object} Saved
 * @property {boolean} atStake whether there is an edit that the room has not said to have
 * @property {boolean} queued whether something is still to be sent
 * @property {number} sent frames with edits of this connection that the room has not named
 * @property {boolean} offered whether the room has got on this connection what was edited without
 *   one, or there was nothing
 */

/** @returns {Saved} */
export const begin = () => ({ atStake: false, queued: false, sent: 0, offered: true })

/** @param {Saved} saved */
export const isSaved = ({ atStake }) => !atStake

/**
 * Something was edited, and is not sent yet.
 * @param {Saved} saved
 * @param {boolean} live whether it is going to be sent by itself, rather than in an answer
 * @returns {Saved}
 */
export const edited = (saved, live) => live
  ? { ...saved, atStake: true, queued: true }
  : { ...saved, atStake: true, offered: false }

/** A frame was sent with all of it. @param {Saved} saved @returns {Saved} */
export const sent = (saved) => ({ ...saved, queued: false, sent: saved.sent + 1 })

/** The room's question was answered, with everything that it lacks. @param {Saved} saved @returns {Saved} */
export const offered = (saved) => ({ ...sent(saved), offered: true })

/** The room has stored so many of those frames. @param {Saved} saved @param {number} edits @returns {Saved} */
export function stored (saved, edits) {
  const left = Math.max(saved.sent - edits, 0)
  return { ...saved, sent: left, atStake: saved.atStake && (left > 0 || saved.queued || !saved.offered) }
}

/** The connection is gone: the room counts anew in the next. @param {Saved} saved @returns {Saved} */
export const interrupted = (saved) => ({ ...saved, queued: false, sent: 0, offered: !saved.atStake })
