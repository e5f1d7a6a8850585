// Two people write a program together through stock y-websocket providers, run it, and see what it
// writes while it still runs. Prints what happened; fails if anything that it shows did not happen.
//
//   node tests/interop/demo.mjs --url http://127.0.0.1:8787 --queue embedded [--json]
//
// DEMO_NONCE in the environment is put into the program and must come back in its output, so that
// nothing prepared can be shown.

import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { nonce, person, sharedSession } from './support/edge.mjs'
import { Client } from './support/stock.mjs'
import { pause, until } from './support/wait.mjs'

const LIMIT_MS = 60_000
/** A cold executor may have to fetch its image first. */
const RUN_MS_MAX = 45_000
const SLEEP_SECONDS = 2
/** Both must have shown the first line this long before anybody has the second. */
const LEAD_MS_MIN = 1_000
const KEY_MS_MAX = 12

const { values: options } = parseArgs({
  options: { url: { type: 'string' }, queue: { type: 'string' }, json: { type: 'boolean', default: false } }
})
const NONCE = process.env.DEMO_NONCE || nonce()

/** The two halves. Each person types one of them, both at once. */
function parts (word) {
  const upper = [
    'import hashlib, time',
    '',
    'def fingerprint():',
    '    """SHA-256 of this very program, as it lies in the sandbox."""',
    '    with open(__file__, "rb") as source:',
    '        return hashlib.sha256(source.read()).hexdigest()',
    '',
    ''
  ].join('\n')
  const lower = [
    `print("first line", "${word}", flush=True)`,
    `time.sleep(${SLEEP_SECONDS})`,
    `print("second line", "${word}", fingerprint())`,
    ''
  ].join('\n')
  return { upper, lower }
}

async function main () {
  if (!options.url) throw new Error('Say where the edge is: --url http://127.0.0.1:8787')
  if (!/^[\w-]{1,64}$/.test(NONCE)) throw new Error('DEMO_NONCE: 1 to 64 letters, digits, _ or -')
  const began = performance.now()
  const origin = options.url.replace(/\/+$/, '')

  // ---- Two people, one session ----

  const [ada, bob] = await Promise.all([person('Ada', origin), person('Bob', origin)])
  const session = await sharedSession(ada, { title: 'Demo' })
  tell(`Ada created the session ${session.id} and shared its link.`)
  const clients = await Promise.all([Client.join(ada, session.id), Client.join(bob, session.id)])
  cleanups.push(...clients.map((client) => () => client.leave()))
  await Promise.all(clients.map((client) => client.synced()))
  const [a, b] = clients
  const welcome = await b.frame('Bob is welcomed', ({ type }) => type === 'welcome')
  check(welcome.role === 'editor', `Bob joined as editor, not as ${welcome.role}`)
  tell('Bob opened it. Both are connected by the stock y-websocket provider.')

  // ---- Writing ----

  const { upper, lower } = parts(NONCE)
  const program = upper + lower
  // A place for each half, so that the program is the same whoever types faster.
  const divider = '# ---\n'
  a.text.insert(0, divider)
  await b.shows(divider)
  const [overtakenA, overtakenB] = await Promise.all([
    typeAt(a, 0, upper),
    typeAt(b, divider.length, lower)
  ])
  await until('both have the whole program', () => clients.every(({ content }) => content === upper + divider + lower))
  a.text.delete(upper.length, divider.length)
  await b.shows(program)
  check(overtakenA > 0 && overtakenB > 0, 'the two typed at the same time')
  check(a.content === program && b.content === program, 'both have the same program')
  check(same(Y.encodeStateVector(a.doc), Y.encodeStateVector(b.doc)), 'both have seen the same edits')
  tell(`They typed ${program.length} letters at once: ${overtakenA} of Bob's edits reached Ada between her keystrokes, ${overtakenB} of hers reached Bob between his.`)
  tell('Both now have this text:\n\n' + program.replace(/^/gm, '    '))

  // ---- Running: only the session is named, so the live document is what runs ----

  const { id } = await bob.createExecution({ sessionId: session.id })
  tell(`Bob pressed Run: execution ${id}.`)
  const ends = await Promise.all(clients.map((client) => client.frame('the end of the run is shown (does an executor offer Python?)',
    ({ type, executionId }) => type === 'runFinished' && executionId === id, RUN_MS_MAX)))
  const [shownA, shownB] = clients.map((client) => lines(client, id))
  for (const { first, second, end } of [shownA, shownB]) check(first < second && second <= end, 'lines and end arrive in order')
  const lead = Math.min(shownA.second, shownB.second) - Math.max(shownA.first, shownB.first)
  check(lead >= LEAD_MS_MIN, `both saw the first line at least ${LEAD_MS_MIN} ms before the second was there (${Math.round(lead)} ms)`)
  tell(`Both saw the first line ${(lead / 1000).toFixed(2)} s before either got the second.`)

  // ---- The result ----

  const execution = await until('the execution is finished', async () => {
    const found = await bob.execution(id)
    return found.status === 'finished' && found
  })
  const fingerprint = createHash('sha256').update(program).digest('hex')
  const expected = `first line ${NONCE}\nsecond line ${NONCE} ${fingerprint}\n`
  check(execution.verdict === 'accepted', `the verdict is accepted (${execution.verdict}: ${execution.stderr || execution.message})`)
  check(ends.every(({ verdict }) => verdict === execution.verdict), 'the room told the same verdict')
  check(execution.stdout.includes(`second line ${NONCE} ${fingerprint}`), 'what ran is, byte for byte, what both have on their screens')
  check(execution.stdout === expected, `standard output is what the program writes, not ${JSON.stringify(execution.stdout)}`)
  tell(`The result: ${execution.verdict} after ${execution.wallMs} ms, ${(execution.peakBytes / 2 ** 20).toFixed(1)} MiB.\n\n` + execution.stdout.replace(/^(?=.)/gm, '    '))
  tell('The fingerprint is that of the text on both screens: the live document is what ran.')

  const seconds = Number(((performance.now() - began) / 1000).toFixed(2))
  if (options.json) {
    console.log(JSON.stringify({
      converged: true,
      queue: options.queue ?? null,
      runs: [{ language: execution.language, verdict: execution.verdict, stdout: execution.stdout }],
      seconds
    }))
  } else {
    tell(`All of it took ${seconds} s${options.queue ? `, through the ${options.queue} queue` : ''}.`)
  }
}

