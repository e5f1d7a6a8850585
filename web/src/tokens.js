// Keeps a login between visits: which refresh token is the newest, for all tabs of this browser.
//
// The trade-off. The refresh token lies in localStorage, where any script of this origin can read
// it; a cookie with HttpOnly could not be read, but would need protection against forged
// cross-site requests, and the API takes its tokens in the body and in a header. What makes it
// bearable: the page loads no script but its own (see the policy in index.html) and inserts no
// text as HTML; a refresh token is good for one use, and using a stolen one again ends the login.
// The access token is worth most and lives shortest: it stays in memory (api.js) and is never
// stored. localStorage rather than sessionStorage, because all tabs must agree on the newest
// refresh token: a copy of an older one, in a duplicated tab, would end the login.

const KEY = 'codecrafter.refreshToken'

export class TokenStore {
  /** @param {Storage} storage */
  constructor (storage) {
    this.storage = storage
  }

  /** @returns {string | null} */
  get () {
    try { return this.storage.getItem(KEY) } catch { return null }
  }

  /** A browser that refuses storage costs its user a login per visit, and nothing else. */
  set (refreshToken) {
    try { this.storage.setItem(KEY, refreshToken) } catch {}
  }

  clear () {
    try { this.storage.removeItem(KEY) } catch {}
  }

  /** Calls `listener` when another tab signs out. */
  onCleared (listener) {
    addEventListener('storage', (event) => {
      if ((event.key === KEY || event.key === null) && this.get() === null) listener()
    })
  }
}
