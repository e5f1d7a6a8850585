// Addresses inside the page: `#/` and `#/s/<session id>`.

const SESSION = /^#\/s\/([0-9a-f-]{36})$/

export const HOME_HASH = '#/'

/** @param {string} id */
export const sessionHash = (id) => `#/s/${id}`

/** @returns {string | null} the session that the address names */
export const sessionOf = (hash) => SESSION.exec(hash)?.[1] ?? null

/** What one sends to others. */
export const shareLink = (id) => `${location.origin}/${sessionHash(id)}`
