// A person's feed over a WebSocket, by our client library.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { FeedClient } from '../../web/client/src/index.js'
import { edgeUrl, person, sharedSession } from './support/edge.mjs'
import { Socket, knock } from './support/raw.mjs'
import { until } from './support/wait.mjs'

let ada, bob
const open = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => open.forEach((feed) => feed.destroy()))

/** A client of somebody's feed, with what it was told. */
async function listen (api) {
  const feed = new FeedClient({ connect: () => api.connectFeed(), origin: api.origin, WebSocket: Socket, page: null })
  open.push(feed)
  const listener = { feed, told: [], stale: 0, last: null }
  feed.on('notification', (notification) => listener.told.push(notification))
  feed.on('stale', () => { listener.stale += 1 })
  feed.on('status', (change) => { listener.last = change })
  feed.connect()
  await until('the feed is live', () => feed.status === 'live')
  return listener
}

const add = (session, api, who) => api.addParticipant(session.id, who.user.username, 'editor')
const types = ({ told }) => told.map(({ event }) => event.type)
const online = async (session) => (await ada.online(session.id)).userIds

test('every client of a person hears at once what others do to them, and what they have read', async () => {
  const [one, two, own] = [await listen(bob), await listen(bob), await listen(ada)]
  const session = await sharedSession(ada)
  await add(session, ada, bob)
  for (const client of [one, two]) {
    await until('Bob is told', () => client.told.length === 1)
    assert.deepEqual([types(client), client.feed.unread], [['added'], 1])
    assert.equal(client.told[0].event.by.displayName, 'Ada')
  }
  await bob.readNotifications(one.told[0].seq)
  for (const client of [one, two]) await until('it is read everywhere', () => client.feed.unread === 0)
  assert.deepEqual(own.told, [])
})

test('what happens while a client is away is told when it is back, once and in order', async () => {
  const carl = await person('Carl')
  const client = await listen(carl)
  const sessions = [await sharedSession(ada), await sharedSession(ada), await sharedSession(ada)]
  await add(sessions[0], ada, carl)
  await until('Carl is told', () => client.told.length === 1)
  client.feed.disconnect()
  for (const session of sessions.slice(1)) await add(session, ada, carl)
  client.feed.connect()
  await until('he is told of all', () => client.told.length === 3)
  assert.deepEqual(client.told.map(({ seq }) => seq), [1, 2, 3])
  assert.deepEqual([client.feed.unread, client.stale], [3, 1])
})

test('a client that was away for too much is told so', async () => {
  const dora = await person('Dora')
  const client = await listen(dora)
  client.feed.disconnect()
  const session = await sharedSession(ada)
  await add(session, ada, dora)
  // As one that comes with a number of another life.
  client.feed.mark = { seq: 99, readSeq: 0 }
  client.feed.connect()
  await until('it asks for the list anew', () => client.stale === 2)
  assert.equal(client.feed.unread, 1)
  assert.deepEqual(client.told, [])
})

test('a login that ends closes what it has opened, and its token opens nothing', async () => {
  const eve = await person('Eve')
  const { feedToken, socketUrl } = await eve.connectFeed()
  const client = await listen(eve)
  await eve.signOut()
  await until('the feed has ended', () => client.feed.status === 'ended')
  const url = `${edgeUrl().replace(/^http/, 'ws')}${socketUrl}`
  for (const token of [feedToken, 'nothing', ada.accessToken]) {
    const { code, upgraded } = await knock(`${url}?token=${encodeURIComponent(token)}`)
    assert.deepEqual([upgraded, code], [true, 4401])
  }
  const { code } = await knock(url)
  assert.equal(code, 4401)
})

test('who says anything to a feed is closed, and so is one socket too many', async () => {
  const fred = await person('Fred')
  const { feedToken, socketUrl } = await fred.connectFeed()
  const url = `${edgeUrl().replace(/^http/, 'ws')}${socketUrl}?token=${encodeURIComponent(feedToken)}`
  const connect = () => {
    const socket = new Socket(url)
    const heard = { socket, frames: [], code: null }
    socket.on('message', (data) => heard.frames.push(String(data)))
    socket.on('close', (code) => { heard.code = code })
    return heard
  }
  const sockets = Array.from({ length: 10 }, connect)
  for (const each of sockets) await until('each is greeted', () => each.frames.length === 1)
  const more = connect()
  await until('one more is refused', () => more.code === 4503)
  sockets[0].socket.send('ping')
  await until('a ping is answered', () => sockets[0].frames.at(-1) === 'pong')
  sockets[0].socket.send('{"type":"read","upTo":1}')
  await until('it is closed', () => sockets[0].code === 4400)
  const again = connect()
  await until('there is a place again', () => again.frames.length === 1)
  for (const { socket } of [...sockets, again]) socket.close()
})

test('who has an open feed is online for those who share a session, until the last tab is closed', async () => {
  const gina = await person('Gina')
  const session = await sharedSession(ada)
  await gina.join(session.id)
  assert.ok(!(await online(session)).includes(gina.user.id))
  const [one, two] = [await listen(gina), await listen(gina)]
  const isGina = (id) => id === gina.user.id
  await until('she is online', async () => (await online(session)).some(isGina))
  assert.equal((await online(session)).filter(isGina).length, 1)
  one.feed.destroy()
  // The other tab hears of something after the first has gone.
  await add(await sharedSession(ada), ada, gina)
  await until('Gina is told', () => two.told.length === 1)
  assert.ok((await online(session)).includes(gina.user.id))
  two.feed.destroy()
  await until('she is not online', async () => !(await online(session)).includes(gina.user.id))
  await assert.rejects(bob.online(session.id), { code: 'forbidden' })
})

test('who opens their feed too often is told over the socket when to come again', async () => {
  const finn = await person('Finn')
  const { feedToken, socketUrl, eventsUrl } = await finn.connectFeed()
  const headers = { authorization: `Bearer ${feedToken}` }
  const statuses = new Set()
  for (let n = 0; n < 10 && !statuses.has(429); n += 1) {
    const asked = Array.from({ length: 20 }, () => fetch(`${edgeUrl()}${eventsUrl}`, { headers }))
    for (const { status } of await Promise.all(asked)) statuses.add(status)
  }
  assert.deepEqual([...statuses], [200, 429])
  const url = `${edgeUrl().replace(/^http/, 'ws')}${socketUrl}?token=${feedToken}`
  // One comes back in a second: who is let in, and speaks as in a room, is closed with 4400. Of many
  // that come at once most are too many, however long each takes.
  const closed = await until('one is too many', async () => {
    const all = await Promise.all(Array.from({ length: 10 }, () => knock(url)))
    return all.find(({ code }) => code === 4529)
  })
  assert.deepEqual([closed.code, closed.reason, closed.frames], [4529, 'too fast; try again; retry-after=1', []])
})
