// Why a room closed the socket, in words. 4400–4499 are final for the provider: it stops, and the
// page decides what comes next.

/** The token is missing, forged, expired or older than a change of role: join again for another. */
export const UNAUTHORIZED = 4401
/** No access any more, or repeated edits without the right to: only the edge knows which. */
export const FORBIDDEN = 4403
/** The document here and the one in the room have different pasts: begin with a new one. */
export const CONFLICT = 4409

const WORDS = new Map([
  [4400, 'The connection was closed, because something was sent that the room does not understand.'],
  [UNAUTHORIZED, 'Your access to this session has ended.'],
  [FORBIDDEN, 'You have no access to this session any more.'],
  [4404, 'This session does not exist any more.'],
  [CONFLICT, 'Your copy of the document no longer fits the one in the room.'],
  [4413, 'The document, or what you pasted into it, is larger than a session may be.']
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
