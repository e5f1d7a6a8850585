// The HTTP side of the edge: one method per route, tokens, and refusals as errors.
//
// Owns the access token. It is renewed when the edge says 401, once for all calls that wait, and
// across tabs one at a time, because a refresh token is good for one use.

const PREFIX = '/api/v1'

/** A refusal by the edge (RFC 9457), or the lack of any answer (`status` 0, `code` `offline`). */
export class ApiError extends Error {
  constructor ({ status = 0, code = 'offline', title, detail, errors = [], retryAfterSeconds = 0 }) {
    super(detail ?? title ?? `The server answered ${status}.`)
    this.name = 'ApiError'
    this.status = status
    this.code = code
    /** @type {{ field: string, message: string }[]} every field that broke a rule */
    this.errors = errors
    /** When it makes sense to try again; 0 if nobody said. */
    this.retryAfterSeconds = retryAfterSeconds
  }
}

/** Where a login is not kept between visits: tests, and whoever passes no store. */
const memoryStore = () => {
  let token = null
  return { get: () => token, set: (next) => { token = next }, clear: () => { token = null } }
}

export class Api {
  /**
   * @param {object} [options]
   * @param {string} [options.origin] such as `http://127.0.0.1:8787`; the page's own if empty
   * @param {{ get(): string | null, set(token: string): void, clear(): void }} [options.store]
   * @param {() => void} [options.onSignedOut] the login ended without the user asking for it
   */
  constructor ({ origin = '', store = memoryStore(), onSignedOut = () => {} } = {}) {
    this.origin = origin
    this.store = store
    this.onSignedOut = onSignedOut
    /** @type {any} the account, once signed in */
    this.user = null
    this.accessToken = null
    this.refreshing = null
  }

  // ---- Accounts ----

  async register (account) {
    return this.signedIn(await this.send('POST', '/auth/register', account, { token: null }))
  }

  async signIn (login, password) {
    return this.signedIn(await this.send('POST', '/auth/login', { login, password }, { token: null }))
  }

