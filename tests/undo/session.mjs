// A session of several people with stock Yjs, each with undo and redo over texts, maps and lists:
// what they do is drawn from a seed, and so is what their networks do to them.

import * as Y from 'yjs'

const PEOPLE_MAX = 4
const FILES = ['main.py', 'lib/util.py', 'README.md']
const KEYS = ['a', 'b', 'c']
const DEPTH_MAX = 4

/** Numbers from a seed: the same ones every time. */
export class Luck {
  constructor (seed) { this.state = (seed * 2654435761) >>> 0 }

  /** From 0 up to `limit`, which it is not. */
  below (limit) {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = this.state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % limit
  }

  /** Once in `n` times. */
  once (n) { return this.below(n) === 0 }

  pick (list) { return list[this.below(list.length)] }
}

/** What everybody shares. `files` is as on the page; the others hold whatever Yjs can. */
const ROOTS = [
  (doc) => doc.getText('content'),
  (doc) => doc.getMap('files'),
  (doc) => doc.getMap('tree'),
  (doc) => doc.getArray('list')
]

/** The document as values, to be compared. Without formats: Yjs itself tidies them up in the one replica and not in the other. */
export function values (doc) {
  const [content, files, tree, list] = ROOTS.map((root) => root(doc))
  return JSON.stringify([content.toString(), sorted(files.toJSON()), sorted(tree.toJSON()), sorted(list.toJSON())])
}

/** With keys in order: a map has none. */
function sorted (value) {
  if (Array.isArray(value)) return value.map(sorted)
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array) return value
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]))
}

/** Somebody who edits, and undoes and redoes what they did. */
export class Person {
  /**
   * @param {Luck} luck
   * @param {Y.Doc} doc theirs
   */
  constructor (luck, doc) {
    this.luck = luck
    this.doc = doc
    const scope = luck.once(3) ? ROOTS.map((root) => root(doc)) : [luck.pick(ROOTS)(doc)]
    const options = { captureTimeout: luck.pick([0, 1e9]), ignoreRemoteMapChanges: luck.once(4) }
    this.undos = [new Y.UndoManager(scope, options)]
    if (luck.once(3)) this.undos.push(new Y.UndoManager(luck.pick(ROOTS)(doc), options))
  }

  /** Edits, undoes or redoes something. */
  act () {
    const { luck } = this
    const undo = luck.pick(this.undos)
    if (luck.once(3)) {
      for (let n = luck.below(3); n >= 0; n -= 1) this.back(undo)
      return
    }
    if (luck.once(3)) this.undos.forEach((one) => one.stopCapturing())
    const edit = () => { for (let n = luck.below(4); n >= 0; n -= 1) this.edit() }
    luck.once(3) ? this.doc.transact(edit) : edit()
  }

  back (undo) {
    try {
      this.luck.once(3) ? undo.redo() : undo.undo()
    } catch (error) {
      // Yjs looks for what stands beside a deleted item, and does not expect that to be collected.
      if (!/reading '(client|_item)'/.test(error.message)) throw error
    }
  }

  edit () {
    const { luck } = this
    const root = luck.pick(ROOTS)(this.doc)
    let shared = root
    for (let depth = 0; depth < DEPTH_MAX && luck.below(4) > 0; depth += 1) {
      const inside = children(shared)
      if (inside.length === 0) break
      shared = luck.pick(inside)
    }
    if (shared === this.doc.getMap('files')) this.editFiles(shared)
    else if (shared instanceof Y.Text) this.editText(shared)
    else if (shared instanceof Y.Map) this.editMap(shared)
    else this.editList(shared)
  }

  editText (text) {
    const { luck } = this
    // As an editor, which never stops between the halves of a character.
    const string = text.toString()
    const whole = (at) => /[\ud800-\udbff]/.test(string.charAt(at - 1)) ? at - 1 : at
    const at = whole(luck.below(text.length + 1))
    const left = text.length - at
    if (left > 0 && luck.once(3)) text.delete(at, whole(at + 1 + luck.below(Math.min(left, 6))) - at)
    else if (left > 0 && luck.once(12)) text.format(at, whole(at + 1 + luck.below(left)) - at, { bold: luck.once(2) || null })
    else text.insert(at, luck.pick(['x', 'word ', 'zwölf', '😀', 'two\nlines\n']))
  }

