// Who may not, cannot: room tokens, roles, the lock, and the end of a session.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, before, test } from 'node:test'
import WebSocket from 'ws'
import * as Y from 'yjs'
import { Api, ApiError } from '../../web/src/api.js'
import { edgeUrl, nonce, person, sharedSession } from './support/edge.mjs'
import { carriesDocument, knock } from './support/raw.mjs'
import { roomTokenMaker } from './support/room-token.mjs'
import { Client, GONE_MS_MAX, roomContent, roomsUrl } from './support/stock.mjs'
import { until } from './support/wait.mjs'

const SECRET_TEXT = 'nobody else may read this'
let owner, guest
const present = []

before(async () => { [owner, guest] = await Promise.all([person('Olga'), person('Gus')]) })
after(() => present.forEach((client) => client.leave()))

async function enter (api, session, options) {
  const client = await Client.join(api, session.id, options)
  present.push(client)
  return client
}

// ---- Room tokens ----

/** A room with something in it, and how to knock at it. */
async function guardedRoom () {
  const session = await sharedSession(owner, { isPublic: false, content: SECRET_TEXT })
  const joined = await owner.join(session.id)
  const inside = await (await enter(owner, session)).synced()
  assert.equal(inside.content, SECRET_TEXT)
  const url = `${roomsUrl(edgeUrl(), joined)}/${session.id}`
  return { session, joined, url, byQuery: (token) => `${url}?caps=app1&token=${encodeURIComponent(token)}` }
}

async function refused (url, options) {
  const { code, frames, upgraded } = await knock(url, options)
  assert.ok(upgraded, 'refused after the upgrade, because a browser cannot see an HTTP status')
  assert.equal(code, 4401)
  assert.deepEqual(frames.filter(carriesDocument), [], 'no part of the document was sent')
  const sent = Buffer.concat(frames.map((frame) => Buffer.from(frame)))
  assert.ok(!sent.includes(SECRET_TEXT))
  assert.ok(!sent.includes('Olga'), 'nor who is there')
}

test('without a room token, a socket is closed with 4401 and has learnt nothing', async () => {
  const { url } = await guardedRoom()
  await refused(url)
  await refused(`${url}?token=`)
  await refused(url, { protocols: ['yjs', 'token.'] })
})

