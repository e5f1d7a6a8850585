// The bell: what one is told wherever one is, and who of a session is online elsewhere.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { createSession, participant, register, tab, visit } from './page-visit.mjs'
import { launch, noBrowser } from './support/browser.mjs'
import { edgeUrl } from './support/edge.mjs'

const bell = (page) => page.getByRole('button', { name: /^Notifications/ })
const unread = (page, n) => page.getByRole('button', { name: `Notifications: ${n} unread` }).waitFor()
const note = (page, words) => page.getByRole('list', { name: 'Notifications' }).getByRole('listitem').filter({ hasText: words })

describe('the bell on the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob, bobsName

  before(async () => {
    browsers.push(...await Promise.all([launch(), launch()]))
    ada = await visit(browsers[0], edgeUrl())
    await register(ada, 'Ada Lovelace')
    bob = await visit(browsers[1], edgeUrl())
    bobsName = await register(bob, 'Bob Kahn')
    await createSession(ada, 'Bells')
  })
  after(() => Promise.all(browsers.map((browser) => browser.close())))

  test('who is added hears of it at once, and gets there by it', async () => {
    await tab(ada, 'People')
    await ada.getByLabel('User name of whom to add').fill(bobsName)
    await ada.getByRole('button', { name: 'Add', exact: true }).click()
    await unread(bob, 1)
    await bell(bob).click()
    await note(bob, 'Ada Lovelace added you to “Bells” as editor.').waitFor()
    await bob.getByRole('button', { name: 'Notifications', exact: true }).waitFor()
  })

  test('who is online elsewhere has a dot, and another one when they come in', async () => {
    await participant(ada, 'Bob Kahn').getByText(`${bobsName} · online`).waitFor({ timeout: 60_000 })
    await note(bob, 'added you').getByRole('link').click()
    await participant(ada, 'Bob Kahn').getByText(`${bobsName} · here`).waitFor()
  })

  test('a lock is told through every view, and what was read stays read', async () => {
    await bob.getByRole('link', { name: 'CodeCrafter: your sessions' }).click()
    await ada.getByRole('button', { name: 'Lock', exact: true }).click()
    await unread(bob, 1)
    await bell(bob).click()
    await note(bob, 'Ada Lovelace locked “Bells”.').waitFor()
    await bob.getByRole('button', { name: 'Notifications', exact: true }).waitFor()
    await bob.reload()
    await bell(bob).click()
    await note(bob, 'Ada Lovelace locked “Bells”.').waitFor()
    assert.equal(await bob.locator('.bell-count').isVisible(), false)
  })

  test('what others have written is text', async () => {
    await ada.getByRole('button', { name: 'Unlock', exact: true }).click()
    await tab(ada, /^Chat/)
    await ada.getByLabel('Message', { exact: true }).fill(`@${bobsName} <img src=x onerror="window.ran = 1">`)
    await ada.getByLabel('Message', { exact: true }).press('Enter')
    await note(bob, 'named you in “Bells”: @').waitFor()
    assert.equal(await bob.locator('.notes img').count(), 0)
    assert.equal(await bob.evaluate(() => window.ran), undefined)
  })

  test('nothing went wrong unseen', () => {
    for (const page of [ada, bob]) assert.deepEqual(page.faults, [])
  })
})
