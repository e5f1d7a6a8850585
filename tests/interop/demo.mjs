// Two people write a program together through stock y-websocket providers, run it, and see what it
// writes while it still runs. Then they run one in every language, and end one early. Prints what
// happened; fails if anything that it shows did not happen.
//
//   node tests/interop/demo.mjs --url http://127.0.0.1:8787 --queue embedded [--json]
//
// DEMO_NONCE in the environment is put into the program and must come back in its output, so that
// nothing prepared can be shown.

import { createHash } from 'node:crypto'
import { parseArgs } from 'node:util'
import * as Y from 'yjs'
import { nonce, person, sharedSession } from './support/edge.mjs'
import { greeting, INPUT, PROGRAMS } from './support/hello.mjs'
import { Client } from './support/stock.mjs'
import { pause, until } from './support/wait.mjs'

const LIMIT_MS = 600_000
/** A new image is looked for every half minute, and offered with the next message to the edge. */
const OFFER_MS_MAX = 90_000
/** How often a long wait says what it waits for. */
const NEWS_MS = 10_000
/** A cold executor may have to fetch its image first. */
const RUN_MS_MAX = 120_000
/** Long enough for whoever shows it to stand still in between. */
const SLEEP_SECONDS = 5
/** As long as a run may take, for one that is ended before. */
const WALL_MS_MAX = 30_000
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
  tell(`The result: ${execution.verdict} after ${execution.wallMs} ms, ${mebibytes(execution)}.\n\n` + execution.stdout.replace(/^(?=.)/gm, '    '))
  tell('The fingerprint is that of the text on both screens: the live document is what ran.')

  const languages = await everyLanguage(clients, bob, session)
  const cancelled = await endedEarly(clients, bob, session)

  const seconds = Number(((performance.now() - began) / 1000).toFixed(2))
  if (options.json) {
    console.log(JSON.stringify({
      converged: true,
      queue: options.queue ?? null,
      runs: [{ language: execution.language, verdict: execution.verdict, stdout: execution.stdout }],
      languages,
      cancelled,
      seconds
    }))
  } else {
    tell(`All of it took ${seconds} s${options.queue ? `, through the ${options.queue} queue` : ''}.`)
  }
}

/**
 * Runs a program of every language as the session's document, and shows how each did.
 * @returns {Promise<Record<string, { version: string, verdict: string, wallMs: number }>>}
 */
async function everyLanguage (clients, api, session) {
  const offered = await offers(api, Object.keys(PROGRAMS))
  tell('Now a program in every language, each with a line of input and an argument:\n')
  const ran = {}
  for (const [language, { name, source }] of Object.entries(PROGRAMS)) {
    await write(clients, source)
    const { id } = await api.createExecution({ sessionId: session.id, language, stdin: `${INPUT}\n`, args: [NONCE] })
    const execution = await ended(clients, api, id, name)
    const said = execution.stderr || execution.compileOutput || execution.message || execution.stdout
    check(execution.verdict === 'accepted', `the ${name} program is accepted (${execution.verdict}: ${said})`)
    check(execution.stdout === greeting(name, NONCE), `the ${name} program writes ${JSON.stringify(greeting(name, NONCE))}, not ${JSON.stringify(execution.stdout)}`)
    check(Number.isInteger(execution.wallMs) && execution.peakBytes > 0, `time and memory of the ${name} program are known`)
    ran[language] = { version: offered.get(language), verdict: execution.verdict, wallMs: execution.wallMs }
    tell(`    ${name.padEnd(12)}${execution.verdict} ${String(execution.wallMs).padStart(6)} ms ${mebibytes(execution).padStart(10)}   ${execution.stdout.trim()}   (${offered.get(language)})`)
  }
  tell('')
  return ran
}

/** Waits until executors offer all of `wanted`; gives the version of each. */
async function offers (api, wanted) {
  let told = performance.now()
  return until(`executors offer ${wanted.join(', ')} (see \`cargo xtask up\` for what is still being prepared)`, async () => {
    const { items } = await api.languages()
    const there = new Map(items.filter(({ available }) => available).map((item) => [item.id, item.versions[0]]))
    const lacking = wanted.filter((id) => !there.has(id))
    if (lacking.length === 0) return there
    if (performance.now() - told > NEWS_MS) {
      console.error(`demo: waiting for ${lacking.join(', ')}`)
      told = performance.now()
    }
    await pause(250)
    return null
  }, OFFER_MS_MAX)
}

/** Starts a program that would go on for long, and ends it while it runs. */
async function endedEarly (clients, api, session) {
  await write(clients, 'import time\nprint("begun", flush=True)\ntime.sleep(20)\nprint("not ended")\n')
  const { id } = await api.createExecution({ sessionId: session.id, language: 'python', limits: { wallMs: WALL_MS_MAX } })
  await clients[0].frame('the long program has begun', ({ type, executionId, text }) =>
    type === 'runOutput' && executionId === id && text.includes('begun'), RUN_MS_MAX)
  const asked = performance.now()
  await api.cancelExecution(id)
  const execution = await ended(clients, api, id, 'long')
  const ms = Math.round(performance.now() - asked)
  check(execution.verdict === 'cancelled', `the verdict is cancelled (${execution.verdict}: ${execution.message})`)
  check(execution.stdout === 'begun\n', `what it wrote until then is kept, not ${JSON.stringify(execution.stdout)}`)
  tell(`Bob ended a program that would have slept for 20 s: cancelled ${ms} ms after he asked.`)
  return { verdict: execution.verdict, ms }
}

/** Makes `source` the session's document, for both. */
async function write ([a, b], source) {
  a.doc.transact(() => {
    a.text.delete(0, a.text.length)
    a.text.insert(0, source)
  })
  await b.shows(source)
}

/** The execution, once it has ended and both were shown so. */
async function ended (clients, api, id, name) {
  const ends = await Promise.all(clients.map((client) => client.frame(`the end of the ${name} program is shown`,
    ({ type, executionId }) => type === 'runFinished' && executionId === id, RUN_MS_MAX)))
  const execution = await until('the execution is finished', async () => {
    const found = await api.execution(id)
    return found.status === 'finished' && found
  })
  check(ends.every(({ verdict }) => verdict === execution.verdict), 'the room told the same verdict')
  return execution
}

const mebibytes = ({ peakBytes }) => `${(peakBytes / 2 ** 20).toFixed(1)} MiB`

/**
 * Types `text` a letter at a time into `client`, from `index` on, at a place that stays the same
 * place while others type. The last one waits for what others type, however slow the way is.
 * @returns {Promise<number>} edits of others that arrived between the first letter and the last
 */
async function typeAt (client, index, text) {
  let overtaken = 0
  const count = (_update, origin) => { if (origin === client.provider) overtaken += 1 }
  // Sticks to what follows it: a later insertion here, by this client, goes before that too.
  let place = Y.createRelativePositionFromTypeIndex(client.text, index)
  client.doc.on('update', count)
  for (const [typed, letter] of [...text].entries()) {
    if (typed === text.length - 1) await until('an edit of the other arrives', () => overtaken > 0)
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
