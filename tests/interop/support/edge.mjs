// The edge under test, and people with accounts on it.

import { randomBytes } from 'node:crypto'
import { Api } from '../../../web/src/api.js'

/** Where the edge listens, such as `http://127.0.0.1:8787`. */
export function edgeUrl () {
  const url = process.env.CODECRAFTER_URL
  if (!url) throw new Error('Set CODECRAFTER_URL to the address of a running edge, such as http://127.0.0.1:8787')
  return url.replace(/\/+$/, '')
}

/** Text that nobody else has written. */
export const nonce = () => randomBytes(6).toString('hex')

/**
 * A new account, signed in. The name is made unique; the display name stays as it is.
 * @param {string} name
 * @param {string} [origin]
 * @returns {Promise<Api>}
 */
export async function person (name, origin = edgeUrl()) {
  const username = `${name.toLowerCase()}-${nonce()}`
  const api = new Api({ origin })
  await api.register({
    username,
    email: `${username}@example.org`,
    password: randomBytes(12).toString('base64url'),
    displayName: name
  })
  return api
}

/**
 * A new session that others may join.
 * @param {Api} owner
 * @param {object} [settings] as of `POST /sessions`
 */
export const sharedSession = (owner, settings = {}) =>
  owner.createSession({ title: 'Interop', language: 'python', isPublic: true, joinRole: 'editor', ...settings })
