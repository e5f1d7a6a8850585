// Our client library in real rooms: through cuts, ends of tokens and of rights, beside stock
// clients, and as it comes out of its package.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as Y from 'yjs'
import { edgeUrl, nonce, person, sharedSession } from './support/edge.mjs'
import { LibraryClient } from './support/library.mjs'
import { Socket } from './support/raw.mjs'
import { roomTokenMaker } from './support/room-token.mjs'
import { Client, GONE_MS_MAX, roomContent } from './support/stock.mjs'
import { pause, until } from './support/wait.mjs'
import { wire } from './support/wire.mjs'

/** workerd drops an object from memory after 10 s without events. */
const IDLE_MS = 15_000
/** A stock client takes what was silent for this long for gone. */
const OUTDATED_MS = 30_000
/** What the library leaves to a timer takes longer, and no machine does without one. */
const STAYS_MS_MAX = 15_000
const repo = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

let ada, bob
const present = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => present.forEach((client) => client.leave()))

function enter (api, session, options) {
  const client = new LibraryClient(api, session.id, options)
  present.push(client)
  return client.live()
}

async function enterStock (api, session, options) {
  const client = await Client.join(api, session.id, options)
  present.push(client)
  return client.synced()
}

test('two clients see each other’s edits, and each learns when its own are stored', async () => {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  a.text.insert(0, 'hello')
  assert.equal(a.room.saved, false)
  await b.shows('hello')
  await a.saved()
  b.text.insert(5, ' world')
  await a.shows('hello world')
  await b.saved()
  assert.equal(await roomContent(ada, session.id), 'hello world')
  assert.deepEqual(a.room.access, { role: 'owner', locked: false })
})

test('what a program types at once arrives, in few frames and within what a room takes', async () => {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  // More single edits than a room takes frames of one client in five seconds.
  for (let i = 0; i < 3_000; i += 1) a.text.insert(a.text.length, `${i % 10}`)
  await b.shows(a.content)
  await a.saved()
  assert.deepEqual(a.statuses, ['connecting', 'live'])
})

test('a network that is cut and mended loses nothing of either side', async () => {
  const session = await sharedSession(ada, { content: 'base' })
  const line = await wire(edgeUrl())
  try {
    const a = await enter(ada, session, { origin: line.origin })
    const b = await enter(bob, session)
    line.cut()
    await a.becomes('offline')
    a.text.insert(0, 'offline ')
    assert.equal(a.room.saved, false)
    b.text.insert(b.text.length, ' online')
    line.mend()
    await a.live()
    await Promise.all([a.shows('offline base online'), b.shows('offline base online')])
    await a.saved()
    assert.equal(a.joins, 1, 'and its token was good for both')
  } finally {
    line.close()
  }
})

test('others who stay are seen all the time when a connection is replaced, and who left meanwhile is not', async () => {
  const session = await sharedSession(ada)
  const line = await wire(edgeUrl())
  try {
    const a = await enter(ada, session, { origin: line.origin })
    const [staying, leaving] = [await enter(bob, session), await enter(await person('Lea'), session)]
    await until('all see each other', () => a.sees(staying) && a.sees(leaving) && staying.sees(a))
    // What is promised of a connection that is back soon enough: it may take longer here.
    a.room.presence.returnMs = 60_000
    let blinked = false
    a.awareness.on('change', ({ removed }) => { blinked ||= removed.includes(staying.doc.clientID) })
    line.cut()
    await a.becomes('offline')
    leaving.leave()
    line.mend()
    await a.live()
    await until('who left is gone', () => a.sees(leaving) === undefined)
    assert.ok(a.sees(staying))
    assert.ok(!blinked)
    staying.room.say('note', 'news')
    await until('and is still heard', () => a.sees(staying)?.note === 'news')
    a.room.say('note', 'mine too')
    await until('both ways', () => staying.sees(a)?.note === 'mine too')
  } finally {
    line.close()
  }
})