test('a forged room token is refused with 4401', async () => {
  const { joined, byQuery, url } = await guardedRoom()
  const [header, claims, signature] = joined.roomToken.split('.')
  const flipped = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`
  const unsigned = Buffer.from('{"alg":"none","typ":"JWT"}').toString('base64url')
  await refused(byQuery([header, claims, flipped].join('.')))
  await refused(byQuery([unsigned, claims, ''].join('.')))
  await refused(byQuery([header, claims, ''].join('.')))
  await refused(byQuery('not a token'))
  await refused(url, { protocols: ['yjs', `token.${header}.${claims}.${flipped}`] })
})

test('an access token is no room token', async () => {
  const { byQuery } = await guardedRoom()
  await refused(byQuery(owner.accessToken))
})

test('a room token opens its own room and no other', async () => {
  const one = await guardedRoom()
  const other = await guardedRoom()
  await refused(other.byQuery(one.joined.roomToken))
})

test('an expired room token is refused with 4401', async (t) => {
  const { joined, byQuery, session } = await guardedRoom()
  const make = roomTokenMaker(joined.roomToken)
  if (make === null) return t.skip('needs CODECRAFTER_SECRET, the secret of the edge under test, to sign one')
  // The same maker with a later end: what is refused is the end, and nothing else.
  const good = new Client(edgeUrl(), session.id, { ...joined, roomToken: make({ endsInSeconds: 600 }) })
  present.push(good)
  await good.synced()
  assert.equal(good.content, SECRET_TEXT)
  await refused(byQuery(make({ endsInSeconds: -120 })))
})

test('a room token by subprotocol opens the room', async () => {
  const { joined, url } = await guardedRoom()
  const socket = new WebSocket(url, ['yjs', `token.${joined.roomToken}`])
  try {
    const frame = await new Promise((resolve, reject) => {
      socket.once('message', resolve)
      socket.once('error', reject)
      socket.once('close', (code) => reject(new Error(`closed with ${code}`)))
    })
    assert.ok(frame.length > 0)
    assert.equal(socket.protocol, 'yjs')
  } finally {
    socket.terminate()
  }
})

test('no socket is compressed, whatever the client offers', async () => {
  const { joined, byQuery } = await guardedRoom()
  const socket = new WebSocket(byQuery(joined.roomToken), { perMessageDeflate: true })
  try {
    await once(socket, 'open')
    assert.equal(socket.extensions, '', 'a compressor takes several times what a socket does')
  } finally {
    socket.terminate()
  }
})

// ---- Identity ----

test('an identity header from outside does nothing', async () => {
  const { session, url } = await guardedRoom()
  const principal = {
    userId: owner.user.id,
    username: owner.user.username,
    displayName: owner.user.displayName,
    role: 'owner',
    accessVersion: 1,
    expiresAt: '2100-01-01T00:00:00.000Z'
  }
  const forged = {
    'x-codecrafter-principal': JSON.stringify({ ...principal, sessionId: session.id, tenant: 'main' }),
    // As the edge itself writes it for a room.
    'x-codecrafter-visitor': Buffer.from(JSON.stringify({ principal, app_frames: true })).toString('base64url')
  }
  await refused(url, { headers: forged })

  const anonymous = await fetch(`${edgeUrl()}/api/v1/auth/me`, { headers: forged })
  assert.equal(anonymous.status, 401)
  const authorization = `Bearer ${guest.accessToken}`
  const me = await fetch(`${edgeUrl()}/api/v1/auth/me`, { headers: { ...forged, authorization } })
  assert.equal((await me.json()).id, guest.user.id)
  const theirs = await fetch(`${edgeUrl()}/api/v1/sessions/${session.id}`, { headers: { ...forged, authorization } })
  assert.equal(theirs.status, 404)
})

// ---- Roles ----

test('a viewer’s edits reach nobody, and who keeps trying is closed out with 4403', async () => {
  const session = await sharedSession(owner, { joinRole: 'viewer', content: 'as it was' })
  const editor = await (await enter(owner, session)).synced()
  const viewer = await (await enter(guest, session)).synced()
  const welcome = await viewer.frame('a welcome', ({ type }) => type === 'welcome')
  assert.equal(welcome.role, 'viewer')
  assert.equal(viewer.content, 'as it was')

  viewer.text.insert(0, 'defaced ')
  await viewer.decided(editor)
  assert.equal(editor.content, 'as it was')
  assert.equal(await roomContent(owner, session.id), 'as it was')
  await until('the viewer is told', () => viewer.denials.length > 0)
  assert.equal(viewer.denials.length, 1)

  // The viewer goes on reading.
  editor.text.insert(0, 'still ')
  await until('the viewer gets an edit', () => viewer.content.includes('still '))

  await until('the room has enough', () => {
    viewer.text.insert(0, 'x')
    return viewer.closeCodes.length > 0
  }, 30_000)
  assert.deepEqual(viewer.closeCodes, [4403])
  assert.equal(editor.content, 'still as it was')
  assert.equal(await roomContent(owner, session.id), 'still as it was')
})

test('what a viewer wrote offline does not enter by the handshake', async () => {
  const session = await sharedSession(owner, { joinRole: 'viewer', content: 'as it was' })
  const editor = await (await enter(owner, session)).synced()
  const doc = new Y.Doc()
  doc.getText('content').insert(0, 'smuggled ')
  const viewer = await enter(guest, session, { doc })
  await until('the viewer is decided about', () => viewer.provider.synced || viewer.closeCodes.length > 0)
  if (viewer.closeCodes.length === 0) await viewer.decided(editor)
  assert.equal(editor.content, 'as it was')
  assert.equal(await roomContent(owner, session.id), 'as it was')
})

test('a viewer may not run the session’s code', async () => {
  const session = await sharedSession(owner, { joinRole: 'viewer', content: 'print(1)' })
  await guest.join(session.id)
  await assert.rejects(guest.createExecution({ sessionId: session.id }), (error) => error instanceof ApiError && error.status === 403)
})

// ---- The lock ----

test('a locked session takes edits from its owner and from nobody else, until it is unlocked', async () => {
  const session = await sharedSession(owner, { content: 'base' })
  const owning = await (await enter(owner, session)).synced()
  const editing = await (await enter(guest, session)).synced()
  assert.equal((await editing.frame('a welcome', ({ type }) => type === 'welcome')).locked, false)

  await owner.updateSession(session.id, { isLocked: true })
  await editing.frame('the lock is announced', ({ type, locked }) => type === 'access' && locked)
  // Somebody else's client, so that the editor's refused letter does not stay in the way below.
  const trying = await (await enter(guest, session)).synced()
  assert.equal((await trying.frame('a welcome', ({ type }) => type === 'welcome')).locked, true)
  trying.text.insert(0, 'no ')
  await trying.decided(owning)
  assert.equal(owning.content, 'base')
  owning.text.insert(4, '!')
  await editing.shows('base!')
  assert.equal(await roomContent(owner, session.id), 'base!')
  trying.leave()

  await owner.updateSession(session.id, { isLocked: false })
  await editing.frame('the unlocking is announced', ({ type, locked }) => type === 'access' && !locked)
  editing.text.insert(0, 'yes ')
  await owning.shows('yes base!')
})

// ---- Participants ----

const accessOf = (role) => ({ type, ...frame }) => type === 'access' && frame.role === role
const knockAt = (session, joined) => knock(`${roomsUrl(edgeUrl(), joined)}/${session.id}?token=${joined.roomToken}`)

/** A private session with the guest in it, both with open sockets. */
async function sharedRoom (role) {
  const session = await sharedSession(owner, { isPublic: false, content: 'base' })
  await owner.addParticipant(session.id, guest.user.username, role)
  const owning = await (await enter(owner, session)).synced()
  const visiting = await (await enter(guest, session)).synced()
  assert.equal((await visiting.frame('a welcome', ({ type }) => type === 'welcome')).role, role)
  return { session, owning, visiting }
}

/** Out, and with the old token not in again. */
async function shutOut (session, client) {
  await client.closedWith(4403)
  const { code, frames } = await knockAt(session, client.joined)
  assert.equal(code, 4403)
  assert.deepEqual(frames.filter(carriesDocument), [])
}

const refusedWith = (code) => (error) => error instanceof ApiError && error.code === code

test('a role that is changed holds at once, in sockets that are open', async () => {
  const { session, owning, visiting } = await sharedRoom('viewer')
  await owner.changeRole(session.id, guest.user.id, 'editor')
  await visiting.frame('the promotion is announced', accessOf('editor'))
  visiting.text.insert(0, 'may write: ')
  await owning.shows('may write: base')

  await owner.changeRole(session.id, guest.user.id, 'viewer')
  await visiting.frame('the demotion is announced', accessOf('viewer'))
  visiting.text.insert(0, 'not any more: ')
  await visiting.decided(owning)
  assert.equal(owning.content, 'may write: base')
  assert.equal(await roomContent(owner, session.id), 'may write: base')
  await until('and is told so', () => visiting.denials.length > 0)
  assert.equal(visiting.denials.length, 1)
  assert.deepEqual(visiting.closeCodes, [])
})

test('who is removed is closed out with 4403, and comes back only if added again', async () => {
  const { session, owning, visiting } = await sharedRoom('editor')
  await owner.removeParticipant(session.id, guest.user.id)
  await shutOut(session, visiting)
  await assert.rejects(guest.join(session.id), refusedWith('session_not_found'))

  await owner.addParticipant(session.id, guest.user.username, 'editor')
  const again = await (await enter(guest, session)).synced()
  again.text.insert(4, ', again')
  await owning.shows('base, again')
})

test('who leaves is closed out everywhere, with the other tabs', async () => {
  const { session, owning, visiting } = await sharedRoom('editor')
  const tab = await (await enter(guest, session)).synced()
  await guest.leave(session.id)
  await Promise.all([shutOut(session, visiting), shutOut(session, tab)])
  await until('the room shows that they are gone', () => owning.sees(visiting) === undefined && owning.sees(tab) === undefined, GONE_MS_MAX)
  await assert.rejects(owner.leave(session.id), refusedWith('owner_stays'))
  assert.deepEqual(owning.closeCodes, [])
})

test('a session that is handed over has its new owner at once', async () => {
  const { session, owning, visiting } = await sharedRoom('editor')
  await owner.updateSession(session.id, { isLocked: true })
  await visiting.frame('the lock is announced', ({ type, locked }) => type === 'access' && locked)
  await owner.transfer(session.id, guest.user.id)
  await visiting.frame('the new owner is told', accessOf('owner'))
  await owning.frame('and the old one', accessOf('admin'))

  visiting.text.insert(4, ' of mine')
  await owning.shows('base of mine')
  owning.text.insert(0, 'not: ')
  await owning.decided(visiting)
  assert.equal(visiting.content, 'base of mine', 'the lock now holds for who owned it')
  await owner.leave(session.id)
  await owning.closedWith(4403)
})

test('who joins while others are removed stays, whatever order the news come in', async () => {
  const session = await sharedSession(owner)
  const others = await Promise.all(['Ann', 'Ben', 'Cid', 'Dot'].map((name) => person(name)))
  const clients = await Promise.all(others.map(async (api) => {
    const client = await (await enter(api, session)).synced()
    await api.leave(session.id)
    const back = await enter(api, session)
    return { client, back }
  }))
  for (const { client, back } of clients) {
    await client.closedWith(4403)
    await back.synced()
  }
  const owning = await (await enter(owner, session)).synced()
  clients.forEach(({ back }, i) => back.text.insert(0, `${i}`))
  await until('everybody edits', () => owning.content.length === clients.length)
  for (const { back } of clients) assert.deepEqual(back.closeCodes, [])
})

// ---- The end of a login ----

/** Closed without having said a word, and by the same token not let in again. */
async function loggedOut (session, client) {
  await client.closedWith(4401)
  const { code, frames } = await knockAt(session, client.joined)
  assert.equal(code, 4401)
  assert.deepEqual(frames.filter(carriesDocument), [])
}

/** The same person on another device. */
async function signedInAgain () {
  const other = new Api({ origin: edgeUrl() })
  const password = 'three words make one'
  const username = `twice-${nonce()}`
  const first = new Api({ origin: edgeUrl() })
  await first.register({ username, email: `${username}@example.org`, password, displayName: 'Twice' })
  await other.signIn(username, password)
  return [first, other]
}

test('who logs out leaves every room at once, and their other device stays', async () => {
  const [stolen, own] = await signedInAgain()
  const rooms = []
  for (const content of ['one', 'two']) {
    const session = await sharedSession(owner, { content })
    const leaving = [await (await enter(stolen, session)).synced(), await (await enter(stolen, session)).synced()]
    rooms.push({ session, leaving, staying: await (await enter(own, session)).synced() })
  }
  await stolen.signOut()
  for (const { session, leaving, staying } of rooms) {
    await Promise.all(leaving.map((client) => loggedOut(session, client)))
    assert.deepEqual(staying.closeCodes, [])
    staying.text.insert(0, 'still here: ')
    const owning = await (await enter(owner, session)).synced()
    await owning.shows(staying.content)
    await until('nobody sees those who are gone', () => leaving.every((client) => owning.sees(client) === undefined), GONE_MS_MAX)
  }
})

test('a refresh token that comes from two sides closes the rooms of its login', async () => {
  const api = await person('Copied')
  const session = await sharedSession(owner, { content: 'base' })
  const inside = await (await enter(api, session)).synced()
  const refresh = (refreshToken) => fetch(`${edgeUrl()}/api/v1/auth/refresh`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ refreshToken })
  })
  const first = api.store.get()
  // Two steps on, the first is certainly a copy, however quick this was.
  const second = (await (await refresh(first)).json()).refreshToken
  assert.equal((await refresh(second)).status, 200)
  assert.equal((await refresh(first)).status, 401)
  await loggedOut(session, inside)
})

// ---- Writing without a socket ----

const contentOf = (session) => `/sessions/${session.id}/content`

test('what is written over HTTP is seen in open sockets, and moves no cursor behind it', async () => {
  const { session, owning, visiting } = await sharedRoom('editor')
  owning.text.insert(4, '\n// 😀 here\nlast line\n')
  await visiting.shows(owning.content)
  const cursor = Y.createRelativePositionFromTypeIndex(visiting.text, visiting.content.indexOf('last'))
  const undo = new Y.UndoManager(visiting.text, { trackedOrigins: new Set(['typed here']) })
  visiting.doc.transact(() => visiting.text.insert(visiting.text.length, 'typed'), 'typed here')
  await owning.shows(visiting.content)

  const written = owning.content.replace('😀', '😁 and more')
  const files = [{ path: 'lib.py', content: 'x = 1' }]
  await guest.call('PUT', contentOf(session), { content: written, files })
  await Promise.all([owning.shows(written), visiting.shows(written)])
  await until('the file is there', () => owning.doc.getMap('files').get('lib.py')?.toString() === 'x = 1')
  const at = Y.createAbsolutePositionFromRelativePosition(cursor, visiting.doc)
  assert.equal(at.index, written.indexOf('last'))
  undo.undo()
  await owning.shows(written.replace('typed', ''))

  assert.deepEqual(await owner.call('GET', contentOf(session)), { content: owning.content, files })
})

test('who may not edit any more writes nothing over HTTP either', async () => {
  const { session, owning } = await sharedRoom('editor')
  const write = (content) => guest.call('PUT', contentOf(session), { content })
  await write('while an editor')
  await owning.shows('while an editor')
  await owner.changeRole(session.id, guest.user.id, 'viewer')
  await assert.rejects(write('as a viewer'), refusedWith('forbidden'))
  await owner.changeRole(session.id, guest.user.id, 'admin')
  await owner.updateSession(session.id, { isLocked: true })
  await assert.rejects(write('while locked'), refusedWith('forbidden'))
  await owner.call('PUT', contentOf(session), { content: 'by its owner' })
  await owning.shows('by its owner')
  await owner.removeParticipant(session.id, guest.user.id)
  await assert.rejects(write('from outside'), refusedWith('session_not_found'))
  assert.equal(await roomContent(owner, session.id), 'by its owner')
})

// ---- The end ----

test('a deleted session closes its sockets with 4404 and cannot be joined again', async () => {
  const session = await sharedSession(owner, { content: 'gone soon' })
  const [a, b] = [await (await enter(owner, session)).synced(), await (await enter(guest, session)).synced()]
  const { joined } = b
  await owner.deleteSession(session.id)
  await Promise.all([a.closedWith(4404), b.closedWith(4404)])
  await assert.rejects(guest.join(session.id), (error) => error instanceof ApiError && error.code === 'session_not_found')

  const { code, frames } = await knock(`${roomsUrl(edgeUrl(), joined)}/${session.id}?token=${joined.roomToken}`)
  assert.ok(code === 4404 || code === 4401, `closed with ${code}`)
  assert.deepEqual(frames.filter(carriesDocument), [])
})
