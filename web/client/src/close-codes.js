// Why a room closes a connection, and what a client does then. 4400–4499 are final: to connect
// again with the same token and the same document would end the same way.

/** Frames that are not of the protocol. */
export const MALFORMED = 4400
/** The token is missing, forged, expired, or its login has ended: join again for another. */
export const UNAUTHORIZED = 4401
/** No access any more, or repeated edits without the right to. */
export const FORBIDDEN = 4403
/** There is no such session, or it was deleted. */
export const NOT_FOUND = 4404
/** This document and the room's have different pasts: begin with a new one. */
export const CONFLICT = 4409
/** A frame or the document is over its quota. */
export const TOO_LARGE = 4413
/** Too many connections in the room, or of this person. */
export const OVERLOADED = 4503
/** More frames or bytes than one client may send. */
export const TOO_FAST = 4529

/** @param {number} code */
export const isFinal = (code) => code >= 4400 && code < 4500

/** Whether the room asks for some patience before the next attempt. @param {number} code */
export const asksForPatience = (code) => code === OVERLOADED || code === TOO_FAST
