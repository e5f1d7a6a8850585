import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { Api, ApiError } from '../src/api.js'

const realFetch = globalThis.fetch
afterEach(() => { globalThis.fetch = realFetch })

/** An edge whose access tokens are good for the calls that say so; counts what it is asked. */
function edge ({ goodToken = 'access-1' } = {}) {
  const state = { goodToken, refreshes: [], calls: [], ended: false }
  globalThis.fetch = async (url, { method, headers, body }) => {
    const path = url.replace('/api/v1', '')
    const answer = (status, json) => ({ ok: status < 400, status, text: async () => JSON.stringify(json) })
    if (path === '/auth/login' || path === '/auth/refresh') {
      if (path === '/auth/refresh') state.refreshes.push(JSON.parse(body).refreshToken)
      if (state.ended) return answer(401, { code: 'login_session_ended', title: 'This login has ended; sign in again.' })
      const n = state.refreshes.length + 1
      state.goodToken = `access-${n}`
      return answer(200, { user: { id: 'u' }, accessToken: `access-${n}`, refreshToken: `refresh-${n}` })
    }
    state.calls.push(`${method} ${path}`)
    if (headers.authorization !== `Bearer ${state.goodToken}`) return answer(401, { code: 'token_expired' })
    return answer(200, { id: 'u' })
  }
  return state
}

test('an expired access token is renewed once for all calls that wait, and each is repeated', async () => {
  const state = edge()
  const api = new Api()
  await api.signIn('ada', 'secret')
  state.goodToken = 'none yet'
  const answers = await Promise.all([api.me(), api.sessions(), api.languages()])
  assert.equal(answers.length, 3)
  assert.deepEqual(state.refreshes, ['refresh-1'])
  assert.equal(api.store.get(), 'refresh-2')
})

test('the refresh token of another tab is used if it is newer', async () => {
  const state = edge()
  const api = new Api()
  await api.signIn('ada', 'secret')
  api.store.set('refresh-of-the-other-tab')
  state.goodToken = 'none yet'
  await api.me()
  assert.deepEqual(state.refreshes, ['refresh-of-the-other-tab'])
})

test('a login that ended signs out and says so', async () => {
  const state = edge()
  let told = 0
  const api = new Api({ onSignedOut: () => { told += 1 } })
  await api.signIn('ada', 'secret')
  Object.assign(state, { goodToken: 'none', ended: true })
  await assert.rejects(api.me(), (error) => error instanceof ApiError && error.code === 'login_session_ended')
  assert.equal(api.user, null)
  assert.equal(api.store.get(), null)
  assert.equal(told, 1)
})

test('a refusal carries its code, its words and its fields', async () => {
  globalThis.fetch = async () => ({
    ok: false,
    status: 422,
    text: async () => JSON.stringify({ code: 'validation_failed', title: 'T', detail: 'D', errors: [{ field: 'title', message: 'too long' }] })
  })
  await assert.rejects(new Api().createSession({}), (error) => {
    assert.deepEqual([error.status, error.code, error.message, error.errors[0].field], [422, 'validation_failed', 'D', 'title'])
    return true
  })
})

test('a refusal by a limit says in words and in seconds when to come back', async () => {
  const detail = 'At most 5 new accounts from one network in 60 minutes. Try again in 12 minutes.'
  globalThis.fetch = async () => ({
    ok: false,
    status: 429,
    headers: new Headers({ 'retry-after': '720' }),
    text: async () => JSON.stringify({ code: 'rate_limited', title: 'T', detail })
  })
  await assert.rejects(new Api().register({}), (error) => {
    assert.deepEqual([error.code, error.message, error.retryAfterSeconds], ['rate_limited', detail, 720])
    return true
  })
})

test('no answer, and an answer that is not JSON, are refusals too', async () => {
  globalThis.fetch = async () => { throw new TypeError('fetch failed') }
  await assert.rejects(new Api().languages(), (error) => error.code === 'offline' && error.status === 0)
  globalThis.fetch = async () => ({ ok: false, status: 502, text: async () => '<h1>Bad gateway</h1>' })
  await assert.rejects(new Api().languages(), (error) => error.status === 502)
})
