// A document outlives its readers, the runtime's memory and the runtime.

import assert from 'node:assert/strict'
import { exec } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { nonce, person, sharedSession } from './support/edge.mjs'
import { LibraryClient } from './support/library.mjs'
import { listen } from './support/raw.mjs'
import { Client, roomContent, roomsUrl } from './support/stock.mjs'
import { pause, until } from './support/wait.mjs'

const RESTART = process.env.CODECRAFTER_RESTART
const noRestart = RESTART ? false : 'needs CODECRAFTER_RESTART, a command that kills the edge and returns when it answers again'
/** workerd drops an object from memory after 10 s without events; this is well beyond it. */
const IDLE_MS = 20_000
/** After so much silence a stock provider takes its connection for lost. */
const SIGN_OF_LIFE_MS_MAX = 30_000
const RESTART_MS_MAX = 120_000

let ada, bob
const present = []

before(async () => { [ada, bob] = await Promise.all([person('Ada'), person('Bob')]) })
after(() => present.forEach((client) => client.leave()))

async function enter (api, session) {
  const client = await Client.join(api, session.id)
  present.push(client)
  return client.synced()
}

function enterOurs (api, session) {
  const client = new LibraryClient(api, session.id)
  present.push(client)
  return client.live()
}

/** A session with text that two clients have seen: what the room hands on, it has stored. */
async function written () {
  const session = await sharedSession(ada)
  const [a, b] = [await enter(ada, session), await enter(bob, session)]
  const words = Array.from({ length: 50 }, () => nonce())
  for (const word of words) a.text.insert(a.text.length, `${word}\n`)
  a.text.delete(0, words[0].length + 1)
  const content = words.slice(1).map((word) => `${word}\n`).join('')
  await b.shows(content)
  return { session, content, a, b }
}

describe('a room that nobody uses', { concurrency: true }, () => {
  test('is found as it was when everybody has left, after its memory was given back', async () => {
    const { session, content, a, b } = await written()
    a.leave()
    b.leave()
    await pause(IDLE_MS)
    assert.equal(await roomContent(bob, session.id), content)
  })

  test('goes on without a new connection when its clients were silent', async () => {
    const { content, a, b } = await written()
    await pause(IDLE_MS)
    b.text.insert(0, 'awake ')
    await a.shows(`awake ${content}`)
    assert.deepEqual(a.statuses, ['connecting', 'connected'])
    assert.deepEqual(b.statuses, ['connecting', 'connected'])
  })

  test('gives a sign of life to who says nothing at all, and still delivers', async () => {
    const session = await sharedSession(ada)
    const joined = await ada.join(session.id)
    const listener = await listen(`${roomsUrl(ada.origin, joined)}/${session.id}?token=${joined.roomToken}`)
    try {
      // Long enough for the room to have slept and to have been woken by its own alarm, twice.
      await pause(2 * SIGN_OF_LIFE_MS_MAX)
      assert.equal(listener.closeCode(), null)
      assert.ok(listener.longestSilenceMs() < SIGN_OF_LIFE_MS_MAX, `${listener.longestSilenceMs()} ms of silence`)
      const word = nonce()
      const b = await enter(bob, session)
      b.text.insert(0, word)
      await until('the edit arrives', () => listener.heard(word))
      assert.equal(listener.closeCode(), null)
    } finally {
      listener.leave()
    }
  })
})

test('a killed runtime loses nothing that anybody had received', { skip: noRestart, timeout: 2 * RESTART_MS_MAX }, async () => {
  const { session, content, a, b } = await written()
  // Nobody is left who could bring the text back.
  a.leave()
  b.leave()
  await promisify(exec)(RESTART, { timeout: RESTART_MS_MAX })
  assert.equal(await roomContent(bob, session.id), content)
})

test('clients that were connected when the runtime was killed go on by themselves', { skip: noRestart, timeout: 2 * RESTART_MS_MAX }, async () => {
  const { session, content, a, b } = await written()
  await promisify(exec)(RESTART, { timeout: RESTART_MS_MAX })
  a.text.insert(0, 'after ')
  await b.shows(`after ${content}`, 60_000)
  await until('both are connected again', () => a.provider.synced && b.provider.synced, 60_000)
  assert.equal(await roomContent(ada, session.id), `after ${content}`)
})

// ---- With our client library, which says what is stored ----

test('a runtime that is killed in mid-edit loses nothing of what is typed meanwhile, and all go on', { skip: noRestart, timeout: 2 * RESTART_MS_MAX }, async () => {
  const session = await sharedSession(ada)
  const [a, b] = [await enterOurs(ada, session), await enterOurs(bob, session)]
  const restarting = promisify(exec)(RESTART, { timeout: RESTART_MS_MAX })
  let over = false
  restarting.finally(() => { over = true })
  const words = []
  while (!over) {
    const word = nonce()
    words.push(word)
    a.text.insert(a.text.length, `${word}\n`)
    await pause(20)
  }
  await restarting
  const content = words.map((word) => `${word}\n`).join('')
  await Promise.all([a.live(60_000), b.live(60_000)])
  await b.shows(content, 60_000)
  await a.saved()
  assert.equal(await roomContent(ada, session.id), content)
})

test('what the room said to be stored is there when the runtime dies with everybody gone', { skip: noRestart, timeout: 2 * RESTART_MS_MAX }, async () => {
  const session = await sharedSession(ada)
  const a = await enterOurs(ada, session)
  const text = nonce()
  a.text.insert(0, text)
  await a.saved()
  a.leave()
  await promisify(exec)(RESTART, { timeout: RESTART_MS_MAX })
  assert.equal(await roomContent(bob, session.id), text)
})
