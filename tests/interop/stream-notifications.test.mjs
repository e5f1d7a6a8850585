// A person's feed where there are no WebSockets: our client library uses event streams, and its user
// sees no difference.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { FeedClient } from '../../web/client/src/index.js'
import { person, sharedSession } from './support/edge.mjs'
import { until } from './support/wait.mjs'

const LIMIT_MS = 60_000
let ada, bob
const open = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => open.forEach((feed) => feed.destroy()))

async function listen (api) {
  const feed = new FeedClient({ connect: () => api.connectFeed(), origin: api.origin, page: null })
  open.push(feed)
  const told = []
  feed.on('notification', ({ seq }) => told.push(seq))
  feed.connect()
  await until('the feed is live', () => feed.status === 'live', LIMIT_MS)
  return { feed, told }
}

const add = async (who) => {
  const session = await sharedSession(ada)
  await ada.addParticipant(session.id, who.user.username, 'editor')
  return session
}

test('what others do is told as it happens, and what was missed when a client is back', async () => {
  const { socketUrl } = await bob.connectFeed()
  assert.equal(socketUrl, null)
  const { feed, told } = await listen(bob)
  const session = await add(bob)
  await until('Bob is told', () => told.length === 1, LIMIT_MS)
  await until('he is online', async () => (await ada.online(session.id)).userIds.includes(bob.user.id), LIMIT_MS)
  feed.disconnect()
  for (let n = 0; n < 2; n += 1) await add(bob)
  feed.connect()
  await until('he is told of all', () => told.length === 3, LIMIT_MS)
  assert.deepEqual([told, feed.unread], [[1, 2, 3], 3])
  await bob.readNotifications(3)
  await until('it is read', () => feed.unread === 0, LIMIT_MS)
})

test('the end of a login ends its feed', async () => {
  const carl = await person('Carl')
  const { feed } = await listen(carl)
  await carl.signOut()
  await until('the feed has ended', () => feed.status === 'ended', LIMIT_MS)
})
