// Room tokens with an end of the test's choosing, signed with the key of the edge under test. It
// takes the deployment's secret to do that, which only who started the edge can pass on.

import { createPrivateKey, hkdfSync, sign } from 'node:crypto'

const LABEL = 'codecrafter/room-token/v1'
/** DER of an Ed25519 private key (RFC 8410 §7) up to its 32 bytes. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')

/**
 * @param {string} sample a token that the edge made: header and claims are taken from it
 * @returns {((options: { endsInSeconds: number }) => string) | null} null if the secret is not known
 */
export function roomTokenMaker (sample) {
  const secret = process.env.CODECRAFTER_SECRET
  if (!secret) return null
  const seed = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), LABEL, 32))
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
  const [header, claims] = sample.split('.')
  return ({ endsInSeconds }) => {
    const exp = Math.floor(Date.now() / 1000) + endsInSeconds
    const iat = exp - 3600
    const changed = { ...JSON.parse(Buffer.from(claims, 'base64url').toString()), iat, nbf: iat, exp }
    const text = `${header}.${Buffer.from(JSON.stringify(changed)).toString('base64url')}`
    return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
  }
}
