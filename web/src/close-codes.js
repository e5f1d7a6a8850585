// Why a room closed the connection for good, in words: the page decides what comes next.

import { closeCodes } from '../client/src/index.js'

export const { CONFLICT, FORBIDDEN } = closeCodes

const WORDS = new Map([
  [closeCodes.MALFORMED, 'The connection was closed, because something was sent that the room does not understand.'],
  [closeCodes.UNAUTHORIZED, 'Your access to this session has ended.'],
  [FORBIDDEN, 'You have no access to this session any more.'],
  [closeCodes.NOT_FOUND, 'This session does not exist any more.'],
  [CONFLICT, 'Your copy of the document no longer fits the one in the room.'],
  [closeCodes.TOO_LARGE, 'The document, or what you pasted into it, is larger than a session may be.']
])

/** @param {number} code of a close frame */
export const explain = (code) => WORDS.get(code) ?? `The room closed the connection (code ${code}).`

/**
 * What FORBIDDEN meant, from what the edge now says about the session.
 * @param {{ role: string | null } | null} session null if one may not see it
 */
export function explainForbidden (session) {
  if (session === null) return 'You were removed from this session. Its owner can add you again.'
  if (session.role === null) return 'You were removed from this session. It is public: open it again to join again.'
  return 'You may not edit this session. What you typed since was not taken.'
}