  /** Takes up the login that this browser remembers; none if there is none or it ended. */
  async resume () {
    if (this.store.get() === null) return null
    try {
      await this.refresh()
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) return null
      throw error
    }
    return this.user
  }

  /** Signed out here at once, before this returns; the edge is told, even if the page is closed meanwhile. */
  async signOut () {
    const token = this.accessToken
    this.forget()
    if (token !== null) await this.send('POST', '/auth/logout', undefined, { token, keepalive: true }).catch(() => {})
  }

  me () { return this.call('GET', '/auth/me') }

  // ---- Sessions ----

  /** @param {{ scope?: 'public', q?: string, language?: string, page?: number, limit?: number }} [query] */
  sessions (query = {}) { return this.call('GET', `/sessions${queryOf({ page: 1, limit: 20, ...query })}`) }
  createSession (settings) { return this.call('POST', '/sessions', settings) }
  session (id) { return this.call('GET', `/sessions/${id}`) }
  updateSession (id, changes) { return this.call('PATCH', `/sessions/${id}`, changes) }
  deleteSession (id) { return this.call('DELETE', `/sessions/${id}`) }
  /** Harmless to repeat: whoever has joined keeps the role and gets a new room token. */
  join (id) { return this.call('POST', `/sessions/${id}/join`) }

  leave (id) { return this.call('POST', `/sessions/${id}/leave`) }
  addParticipant (id, username, role) { return this.call('POST', `/sessions/${id}/participants`, { username, role }) }
  changeRole (id, userId, role) { return this.call('PUT', `/sessions/${id}/participants/${userId}`, { role }) }
  removeParticipant (id, userId) { return this.call('DELETE', `/sessions/${id}/participants/${userId}`) }
  /** The caller, its owner, becomes an admin. */
  transfer (id, userId) { return this.call('POST', `/sessions/${id}/transfer`, { userId }) }

  // ---- Versions ----

  versions (id, query = {}) { return this.call('GET', `/sessions/${id}/versions${queryOf({ page: 1, limit: 20, ...query })}`) }
  /** @param {{ message?: string }} wanted */
  takeVersion (id, wanted) { return this.call('POST', `/sessions/${id}/versions`, wanted) }
  version (id, number) { return this.call('GET', `/sessions/${id}/versions/${number}`) }
  /** What has changed since, in the document as it is now unless `with` names another version. */
  versionDiff (id, number, query = {}) { return this.call('GET', `/sessions/${id}/versions/${number}/diff${queryOf(query)}`) }
  restoreVersion (id, number) { return this.call('POST', `/sessions/${id}/versions/${number}/restore`) }
  deleteVersion (id, number) { return this.call('DELETE', `/sessions/${id}/versions/${number}`) }
  /** Step by step, how the document came about. @param {{ from?: number, limit?: number }} [query] */
  history (id, query = {}) { return this.call('GET', `/sessions/${id}/history${queryOf(query)}`) }
  restoreStep (id, step) { return this.call('POST', `/sessions/${id}/history/${step}/restore`) }
  /** @param {{ title?: string, description?: string, version?: number, step?: number }} wanted */
  fork (id, wanted) { return this.call('POST', `/sessions/${id}/fork`, wanted) }

  // ---- Chat ----

  /** @param {{ before?: number, limit?: number }} [query] */
  messages (id, query = {}) { return this.call('GET', `/sessions/${id}/chat${queryOf(query)}`) }
  /** @param {{ text: string, key: string }} message a repeated key is the same message */
  sendMessage (id, message) { return this.call('POST', `/sessions/${id}/chat`, message) }
  deleteMessage (id, seq) { return this.call('DELETE', `/sessions/${id}/chat/${seq}`) }

  // ---- Notifications ----

  /** @param {{ before?: number, limit?: number }} [query] */
  notifications (query = {}) { return this.call('GET', `/notifications${queryOf(query)}`) }
  readNotifications (upTo) { return this.call('POST', '/notifications/read', { upTo }) }
  connectFeed () { return this.call('POST', '/notifications/connect') }
  /** Which participants of a session are online, wherever they are. */
  online (id) { return this.call('GET', `/sessions/${id}/online`) }

  // ---- Executions ----

  createExecution (request) { return this.call('POST', '/executions', request) }
  execution (id) { return this.call('GET', `/executions/${id}`) }
  /** @param {object[]} inputs what is done at the program's keyboard, in order */
  giveInput (id, inputs) { return this.call('POST', `/executions/${id}/input`, { inputs }) }
  /** @returns {Promise<Blob>} what is in a file that it has left */
  executionFile (id, name) { return this.call('GET', `/executions/${id}/files/${encodeURIComponent(name)}`, undefined, 'blob') }
  cancelExecution (id) { return this.call('POST', `/executions/${id}/cancel`) }
  sessionExecutions (id, query = {}) { return this.call('GET', `/sessions/${id}/executions${queryOf({ page: 1, limit: 20, ...query })}`) }
  languages () { return this.call('GET', '/languages') }

  // ---- How ----

  /** A call with the access token, which is renewed and the call repeated if the edge says 401. */
  async call (method, path, body, as = 'json') {
    const token = this.accessToken
    try {
      return await this.send(method, path, body, { token, as })
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401 || this.store.get() === null) throw error
      // Another call may have renewed it meanwhile.
      if (this.accessToken === token) await this.refresh()
      return this.send(method, path, body, { token: this.accessToken, as })
    }
  }

  refresh () {
    this.refreshing ??= exclusively(() => this.refreshNow()).finally(() => { this.refreshing = null })
    return this.refreshing
  }

  async refreshNow () {
    // Read inside the lock: another tab may just have used the one that we knew.
    const refreshToken = this.store.get()
    try {
      if (refreshToken === null) throw new ApiError({ status: 401, code: 'login_session_ended', title: 'Please sign in.' })
      this.signedIn(await this.send('POST', '/auth/refresh', { refreshToken }, { token: null }))
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        this.forget()
        this.onSignedOut()
      }
      throw error
    }
  }

  signedIn ({ user, accessToken, refreshToken }) {
    this.user = user
    this.accessToken = accessToken
    this.store.set(refreshToken)
    return user
  }

  forget () {
    this.user = null
    this.accessToken = null
    this.store.clear()
  }

  async send (method, path, body, { token, keepalive = false, as = 'json' }) {
    const headers = { accept: as === 'json' ? 'application/json' : '*/*', traceparent: traceparent() }
    if (body !== undefined) headers['content-type'] = 'application/json'
    if (token !== null) headers.authorization = `Bearer ${token}`
    let response, text
    try {
      response = await fetch(this.origin + PREFIX + path, {
        method, headers, keepalive, body: body === undefined ? undefined : JSON.stringify(body)
      })
      if (as === 'blob' && response.ok) return await response.blob()
      text = await response.text()
    } catch {
      throw new ApiError({ title: 'The server cannot be reached.' })
    }
    const answer = parse(text)
    if (!response.ok) {
      const retryAfterSeconds = Number(response.headers?.get('retry-after') ?? 0)
      throw new ApiError({ code: 'internal', ...answer, status: response.status, retryAfterSeconds })
    }
    return answer
  }
}

/** A proxy in between may answer with something that is not JSON: the status still counts. */
function parse (text) {
  try { return JSON.parse(text) } catch { return undefined }
}

/** `?page=1&q=two%20words`, without what is empty. */
function queryOf (query) {
  const pairs = Object.entries(query).filter(([, value]) => value != null && value !== '')
  return pairs.length === 0 ? '' : `?${new URLSearchParams(pairs)}`
}

/** One at a time across the tabs of this browser, where it can do that (secure contexts). */
function exclusively (work) {
  const locks = globalThis.navigator?.locks
  return locks === undefined ? work() : locks.request('codecrafter.refresh', work)
}

/** A trace of its own for each request (W3C Trace Context): what a click brings about is found by it. */
function traceparent () {
  const hex = (bytes) => Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `00-${hex(16)}-${hex(8)}-01`
}
