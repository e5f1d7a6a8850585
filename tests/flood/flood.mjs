// `node flood.mjs codecrafter_edge.wasm [FRAMES] [SEED]`: the flood of hostile frames through the
// core as it is compiled for workerd, with the feature `probes`. All that it needs of its platform
// is a seed for names that `yrs` draws; whatever else it would import fails when it is called.

import { readFile } from 'node:fs/promises'

const STAGES = [
  'not a frame', 'no edit', 'refused by role', 'refused by rate', 'refused by the scan',
  'behind a gap', 'of somebody else', 'nothing new', 'at home nowhere', 'applied'
]

const [file, frames = '1000000', first = '1'] = process.argv.slice(2)
const module = await WebAssembly.compile(await readFile(file))
const imports = {}
for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
  if (kind !== 'function') throw new Error(`an import that is no function: ${from} ${name}`)
  imports[from] ??= {}
  imports[from][name] = name.startsWith('__wbg_getRandomValues_')
    ? (at, length) => { crypto.getRandomValues(new Uint8Array(exports.memory.buffer, at, length)) }
    : () => { throw new Error(`the room asked its platform: ${name}`) }
}
const { exports } = await WebAssembly.instantiate(module, imports)

// Before wasm-bindgen has gone over it, the name of each function ends in a hash.
const core = {}
for (const name of ['floodRoom', 'floodCount', 'floodProves']) {
  const full = Object.keys(exports).find((full) => full.startsWith(`${name}_`))
  if (full === undefined) throw new Error(`the core was built without ${name}`)
  core[name] = exports[full]
}

const started = performance.now()
let rooms = 0
let sent = 0
while (sent < Number(frames)) {
  const seed = Number(first) + rooms
  const room = performance.now()
  try {
    sent = core.floodRoom(seed)
  } catch (error) {
    console.error(`seed ${seed}:`, error)
    process.exit(1)
  }
  if (performance.now() - room > 60_000) {
    console.error(`seed ${seed} takes more than 60 s`)
    process.exit(1)
  }
  rooms += 1
}
console.log(`frames: ${sent}`)
console.log(`rooms: ${rooms}, seeds from ${first}`)
console.log(`seconds: ${Math.round((performance.now() - started) / 1000)}`)
STAGES.forEach((stage, number) => console.log(`${stage}: ${core.floodCount(number)}`))
if (core.floodCount(STAGES.length) !== -1) throw new Error('a stage has no name here')
if (!core.floodProves()) {
  console.error('too little was applied, or nothing refused somewhere')
  process.exit(1)
}
