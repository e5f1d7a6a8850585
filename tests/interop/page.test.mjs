// The page as people use it: two browsers, one session.
//
// SCREENSHOT=docs/page.png also takes a picture of it.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { launch, noBrowser } from './support/browser.mjs'
import { edgeUrl, nonce } from './support/edge.mjs'
import { wire } from './support/wire.mjs'

const LIMIT_MS = 20_000
const SCREENSHOT = process.env.SCREENSHOT

const ADA = 'Ada Lovelace'
const BOB = 'Bob Kahn'
const TOP = [
  'import time',
  '',
  'def primes(limit):',
  '    """Every prime below the limit."""',
  '    for n in range(2, limit):',
  '        if all(n % d for d in range(2, n)):',
  '            yield n',
  '',
  ''
]
const BOTTOM = [
  'for prime in primes(30):',
  '    print(prime, flush=True)',
  '    time.sleep(0.1)'
]

describe('the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob, bobsWire, link

  before(async () => {
    browsers.push(...await Promise.all([launch(), launch()]))
    bobsWire = await wire(edgeUrl())
  })
  after(async () => {
    await Promise.all(browsers.map((browser) => browser.close()))
    bobsWire?.close()
  })

  /** A page in a browser of its own, on which nothing may go wrong unseen. */
  async function visit (browser, url, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 720 }, ...options })
    const page = await context.newPage()
    page.setDefaultTimeout(LIMIT_MS)
    page.faults = []
    page.on('pageerror', (error) => page.faults.push(String(error)))
    page.on('console', (message) => { if (message.type() === 'error') page.faults.push(message.text()) })
    await page.goto(url)
    return page
  }

  async function register (page, name) {
    if (await page.getByRole('heading', { name: 'Sign in' }).isVisible()) await page.getByRole('button', { name: 'I am new here' }).click()
    const username = nonce()
    await page.getByLabel('User name').fill(username)
    await page.getByLabel('Mail address').fill(`${username}@example.org`)
    await page.getByLabel('Password').fill(`${nonce()}${nonce()}`)
    await page.getByLabel('Name that others see').fill(name)
    await page.getByRole('button', { name: 'Create an account' }).click()
  }

  const editor = (page) => page.locator('.cm-content')
  /** The text as the editor shows it, without other people's cursors in it. */
  const code = (page) => page.locator('.cm-line').evaluateAll((lines) => lines.map((line) => {
    const copy = line.cloneNode(true)
    copy.querySelectorAll('.cm-ySelectionCaret').forEach((caret) => caret.remove())
    return copy.textContent
  }).join('\n'))
  const output = (page) => page.getByRole('log', { name: 'Output' })
  const live = (page) => page.locator('.connection[data-state=live]').waitFor()

  /** At the end, line by line; what the editor indents by itself is replaced. */
  async function type (page, lines) {
    await editor(page).click()
    await page.keyboard.press('Control+End')
    for (const [i, line] of lines.entries()) {
      if (i > 0) await page.keyboard.press('Enter')
      await page.keyboard.press('Shift+Home')
      if (line === '') await page.keyboard.press('Delete')
      else await page.keyboard.insertText(line)
    }
  }

  test('somebody registers, creates a session, and somebody else opens its link', async () => {
    ada = await visit(browsers[0], edgeUrl())
    await register(ada, ADA)
    await ada.getByLabel('Title').fill('Primes, together')
    await ada.getByRole('button', { name: 'Create session' }).click()
    await live(ada)
    link = ada.url()
    assert.match(link, /\/#\/s\/[0-9a-f-]{36}$/)

    const bobsLink = link.replace(edgeUrl(), bobsWire.origin)
    bob = await visit(browsers[1], bobsLink)
    await bob.getByText('Somebody shared a session with you').waitFor()
    await register(bob, BOB)
    await live(bob)
    assert.equal(bob.url(), bobsLink)
    await bob.getByRole('heading', { name: 'Primes, together' }).waitFor()
  })

  test('both see each other’s text, cursor and name', async () => {
    await type(ada, TOP)
    await bob.locator('.cm-line', { hasText: 'yield n' }).waitFor()
    await type(bob, BOTTOM)
    await ada.locator('.cm-line', { hasText: 'time.sleep' }).waitFor()
    for (const page of [ada, bob]) assert.equal(await code(page), [...TOP.slice(0, -1), ...BOTTOM].join('\n'))

    await ada.locator('.cm-line', { hasText: 'yield n' }).click()
    await bob.locator('.cm-ySelectionInfo', { hasText: ADA }).waitFor()
    await ada.locator('.cm-ySelectionInfo', { hasText: BOB }).waitFor()
    for (const page of [ada, bob]) {
      const people = await page.getByRole('list', { name: 'In this session' }).getByRole('listitem').allInnerTexts()
      assert.deepEqual(people.map((label) => label.replace(/^\S+\n/, '')).sort(), page === ada ? [`${ADA} (you)`, BOB] : [ADA, `${BOB} (you)`])
    }
  })

  test('one runs it, and both see the output while the program still writes', async () => {
    await bob.getByRole('button', { name: 'Run' }).click()
    await Promise.all([ada, bob].map(async (page) => {
      await output(page).getByText('2', { exact: true }).or(output(page).getByText(/^2\n/)).first().waitFor()
      assert.doesNotMatch(await output(page).innerText(), /29/, 'the first line is shown before the last is written')
    }))
    for (const page of [ada, bob]) {
      await page.locator('.output').getByText('Finished', { exact: true }).waitFor()
      assert.equal((await output(page).innerText()).trim(), '2\n3\n5\n7\n11\n13\n17\n19\n23\n29')
      const figures = await page.locator('.figures').innerText()
      assert.match(figures, /Time\s+\d/)
      assert.match(figures, /Memory\s+[\d.]+ MiB/)
    }
    if (SCREENSHOT) {
      await bob.locator('.cm-line', { hasText: 'for prime' }).click()
      await editor(ada).focus()
      await ada.locator('.cm-line', { hasText: 'for prime' }).locator('.cm-ySelectionInfo').waitFor()
      await ada.screenshot({ path: SCREENSHOT, style: '.cm-cursorLayer { animation: none !important }' })
    }
  })

  test('Ctrl-Enter runs too, with input, and an error is shown as one', async () => {
    await ada.getByText('Program input').click()
    await ada.getByLabel('Input of the program').fill('from the panel\n')
    await editor(ada).click()
    await ada.keyboard.press('Control+a')
    await ada.keyboard.insertText('print("<b>" + input() + "</b>"); raise SystemExit(3)')
    await ada.keyboard.press('Control+Enter')
    for (const page of [ada, bob]) {
      await page.locator('.output').getByText('Runtime error', { exact: true }).waitFor()
      assert.equal((await output(page).innerText()).trim(), '<b>from the panel</b>', 'output is text, never markup')
      assert.match(await page.locator('.figures').innerText(), /Exit code\s+3/)
    }
  })

  test('the owner’s lock makes the editor read-only for others, and for nobody else', async () => {
    await ada.getByRole('button', { name: 'Lock', exact: true }).click()
    await bob.locator('.cm-editor.read-only').waitFor()
    assert.equal(await ada.locator('.cm-editor.read-only').count(), 0)
    await ada.getByRole('button', { name: 'Unlock' }).click()
    await bob.locator('.cm-editor:not(.read-only)').waitFor()
  })

  test('a reload keeps the login and finds the session as it was', async () => {
    const before = await code(bob)
    await bob.reload()
    await live(bob)
    await bob.locator('.cm-line', { hasText: 'from' }).or(bob.locator('.cm-line', { hasText: 'input()' })).first().waitFor()
    assert.equal(await code(bob), before)
  })

  test('a lost network is told, and what is typed meanwhile arrives', async () => {
    bobsWire.cut()
    await bob.locator('.connection[data-state=offline]').waitFor()
    await editor(bob).click()
    await bob.keyboard.press('Control+End')
    await bob.keyboard.insertText('  # later')
    assert.doesNotMatch(await code(ada), /later/)
    bobsWire.mend()
    await live(bob)
    await ada.locator('.cm-line', { hasText: '# later' }).waitFor()
  })

  test('who signs out is signed out after a reload too', async () => {
    await bob.getByRole('button', { name: 'Sign out' }).click()
    await bob.getByLabel('Password').waitFor()
    await bob.reload()
    await bob.getByLabel('Password').waitFor()
  })

  test('a session that was deleted says so', async () => {
    // Deleting has no button: the API is asked, with the page's own login.
    const id = link.slice(-36)
    await ada.evaluate(async (id) => {
      const refreshToken = localStorage.getItem('codecrafter.refreshToken')
      const headers = { 'content-type': 'application/json' }
      const login = await (await fetch('/api/v1/auth/refresh', { method: 'POST', headers, body: JSON.stringify({ refreshToken }) })).json()
      localStorage.setItem('codecrafter.refreshToken', login.refreshToken)
      await fetch(`/api/v1/sessions/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${login.accessToken}` } })
    }, id)
    await ada.getByRole('alert').getByText('does not exist any more').waitFor()
    await ada.locator('.connection[data-state=ended]').waitFor()
  })

  test('nothing was blocked or broken on the way', () => {
    assert.deepEqual(ada.faults, [])
    // The browser itself reports each attempt to connect over the wire that was cut.
    assert.deepEqual(bob.faults.filter((fault) => !/WebSocket connection to .* failed/.test(fault)), [])
  })
})
