// Versions on the page: keep one, see what has changed since, restore it, fork it.

import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { code, live, participant, tab, together, write } from './page-visit.mjs'
import { noBrowser } from './support/browser.mjs'
import { until } from './support/wait.mjs'

const versions = (page) => page.getByRole('list', { name: 'Versions' })
const version = (page, text) => versions(page).getByRole('button').filter({ hasText: text })
const dialog = (page, name) => page.getByRole('dialog', { name })

describe('versions on the page', { skip: noBrowser, concurrency: false }, () => {
  const browsers = []
  let ada, bob

  before(async () => {
    [ada, bob] = await together(browsers, 'Drafts')
    for (const page of [ada, bob]) await tab(page, 'Versions')
  })
  after(() => Promise.all(browsers.map((browser) => browser.close())))

  test('a version is kept, and everybody sees it in the list', async () => {
    await write(ada, 'print("first")')
    await ada.getByLabel('What the version is kept for').fill('the <b>first</b> one')
    await ada.getByRole('button', { name: 'Keep a version' }).click()
    for (const page of [ada, bob]) await version(page, 'the <b>first</b> one').waitFor()
  })

  test('what has changed since is shown line by line', async () => {
    await write(ada, 'print("second")')
    await until('the text has arrived', async () => await code(bob) === 'print("second")')
    await version(bob, 'first').click()
    const shown = dialog(bob, /^Version \d+$/)
    await shown.locator('.diff-line.removed', { hasText: 'print("first")' }).waitFor()
    await shown.locator('.diff-line.added', { hasText: 'print("second")' }).waitFor()
    await shown.getByRole('button', { name: 'Text' }).click()
    assert.equal(await shown.locator('.version-text').textContent(), 'print("first")')
    await shown.getByRole('button', { name: 'Close' }).click()
  })

  test('restoring brings the text back for all, says who did it, and can be taken back', async () => {
    await version(ada, 'first').click()
    await dialog(ada, /^Version/).getByRole('button', { name: 'Restore' }).click()
    for (const page of [ada, bob]) await until('the text is back', async () => await code(page) === 'print("first")')
    await ada.getByText(/^You have restored version \d+\.$/).waitFor()
    await bob.getByText(/^Ada Lovelace has restored version \d+\.$/).waitFor()
    await version(ada, 'Before a restore').click()
    await dialog(ada, /^Version/).getByRole('button', { name: 'Restore' }).click()
    await until('taken back', async () => await code(bob) === 'print("second")')
  })

  test('a viewer reads and forks, and is offered nothing else', async () => {
    await tab(ada, 'People')
    await participant(ada, 'Bob').getByRole('combobox').selectOption('viewer')
    await bob.locator('.cm-editor.read-only').waitFor()
    await bob.getByRole('button', { name: 'Keep a version' }).waitFor({ state: 'hidden' })
    await version(bob, 'first').click()
    const shown = dialog(bob, /^Version/)
    await shown.getByRole('button', { name: 'Fork' }).waitFor()
    assert.equal(await shown.getByRole('button', { name: 'Restore' }).count(), 0)
    const before = bob.url()
    await shown.getByRole('button', { name: 'Fork' }).click()
    await until('the fork is open', () => bob.url() !== before)
    await live(bob)
    await until('its text', async () => await code(bob) === 'print("first")')
  })

  test('a version that nobody needs is deleted', async () => {
    await tab(ada, 'Versions')
    await version(ada, 'first').click()
    await dialog(ada, /^Version/).getByRole('button', { name: 'Delete' }).click()
    await ada.getByRole('dialog', { name: /^Delete version/ }).getByRole('button', { name: 'Delete version' }).click()
    await version(ada, 'first').waitFor({ state: 'hidden' })
  })

  test('nothing went wrong unseen', () => {
    for (const page of [ada, bob]) assert.deepEqual(page.faults, [])
  })
})
