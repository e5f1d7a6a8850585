// Packs a trace of josephg/editing-traces into this folder:
//
//   node tests/traces/pack.mjs <trace>.json.gz rustcode

import { readFileSync, writeFileSync } from 'node:fs'
import { deflateSync, gunzipSync } from 'node:zlib'

const [file, name] = process.argv.slice(2)
const trace = JSON.parse(gunzipSync(readFileSync(file)))

const bytes = []
const write = (n) => {
  for (; n >= 128; n = Math.floor(n / 128)) bytes.push(n % 128 + 128)
  bytes.push(n)
}
const text = (string) => {
  const encoded = new TextEncoder().encode(string)
  if (encoded.length !== string.length) throw new Error('only ASCII has the same positions in every unit')
  write(encoded.length)
  for (const byte of encoded) bytes.push(byte)
}

const { txns } = trace
const splices = txns.flatMap(({ patches }) => patches)
write(txns.length)
write(splices.length)
for (const { patches } of txns) write(patches.length)
for (const { agent = 0 } of txns) write(agent)
txns.forEach(({ parents }, index) => {
  // A trace without parents is one edit after the other.
  const before = parents ?? (index === 0 ? [] : [index - 1])
  write(before.length)
  for (const parent of before) write(index - parent)
})
let position = 0
for (const [at, , inserted] of splices) {
  const move = at - position
  write(move < 0 ? -2 * move - 1 : 2 * move)
  position = at + inserted.length
}
for (const [, removed] of splices) write(removed)
for (const [, , inserted] of splices) write(inserted.length)
text(splices.map(([, , inserted]) => inserted).join(''))
text(trace.endContent)
writeFileSync(new URL(`${name}.bin`, import.meta.url), deflateSync(Uint8Array.from(bytes), { level: 9 }))