test('a token is replaced before it ends, and one that has ended for another', async (t) => {
  const session = await sharedSession(ada, { content: 'base' })
  const make = roomTokenMaker((await ada.join(session.id)).roomToken)
  if (make === null) return t.skip('needs CODECRAFTER_SECRET, the secret of the edge under test, to sign one')
  // The second is said to end in 6 s, so that it is replaced then, and really ends later: however long
  // the replacing takes on a machine that is busy, it is there before.
  const said = [120, 6, 600]
  const real = [-120, 20, 600]
  let joins = 0
  let secondEndsAt
  const join = async () => {
    const n = Math.min(joins++, said.length - 1)
    const joined = await ada.join(session.id)
    const roomTokenExpiresAt = new Date(Date.now() + 1_000 * said[n]).toISOString()
    if (n === 1) secondEndsAt = Date.now() + 1_000 * real[n]
    return { ...joined, roomToken: make({ endsInSeconds: real[n] }), roomTokenExpiresAt }
  }
  const b = await enter(bob, session)
  const a = await enter(ada, session, { join })
  assert.deepEqual(a.statuses, ['connecting', 'offline', 'live'], 'the one that had ended was refused')
  await until('b sees a', () => b.sees(a))
  let gone = false
  b.awareness.on('change', ({ removed }) => { gone ||= removed.includes(a.doc.clientID) })
  await until('the third token', () => joins === 3)
  await a.live()
  await pause(secondEndsAt + 1_000 - Date.now())
  a.text.insert(4, '!')
  await b.shows('base!')
  assert.ok(!gone, 'and others have not seen it leave')
  assert.ok(!a.statuses.slice(a.statuses.indexOf('live')).includes('offline'))
})

test('who is removed is told so once and stays away; who logs out elsewhere as well', async () => {
  const session = await sharedSession(ada, { isPublic: false })
  await ada.addParticipant(session.id, bob.user.username, 'editor')
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  await until('a sees b', () => a.sees(b))
  await ada.removeParticipant(session.id, bob.user.id)
  await b.becomes('ended')
  assert.equal(b.last.code, 4403)
  await until('b is gone', () => a.sees(b) === undefined, GONE_MS_MAX)
  assert.equal(b.joins, 1)

  const cora = await person('Cora')
  await ada.addParticipant(session.id, cora.user.username, 'editor')
  const c = await enter(cora, session)
  await cora.signOut()
  await c.becomes('ended')
  assert.equal(c.last.error?.status, 401, 'it has tried to join again, once')
})

test('a viewer reads, is told of a promotion, and then what they write is stored', async () => {
  const session = await sharedSession(ada, { content: 'base', joinRole: 'viewer' })
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  await until('the role', () => b.room.access?.role === 'viewer')
  assert.equal(b.content, 'base')
  await ada.changeRole(session.id, bob.user.id, 'editor')
  await until('the promotion', () => b.room.access.role === 'editor')
  b.text.insert(4, ' and more')
  await a.shows('base and more')
  await b.saved()
})

test('an edit that was refused is not called stored, and is offered again when it may be made', async () => {
  const session = await sharedSession(ada, { content: 'base' })
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  await ada.updateSession(session.id, { isLocked: true })
  await until('the lock', () => b.room.access.locked)
  b.text.insert(4, ' refused')
  await until('it is refused', () => b.denials.length === 1)
  await pause(1_500)
  assert.equal(b.room.saved, false)
  assert.equal(a.content, 'base')
  await ada.updateSession(session.id, { isLocked: false })
  await a.shows('base refused')
  await b.saved()
})

test('ours and the stock clients edit one document, and see each other', async () => {
  const session = await sharedSession(ada)
  const clients = [await enter(ada, session), await enterStock(bob, session), await enterStock(bob, session, { version: '3.0' })]
  for (const [i, client] of clients.entries()) client.text.insert(0, `${i}`)
  await until('all end equal', () => clients.every(({ content }) => content.length === 3 && content === clients[0].content))
  const [ours, stock] = clients
  await until('they see each other', () => ours.sees(stock) && stock.sees(ours))
  // Ours says nothing by itself, and is still here for a stock client after its patience.
  await pause(OUTDATED_MS + 8_000)
  assert.ok(stock.sees(ours))
  assert.ok(ours.sees(stock))
  stock.leave()
  await until('who leaves is gone', () => ours.sees(stock) === undefined, GONE_MS_MAX)
})

test('a room sleeps while its clients are silent, and they stay in it, and are shown to who comes', async () => {
  // Those of other tests are in other rooms, but what they say is counted as well.
  present.splice(0).forEach((client) => client.leave())
  await until('they have left', () => Socket.open.size === 0)
  const session = await sharedSession(ada, { content: 'base' })
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  await until('they see each other', () => a.sees(b) && b.sees(a))
  // The last words of both: what is heard of them says that the room has had all before.
  a.room.say('note', 'before')
  b.room.say('note', 'too')
  await until('and hear', () => b.sees(a)?.note === 'before' && a.sees(b)?.note === 'too')
  const before = await messages()
  // Longer than a room stays in memory, and than a state holds that a stock client has said.
  for (let slept = 0; slept < OUTDATED_MS + IDLE_MS; slept += 5_000) {
    // Asks for a sign of life, as after a change of network.
    a.room.happens({ type: 'wake' })
    await pause(5_000)
    assert.equal(a.room.connection.pingedAt, null, 'the ping was answered')
  }
  assert.equal(await messages(), before, 'nothing has come to the room')
  const c = await enter(await person('Cyd'), session)
  await until('both are shown to who comes', () => c.sees(a)?.note === 'before' && c.sees(b))
  b.text.insert(0, 'awake ')
  await a.shows('awake base')
  assert.deepEqual([a.statuses, b.statuses], [['connecting', 'live'], ['connecting', 'live']])
})

