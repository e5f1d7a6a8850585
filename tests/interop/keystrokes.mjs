// What typing costs on workerd: two people in a room, one types, and the edge is asked for what the
// platform would charge. Prints one line of JSON. `cargo xtask bench edge` runs it.
//
// Each keystroke is an update of its own, as a person makes it, and is waited for at the other
// side before the next: nothing is merged that a person's pace would not let be merged.

import { parseArgs } from 'node:util'
import { edgeUrl, person, sharedSession } from './support/edge.mjs'
import { Client } from './support/stock.mjs'

const { values } = parseArgs({ options: { keystrokes: { type: 'string', default: '200' } } })
const keystrokes = Number(values.keystrokes)

const costs = async () => (await fetch(`${edgeUrl()}/internal/costs`)).json()

const ada = await person('Ada')
const bob = await person('Bob')
const session = await sharedSession(ada)
const writer = await (await Client.join(ada, session.id)).synced()
const reader = await (await Client.join(bob, session.id)).synced()

const before = await costs()
const began = performance.now()
for (let typed = 0; typed < keystrokes; typed += 1) {
  writer.text.insert(typed, String.fromCharCode(97 + typed % 26))
  await reader.shows(writer.content)
}
const elapsedMs = performance.now() - began
const after = await costs()
writer.leave()
reader.leave()

const cost = Object.fromEntries(Object.keys(after).map((name) => [name, after[name] - before[name]]))
console.log(JSON.stringify({ keystrokes, elapsedMs, ...cost }))
