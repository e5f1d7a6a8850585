// People undo and redo over texts, maps and lists at the same time, on stock clients that come and
// go: the room takes whatever Yjs makes of that, and everybody ends with the same. What is done is
// drawn from seeds; when it arrives is not.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as Y from 'yjs'
import { Luck, Person, values } from '../undo/session.mjs'
import { person, sharedSession } from './support/edge.mjs'
import { Client } from './support/stock.mjs'
import { pause, until } from './support/wait.mjs'

/** Of the first fifty, those in which undo writes what nothing else does. */
const SEEDS = [6, 9, 10, 16, 19, 20]
const STEPS = 150
const LIMIT_MS = 60_000

let ada, bob
const present = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => present.forEach((client) => client.leave()))

async function enter (api, session, options) {
  const client = await Client.join(api, session.id, options)
  present.push(client)
  return client.synced()
}

/** Whether all show the same, and none has more than another. */
function alike (clients) {
  const [{ doc }] = clients
  const known = (one) => JSON.stringify([...Y.decodeStateVector(Y.encodeStateVector(one)).entries()].sort())
  return clients.every((client) => known(client.doc) === known(doc) && values(client.doc) === values(doc))
}

for (const seed of SEEDS) {
  test(`what undo and redo write is taken, seed ${seed}`, { timeout: 4 * LIMIT_MS }, async () => {
    const luck = new Luck(seed)
    const session = await sharedSession(ada)
    const clients = [await enter(ada, session), await enter(bob, session), await enter(bob, session)]
    const people = clients.map((client) => new Person(luck, client.doc))
    for (let step = 0; step < STEPS; step += 1) {
      const turn = luck.below(clients.length)
      const { provider } = clients[turn]
      if (luck.once(12)) provider.shouldConnect ? provider.disconnect() : provider.connect()
      else people[turn].act()
      if (luck.once(2)) await pause(10)
    }
    clients.filter(({ provider }) => !provider.shouldConnect).forEach(({ provider }) => provider.connect())

    const all = [...clients, await enter(ada, session)]
    await until('everybody ends with the same', () => alike(all), LIMIT_MS)

    // A room that has nothing gets everything from one of them, with what only they keep for undo.
    clients.forEach((client) => client.leave())
    const [{ doc }] = clients
    const other = await sharedSession(ada)
    all.push(await enter(ada, other, { doc }), await enter(bob, other))
    await until('another room has the same', () => alike(all), LIMIT_MS)
    for (const client of all) {
      assert.deepEqual(client.denials, [])
      assert.deepEqual(client.closeCodes.filter((code) => code >= 4000), [])
      client.leave()
    }
  })
}