/** Messages that sockets have brought to any object since the edge was started. */
async function messages () {
  const response = await fetch(`${edgeUrl()}/internal/costs`)
  assert.equal(response.status, 200)
  return (await response.json()).socketMessages
}

test('two tabs of one person are one person, and typing and idling are told', async () => {
  const session = await sharedSession(ada)
  const [one, two] = [await enter(ada, session), await enter(ada, session, { idleMs: 1_000 })]
  const b = await enter(bob, session)
  await until('two tabs', () => b.person(ada)?.tabs === 2)
  assert.equal(b.room.people().length, 2)
  // Who types goes on: it is told for some seconds only.
  await until('typing is told', () => { two.text.insert(0, 'x'); return b.person(ada)?.typing })
  await until('and its end', () => b.person(ada)?.typing === false)
  await until('one tab idles', () => b.sees(two)?.idle === true)
  assert.equal(b.person(ada).idle, false, 'but the person does not')
  // And stays: this tab idles again after a second.
  await until('until somebody is there again', () => { two.room.active(); return b.sees(two)?.idle === undefined })
  one.leave()
  await until('one tab is left', () => b.person(ada)?.tabs === 1)
  two.leave()
  await until('nobody is', () => b.person(ada) === undefined)
})

test('the package, unpacked in an empty folder, joins, edits, and leaves nothing that keeps a process alive', async () => {
  const session = await sharedSession(ada)
  const b = await enter(bob, session)
  const folder = await mkdtemp(join(tmpdir(), 'codecrafter-client-'))
  try {
    const run = promisify(execFile)
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: repo('web/client') })
    const [{ filename, files }] = JSON.parse(stdout)
    const shipped = files.map(({ path }) => path)
    for (const wanted of ['package.json', 'README.md', 'LICENSE-MIT', 'src/index.js', 'src/index.d.ts']) assert.ok(shipped.includes(wanted), wanted)
    assert.deepEqual(shipped.filter((path) => !/^(src\/[\w-]+(\.d\.ts|\.js)|README\.md|package\.json|LICENSE-\w+)$/.test(path)), [])

    const modules = join(folder, 'node_modules')
    await mkdir(join(modules, '@codecrafter'), { recursive: true })
    await run('tar', ['-xzf', join(folder, filename), '-C', join(modules, '@codecrafter')])
    await run('mv', [join(modules, '@codecrafter/package'), join(modules, '@codecrafter/client')])
    const { peerDependencies } = JSON.parse(await readFile(join(modules, '@codecrafter/client/package.json'), 'utf8'))
    // What npm would bring along: its peers, what they need in turn, and the socket of this test.
    for (const name of [...Object.keys(peerDependencies), 'isomorphic.js', 'ws']) await cp(repo(`node_modules/${name}`), join(modules, name), { recursive: true })
    const joined = await ada.join(session.id)
    await writeFile(join(folder, 'main.mjs'), `
      import { RoomClient } from '@codecrafter/client'
      import WebSocket from 'ws'
      let destroyedAt
      const room = new RoomClient({ origin: ${JSON.stringify(edgeUrl())}, WebSocket, join: async () => (${JSON.stringify(joined)}) })
      room.on('saved', (saved) => { if (saved) { console.log('saved'); room.destroy(); destroyedAt = performance.now() } })
      room.on('status', ({ status }) => { if (status === 'live') room.doc.getText('content').insert(0, 'from a package') })
      process.on('exit', () => { if (performance.now() - destroyedAt > ${STAYS_MS_MAX}) console.error('something kept it alive') })
      room.connect()
    `)
    // It ends by itself: no timer, no listener, no socket is left.
    const ended = await run(process.execPath, ['main.mjs'], { cwd: folder, timeout: 120_000 })
    assert.equal(ended.stdout, 'saved\n')
    assert.equal(ended.stderr, '')
    await b.shows('from a package')
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('who is destroyed leaves a document that others may go on with', async () => {
  const session = await sharedSession(ada)
  const doc = new Y.Doc()
  const a = await enter(ada, session, { doc })
  const b = await enter(bob, session)
  a.text.insert(0, 'kept')
  await b.shows('kept')
  a.leave()
  await until('gone for others', () => b.sees(a) === undefined, GONE_MS_MAX)
  doc.getText('content').insert(0, 'not told ')
  const again = await enter(ada, session, { doc })
  await b.shows('not told kept')
  assert.equal(again.content, 'not told kept')
  assert.deepEqual([...doc._observers.keys()].filter((name) => name === 'update').length, 1)
})
