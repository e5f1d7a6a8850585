// Writes what the driver of `cargo xtask bench relay` sends, made by Yjs itself from the recorded
// editing in tests/traces: node tests/bench/relay/inputs.mjs FOLDER
//
// edits.bin     `rustcode`: the client, then length and bytes of the update of each edit
// document.bin  `automerge-paper`: its last state as one update, and behind it a letter that client 9
//               has typed, for others to type behind that
// tenth.bin     the same after the first tenth of its edits

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as encoding from 'lib0/encoding'
import * as Y from 'yjs'
import { readTrace } from '../../traces/trace.mjs'

const folder = process.argv[2]
mkdirSync(folder, { recursive: true })

/** A document in which `clientID` has typed a trace, or a share of it; `onEdit` gets each update. */
function typed (name, clientID, { onEdit, share = 1 } = {}) {
  const { edits, end } = readTrace(name)
  const doc = new Y.Doc()
  doc.clientID = clientID
  const text = doc.getText('content')
  if (onEdit) doc.on('update', onEdit)
  for (const { splices } of edits.slice(0, edits.length * share)) {
    doc.transact(() => {
      for (const [position, removed, inserted] of splices) {
        if (removed > 0) text.delete(position, removed)
        if (inserted !== '') text.insert(position, inserted)
      }
    })
  }
  if (share === 1 && text.toString() !== end) throw new Error(`${name} does not end as it was recorded`)
  return doc
}

const encoder = encoding.createEncoder()
encoding.writeVarUint(encoder, 7)
const onEdit = (update) => encoding.writeVarUint8Array(encoder, update)
typed('rustcode', 7, { onEdit })
writeFileSync(join(folder, 'edits.bin'), encoding.toUint8Array(encoder))

for (const [file, share] of [['document.bin', 1], ['tenth.bin', 0.1]]) {
  const paper = typed('automerge-paper', 8, { share })
  paper.clientID = 9
  const text = paper.getText('content')
  text.insert(text.length, '.')
  writeFileSync(join(folder, file), Y.encodeStateAsUpdate(paper))
}
