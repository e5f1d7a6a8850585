// `node tests/undo/undo.mjs GATE [SESSIONS] [SEED[,SEED…]]`: sessions with undo through the gate, the program
// of `edge/examples/gate.rs`. Each update must be taken, and what the room has stored, who only heard
// of it and each of the people must end with the same. Prints how many updates there were, and what
// has failed. With RECORD=FILE it writes what was sent, for `edge/src/room/tests/undo.rs`.

import { writeFileSync } from 'node:fs'
import * as Y from 'yjs'
import { Gate } from './gate.mjs'
import { play, values } from './session.mjs'

/** What happens in a session. */
const STEPS = 200
const hex = (bytes) => Buffer.from(bytes).toString('hex')
const [path, sessions = '400', first = '1'] = process.argv.slice(2)
const given = first.split(',').map(Number)
const seeds = given.length > 1 ? given : Array.from({ length: Number(sessions) }, (_, n) => given[0] + n)
const gate = new Gate(path)
const records = []
const counts = { updates: 0, refused: 0, apart: 0 }

for (const seed of seeds) {
  await gate.restart()
  const before = counts.refused
  const [sent, told] = [[], []]
  const docs = await play(seed, STEPS, {
    take: async (update, how) => {
      counts.updates += 1
      sent.push(update)
      const taken = await gate.take(update)
      if (taken.told) {
        told.push(taken.told)
        return taken.told
      }
      counts.refused += 1
      console.log(`seed ${seed}, ${how}: ${taken.refused}`)
      return null
    },
    lacking: (vector) => gate.lacking(vector),
    vector: () => gate.vector()
  })
  if (counts.refused > before) continue
  const stored = new Y.Doc()
  Y.applyUpdate(stored, await gate.state())
  const follower = new Y.Doc()
  told.forEach((update) => Y.applyUpdate(follower, update))
  const all = [stored, follower, ...docs].map(values)
  if (all.some((one) => one !== all[0])) {
    counts.apart += 1
    console.log(`seed ${seed}: replicas differ\n${[...new Set(all)].join('\n')}`)
  }
  // A room that has nothing is given everything by one of them.
  await gate.restart()
  for (const doc of docs) {
    counts.updates += 1
    const { refused } = await gate.take(Y.encodeStateAsUpdate(doc))
    if (refused) {
      counts.refused += 1
      console.log(`seed ${seed}, whole: ${refused}`)
      break
    }
  }
  records.push({
    seed,
    sent: sent.map(hex),
    wholes: docs.map((doc) => hex(Y.encodeStateAsUpdate(doc))),
    content: docs[0].getText('content').toString(),
    files: docs[0].getMap('files').toJSON()
  })
}
if (process.env.RECORD) writeFileSync(process.env.RECORD, JSON.stringify(records))
gate.end()
console.log(`sessions: ${seeds.length}, seeds from ${seeds[0]}`)
for (const [what, count] of Object.entries(counts)) console.log(`${what}: ${count}`)
process.exitCode = counts.refused + counts.apart > 0 ? 1 : 0
