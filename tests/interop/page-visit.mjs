// A visit to the page: what a person does there, and what is to be seen. Shared by the page's tests.

import assert from 'node:assert/strict'
import { launch } from './support/browser.mjs'
import { edgeUrl, nonce } from './support/edge.mjs'
import { until } from './support/wait.mjs'

/** Nothing that is waited for here is promised within a time: a machine may be slow and busy. */
const LIMIT_MS = 60_000
/** The longest that a run may take which is not interactive. */
const WALL_MS_MAX = 30_000

/** A page in a context of its own, on which nothing may go wrong unseen (`page.faults`). */
export async function visit (browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 }, ...options })
  context.setDefaultTimeout(LIMIT_MS)
  await context.addInitScript(keepWhatIsSaid)
  const page = await context.newPage()
  page.faults = []
  page.on('pageerror', (error) => page.faults.push(String(error)))
  // Violations of the content security policy are told here too.
  page.on('console', (message) => { if (message.type() === 'error') page.faults.push(message.text()) })
  await page.goto(url)
  return page
}

/** @returns {Promise<string>} the user name, which is new */
export async function register (page, name, username = `${name.split(' ')[0].toLowerCase()}-${nonce().slice(0, 8)}`) {
  await page.getByLabel('Password').waitFor()
  if (await page.getByRole('heading', { name: 'Sign in' }).isVisible()) await page.getByRole('button', { name: 'I am new here' }).click()
  await page.getByLabel('User name').fill(username)
  await page.getByLabel('Mail address').fill(`${username}@example.org`)
  await page.getByLabel('Password').fill(`${nonce()}${nonce()}`)
  await page.getByLabel('Name that others see').fill(name)
  await page.getByRole('button', { name: 'Create an account' }).click()
  await page.getByRole('button', { name: 'Sign out' }).waitFor()
  return username
}

/** @returns {Promise<string>} the session's link */
export async function createSession (page, title) {
  await page.getByLabel('Title', { exact: true }).fill(title)
  await page.getByRole('button', { name: 'Create session' }).click()
  await live(page)
  assert.match(page.url(), /\/#\/s\/[0-9a-f-]{36}$/)
  return page.url()
}

/**
 * Ada, who has created a session, and Bob, who has come in by its link.
 * @param {import('playwright-core').Browser[]} browsers where to put the browser of each, for closing it
 */
export async function together (browsers, title) {
  browsers.push(...await Promise.all([launch(), launch()]))
  const ada = await visit(browsers[0], edgeUrl())
  await register(ada, 'Ada Lovelace')
  const bob = await visit(browsers[1], await createSession(ada, title))
  await register(bob, 'Bob Kahn')
  await live(bob)
  return [ada, bob]
}

export const live = (page) => page.locator('.connection[data-state=live]').waitFor()
export const editor = (page) => page.locator('.cm-content')
export const line = (page, text) => page.locator('.cm-line', { hasText: text })
export const readOnly = (page) => page.locator('.cm-editor.read-only').waitFor()
export const editable = (page) => page.locator('.cm-editor:not(.read-only)').waitFor()
export const output = (page) => page.getByRole('log', { name: 'Output' })
/** The sentence about the run that all watch. */
export const verdict = (page, words) => page.locator('.run-status').filter({ hasText: words }).waitFor()
export const runButton = (page) => page.getByRole('button', { name: 'Run', exact: true })
export const stopButton = (page) => page.getByRole('button', { name: 'Stop', exact: true })
export const tab = (page, name) => page.getByRole('tab', { name }).click()
export const participant = (page, name) => page.getByRole('list', { name: 'Participants' }).getByRole('listitem').filter({ hasText: name })
/** Answers the question that the page asks before something that cannot be taken back. */
export const confirm = (page, action) => page.getByRole('dialog').getByRole('button', { name: action, exact: true }).click()

/** The text as the editor shows it. */
export const code = (page) => page.locator('.cm-line').evaluateAll((lines) => lines.map(({ textContent }) => textContent).join('\n'))

/** Where somebody else is in the text. */
export const caret = (page, name) => page.locator('.cm-remote-caret', { hasText: name })

/** Whether it is in the last line with these words. */
export const isIn = async (page, name, words) => {
  const [at, of] = [await caret(page, name).boundingBox(), await line(page, words).last().boundingBox()]
  return at !== null && of !== null && at.y < of.y + of.height && at.y + at.height > of.y
}

/** Resolves when the page has all of `text` and nothing else: who edits before may write into what is to come. */
export const shows = (page, text) => until(`the editor shows ${JSON.stringify(text.slice(0, 60))}`, async () => await code(page) === text)

/**
 * What is to be seen for a moment only: all that an element shows from now on, as a page records it
 * that nobody else has to look at in time.
 * @param {import('playwright-core').Locator} locator of an element that stays
 * @returns {Promise<{ soFar(): Promise<string[]>, end(): Promise<string[]> }>} its texts, in their order
 */
export async function record (locator) {
  const element = await locator.elementHandle()
  await element.evaluate((element) => {
    element.shown = [element.textContent]
    element.recorder = new MutationObserver(() => element.shown.push(element.textContent))
    element.recorder.observe(element, { childList: true, characterData: true, subtree: true })
  })
  return {
    soFar: () => element.evaluate(({ shown }) => shown),
    end: () => element.evaluate(({ recorder, shown }) => { recorder.disconnect(); return shown })
  }
}

/** Runs in the page: what it says at its foot is gone after some seconds. */
function keepWhatIsSaid () {
  window.said = []
  const keep = (changes) => {
    for (const { target } of changes) {
      const words = target.closest?.('.saying')?.textContent
      if (words) window.said.push(words)
    }
  }
  new MutationObserver(keep).observe(document, { childList: true, subtree: true })
}

/** Resolves when the page has said that, once for each time that it does. @param {string | RegExp} words */
export const told = (page, words) => page.waitForFunction((words) => {
  const at = window.said.findIndex((said) => words instanceof RegExp ? words.test(said) : said.includes(words))
  return at >= 0 && window.said.splice(0, at + 1).length > 0
}, words)

/** Lets what this page runs from now on take as long as any may: what somebody stops must not end before. */
export const runsLong = (page) => page.route('**/api/v1/executions', (route) => {
  const asked = route.request()
  if (asked.method() !== 'POST') return route.continue()
  return route.continue({ postData: { ...asked.postDataJSON(), limits: { wallMs: WALL_MS_MAX } } })
})

/** At the end, line by line; what the editor indents by itself is replaced. */
export async function type (page, lines) {
  await editor(page).click()
  await page.keyboard.press('Control+End')
  for (const [i, line] of lines.entries()) {
    if (i > 0) {
      // A list of completions that has opened meanwhile would take the next key.
      await page.keyboard.press('Escape')
      await page.keyboard.press('Enter')
    }
    await page.keyboard.press('Shift+Home')
    if (line === '') await page.keyboard.press('Delete')
    else await page.keyboard.insertText(line)
  }
}

/** In place of all that is there. */
export async function write (page, text) {
  await editor(page).click()
  await page.keyboard.press('Control+a')
  await page.keyboard.insertText(text)
}