/**
 * Types `text` a letter at a time into `client`, from `index` on, at a place that stays the same
 * place while others type.
 * @returns {Promise<number>} edits of others that arrived between the first letter and the last
 */
async function typeAt (client, index, text) {
  let overtaken = 0
  const count = (_update, origin) => { if (origin === client.provider) overtaken += 1 }
  // Sticks to what follows it: a later insertion here, by this client, goes before that too.
  let place = Y.createRelativePositionFromTypeIndex(client.text, index)
  client.doc.on('update', count)
  for (const letter of text) {
    const at = Y.createAbsolutePositionFromRelativePosition(place, client.doc).index
    client.text.insert(at, letter)
    place = Y.createRelativePositionFromTypeIndex(client.text, at + 1)
    await pause(Math.random() * KEY_MS_MAX)
  }
  client.doc.off('update', count)
  return overtaken
}

/** When a client had got each line, and the end, of an execution. */
function lines (client, executionId) {
  let text = ''
  const at = {}
  for (const frame of client.frames) {
    if (frame.executionId !== executionId) continue
    if (frame.type === 'runOutput' && frame.stream === 'stdout') text += frame.text
    if (text.includes(`first line ${NONCE}\n`)) at.first ??= frame.receivedAt
    if (text.includes(`second line ${NONCE}`)) at.second ??= frame.receivedAt
    if (frame.type === 'runFinished') at.end = frame.receivedAt
  }
  check(at.first !== undefined && at.second !== undefined, `a client was shown both lines, not ${JSON.stringify(text)}`)
  return at
}

const same = (x, y) => Buffer.from(x).equals(Buffer.from(y))

function check (holds, promise) {
  if (!holds) throw new Error(`Not true: ${promise}`)
}

function tell (words) {
  if (!options.json) console.log(words)
}

const cleanups = []
const fail = (error) => {
  console.error(`demo: ${error?.message ?? error}`)
  process.exit(1)
}
const limit = setTimeout(() => fail(`did not end within ${LIMIT_MS / 1000} s`), LIMIT_MS)
process.on('unhandledRejection', fail)
try {
  await main()
} catch (error) {
  fail(error)
} finally {
  clearTimeout(limit)
  cleanups.forEach((cleanup) => cleanup())
}
process.exit(0)