  editFiles (files) {
    const { luck } = this
    const path = luck.pick(FILES)
    const present = files.get(path)
    if (present === undefined || luck.once(3)) files.set(path, new Y.Text(luck.pick(['', 'print(1)\n', 'a file'])))
    else if (luck.once(3)) files.delete(path)
    else if (luck.once(3)) {
      files.set(luck.pick(FILES), new Y.Text(present.toString()))
      files.delete(path)
    } else this.editText(present)
  }

  editMap (map) {
    const { luck } = this
    const key = luck.pick(KEYS)
    if (luck.once(4)) map.delete(key)
    else map.set(key, this.value())
  }

  editList (list) {
    const { luck } = this
    const at = luck.below(list.length + 1)
    if (at < list.length && luck.once(3)) list.delete(at, 1 + luck.below(Math.min(3, list.length - at)))
    else list.insert(at, Array.from({ length: 1 + luck.below(3) }, () => this.value()))
  }

  value () {
    const { luck } = this
    switch (luck.below(7)) {
      case 0: return new Y.Map(Object.entries({ a: 1, b: 'two' }).slice(0, luck.below(3)))
      case 1: return Y.Array.from(['x', 2].slice(0, luck.below(3)))
      case 2: return new Y.Text(luck.pick(['', 'some text']))
      case 3: return new Uint8Array([1, 2, 3])
      case 4: return { an: ['object', null] }
      default: return luck.pick([1, 'word', true, null, 2.5])
    }
  }
}

/** A person and their network. */
class Guest extends Person {
  /** @param {number} client of their document */
  constructor (luck, client) {
    const doc = new Y.Doc()
    doc.clientID = client
    super(luck, doc)
    this.online = true
    /** Updates on their way to the room, and to here. */
    this.sent = []
    this.coming = []
    doc.on('update', (update, origin) => {
      if (origin !== this && this.online) this.sent.push(update)
    })
  }

  hear (update) { Y.applyUpdate(this.doc, update, this) }
}

/** Shared types right inside of another. */
function children (shared) {
  if (shared instanceof Y.Map) return [...shared.values()].filter((value) => value instanceof Y.AbstractType)
  if (shared instanceof Y.Array) return shared.toArray().filter((value) => value instanceof Y.AbstractType)
  return []
}

/**
 * Plays one session. Everything people send goes to `room`, as over a network that is slow, puts
 * things together and breaks.
 *
 * @param {number} seed
 * @param {number} steps
 * @param {object} room
 * @param {(update: Uint8Array, how: string) => Promise<Uint8Array | null>} room.take resolves with what others are told
 * @param {(vector: Uint8Array) => Promise<Uint8Array>} room.lacking what a client with this state vector lacks
 * @param {() => Promise<Uint8Array>} room.vector the room's own
 * @returns {Promise<Y.Doc[]>} the documents of all, when everything has arrived
 */
export async function play (seed, steps, room) {
  const luck = new Luck(seed)
  const clients = new Set()
  while (clients.size < 2 + luck.below(PEOPLE_MAX - 1)) clients.add(1 + luck.below(2 ** 31))
  const people = [...clients].map((client) => new Guest(luck, client))

  const tell = async (person, update, how) => {
    const told = await room.take(update, how)
    if (told === null) return
    for (const other of people) if (other !== person && other.online) other.coming.push(told)
  }
  const send = async (person) => {
    const waiting = person.sent.splice(0, luck.once(2) ? 1 : person.sent.length)
    if (waiting.length > 1 && luck.once(2)) await tell(person, Y.mergeUpdates(waiting), 'merged')
    else for (const update of waiting) await tell(person, update, 'live')
  }
  const leave = (person) => {
    person.online = false
    // What was on its way may have been lost or not.
    person.sent.length = 0
    person.coming.length = 0
  }
  const come = async (person) => {
    person.hear(await room.lacking(Y.encodeStateVector(person.doc)))
    const known = luck.once(4) ? undefined : await room.vector()
    person.online = true
    await tell(person, Y.encodeStateAsUpdate(person.doc, known), 'come back')
  }

  for (let step = 0; step < steps; step += 1) {
    const person = luck.pick(people)
    switch (luck.below(8)) {
      case 0:
        if (!person.online) await come(person)
        else if (luck.once(4)) leave(person)
        break
      case 1: case 2: case 3:
        if (luck.once(2)) await send(person)
        else person.coming.splice(0, 1 + luck.below(4)).forEach((update) => person.hear(update))
        break
      default:
        person.act()
    }
  }
  for (const person of people) {
    if (!person.online) await come(person)
    while (person.sent.length > 0) await send(person)
  }
  for (const person of people) person.coming.splice(0).forEach((update) => person.hear(update))
  return people.map((person) => person.doc)
}
